//! Requests to the public listener since the start.
use std::fmt;

use prometheus_client::metrics::MetricType;

use super::page::Page;
use crate::http::push::{PushFigures, RecordCounts};

pub(super) fn encode(figures: &PushFigures, page: &mut Page<'_>) -> fmt::Result {
    const COUNTER: MetricType = MetricType::Counter;
    let pushes = figures
        .pushes()
        .map(|(kind, outcome, count)| ([("kind", kind), ("outcome", outcome.as_str())], count));
    let help = "Requests to the public listener, by the kind in their address and what became of \
                them.";
    page.each("simdeck_pushes_total", help, COUNTER, pushes)?;
    let tests = figures.tests().map(|(outcome, count)| ([("outcome", outcome.as_str())], count));
    let help = "Pushes that were our own tests; they are in no other figure.";
    page.each("simdeck_test_pushes_total", help, COUNTER, tests)?;
    let refusals = figures.sent_away().map(|(reason, count)| ([("reason", reason)], count));
    let help = "Requests to the public listener that were not taken in, by reason.";
    page.each("simdeck_refusals_total", help, COUNTER, refusals)?;
    let quarantined = figures.quarantined().map(|(reason, count)| ([("reason", reason)], count));
    let help = "Authentic pushes of which something is held, quarantined or stale, by its first \
                reason.";
    page.each("simdeck_quarantined_pushes_total", help, COUNTER, quarantined)?;
    let records = |count: fn(RecordCounts) -> u64| {
        figures.records().map(move |it| ([("kind", it.kind)], count(it)))
    };
    let help = "Records that pushes brought and that are stored.";
    page.each("simdeck_records_total", help, COUNTER, records(|it| it.stored))?;
    let help = "Records that came again and changed nothing.";
    page.each("simdeck_duplicate_records_total", help, COUNTER, records(|it| it.duplicates))?;
    let help = "Parts of authentic pushes that are held, quarantined or stale.";
    page.each("simdeck_quarantined_records_total", help, COUNTER, records(|it| it.quarantined))
}
