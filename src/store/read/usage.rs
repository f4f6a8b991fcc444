use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sqlx::{Connection, QueryBuilder, Sqlite, SqliteConnection};

use super::{
    COUNT_TIME_MAX, READ_TIME_MAX, Store,
    filter::{self, Columns, is_of_sims, push_sims},
    packed, page,
    portion::{Bound, HasText, Portion, unless_long, with_texts},
    stretch, tally,
    usage_tail::TailRecord,
};
use crate::{
    domain::{Filter, Giccid, ShortText, Stored, Timestamp, UsageRecord, Walk},
    store::{
        StoreError,
        error::of_read,
        push::{origin, push_column},
        rollup::DAY_MS,
    },
};

const SELECT: &str = concat!(
    "select usage.id, received_ms, giccid, imsi, sim_group, country_code, mcc, mnc, apn, start_ms,
        data_usage, duration, ",
    unless_long!("extra"),
    ", h, date_push_s, ",
    push_column!("usage")
);
const COLUMNS_SELECTED: usize = 17;
const FROM: &str = "
    from usage join sim on sim.id = usage.sim_id join series on series.id = usage.series_id";

const COLUMNS: Columns = Columns {
    table: "usage",
    own_ms: "usage.start_ms",
    received_ms: "usage.received_ms",
    fields: &[
        ("series.sim_group", |filter| &filter.sim_group),
        ("series.country_code", |filter| &filter.country_code),
        ("series.mcc", |filter| &filter.mcc),
        ("series.mnc", |filter| &filter.mnc),
        ("series.apn", |filter| &filter.apn),
    ],
    words_in: None,
};

/// The members in the order of the columns.
#[derive(Deserialize)]
struct Row {
    id: i64,
    received_ms: i64,
    giccid: String,
    imsi: String,
    sim_group: String,
    country_code: String,
    mcc: String,
    mnc: String,
    apn: String,
    start_ms: i64,
    data_usage: i64,
    duration: Option<i64>,
    extra: Option<String>,
    text_bytes: Option<i64>,
    h: i64,
    date_push_s: i64,
    push: Option<String>,
}

impl Store {
    /// One page of usage records, the newest first.
    pub async fn usage(
        &self,
        filter: &Filter,
        walk: &Walk,
    ) -> Result<Portion<Stored<UsageRecord>>, StoreError> {
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let mut moment = reader.begin().await?;
        let rows: Vec<Row> = if is_of_sims(filter) {
            let mut sql = self.history_question(SELECT, filter, &mut moment).await?;
            page::narrow(&mut sql, "usage.id", walk);
            packed(sql.build(), COLUMNS_SELECTED, &mut moment).await?
        } else if stretch::is_told_by_stretches(filter) {
            let select = (SELECT, COLUMNS_SELECTED);
            stretch::rows(&mut moment, select, question, filter, walk).await?
        } else {
            let mut sql = question(SELECT, filter);
            page::narrow(&mut sql, "usage.id", walk);
            packed(sql.build(), COLUMNS_SELECTED, &mut moment).await?
        };
        let rows = page::newest_first(walk, rows);
        with_texts(rows, Bound::Portion, &mut moment).await?.read_as()
    }

    /// One usage record.
    pub async fn usage_by_id(&self, id: i64) -> Result<Option<Stored<UsageRecord>>, StoreError> {
        let mut sql = QueryBuilder::new(SELECT);
        sql.push(FROM).push(" where usage.id = ").push_bind(id);
        Ok(self.usage_whole(sql).await?.pop())
    }

    /// Usage records by their ids.
    pub(super) async fn usage_by_ids(
        &self,
        ids: &[i64],
    ) -> Result<Vec<Stored<UsageRecord>>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut sql = QueryBuilder::new(SELECT);
        sql.push(FROM).push(" where usage.id in ");
        page::push_ids(&mut sql, ids);
        self.usage_whole(sql).await
    }

    /// All the usage records that a question asks for: few, or known not to be much.
    async fn usage_whole(
        &self,
        mut sql: QueryBuilder<Sqlite>,
    ) -> Result<Vec<Stored<UsageRecord>>, StoreError> {
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let mut moment = reader.begin().await?;
        let rows: Vec<Row> = packed(sql.build(), COLUMNS_SELECTED, &mut moment).await?;
        Ok(with_texts(rows, Bound::None, &mut moment).await?.read_as()?.rows)
    }

    /// How many usage records a filter leaves, up to an id.
    pub async fn usage_count(&self, filter: &Filter, top: i64) -> Result<u64, StoreError> {
        if *filter == Filter::default() {
            return tally::kept_count(self, "usage", Some("data-usage"), top).await;
        }
        if is_of_sims(filter) {
            let mut reader = self.reader(COUNT_TIME_MAX).await?;
            let mut moment = reader.begin().await?;
            let mut sql = self.history_question("select count(*)", filter, &mut moment).await?;
            sql.push(" and usage.id <= ").push_bind(top);
            let count: i64 =
                sql.build_query_scalar().fetch_one(&mut *moment).await.map_err(of_read)?;
            return Ok(count.unsigned_abs());
        }
        if stretch::is_told_by_stretches(filter) {
            return stretch::count(self, question, filter, top).await;
        }
        let mut sql = question("select count(*)", filter);
        sql.push(" and usage.id <= ").push_bind(top);
        self.count(sql).await
    }

    /// A question about SIMs goes by their history and not through the whole table.
    async fn history_question(
        &self,
        select: &'static str,
        filter: &Filter,
        moment: &mut SqliteConnection,
    ) -> Result<QueryBuilder<Sqlite>, StoreError> {
        let mut sql = self.history(filter, moment).await?;
        sql.push(select).push(FROM).push(" where usage.id in (select id from history)");
        filter::narrow(&mut sql, &COLUMNS, filter);
        Ok(sql)
    }

    /// `with asked(sim_id) as (…), history(id) as (…)`: the asked SIMs, and the ids of their
    /// records, day by day from the key tree, and those that it does not have yet from the tail.
    pub(super) async fn history(
        &self,
        filter: &Filter,
        moment: &mut SqliteConnection,
    ) -> Result<QueryBuilder<Sqlite>, StoreError> {
        let mut sims = QueryBuilder::new("");
        push_sims(&mut sims, filter);
        let sims = sims.build_query_scalar().fetch_all(&mut *moment).await.map_err(of_read)?;
        let sims: BTreeSet<i64> = sims.into_iter().collect();
        let tail = self.usage_tail(moment).await?;
        let of_sims = |record: &&TailRecord| sims.contains(&record.sim_id);
        let newest = tail.after(tail.marks.keys).iter().filter(of_sims).map(|record| record.id);
        let mut sql = QueryBuilder::new("with recursive asked(sim_id) as materialized (");
        push_numbers(&mut sql, &sims)?;
        sql.push(
            "), span(first, last) as materialized (
                select max((select min(day) from usage_key), ",
        )
        .push_bind(filter.from_ms.map_or(i64::MIN, day))
        .push("), min((select max(day) from usage_key), ")
        .push_bind(filter.to_ms.map_or(i64::MAX, day))
        .push(
            ")), days(day) as (
                select first from span where first <= last
                union all select day + 1 from days, span where day < last
            ), history(id) as materialized (
                select usage_key.id from asked cross join days
                cross join usage_key
                    on usage_key.day = days.day and usage_key.sim_id = asked.sim_id
                union all ",
        );
        push_numbers(&mut sql, &newest.collect::<Vec<_>>())?;
        sql.push(")");
        Ok(sql)
    }
}

/// Everything up to the page.
fn question(select: &'static str, filter: &Filter) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::new(select);
    sql.push(FROM).push(" where true");
    filter::narrow(&mut sql, &COLUMNS, filter);
    sql
}

/// `select value from …`: a table of numbers.
fn push_numbers(
    sql: &mut QueryBuilder<Sqlite>,
    numbers: &impl Serialize,
) -> Result<(), StoreError> {
    let numbers = serde_json::to_string(numbers)?;
    sql.push("select value from json_each(").push_bind(numbers).push(")");
    Ok(())
}

fn day(ms: i64) -> i64 {
    ms.div_euclid(DAY_MS)
}

impl HasText for Row {
    const TEXT_OF_ID: &'static str = "select extra from usage where id = $1";

    fn id(&self) -> i64 {
        self.id
    }

    fn text(&mut self) -> (&mut Option<String>, Option<i64>) {
        (&mut self.extra, self.text_bytes)
    }
}

impl TryFrom<Row> for Stored<UsageRecord> {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let corrupt = || StoreError::Corrupt { table: "usage", id: row.id };
        let text = |text: &str| ShortText::try_from(text).map_err(|_| corrupt());
        Ok(Self {
            id: row.id,
            received_at: Timestamp::from_unix_ms(row.received_ms),
            identity: row.h,
            date_push_s: row.date_push_s,
            push: origin(row.push.as_deref()),
            record: UsageRecord {
                giccid: row.giccid.parse::<Giccid>().map_err(|_| corrupt())?,
                imsi: text(&row.imsi)?,
                sim_group: text(&row.sim_group)?,
                country_code: text(&row.country_code)?,
                mcc: text(&row.mcc)?,
                mnc: text(&row.mnc)?,
                apn: text(&row.apn)?,
                start_ms: row.start_ms,
                data_usage: row.data_usage,
                duration: row.duration,
                extra: row.extra.map(Into::into),
            },
        })
    }
}
