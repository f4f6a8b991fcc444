//! RCMS as the API sees it: whether it is set up, how the poller fares, and for how long what it
//! learned holds.
use std::{collections::BTreeMap, convert::Infallible, time::Duration};

use axum::{extract::FromRequestParts, http::request::Parts};
use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

use super::{InternalState, doc::words};
use crate::{
    domain::{Fleet, Freshness, PollCall, PollFailure, PollReport, Timestamp},
    rcms,
};

/// What to do for there to be something about RCMS to tell.
pub(super) const OFF: &str = "RCMS is not set up: set SIMDECK_RCMS_CLIENT_ID and \
                              SIMDECK_RCMS_CLIENT_SECRET and start simdeck again.";

/// For how long what RCMS once said holds while nothing asks it again.
const GOOD_FOR_DEFAULT: Duration = Duration::from_secs(180);

/// RCMS, where it is set up.
#[derive(Clone)]
pub struct Rcms {
    /// Asks it.
    pub client: rcms::Client,
    /// How the poller fares.
    pub report: watch::Receiver<PollReport>,
    /// For how long what the poller learned holds, as long as it does not say so itself.
    pub good_for: Duration,
}

/// How it goes with RCMS.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RcmsOut {
    #[schema(schema_with = words::rcms_state)]
    state: &'static str,
    #[schema(format = DateTime)]
    pub(super) last_success_at: Option<String>,
    /// The failure that matters most, in a sentence.
    pub(super) error: Option<String>,
    #[schema(format = DateTime)]
    error_since: Option<String>,
    #[schema(format = DateTime)]
    paused_until: Option<String>,
    /// What fails, by question.
    calls: BTreeMap<&'static str, CallOut>,
    devices: CountsOut,
    /// How many routers RCMS counts, where it said so since the start.
    devices_counted: Option<usize>,
    /// How many of them its list holds. The others are not watched.
    devices_listed: Option<usize>,
}

/// How many of the routers that we know are in which state.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CountsOut {
    online: u64,
    offline: u64,
    unknown: u64,
}

/// A question that RCMS does not answer.
#[derive(Debug, Serialize, ToSchema)]
struct CallOut {
    error: String,
    #[schema(format = DateTime)]
    since: String,
    #[schema(schema_with = words::poll_failure)]
    kind: &'static str,
}

impl InternalState {
    /// Since when older words about a router's state count for nothing.
    pub(super) fn freshness(&self) -> Freshness {
        let good_for = self.rcms.as_ref().map_or(GOOD_FOR_DEFAULT, |rcms| {
            rcms.report.borrow().good_for.unwrap_or(rcms.good_for)
        });
        Freshness { now: self.clock.now(), good_for }
    }

    /// How the poller fares, where there is one.
    pub(super) fn poll_report(&self) -> Option<PollReport> {
        self.rcms.as_ref().map(|rcms| rcms.report.borrow().clone())
    }
}

impl FromRequestParts<InternalState> for Freshness {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, state: &InternalState) -> Result<Self, Infallible> {
        Ok(state.freshness())
    }
}

impl RcmsOut {
    /// What a report says of the poller, if there is one, beside the routers that we know.
    pub(super) fn new(report: Option<&PollReport>, fleet: &Fleet) -> Self {
        let worst = report.and_then(PollReport::worst).map(|(_, failure)| failure);
        let state = match report {
            None => "off",
            Some(_) if worst.is_some() => "failing",
            Some(PollReport { last_success_at: None, .. }) => "starting",
            Some(_) => "ok",
        };
        let counted_and_listed = report.and_then(|report| report.counted_and_listed);
        let told = |at: Option<Timestamp>| at.map(|at| at.to_string());
        Self {
            state,
            last_success_at: told(report.and_then(|report| report.last_success_at)),
            error: worst.map(|failure| failure.sentence.clone()),
            error_since: told(worst.map(|failure| failure.since)),
            paused_until: told(report.and_then(|report| report.paused_until)),
            calls: report.into_iter().flat_map(|report| &report.failing).map(call_out).collect(),
            devices: CountsOut::of(fleet),
            devices_counted: counted_and_listed.map(|(counted, _)| counted),
            devices_listed: counted_and_listed.map(|(_, listed)| listed),
        }
    }
}

impl CountsOut {
    /// Those of all routers.
    pub(super) fn of(fleet: &Fleet) -> Self {
        Self { online: fleet.online, offline: fleet.offline, unknown: fleet.unknown }
    }
}

fn call_out((call, failure): (&PollCall, &PollFailure)) -> (&'static str, CallOut) {
    let out = CallOut {
        error: failure.sentence.clone(),
        since: failure.since.to_string(),
        kind: failure.kind.as_str(),
    };
    (call.as_str(), out)
}
