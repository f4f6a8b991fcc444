//! `/metrics`: figures for Prometheus. No key, so nothing personal and no label per router or SIM.
//!
//! What is told is gathered anew for each scrape, so that no figure is kept in two places. A further
//! part is a member of [`Figures`] and a block in its [`Collector`].
mod backups;
mod connections;
mod page;
mod pushes;
mod rcms;
mod state;

use std::fmt;

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, text::encode_registry},
    metrics::MetricType,
    registry::Registry,
};

use self::{page::Page, rcms::RcmsFigures, state::StateFigures};
use super::{Connections, InternalState, error::ApiError};
use crate::http::push::PushLog;

/// The classic text format: every collector reads it, and so do people.
const CONTENT_TYPE: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// `GET /metrics`
pub(super) async fn show(State(state): State<InternalState>) -> Result<Response, ApiError> {
    let (of_rcms, of_state) =
        tokio::join!(RcmsFigures::gather(&state), StateFigures::gather(&state));
    let figures = Figures {
        pushes: state.live.pushes.clone(),
        connections: state.live.connections.clone(),
        key_failures: state.live.key_failures.all(),
        rcms: of_rcms,
        state: of_state,
    };
    let mut registry = Registry::default();
    registry.register_collector(Box::new(figures));
    let mut text = String::new();
    encode_registry(&mut text, &registry)?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}

/// All that one scrape tells.
struct Figures {
    pushes: PushLog,
    key_failures: u64,
    connections: Connections,
    state: StateFigures,
    rcms: Option<RcmsFigures>,
}

impl fmt::Debug for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Figures")
    }
}

impl Collector for Figures {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page::new(encoder);
        let build = [("version", env!("CARGO_PKG_VERSION")), ("commit", env!("SIMDECK_COMMIT"))];
        let help = "The version that runs, and the commit it was built from.";
        page.each("simdeck_build_info", help, MetricType::Gauge, [(build, 1_u64)])?;
        pushes::encode(self.pushes.figures(), &mut page)?;
        let help = "API keys and sign-ins that were refused because they are not live.";
        page.counter("simdeck_api_key_failures_total", help, self.key_failures)?;
        connections::encode(&self.connections, &mut page)?;
        self.state.encode(&mut page)?;
        self.rcms.as_ref().map_or(Ok(()), |rcms| rcms.encode(&mut page))
    }
}
