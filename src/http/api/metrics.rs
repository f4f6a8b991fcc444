//! `/metrics`: figures for Prometheus. No key, so nothing personal and no label per router or SIM.
//!
//! What is told is gathered anew for each scrape, so that no figure is kept in two places. A further
//! part is a member of [`Figures`] and a block in its [`Collector`].
use std::fmt;

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeMetric, text::encode_registry},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Registry,
};

use super::{InternalState, error::ApiError};
use crate::domain::{DeviceState, Fleet, PollFailureKind, PollReport, Timestamp};

/// The classic text format: every collector reads it, and so do people.
const CONTENT_TYPE: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// `GET /metrics`
pub(super) async fn show(State(state): State<InternalState>) -> Result<Response, ApiError> {
    let rcms = match state.poll_report() {
        None => None,
        Some(report) => {
            let freshness = state.freshness();
            // A store that cannot be read takes away its own figures, not the others.
            let fleet = state.store.fleet(freshness).await.ok();
            Some(RcmsFigures { now: freshness.now, report, fleet })
        }
    };
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Figures { rcms }));
    let mut text = String::new();
    encode_registry(&mut text, &registry)?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}

/// All that one scrape tells.
#[derive(Debug)]
struct Figures {
    rcms: Option<RcmsFigures>,
}

/// How the poller fares, and what it has learned.
#[derive(Debug)]
struct RcmsFigures {
    now: Timestamp,
    report: PollReport,
    fleet: Option<Fleet>,
}

impl Collector for Figures {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        let build = [("version", env!("CARGO_PKG_VERSION")), ("commit", env!("SIMDECK_COMMIT"))];
        let help = "The version that runs, and the commit it was built from.";
        page.each("simdeck_build_info", help, MetricType::Gauge, [(build, 1_u64)])?;
        self.rcms.as_ref().map_or(Ok(()), |rcms| rcms.encode(&mut page))
    }
}

impl RcmsFigures {
    fn encode(&self, page: &mut Page<'_>) -> fmt::Result {
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

/// What a scrape is written on.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn gauge(&mut self, name: &str, help: &str, value: impl EncodeGaugeValue) -> fmt::Result {
        self.one(name, help, MetricType::Gauge, value)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.one(name, help, MetricType::Counter, value)
    }

    fn one(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        value: impl EncodeGaugeValue,
    ) -> fmt::Result {
        // Every value is written as a gauge's is: in the classic format a counter's `_total` is
        // part of its name, and the library would add another one.
        ConstGauge::new(value).encode(self.0.encode_descriptor(name, help, None, kind)?)
    }

    fn each<const LABELS: usize, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        samples: impl IntoIterator<Item = ([(&'static str, &'static str); LABELS], V)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, kind)?;
        for (labels, value) in samples {
            ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
