//! `/v1/pushes`: the last requests to the public listener, whatever became of them. Bodies are for
//! admins only.
use axum::{
    Json,
    extract::{RawQuery, State},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    InternalState, doc::words, error::ApiError, list::rows_of, params, shown_body::BodyOut,
};
use crate::{
    domain::{PageSize, Scope},
    http::{
        auth::Reader,
        push::{PushRow, Reason},
    },
};

/// Rows of an answer that nobody chose the size of.
const SIZE_DEFAULT: u32 = 100;

/// A request to the public listener.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "id": 12, "at": "2024-09-05T01:30:48.000Z", "outcome": "stored", "status": 200, "reason": null,
    "kind": "data-usage", "source": "192.0.2.1", "bytes": 412, "took_ms": 3.214,
    "records": {"stored": 1, "duplicates": 0, "quarantined": 0}, "test": false,
})))]
pub(super) struct PushOut<'a> {
    id: u64,
    #[schema(format = DateTime)]
    at: String,
    #[schema(schema_with = words::push_outcome)]
    outcome: &'static str,
    status: Option<u16>,
    reason: Option<&'static str>,
    kind: Option<&'a str>,
    /// Where the address was none of a push: what stood in it, without the path token. There for
    /// requests that knew a token, or where none is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    address: Option<&'a str>,
    source: String,
    bytes: Option<u64>,
    took_ms: f64,
    #[schema(value_type = Option<Object>)]
    records: Option<RecordsOut>,
    test: bool,
    #[serde(flatten)]
    body: BodyOut,
    /// There where a body is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    body_cut: Option<bool>,
}

#[derive(Debug, Serialize)]
struct RecordsOut {
    stored: u64,
    duplicates: u64,
    quarantined: u64,
}

/// `GET /v1/pushes`
pub(super) async fn show(
    State(state): State<InternalState>,
    Reader(caller): Reader,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let question = params::PUSHES.read(query.as_deref())?;
    let size = PageSize::within(question.size.unwrap_or(SIZE_DEFAULT), PageSize::MAX)
        .ok_or_else(|| params::PUSHES.invalid("size", "from 1 to 1000"))?;
    let (kinds, outcomes) = (&question.filter.kind, &question.live.outcome);
    let to = state.live.pushes.forget_erased(state.intake.erased()).await;
    let rows = state.live.pushes.newest(rows_of(size), |row| {
        let is_of = |kind: &String| row.kind.as_ref().is_some_and(|it| it.as_str() == kind);
        row.id <= to
            && (kinds.is_empty() || kinds.iter().any(is_of))
            && (outcomes.is_empty() || outcomes.contains(&row.outcome))
    });
    let with_body = caller.scope == Scope::Admin;
    let out: Vec<_> = rows.iter().map(|row| push_out(row, with_body)).collect();
    Ok(Json(out).into_response())
}

fn push_out(row: &PushRow, with_body: bool) -> PushOut<'_> {
    let is_shown = with_body && !row.body.is_empty();
    let body = || match row.body.to_vec() {
        beginning if row.is_cut() => BodyOut::of_beginning(beginning),
        whole => BodyOut::of(whole),
    };
    PushOut {
        id: row.id,
        at: row.at.to_string(),
        outcome: row.outcome.as_str(),
        status: row.status.map(|status| status.as_u16()),
        reason: row.reason.map(Reason::as_str),
        kind: row.kind.as_ref().map(|kind| kind.as_str()),
        address: row.address.as_deref(),
        source: row.source.to_string(),
        bytes: row.bytes,
        // To the microsecond; more digits would only look exact.
        took_ms: (row.took.as_secs_f64() * 1e6).round() / 1e3,
        records: row.records.map(|of| RecordsOut {
            stored: of.stored,
            duplicates: of.duplicates,
            quarantined: of.quarantined,
        }),
        test: row.is_test,
        body: if is_shown { body() } else { BodyOut::default() },
        body_cut: is_shown.then(|| row.is_cut()),
    }
}
