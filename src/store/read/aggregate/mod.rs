//! Sums over any range, by any interval of any zone.
//!
//! [`plan`] cuts the range into pieces and finds the coarsest sums that answer each; what no sum
//! tells is read from the records. [`cells`] has the SQL, [`fold`] makes rows of what comes back.
//! All of it is one read transaction: sums up to their mark, and the records after that mark, which
//! [`tail`] adds up.
mod arrival;
mod cells;
mod fold;
mod found;
mod largest;
mod plan;
mod sms;
mod tail;
mod usual;

use sqlx::{Connection, QueryBuilder, Sqlite, SqliteConnection};

use self::{
    cells::{Cells, Shape},
    fold::{CELL_COLUMNS, Cell, Fold, asked},
    found::Found,
    plan::{Edges, Kept, Piece, Plan, joined, portions},
    tail::Rest,
};
use super::{READ_TIME_MAX, Store, aside::aside, filter::is_of_sims, kept::need_from, packed};
use crate::{
    domain::{AggregateQuestion, AggregateRow, Calendar, GroupBy, Span},
    store::{
        StoreError,
        days::StoreDays,
        error::of_read,
        rollup::{DAY_MS, QUARTER_HOUR_MS, Sum},
    },
};

/// How much time is summed by one statement. SQLite sorts what it groups, in memory.
const HOURS_PORTION_MS: i64 = 400 * DAY_MS;
const QUARTERS_PORTION_MS: i64 = 32 * DAY_MS;
const RECORDS_PORTION_MS: i64 = 8 * DAY_MS;
/// The same for questions about some SIMs, which have few records.
const SIM_RECORDS_PORTION_MS: i64 = 2_000 * DAY_MS;

impl Store {
    /// Sums of usage records, in order of time and group, that of others last.
    pub async fn usage_aggregate(
        &self,
        question: &AggregateQuestion,
    ) -> Result<Vec<AggregateRow>, StoreError> {
        let (store, question) = (self.clone(), question.clone());
        aside(async move { store.usage_sums(&question).await }).await
    }

    async fn usage_sums(
        &self,
        question: &AggregateQuestion,
    ) -> Result<Vec<AggregateRow>, StoreError> {
        if asked(question).is_empty() {
            return Ok(Vec::new());
        }
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let mut moment = reader.begin().await?;
        let calendar = Calendar::new(question.zone.clone(), question.interval);
        let Some(top) = question.top else {
            return Ok(self.fold_usage(question, &calendar, &mut moment).await?.rows(question));
        };
        if question.group_by != [GroupBy::Giccid] {
            let fold = self.fold_usage(question, &calendar, &mut moment).await?;
            return Ok(fold.top_rows(question, top, |Sum { data_usage, .. }| data_usage));
        }
        // There may be more SIMs than an answer has room for.
        let mut of_largest = question.clone();
        of_largest.filter.giccid = self.largest_sims(question, top, &mut moment).await?;
        if of_largest.filter.giccid.is_empty() {
            return Ok(Vec::new());
        }
        let of_all = AggregateQuestion { group_by: Vec::new(), ..question.clone() };
        let rows = self.fold_usage(&of_largest, &calendar, &mut moment).await?;
        let totals = self.fold_usage(&of_all, &calendar, &mut moment).await?;
        Ok(rows.rows_beside(question, totals))
    }

    async fn fold_usage<'c>(
        &self,
        question: &AggregateQuestion,
        calendar: &'c Calendar,
        moment: &mut SqliteConnection,
    ) -> Result<Fold<'c>, StoreError> {
        let mut fold = Fold::new(calendar, question.group_by.len());
        let cells = Cells { question, shape: Shape::Cells };
        let Reading { statements, rest, .. } =
            self.reading(cells, Edges::Added, calendar, moment).await?;
        for mut sql in statements {
            fold.add(packed::<Cell>(sql.build(), CELL_COLUMNS, moment).await?)?;
        }
        fold.add(rest.cells(question, calendar, moment).await?)?;
        Ok(fold)
    }

    async fn reading(
        &self,
        cells: Cells<'_>,
        edges: Edges,
        calendar: &Calendar,
        moment: &mut SqliteConnection,
    ) -> Result<Reading, StoreError> {
        let question = cells.question;
        let tail = self.usage_tail(moment).await?;
        let marks = tail.marks;
        let days = &self.days_in(moment).await?;
        let range = asked(question).and(extent(days, moment).await?);
        let kept = Kept::of(question);
        let plan = Plan::new(kept, edges, calendar, range, days);
        need_from(plan.first_record_ms(), "data-usage", moment).await?;
        let kept = if plan.is_of_records() { Kept::Nothing } else { kept };
        let mut statements = Vec::new();
        let mark = match kept {
            Kept::Network(dimension) => {
                if let Some(dimension) = dimension {
                    let hours = |pieces: &[_]| cells.hours(dimension, pieces);
                    let of_all = |span| cells.hours_of_all(dimension, span);
                    network(&mut statements, &cells, &plan.hours, HOURS_PORTION_MS, hours, of_all);
                }
                let quarters = |pieces: &[_]| cells.quarters(pieces);
                let of_all = |span| cells.quarters_of_all(span);
                let portion_ms = QUARTERS_PORTION_MS;
                network(&mut statements, &cells, &plan.quarters, portion_ms, quarters, of_all);
                marks.sums
            }
            Kept::SimDays => {
                statements.extend(
                    plan.days.chunks(cells.shape.days_at_once()).map(|days| cells.days(days)),
                );
                marks.sims
            }
            Kept::Nothing => marks.keys,
        };
        let has_sims = is_of_sims(&question.filter);
        let portion_ms = if has_sims { SIM_RECORDS_PORTION_MS } else { RECORDS_PORTION_MS };
        let found = match has_sims {
            true => Found::ByKey,
            // As they will be read: a stretch that reaches over several portions is read for each.
            false => {
                let pieces = portions(&plan.all_records(), portion_ms).concat();
                Found::sooner(&pieces, moment).await?
            }
        };
        let records = |pieces: &[Piece]| -> Vec<_> {
            let portions = portions(pieces, portion_ms);
            portions.iter().map(|pieces| cells.records(pieces, found, mark)).collect()
        };
        statements.extend(records(&plan.records));
        let too_much = records(&plan.too_much);
        Ok(Reading {
            statements,
            too_much,
            rest: Rest { covered: found.reach(marks), tail, mark, plan },
        })
    }
}

/// What is read to answer a question.
struct Reading {
    /// Their answers added up, …
    statements: Vec<QueryBuilder<Sqlite>>,
    /// … less the answers of these, …
    too_much: Vec<QueryBuilder<Sqlite>>,
    /// … and what no statement knows, are the answer.
    rest: Rest,
}

/// Adds the statements for sums by time and network. Without groups, sums come in the order of
/// their tree and need not be sorted.
fn network(
    statements: &mut Vec<QueryBuilder<Sqlite>>,
    cells: &Cells<'_>,
    pieces: &[Piece],
    portion_ms: i64,
    by_group: impl Fn(&[Piece]) -> QueryBuilder<Sqlite>,
    of_all: impl Fn(Span) -> QueryBuilder<Sqlite>,
) {
    if cells.question.group_by.is_empty() {
        statements.extend(joined(pieces).into_iter().map(of_all));
    } else {
        statements.extend(portions(pieces, portion_ms).iter().map(|portion| by_group(portion)));
    }
}

/// From the first to the last moment that a summary knows of, in whole days.
async fn extent(days: &StoreDays, moment: &mut SqliteConnection) -> Result<Span, StoreError> {
    const ENDS: &str = "
        select (select min(day) from usage_key), (select max(day) from usage_key),
            (select min(start_ms) from usage_quarter_hour),
            (select max(start_ms) from usage_quarter_hour),
            (select min(day) from usage_sim_day), (select max(day) from usage_sim_day)";
    type Ends = [Option<i64>; 2];
    type Row = (Option<i64>, Option<i64>, Option<i64>, Option<i64>, Option<i64>, Option<i64>);
    let (a, b, c, d, e, f): Row = sqlx::query_as(ENDS).fetch_one(moment).await.map_err(of_read)?;
    let known: [(Ends, i64, i64); 3] = [
        ([a, b], DAY_MS, 0),
        ([c, d], 1, QUARTER_HOUR_MS),
        // A zone is never more than a day from UTC, and the day before a change of zones may go on for
        // another.
        ([e, f], DAY_MS, 2 * DAY_MS),
    ];
    let spans = known.into_iter().filter_map(|([first, last], unit_ms, more_ms)| {
        Some((first? * unit_ms - more_ms, last? * unit_ms + unit_ms + more_ms))
    });
    let all = spans.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)));
    Ok(all.map_or(Span { start_ms: 0, end_ms: 0 }, |(first, last)| Span {
        start_ms: days.span_of(first).start_ms,
        end_ms: days.span_of(last).end_ms,
    }))
}
