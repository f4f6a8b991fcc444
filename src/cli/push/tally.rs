use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::load::Counts;
use crate::{cli::Failure, domain::counted};

/// Latencies are told apart to three digits, up to this.
const LATENCY_US_MAX: u64 = 600_000_000;
const LATENCY_DIGITS: u8 = 3;

const PERCENTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

/// What became of the pushes.
pub(super) struct Tally {
    accepted: u64,
    /// Accepted, but the answer did not tell the counts.
    uncounted: u64,
    counts: Counts,
    failed: BTreeMap<String, u64>,
    /// Of accepted pushes only: a quick refusal must not look like speed.
    latency_us: Histogram<u64>,
    pub(super) took: Duration,
}

impl Tally {
    pub(super) fn new() -> Result<Self, Failure> {
        let latency_us = Histogram::new_with_bounds(1, LATENCY_US_MAX, LATENCY_DIGITS)
            .map_err(Failure::because("the latencies cannot be counted"))?;
        Ok(Self {
            accepted: 0,
            uncounted: 0,
            counts: Counts::default(),
            failed: BTreeMap::new(),
            latency_us,
            took: Duration::ZERO,
        })
    }

    pub(super) fn accepted(&mut self, latency: Duration, counts: Option<Counts>) {
        self.accepted += 1;
        self.latency_us.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
        match counts {
            Some(counts) => self.count(&counts),
            None => self.uncounted += 1,
        }
    }

    pub(super) fn failed(&mut self, reason: String) {
        *self.failed.entry(reason).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: &Self) -> Result<(), Failure> {
        self.accepted += other.accepted;
        self.uncounted += other.uncounted;
        self.count(&other.counts);
        for (reason, times) in &other.failed {
            *self.failed.entry(reason.clone()).or_default() += times;
        }
        self.latency_us
            .add(&other.latency_us)
            .map_err(Failure::because("the latencies cannot be counted"))
    }

    /// Whether what was asked for has been done.
    pub(super) fn verdict(&self, asked: u64) -> Result<(), Failure> {
        let failed: u64 = self.failed.values().sum();
        if failed > 0 {
            let reasons: Vec<String> =
                self.failed.iter().map(|(reason, times)| format!("{times} × {reason}")).collect();
            let reasons = reasons.join(", ");
            let advice = self.failed.keys().find_map(|reason| advice(reason)).unwrap_or_default();
            return Err(Failure::new(format!(
                "{failed} of {} failed: {reasons}{advice}",
                counted(asked, "push", "pushes")
            )));
        }
        if self.accepted < asked {
            let sent = self.accepted;
            let asked = counted(asked, "push", "pushes");
            return Err(Failure::new(format!("stopped after {sent} of {asked}")));
        }
        Ok(())
    }

    pub(super) fn json(&self) -> Value {
        let mut latency_ms: serde_json::Map<String, Value> = PERCENTILES
            .iter()
            .map(|(name, part)| ((*name).to_owned(), self.latency_ms(*part).into()))
            .collect();
        latency_ms.insert("max".to_owned(), self.latency_ms(1.0).into());
        json!({
            "accepted": self.accepted,
            "stored": self.counts.stored,
            "duplicates": self.counts.duplicates,
            "quarantined": self.counts.quarantined,
            "uncounted": self.uncounted,
            "failed": self.failed,
            "seconds": self.took.as_secs_f64(),
            "per_second": self.per_second(),
            "latency_ms": latency_ms,
        })
    }

    pub(super) fn for_people(&self) -> String {
        let Counts { stored, duplicates, quarantined } = &self.counts;
        let failed: u64 = self.failed.values().sum();
        let mut text = format!(
            "stored {stored}, duplicates {duplicates}, quarantined {quarantined}, failed {failed}\n"
        );
        for (reason, times) in &self.failed {
            text += &format!("  {times} × {reason}\n");
        }
        if self.uncounted > 0 {
            text += &format!("{} accepted without counts in the answer\n", self.uncounted);
        }
        let seconds = self.took.as_secs_f64();
        let (accepted, rate) = (self.accepted, self.per_second());
        text += &format!("{accepted} accepted in {seconds:.2} s, {rate:.1} a second");
        if self.accepted > 0 {
            let parts = PERCENTILES
                .iter()
                .map(|(name, part)| format!("{name} {:.2}", self.latency_ms(*part)));
            let parts: Vec<String> = parts.collect();
            let max = self.latency_ms(1.0);
            text += &format!("\nlatency in ms: {}, max {max:.2}", parts.join(", "));
        }
        text
    }

    fn count(&mut self, counts: &Counts) {
        self.counts.stored += counts.stored;
        self.counts.duplicates += counts.duplicates;
        self.counts.quarantined += counts.quarantined;
    }

    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    fn latency_ms(&self, part: f64) -> f64 {
        self.latency_us.value_at_quantile(part) as f64 / 1000.0
    }

    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    fn per_second(&self) -> f64 {
        self.accepted as f64 / self.took.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// What a person can do about it.
fn advice(reason: &str) -> Option<&'static str> {
    let advice = [
        ("no connection", "; start `simdeck serve`, or name the address with --url"),
        ("401", "; the server has another push key: give its own with --key"),
        ("404", "; check the kind and the path token"),
        ("503", "; the server cannot store at the moment: its log says why"),
    ];
    advice.iter().find(|(start, _)| reason.starts_with(start)).map(|(_, advice)| *advice)
}
