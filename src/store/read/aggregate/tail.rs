//! What came after the marks: added up in memory, where the tail is kept.
use std::collections::{BTreeMap, BTreeSet, HashSet};

use sqlx::{AssertSqlSafe, QueryBuilder, SqliteConnection};

use super::{
    cells::{SERIES, column},
    fold::{Cell, asked},
    plan::{Piece, Plan},
};
use crate::{
    domain::{AggregateQuestion, Calendar, Filter, GroupBy, Interval, Span},
    store::{
        StoreError,
        error::of_read,
        read::{
            filter::{self, is_of_sims, push_sims},
            usage_tail::{SeenTail, TailRecord},
        },
        rollup::{QUARTER_HOUR_MS, Sum},
    },
};

/// The part of a tail that no statement of an answer reads.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) tail: SeenTail,
    /// The mark of the sums that answer.
    pub(super) mark: i64,
    /// The id up to which statements find records.
    pub(super) covered: i64,
    pub(super) plan: Plan,
}

/// Which records a filter leaves, beside their own times: none of a kind leaves all.
struct Wanted {
    sims: Option<HashSet<i64>>,
    series: Option<HashSet<i64>>,
    received: Span,
}

impl Rest {
    /// The records that a question asks about.
    pub(super) async fn records(
        &self,
        question: &AggregateQuestion,
        moment: &mut SqliteConnection,
    ) -> Result<Vec<&TailRecord>, StoreError> {
        let wanted = Wanted::by(&question.filter, moment).await?;
        let range = asked(question);
        let without_sums = self.tail.after(self.mark).iter();
        Ok(self
            .uncovered(&self.plan.records)
            .chain(without_sums)
            .filter(|record| range.contains(record.start_ms) && wanted.has(record))
            .collect())
    }

    /// The records that the sums have, but the question does not ask about.
    pub(super) async fn too_much(
        &self,
        question: &AggregateQuestion,
        moment: &mut SqliteConnection,
    ) -> Result<Vec<&TailRecord>, StoreError> {
        let wanted = Wanted::by(&question.filter, moment).await?;
        Ok(self.uncovered(&self.plan.too_much).filter(|record| wanted.has(record)).collect())
    }

    /// The records in these pieces that the sums have and no statement finds.
    fn uncovered(&self, pieces: &[Piece]) -> impl Iterator<Item = &TailRecord> {
        let records = self.tail.between(self.covered + 1..=self.mark).iter();
        records.filter(|record| pieces.iter().any(|piece| piece.span.contains(record.start_ms)))
    }

    /// Sums of them.
    pub(super) async fn cells(
        &self,
        question: &AggregateQuestion,
        calendar: &Calendar,
        moment: &mut SqliteConnection,
    ) -> Result<Vec<Cell>, StoreError> {
        let records = self.records(question, moment).await?;
        let unit_ms = match calendar.keeps_quarter_hours() {
            true => QUARTER_HOUR_MS,
            false => 1,
        };
        let by = |nth: usize| question.group_by.get(nth).copied();
        let mut sums: BTreeMap<(i64, [i64; 2]), Sum> = BTreeMap::new();
        for record in records {
            let key_ms = match question.interval {
                Interval::Whole => 0,
                _ => record.start_ms - record.start_ms.rem_euclid(unit_ms),
            };
            let group = [number(by(0), record), number(by(1), record)];
            let sum = Sum { data_usage: record.data_usage, records: 1 };
            sums.entry((key_ms, group)).or_default().add(sum);
        }
        let mut cells: Vec<Cell> = Vec::with_capacity(sums.len());
        let [first, second] = [
            names(by(0), sums.keys().map(|(_, group)| group[0]), moment).await?,
            names(by(1), sums.keys().map(|(_, group)| group[1]), moment).await?,
        ];
        let name = |names: &BTreeMap<i64, String>, id| names.get(&id).cloned().unwrap_or_default();
        for ((key_ms, [a, b]), Sum { data_usage, records }) in sums {
            cells.push((key_ms, name(&first, a), name(&second, b), data_usage, records));
        }
        Ok(cells)
    }
}

impl Wanted {
    async fn by(filter: &Filter, moment: &mut SqliteConnection) -> Result<Self, StoreError> {
        let mut wanted = Self {
            sims: None,
            series: None,
            received: Span {
                start_ms: filter.received_from_ms.unwrap_or(i64::MIN),
                end_ms: filter.received_to_ms.unwrap_or(i64::MAX),
            },
        };
        if is_of_sims(filter) {
            let mut sql = QueryBuilder::new("");
            push_sims(&mut sql, filter);
            let ids = sql.build_query_scalar().fetch_all(&mut *moment).await.map_err(of_read)?;
            wanted.sims = Some(HashSet::from_iter(ids));
        }
        if SERIES.iter().any(|(_, values)| !values(filter).is_empty()) {
            let mut sql = QueryBuilder::new("select id from series where true");
            filter::narrow_fields(&mut sql, SERIES, filter);
            let ids = sql.build_query_scalar().fetch_all(moment).await.map_err(of_read)?;
            wanted.series = Some(HashSet::from_iter(ids));
        }
        Ok(wanted)
    }

    fn has(&self, record: &TailRecord) -> bool {
        let is_in =
            |ids: &Option<HashSet<i64>>, id| ids.as_ref().is_none_or(|ids| ids.contains(&id));
        self.received.contains(record.received_ms)
            && is_in(&self.sims, record.sim_id)
            && is_in(&self.series, record.series_id)
    }
}

/// The number under which a record's group is known.
fn number(by: Option<GroupBy>, record: &TailRecord) -> i64 {
    match by {
        None => 0,
        Some(GroupBy::Giccid) => record.sim_id,
        Some(_) => record.series_id,
    }
}

/// The names that belong to these numbers.
async fn names(
    by: Option<GroupBy>,
    ids: impl Iterator<Item = i64>,
    moment: &mut SqliteConnection,
) -> Result<BTreeMap<i64, String>, StoreError> {
    let Some(by) = by else { return Ok(BTreeMap::new()) };
    let table = if by == GroupBy::Giccid { "sim" } else { "series" };
    let sql = format!(
        "select {table}.id, {} from json_each($1) as asked
        cross join {table} on {table}.id = asked.value",
        column(by)
    );
    let ids: BTreeSet<i64> = ids.collect();
    let rows: Vec<(i64, String)> = sqlx::query_as(AssertSqlSafe(sql))
        .bind(serde_json::to_string(&ids)?)
        .fetch_all(moment)
        .await
        .map_err(of_read)?;
    Ok(rows.into_iter().collect())
}
