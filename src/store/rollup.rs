//! Sums of usage, folded in memory: the same way for the writer that moves a mark and for a reader
//! that adds the tail.
use std::collections::BTreeMap;

use serde::Deserialize;
use sqlx::FromRow;

use super::days::StoreDays;
use crate::domain::Span;

pub(super) const QUARTER_HOUR_MS: i64 = 15 * 60 * 1000;
pub(super) const HOUR_MS: i64 = 60 * 60 * 1000;
pub(super) const DAY_MS: i64 = 24 * HOUR_MS;

/// What a sum needs to know of a usage record.
#[derive(Clone, Copy, Debug, Deserialize, FromRow)]
pub(super) struct TailUsage {
    pub(super) sim_id: i64,
    pub(super) card_id: i64,
    pub(super) series_id: i64,
    pub(super) start_ms: i64,
    pub(super) data_usage: i64,
}

/// A volume and how many records it is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) data_usage: i64,
    pub(super) records: i64,
}

impl Sum {
    /// Cannot overflow: the writer keeps the sum of all volumes within 64 bits.
    pub(super) fn add(&mut self, other: Self) {
        self.data_usage += other.data_usage;
        self.records += other.records;
    }
}

/// Sums by quarter of an hour and network context, in the order of their tree.
#[derive(Debug, Default)]
pub(super) struct NetworkSums {
    pub(super) by_quarter_hour: BTreeMap<(i64, i64), Sum>,
}

/// Sums of each SIM, in the order of their tree.
#[derive(Debug, Default)]
pub(super) struct SimSums {
    /// By day in the store's zone and SIM.
    pub(super) by_day: BTreeMap<(i64, i64), Sum>,
}

impl NetworkSums {
    pub(super) fn of(usage: &[TailUsage]) -> Self {
        let mut sums = Self::default();
        for record in usage {
            let quarter_hour = record.start_ms - record.start_ms.rem_euclid(QUARTER_HOUR_MS);
            let sum = sums.by_quarter_hour.entry((quarter_hour, record.series_id)).or_default();
            sum.add(Sum { data_usage: record.data_usage, records: 1 });
        }
        sums
    }

    /// Between which own times the records lie, to the quarter of an hour.
    pub(super) fn span_ms(&self) -> Option<(i64, i64)> {
        let ((first, _), _) = self.by_quarter_hour.first_key_value()?;
        let ((last, _), _) = self.by_quarter_hour.last_key_value()?;
        Some((*first, last + QUARTER_HOUR_MS - 1))
    }

    /// How many records each network context has: `[series_id, records]`.
    pub(super) fn by_series(&self) -> Vec<[i64; 2]> {
        let mut records: BTreeMap<i64, i64> = BTreeMap::new();
        for ((_, series_id), sum) in &self.by_quarter_hour {
            *records.entry(*series_id).or_default() += sum.records;
        }
        records.into_iter().map(|(series_id, records)| [series_id, records]).collect()
    }

    /// `[start_ms, series_id, data_usage, records]`
    pub(super) fn quarter_hours(&self) -> Vec<[i64; 4]> {
        rows(&self.by_quarter_hour)
    }

    /// `[start_ms, series_id, data_usage, records]`, by the hour.
    pub(super) fn hours(&self) -> Vec<[i64; 4]> {
        let mut by_hour: BTreeMap<(i64, i64), Sum> = BTreeMap::new();
        for (&(start_ms, series_id), sum) in &self.by_quarter_hour {
            let hour = start_ms - start_ms.rem_euclid(HOUR_MS);
            by_hour.entry((hour, series_id)).or_default().add(*sum);
        }
        rows(&by_hour)
    }
}

impl SimSums {
    pub(super) fn of(usage: &[TailUsage], days: &StoreDays) -> Self {
        let mut sums = Self::default();
        let mut days = Days::new(days);
        for record in usage {
            let day = days.of(record.start_ms);
            let sum = sums.by_day.entry((day, record.sim_id)).or_default();
            sum.add(Sum { data_usage: record.data_usage, records: 1 });
        }
        sums
    }

    /// `[day, sim_id, data_usage, records]`
    pub(super) fn days(&self) -> Vec<[i64; 4]> {
        rows(&self.by_day)
    }
}

fn rows(sums: &BTreeMap<(i64, i64), Sum>) -> Vec<[i64; 4]> {
    sums.iter().map(|(&(a, b), sum)| [a, b, sum.data_usage, sum.records]).collect()
}

/// The numbers of a store's days. Records come in about the order of time, so the day of the last one
/// serves most of them.
pub(super) struct Days {
    days: StoreDays,
    last: Option<(Span, i64)>,
}

impl Days {
    pub(super) fn new(days: &StoreDays) -> Self {
        Self { days: days.clone(), last: None }
    }

    pub(super) fn of(&mut self, at_ms: i64) -> i64 {
        match self.last {
            Some((span, day)) if span.contains(at_ms) => day,
            _ => {
                let span = self.days.span_of(at_ms);
                let day = self.days.number_of(span);
                self.last = Some((span, day));
                day
            }
        }
    }
}
