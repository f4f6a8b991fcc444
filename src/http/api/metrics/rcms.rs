//! The poller of RCMS, and the routers.
use std::fmt;

use prometheus_client::metrics::MetricType;

use super::page::Page;
use crate::{
    domain::{DeviceState, Fleet, PollCall, PollFailureKind, PollReport, Timestamp},
    http::api::{InternalState, conditions::soon},
};

/// How the poller fares, and what it has learned.
#[derive(Debug)]
pub(super) struct RcmsFigures {
    now: Timestamp,
    report: PollReport,
    fleet: Option<Fleet>,
}

impl RcmsFigures {
    /// Nothing where RCMS is not set up.
    pub(super) async fn gather(state: &InternalState) -> Option<Self> {
        let report = state.poll_report()?;
        let freshness = state.freshness();
        // A store that cannot be read takes away its own figures, not the others.
        let store = state.store.clone();
        let fleet = soon(async move { store.fleet(freshness).await }).await.and_then(Result::ok);
        Some(Self { now: freshness.now, report, fleet })
    }

    pub(super) fn encode(&self, page: &mut Page<'_>) -> fmt::Result {
        let report = &self.report;
        if let Some(at) = report.last_success_at {
            let age_ms = self.now.unix_ms().saturating_sub(at.unix_ms()).max(0);
            let help = "Seconds since RCMS last answered anything as it should.";
            page.gauge("simdeck_rcms_poll_age_seconds", help, age_ms as f64 / 1000.0)?;
        }
        if let Some(took) = report.last_cycle_took {
            let help = "How long the last cycle of the poller took.";
            page.gauge("simdeck_rcms_poll_duration_seconds", help, took.as_secs_f64())?;
        }
        let paused = u64::from(report.paused_until.is_some_and(|until| until > self.now));
        let help = "Whether RCMS is left alone for a while, because it fails.";
        page.gauge("simdeck_rcms_poll_paused", help, paused)?;
        let failing = PollCall::ALL
            .map(|call| ([("call", call.as_str())], u64::from(report.failing.contains_key(&call))));
        let help = "Whether a question to RCMS fails at present.";
        page.each("simdeck_rcms_poll_failing", help, MetricType::Gauge, failing)?;
        let help = "Cycles of the poller that have ended.";
        page.counter("simdeck_rcms_poll_cycles_total", help, report.cycles)?;
        let help = "Requests that the poller sent to RCMS.";
        page.counter("simdeck_rcms_requests_total", help, report.requests)?;
        let failures = PollFailureKind::ALL.map(|kind| {
            let failed = report.failures.get(&kind).copied().unwrap_or_default();
            ([("kind", kind.as_str())], failed)
        });
        let help = "Requests to RCMS that failed, by kind.";
        page.each("simdeck_rcms_failures_total", help, MetricType::Counter, failures)?;
        let Some(fleet) = self.fleet else { return Ok(()) };
        let devices = DeviceState::ALL.map(|state| {
            let count = match state {
                DeviceState::Online => fleet.online,
                DeviceState::Offline => fleet.offline,
                DeviceState::Unknown => fleet.unknown,
            };
            ([("state", state.as_str())], count)
        });
        let help = "The routers that simdeck knows, by state.";
        page.each("simdeck_devices", help, MetricType::Gauge, devices)
    }
}
