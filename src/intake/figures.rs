use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use crate::domain::{Histogram, HistogramReading};

/// The commits so far. One task notes them.
#[derive(Debug)]
pub(super) struct Commits {
    took_us: Histogram<13>,
    records: Histogram<12>,
    rate: Rate,
}

/// How many records came in each of the last seconds.
#[derive(Debug)]
struct Rate {
    began: Instant,
    /// For each of some seconds in turn, which it is, in the upper half, and its records.
    seconds: [AtomicU64; Rate::SECONDS + 1],
}

impl Rate {
    const SECONDS: usize = 10;

    fn new() -> Self {
        Self { began: Instant::now(), seconds: Default::default() }
    }

    /// One task notes.
    fn note(&self, records: u64) {
        let second = self.began.elapsed().as_secs() & u64::from(u32::MAX);
        let place = &self.seconds[usize::try_from(second).unwrap_or_default() % self.seconds.len()];
        let so_far = place.load(Ordering::Relaxed);
        let so_far = if so_far >> 32 == second { so_far & u64::from(u32::MAX) } else { 0 };
        let records = (so_far + records).min(u64::from(u32::MAX));
        place.store(second << 32 | records, Ordering::Relaxed);
    }

    /// Of the last whole seconds.
    fn per_s(&self) -> f64 {
        let now = self.began.elapsed().as_secs() & u64::from(u32::MAX);
        let seconds = Self::SECONDS as u64;
        let is_of_them = |second: u64| (1..=seconds).contains(&now.wrapping_sub(second));
        let read = self.seconds.iter().map(|place| place.load(Ordering::Relaxed));
        let records: u64 =
            read.filter(|it| is_of_them(it >> 32)).map(|it| it & u64::from(u32::MAX)).sum();
        records as f64 / Self::SECONDS as f64
    }
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
            rate: Rate::new(),
        }
    }
}

impl Commits {
    pub(super) fn note(&self, took: Duration, records: usize) {
        self.took_us.note(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        self.records.note(records as u64);
        self.rate.note(records as u64);
    }

    /// Records in a second, over the last ten.
    pub(super) fn received_per_s(&self) -> f64 {
        self.rate.per_s()
    }

    pub(super) fn read(&self) -> CommitFigures {
        CommitFigures { took_us: self.took_us.read(), records: self.records.read() }
    }
}
