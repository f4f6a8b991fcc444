use std::{
    sync::{Mutex, PoisonError},
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
    /// For each of some seconds in turn, which it is, and its records.
    seconds: Mutex<[(u64, u64); Rate::SECONDS + 1]>,
}

impl Rate {
    const SECONDS: usize = 10;

    fn new() -> Self {
        Self { began: Instant::now(), seconds: Default::default() }
    }

    /// Which second it is now.
    fn second(&self) -> u64 {
        self.began.elapsed().as_secs()
    }

    fn note(&self, second: u64, records: u64) {
        let mut seconds = self.seconds.lock().unwrap_or_else(PoisonError::into_inner);
        let place = usize::try_from(second).unwrap_or_default() % seconds.len();
        let (of, so_far) = seconds[place];
        seconds[place] = (second, if of == second { so_far + records } else { records });
    }

    /// Of the last whole seconds before this one.
    fn per_s(&self, second: u64) -> f64 {
        let seconds = self.seconds.lock().unwrap_or_else(PoisonError::into_inner);
        let last = second.saturating_sub(Self::SECONDS as u64)..second;
        let records: u64 =
            seconds.iter().filter(|(of, _)| last.contains(of)).map(|(_, records)| records).sum();
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
        self.rate.note(self.rate.second(), records as u64);
    }

    /// Records in a second, over the last ten.
    pub(super) fn received_per_s(&self) -> f64 {
        self.rate.per_s(self.rate.second())
    }

    pub(super) fn read(&self) -> CommitFigures {
        CommitFigures { took_us: self.took_us.read(), records: self.records.read() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_of_the_last_ten_whole_seconds() {
        let rate = Rate::new();
        // The second, the rate in it, and what comes then; a place is used again after eleven.
        for (second, per_s, records) in [
            (0, 0.0, 10),
            (3, 1.0, 20),
            (3, 1.0, 30),
            (10, 6.0, 100),
            (11, 15.0, 1_000),
            (13, 115.0, 0),
            (14, 110.0, 5),
            (15, 110.5, 0),
            (20, 110.5, 0),
            (21, 100.5, 0),
            (22, 0.5, 0),
            (24, 0.5, 0),
            (25, 0.0, 0),
        ] {
            assert_eq!(rate.per_s(second), per_s, "second {second}");
            rate.note(second, records);
        }
    }

    #[test]
    fn what_was_committed_is_in_the_rate_when_its_second_is_over() {
        let mut commits = Commits::default();
        commits.note(Duration::from_millis(3), 40);
        assert_eq!(commits.received_per_s(), 0.0);
        commits.rate.began -= Duration::from_secs(2);
        assert_eq!(commits.received_per_s(), 4.0);
    }
}
