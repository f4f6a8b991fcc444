use std::fmt;

use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeLabelValue, EncodeMetric, NoLabelSet},
    metrics::{MetricType, gauge::ConstGauge},
};

use crate::domain::HistogramReading;

/// What a scrape is written on.
pub(super) struct Page<'a>(DescriptorEncoder<'a>);

impl<'a> Page<'a> {
    pub(super) fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Self(encoder)
    }

    pub(super) fn gauge(
        &mut self,
        name: &str,
        help: &str,
        value: impl EncodeGaugeValue,
    ) -> fmt::Result {
        self.one(name, help, MetricType::Gauge, value)
    }

    pub(super) fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
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

    pub(super) fn each<const LABELS: usize, L: EncodeLabelValue, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        samples: impl IntoIterator<Item = ([(&'static str, L); LABELS], V)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, kind)?;
        for (labels, value) in samples {
            ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    /// Its bounds and sum are in whole units; `units` of them make one of what is told.
    pub(super) fn histogram(
        &mut self,
        name: &str,
        help: &str,
        reading: &HistogramReading,
        units: u32,
    ) -> fmt::Result {
        let in_units = |value: u64| value as f64 / f64::from(units);
        let bound = |bound: &Option<u64>| bound.map_or(f64::INFINITY, in_units);
        let buckets: Vec<(f64, u64)> =
            reading.buckets.iter().map(|(le, count)| (bound(le), *count)).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        self.0
            .encode_descriptor(name, help, None, MetricType::Histogram)?
            .encode_histogram::<NoLabelSet>(in_units(reading.sum), count, &buckets, None)
    }
}
