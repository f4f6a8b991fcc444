use std::time::Duration;

use crate::domain::{Histogram, HistogramReading};

/// The commits so far. One task notes them.
#[derive(Debug)]
pub(super) struct Commits {
    took_us: Histogram<13>,
    records: Histogram<12>,
}

/// How the commits so far went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitFigures {
    /// How long each took, in microseconds.
    pub took_us: HistogramReading,
    /// How many records each held.
    pub records: HistogramReading,
}

impl Default for Commits {
    fn default() -> Self {
        Self {
            took_us: Histogram::new([
                500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 250_000, 500_000,
                1_000_000, 2_500_000, 5_000_000,
            ]),
            records: Histogram::new([1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000]),
        }
    }
}

impl Commits {
    pub(super) fn note(&self, took: Duration, records: usize) {
        self.took_us.note(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        self.records.note(records as u64);
    }

    pub(super) fn read(&self) -> CommitFigures {
        CommitFigures { took_us: self.took_us.read(), records: self.records.read() }
    }
}
