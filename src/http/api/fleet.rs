//! `/v1/devices/summary`: all routers in figures, as RCMS counts them and as we do.
use axum::{
    Json,
    extract::{RawQuery, State},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    InternalState,
    error::ApiError,
    params,
    rcms::{CountsOut, OFF},
};
use crate::{
    domain::{Fleet, FleetTotals, PollCall, PollReport},
    http::auth::Reader,
};

/// RCMS's figures, how old they are, and ours.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "deviceTotal": 8, "onlineTotal": 7, "offlineTotal": 1, "registeredTotal": 8,
    "unRegisteredTotal": 0, "userTotal": 2, "polled_at": "2024-09-05T01:30:37.257Z",
    "stale": false, "poll_error": null, "known": {"online": 7, "offline": 1, "unknown": 0},
    "listed_at": "2024-09-05T01:30:37.257Z",
})))]
pub(super) struct SummaryOut {
    #[serde(flatten)]
    totals: TotalsOut,
    #[schema(format = DateTime)]
    polled_at: Option<String>,
    /// Whether RCMS's figures are too old to go by.
    stale: bool,
    /// Why there are no newer ones, in a sentence.
    poll_error: Option<String>,
    /// The routers that we know.
    known: CountsOut,
    #[schema(format = DateTime)]
    listed_at: Option<String>,
}

/// Under RCMS's own names.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TotalsOut {
    device_total: Option<i64>,
    online_total: Option<i64>,
    offline_total: Option<i64>,
    registered_total: Option<i64>,
    un_registered_total: Option<i64>,
    user_total: Option<i64>,
}

/// `GET /v1/devices/summary`
pub(super) async fn show(
    State(state): State<InternalState>,
    _: Reader,
    RawQuery(query): RawQuery,
) -> Result<Json<SummaryOut>, ApiError> {
    params::read_none("devices", query.as_deref())?;
    let (freshness, report) = (state.freshness(), state.poll_report());
    let fleet = state.store.fleet(freshness).await?;
    if report.is_none() && knows_nothing(&fleet) {
        return Err(ApiError::Conflict(OFF.to_owned(), None));
    }
    let polled_at = fleet.totals.map(|(at, _)| at);
    Ok(Json(SummaryOut {
        totals: totals_out(&fleet.totals.map(|(_, totals)| totals).unwrap_or_default()),
        polled_at: polled_at.map(|at| at.to_string()),
        stale: report.is_none() || polled_at.is_none_or(|at| at < freshness.oldest()),
        poll_error: poll_error(report.as_ref()),
        known: CountsOut::of(&fleet),
        listed_at: fleet.listed_at.map(|at| at.to_string()),
    }))
}

/// Why this answer may be old. What fails for single routers is no matter of the whole fleet.
fn poll_error(report: Option<&PollReport>) -> Option<String> {
    let Some(report) = report else { return Some(OFF.to_owned()) };
    let (call, failure) = report.worst()?;
    (call != PollCall::StatusData).then(|| failure.sentence.clone())
}

fn knows_nothing(fleet: &Fleet) -> bool {
    let routers = fleet.online + fleet.offline + fleet.unknown;
    fleet.totals.is_none() && fleet.listed_at.is_none() && routers == 0
}

fn totals_out(totals: &FleetTotals) -> TotalsOut {
    TotalsOut {
        device_total: totals.device_total,
        online_total: totals.online_total,
        offline_total: totals.offline_total,
        registered_total: totals.registered_total,
        un_registered_total: totals.un_registered_total,
        user_total: totals.user_total,
    }
}
