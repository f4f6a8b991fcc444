//! How many connections each listener has, and whether it runs out of places.
use std::fmt;

use prometheus_client::metrics::MetricType;

use super::page::Page;
use crate::http::{api::Connections, server::ConnectionFigures};

pub(super) fn encode(connections: &Connections, page: &mut Page<'_>) -> fmt::Result {
    let each =
        [("public", connections.public.figures()), ("internal", connections.internal.figures())];
    let of_each = |figure: fn(&ConnectionFigures) -> u64| {
        each.map(|(name, it)| ([("listener", name)], figure(&it)))
    };
    let help = "Connections that are open.";
    page.each("simdeck_connections", help, MetricType::Gauge, of_each(|it| it.open))?;
    let help = "Connections that there may be; more wait.";
    page.each("simdeck_connections_max", help, MetricType::Gauge, of_each(|it| it.places))?;
    let help = "Connections that found every place taken, and waited for one.";
    let waited = of_each(|it| it.waited);
    page.each("simdeck_connections_waited_total", help, MetricType::Counter, waited)?;
    let help = "Connections that were closed: at once, since their source had its share; while they \
                waited for their client, to make room for another; or after a request whose header \
                was too large (431).";
    let closed = each.into_iter().flat_map(|(name, it)| {
        let labels = |reason| [("listener", name), ("reason", reason)];
        [
            (labels("source_share"), it.over_share),
            (labels("made_room"), it.made_room),
            (labels("large_header"), it.large_headers),
        ]
    });
    page.each("simdeck_connections_closed_total", help, MetricType::Counter, closed)
}
