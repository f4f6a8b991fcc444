//! Sums on their way into the rows of an answer.
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    domain::{AggregateQuestion, AggregateRow, Calendar, Group, Interval, Span},
    store::{StoreError, rollup::Sum},
};

/// Rows that one answer may have, or the answer with all groups from which the largest are taken.
/// An answer is held in memory.
pub(super) const ROWS_MAX: usize = 250_000;

/// A moment of an interval, the values that are grouped by, and the sum.
pub(super) type Cell = (i64, String, String, i64, i64);
pub(super) const CELL_COLUMNS: usize = 5;

/// Sums by interval and group.
#[derive(Debug)]
pub(super) struct Fold<'q> {
    calendar: &'q Calendar,
    parts: usize,
    rows_max: usize,
    /// The interval of the last cell: most often it is that of the next.
    span: Span,
    sums: BTreeMap<(i64, Arc<[String]>), Sum>,
}

impl<'q> Fold<'q> {
    /// No sum yet, by so many values.
    pub(super) fn new(calendar: &'q Calendar, parts: usize) -> Self {
        let nowhere = Span { start_ms: 0, end_ms: 0 };
        Self { calendar, parts, rows_max: ROWS_MAX, span: nowhere, sums: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, cells: impl IntoIterator<Item = Cell>) -> Result<(), StoreError> {
        for (key_ms, first, second, data_usage, records) in cells {
            if !self.span.contains(key_ms) {
                self.span = self.calendar.span_of(key_ms);
            }
            let group = [first, second].into_iter().take(self.parts).collect();
            let sum = self.sums.entry((self.span.start_ms, group)).or_default();
            sum.add(Sum { data_usage, records });
            if self.sums.len() > self.rows_max {
                return Err(StoreError::TooManyRows(self.rows_max));
            }
        }
        Ok(())
    }

    /// The rows, in order of time and group.
    pub(super) fn rows(self, question: &AggregateQuestion) -> Vec<AggregateRow> {
        let Self { calendar, sums, .. } = self;
        sums.into_iter()
            .map(|((start_ms, group), sum)| AggregateRow {
                span: shown(question, calendar.span_of(start_ms)),
                group: Group::One(group),
                data_usage: sum.data_usage,
                records: sum.records,
            })
            .collect()
    }

    /// The rows of the `top` groups with the largest sums, and of the others together.
    pub(super) fn top_rows(
        self,
        question: &AggregateQuestion,
        top: usize,
        size: fn(Sum) -> i64,
    ) -> Vec<AggregateRow> {
        let mut totals: BTreeMap<&Arc<[String]>, Sum> = BTreeMap::new();
        for ((_, group), sum) in &self.sums {
            totals.entry(group).or_default().add(*sum);
        }
        let mut largest: Vec<_> = totals.into_iter().collect();
        // In order of size, and of groups where that is the same.
        largest.sort_by_key(|(_, sum)| std::cmp::Reverse(size(*sum)));
        let kept: BTreeSet<Arc<[String]>> =
            largest.into_iter().take(top).map(|(group, _)| Arc::clone(group)).collect();
        let mut others: BTreeMap<i64, Sum> = BTreeMap::new();
        let mut rest = self;
        rest.sums.retain(|(start_ms, group), sum| {
            let is_kept = kept.contains(group);
            if !is_kept {
                others.entry(*start_ms).or_default().add(*sum);
            }
            is_kept
        });
        rest.rows_and_others(question, others)
    }

    /// The rows, and what is left of these totals as that of others.
    pub(super) fn rows_beside(
        self,
        question: &AggregateQuestion,
        totals: Fold<'_>,
    ) -> Vec<AggregateRow> {
        let mut others: BTreeMap<i64, Sum> =
            totals.sums.into_iter().map(|((start_ms, _), sum)| (start_ms, sum)).collect();
        for ((start_ms, _), sum) in &self.sums {
            let total = others.entry(*start_ms).or_default();
            total.add(Sum { data_usage: -sum.data_usage, records: -sum.records });
        }
        others.retain(|_, sum| sum.records != 0);
        self.rows_and_others(question, others)
    }

    fn rows_and_others(
        self,
        question: &AggregateQuestion,
        others: BTreeMap<i64, Sum>,
    ) -> Vec<AggregateRow> {
        let calendar = self.calendar;
        let mut rows = self.rows(question);
        rows.extend(others.into_iter().map(|(start_ms, sum)| AggregateRow {
            span: shown(question, calendar.span_of(start_ms)),
            group: Group::Others,
            data_usage: sum.data_usage,
            records: sum.records,
        }));
        // Stable: others stay behind the groups of their interval.
        rows.sort_by_key(|row| row.span.start_ms);
        rows
    }
}

/// What is not cut into intervals is shown as it was asked for.
fn shown(question: &AggregateQuestion, span: Span) -> Span {
    if question.interval == Interval::Whole { asked(question) } else { span }
}

/// The asked range of own times.
pub(super) fn asked(question: &AggregateQuestion) -> Span {
    Span {
        start_ms: question.filter.from_ms.unwrap_or(i64::MIN),
        end_ms: question.filter.to_ms.unwrap_or(i64::MAX),
    }
}
