//! What sums usually are: those of the same time of the week, in each of the four weeks before.
use std::collections::{BTreeMap, BTreeSet};

use sqlx::Connection;

use super::{
    READ_TIME_MAX, Store, aside,
    fold::{ROWS_MAX, asked},
};
use crate::{
    domain::{
        AggregateQuestion, AggregateRow, Calendar, ComparedRow, Filter, Group, GroupBy, Interval,
        Span, Usual,
    },
    store::{StoreError, error::of_read, rollup::DAY_MS},
};

const WEEKS_MS: i64 = 4 * 7 * DAY_MS;

/// Whose sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Usage,
    Sms,
}

/// Values of groups by the start of an interval.
type Values = BTreeMap<i64, BTreeMap<Group, i64>>;

impl Store {
    /// The rows of [`Store::usage_aggregate`], each with what it usually is. An interval in which
    /// there is usually something has a row, too.
    pub async fn usage_usual(
        &self,
        question: &AggregateQuestion,
    ) -> Result<Vec<ComparedRow>, StoreError> {
        let (store, question) = (self.clone(), question.clone());
        aside(async move { store.compared(&question, Of::Usage).await }).await
    }

    /// The same for [`Store::sms_aggregate`].
    pub async fn sms_usual(
        &self,
        question: &AggregateQuestion,
    ) -> Result<Vec<ComparedRow>, StoreError> {
        let (store, question) = (self.clone(), question.clone());
        aside(async move { store.compared(&question, Of::Sms).await }).await
    }

    async fn compared(
        &self,
        question: &AggregateQuestion,
        of: Of,
    ) -> Result<Vec<ComparedRow>, StoreError> {
        let rows = self.aggregate(question, of).await?;
        let known = self.known(of).await?;
        // A month is no number of weeks, and neither is what is not cut at all.
        let is_weekly = !matches!(question.interval, Interval::Month | Interval::Whole);
        let Filter { received_from_ms, received_to_ms, .. } = question.filter;
        let by_received = received_from_ms.or(received_to_ms).is_some();
        let Some(known) = known.filter(|_| is_weekly && !by_received) else {
            return Ok(rows.into_iter().map(|row| ComparedRow { row, usual: None }).collect());
        };
        let calendar = Calendar::new(question.zone.clone(), question.interval);
        // Four weeks after the last record nothing is usual any more. An open end is that record's.
        let end_ms = match question.filter.to_ms {
            Some(_) => known.end_ms.saturating_add(WEEKS_MS),
            None => known.end_ms,
        };
        let range = asked(question).and(Span { end_ms, ..known });
        let mut weeks = Vec::with_capacity(Usual::WEEKS);
        for nth in (1..).take(Usual::WEEKS) {
            let before = |ms| calendar.weeks_before(ms, nth);
            let span = Span { start_ms: before(range.start_ms), end_ms: before(range.end_ms) };
            weeks.push(self.week(question, of, &rows, span).await.map_err(four_weeks_on)?);
        }
        let known_from_ms = calendar.span_of(known.start_ms).start_ms;
        compare(rows, range, &calendar, &weeks, known_from_ms)
    }

    async fn aggregate(
        &self,
        question: &AggregateQuestion,
        of: Of,
    ) -> Result<Vec<AggregateRow>, StoreError> {
        match of {
            Of::Usage => self.usage_sums(question).await,
            Of::Sms => self.sms_sums(question).await,
        }
    }

    /// What a question would have been told of another span, of the groups that its rows have.
    async fn week(
        &self,
        question: &AggregateQuestion,
        of: Of,
        rows: &[AggregateRow],
        span: Span,
    ) -> Result<Values, StoreError> {
        let mut then = AggregateQuestion { top: None, ..question.clone() };
        (then.filter.from_ms, then.filter.to_ms) = (Some(span.start_ms), Some(span.end_ms));
        let totals = AggregateQuestion { group_by: Vec::new(), ..then.clone() };
        let shown: BTreeSet<&Group> = rows.iter().map(|row| &row.group).collect();
        let mut values = Values::new();
        let has_largest = question.top.is_some() && !question.group_by.is_empty();
        if has_largest && question.group_by == [GroupBy::Giccid] {
            let names = shown.iter().filter_map(|group| match group {
                Group::One(names) => names.first().cloned(),
                Group::Others => None,
            });
            then.filter.giccid = names.collect();
        }
        for row in self.aggregate(&then, of).await? {
            if !has_largest || shown.contains(&row.group) {
                let value = value(&row, of);
                values.entry(row.span.start_ms).or_default().insert(row.group, value);
            }
        }
        if has_largest {
            for row in self.aggregate(&totals, of).await? {
                let groups = values.entry(row.span.start_ms).or_default();
                let others = value(&row, of) - groups.values().sum::<i64>();
                if others != 0 {
                    groups.insert(Group::Others, others);
                }
            }
        }
        Ok(values)
    }

    /// From the first record's own time to the last one's.
    async fn known(&self, of: Of) -> Result<Option<Span>, StoreError> {
        // One by one: only alone does each go by the index.
        const USAGE: &str = "
            select (select min(start_ms) from usage_quarter_hour),
                (select max(start_ms) from usage_quarter_hour) + 900000";
        const SMS: &str = "
            select (select min(start_ms) from sms_quarter_hour),
                (select max(start_ms) from sms_quarter_hour) + 900000";
        let sql = if of == Of::Usage { USAGE } else { SMS };
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let mut moment = reader.begin().await?;
        let (first, last): (Option<i64>, Option<i64>) =
            sqlx::query_as(sql).fetch_one(&mut *moment).await.map_err(of_read)?;
        let mut ends: Vec<i64> = first.into_iter().chain(last).collect();
        if of == Of::Usage {
            let tail = self.usage_tail(&mut moment).await?;
            let starts = tail.after(tail.marks.sums).iter().map(|record| record.start_ms);
            ends.extend(starts.flat_map(|start_ms| [start_ms, start_ms + 1]));
        }
        let (first, last) = (ends.iter().min(), ends.iter().max());
        Ok(first.zip(last).map(|(start_ms, end_ms)| Span { start_ms: *start_ms, end_ms: *end_ms }))
    }
}

/// What cannot be told of the weeks before could be told of weeks that begin later.
fn four_weeks_on(error: StoreError) -> StoreError {
    match error {
        StoreError::Pruned { what, from_ms } => {
            StoreError::Pruned { what, from_ms: from_ms.saturating_add(WEEKS_MS) }
        }
        other => other,
    }
}

fn value(row: &AggregateRow, of: Of) -> i64 {
    if of == Of::Usage { row.data_usage } else { row.records }
}

/// Where the next interval may begin, from here on, that has a row, or has one in a week before it.
fn next_start(
    from_ms: i64,
    now: &BTreeMap<i64, Vec<AggregateRow>>,
    calendar: &Calendar,
    weeks: &[Values],
) -> Option<i64> {
    /// Where clocks were changed between the two, the way back does not lead to the same moment. No
    /// zone ever left out more than a day.
    const CLOCK_CHANGE_MS: i64 = DAY_MS + 60 * 60 * 1000;
    let of_now = now.range(from_ms..).next().map(|(start_ms, _)| *start_ms);
    let of_weeks = weeks.iter().zip(1..).filter_map(|(week, nth)| {
        let from_ms = calendar.weeks_before(from_ms, nth).saturating_sub(CLOCK_CHANGE_MS);
        let (start_ms, _) = week.range(from_ms..).next()?;
        Some(calendar.weeks_before(*start_ms, -nth).saturating_sub(CLOCK_CHANGE_MS))
    });
    of_weeks.chain(of_now).min().map(|start_ms| start_ms.max(from_ms))
}

/// Puts rows and weeks side by side, interval by interval. Those that have neither are passed over:
/// one record with a time of long ago makes a million of them.
fn compare(
    rows: Vec<AggregateRow>,
    range: Span,
    calendar: &Calendar,
    weeks: &[Values],
    known_from_ms: i64,
) -> Result<Vec<ComparedRow>, StoreError> {
    let mut now: BTreeMap<i64, Vec<AggregateRow>> = BTreeMap::new();
    for row in rows {
        now.entry(row.span.start_ms).or_default().push(row);
    }
    let none = BTreeMap::new();
    let mut compared = Vec::new();
    let mut span = calendar.span_of(range.start_ms);
    while span.start_ms < range.end_ms {
        let mut rows = now.remove(&span.start_ms).unwrap_or_default();
        let starts = (1..).map(|nth| calendar.weeks_before(span.start_ms, nth));
        let starts: Vec<i64> =
            starts.take(Usual::WEEKS).map(|ms| calendar.span_of(ms).start_ms).collect();
        let is_known = starts.last().is_some_and(|first| *first >= known_from_ms);
        let weeks_here: Vec<_> = weeks
            .iter()
            .zip(&starts)
            .map(|(week, start_ms)| week.get(start_ms).unwrap_or(&none))
            .collect();
        let is_empty = rows.is_empty() && weeks_here.iter().all(|week| week.is_empty());
        if is_known {
            let here: BTreeSet<_> = rows.iter().map(|row| row.group.clone()).collect();
            let usual: BTreeSet<_> = weeks_here.iter().flat_map(|week| week.keys()).collect();
            for group in usual.into_iter().filter(|group| !here.contains(group)) {
                let group = group.clone();
                rows.push(AggregateRow { span, group, data_usage: 0, records: 0 });
            }
            rows.sort_by(|a, b| a.group.cmp(&b.group));
        }
        compared.extend(rows.into_iter().map(|row| {
            let week = |nth: usize| weeks_here[nth].get(&row.group).copied().unwrap_or_default();
            let usual = is_known.then(|| Usual::of(std::array::from_fn(week)));
            ComparedRow { row, usual }
        }));
        if compared.len() > ROWS_MAX {
            return Err(StoreError::TooManyRows(ROWS_MAX));
        }
        let next_ms = match is_empty {
            true => next_start(span.end_ms, &now, calendar, weeks),
            false => Some(span.end_ms),
        };
        let Some(next_ms) = next_ms else { break };
        span = calendar.span_of(next_ms);
    }
    Ok(compared)
}
