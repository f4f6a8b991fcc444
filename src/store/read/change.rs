//! The one sequence over all kinds of record, read in order of commit.
//!
//! Ids are given inside the commit, so that whoever sees one sees all below it. One statement, and
//! so one snapshot, says which rows come next; what they hold is then read from each table.
use sqlx::{FromRow, QueryBuilder, Sqlite};

use super::{
    COUNT_TIME_MAX, READ_TIME_MAX, Store,
    filter::{push_list, push_sims},
    page,
};
use crate::{
    domain::{
        Change, ChangeFilter, Changes, ErasedSim, Filter, Giccid, Kind, TestRecord, Timestamp,
    },
    store::{StoreError, erasures::hashed, error::of_read},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Table {
    Usage,
    Sms,
    Notification,
    Device,
    Test,
    Erased,
    Retracted,
}

/// One range read among those that are merged.
#[derive(Clone, Copy, Debug)]
struct Part<'f> {
    table: Table,
    /// One kind of notification, which an index puts in order of commit.
    kind: Option<&'f str>,
}

impl Store {
    /// The next rows after an id, so many at most, and one portion.
    pub async fn changes(
        &self,
        filter: &ChangeFilter,
        after: i64,
        rows_max: u32,
    ) -> Result<Changes, StoreError> {
        let mut sql = QueryBuilder::new("select last, -1 from seq");
        let parts = parts(filter);
        if !parts.is_empty() {
            sql.push(" union all select * from (");
            push_merged(&mut sql, filter, &parts, after, Order::Upwards, rows_max);
            sql.push(")");
        }
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let found: Vec<(i64, i64)> =
            sql.build_query_as().fetch_all(&mut *reader).await.map_err(of_read)?;
        // It is asked for again below, and the pool is small.
        drop(reader);
        let top = found.iter().find(|(_, of)| *of == -1).map_or(0, |(top, _)| *top);
        let is_full = found.len() > usize::try_from(rows_max).unwrap_or(usize::MAX);
        let mut next: Vec<i64> =
            found.iter().filter(|(_, of)| *of != -1).map(|(id, _)| *id).collect();
        next.sort_unstable();
        let fitting = self.fitting(&next).await?;
        let ends_here = is_full || fitting < next.len();
        next.truncate(fitting);
        let last = next.last().copied();
        let through = last.filter(|_| ends_here).unwrap_or(top).max(after);
        let is_next = |id: i64| last.is_some_and(|last| id <= last);
        let ids = |table: Table| -> Vec<i64> {
            let of_table = |&&(id, of): &&(i64, i64)| of == table.number() && is_next(id);
            found.iter().filter(of_table).map(|(id, _)| *id).collect()
        };
        Ok(Changes { rows: self.changes_of(ids).await?, through })
    }

    /// How many rows there are after one id and up to another.
    pub async fn changes_count(
        &self,
        filter: &ChangeFilter,
        after: i64,
        through: i64,
    ) -> Result<u64, StoreError> {
        let mut sql = QueryBuilder::new("select coalesce(sum(rows), 0) from (select 0 as rows");
        for part in parts(filter) {
            sql.push(" union all select count(*) from ");
            push_part(&mut sql, filter, part);
            sql.push(" and id > ").push_bind(after).push(" and id <= ").push_bind(through);
        }
        sql.push(")");
        self.count(sql).await
    }

    /// The id after which the newest rows follow, so many of them; at least this id.
    pub async fn before_newest_changes(
        &self,
        filter: &ChangeFilter,
        after: i64,
        rows: u32,
    ) -> Result<i64, StoreError> {
        let parts = parts(filter);
        if parts.is_empty() {
            return Ok(after);
        }
        let mut sql = QueryBuilder::new("");
        push_merged(&mut sql, filter, &parts, after, Order::Downwards, rows.saturating_add(1));
        let mut reader = self.reader(COUNT_TIME_MAX).await?;
        let found: Vec<(i64, i64)> =
            sql.build_query_as().fetch_all(&mut *reader).await.map_err(of_read)?;
        let newest = usize::try_from(rows).unwrap_or(usize::MAX);
        Ok(found.get(newest).map_or(after, |(id, _)| *id))
    }

    async fn changes_of(&self, ids: impl Fn(Table) -> Vec<i64>) -> Result<Vec<Change>, StoreError> {
        let mut rows = Vec::new();
        let found = self.usage_by_ids(&ids(Table::Usage)).await?;
        rows.extend(found.into_iter().map(Change::Usage));
        let found = self.sms_by_ids(&ids(Table::Sms)).await?;
        rows.extend(found.into_iter().map(Change::Sms));
        let found = self.notifications_by_ids(&ids(Table::Notification)).await?;
        rows.extend(found.into_iter().map(Change::Notification));
        let found = self.device_events_by_ids(&ids(Table::Device)).await?;
        rows.extend(found.into_iter().map(|(sn, event)| Change::Device(sn, event)));
        let found = self.test_records_by_ids(&ids(Table::Test)).await?;
        rows.extend(found.into_iter().map(Change::Test));
        rows.extend(self.erased_by_ids(&ids(Table::Erased)).await?.into_iter().map(Change::Erased));
        let found = self.retractions_by_ids(&ids(Table::Retracted)).await?;
        rows.extend(found.into_iter().map(Change::Retracted));
        rows.sort_unstable_by_key(Change::id);
        Ok(rows)
    }

    async fn test_records_by_ids(&self, ids: &[i64]) -> Result<Vec<TestRecord>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut sql = QueryBuilder::new(
            "select id, received_ms, kind, own_ms, giccid from test_record where id in ",
        );
        page::push_ids(&mut sql, ids);
        self.rows::<TestRow, _>(sql).await
    }
}

impl Store {
    async fn erased_by_ids(&self, ids: &[i64]) -> Result<Vec<ErasedSim>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut sql =
            QueryBuilder::new("select id, giccid_sha256, giccid_hmac from erased where id in ");
        page::push_ids(&mut sql, ids);
        self.rows::<ErasedRow, _>(sql).await
    }
}

impl TryFrom<ErasedRow> for ErasedSim {
    type Error = StoreError;

    fn try_from(row: ErasedRow) -> Result<Self, StoreError> {
        let ErasedRow { id, giccid_sha256, giccid_hmac } = row;
        Ok(Self { id, giccid_sha256, giccid_hmac })
    }
}

impl Table {
    fn number(self) -> i64 {
        match self {
            Self::Usage => 0,
            Self::Sms => 1,
            Self::Notification => 2,
            Self::Device => 3,
            Self::Test => 4,
            Self::Erased => 5,
            Self::Retracted => 6,
        }
    }
}

/// The reads that a filter needs; none if it leaves nothing.
fn parts(filter: &ChangeFilter) -> Vec<Part<'_>> {
    let whole = |table| Part { table, kind: None };
    let asked = |kind: &str| filter.kind.is_empty() || filter.kind.iter().any(|it| it == kind);
    let of_any_sim = filter.giccid.is_empty() && filter.sim_group.is_empty();
    let mut parts = Vec::new();
    if asked("data-usage") {
        parts.push(whole(Table::Usage));
    }
    if asked("mo-sms") {
        parts.push(whole(Table::Sms));
    }
    if filter.sim_group.is_empty() {
        if filter.kind.is_empty() {
            parts.push(whole(Table::Notification));
        }
        parts.extend(
            filter
                .kind
                .iter()
                .filter(|kind| {
                    !["data-usage", "mo-sms", Change::ERASED, Change::RETRACTED]
                        .contains(&kind.as_str())
                })
                .map(|kind| Part { table: Table::Notification, kind: Some(kind) }),
        );
    }
    if of_any_sim && asked(Change::DEVICE) {
        parts.push(whole(Table::Device));
    }
    // It is told whatever the group: which group a SIM was in is erased, too.
    if asked(Change::ERASED) {
        parts.push(whole(Table::Erased));
    }
    // It may be of any SIM.
    if asked(Change::RETRACTED) {
        parts.push(whole(Table::Retracted));
    }
    if filter.with_tests && filter.sim_group.is_empty() {
        parts.push(whole(Table::Test));
    }
    parts
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Upwards,
    Downwards,
}

/// `select id, part from … order by id limit …`, each part limited by itself so that none is read
/// further than the merge can need.
fn push_merged(
    sql: &mut QueryBuilder<Sqlite>,
    filter: &ChangeFilter,
    parts: &[Part<'_>],
    after: i64,
    order: Order,
    rows_max: u32,
) {
    let order =
        if order == Order::Upwards { " order by id limit " } else { " order by id desc limit " };
    let mut between = "select * from (select * from (select id, ";
    for part in parts {
        sql.push(between);
        between = ") union all select * from (select id, ";
        sql.push(format_args!("{} as part from ", part.table.number()));
        push_part(sql, filter, *part);
        sql.push(" and id > ").push_bind(after).push(order).push_bind(i64::from(rows_max));
    }
    sql.push("))").push(order).push_bind(i64::from(rows_max));
}

/// `table where …`
fn push_part(sql: &mut QueryBuilder<Sqlite>, filter: &ChangeFilter, part: Part<'_>) {
    let any_of = |sql: &mut QueryBuilder<Sqlite>, begins: &str, values: &[String], ends: &str| {
        if !values.is_empty() {
            sql.push(begins);
            push_list(sql, values);
            sql.push(ends);
        }
    };
    let of_sims = |sql: &mut QueryBuilder<Sqlite>| {
        if !filter.giccid.is_empty() {
            sql.push(" and sim_id in (");
            push_sims(sql, &Filter { giccid: filter.giccid.clone(), ..Filter::default() });
            sql.push(")");
        }
    };
    match part.table {
        Table::Usage => {
            sql.push("usage where true");
            of_sims(sql);
            let of_groups = " and series_id in (select id from series where sim_group in ";
            any_of(sql, of_groups, &filter.sim_group, ")");
        }
        Table::Sms => {
            sql.push("sms where true");
            of_sims(sql);
            any_of(sql, " and sim_group in ", &filter.sim_group, "");
        }
        Table::Notification => {
            sql.push("notification where true");
            if let Some(kind) = part.kind {
                sql.push(" and kind = ").push_bind(kind.to_owned());
            }
            any_of(sql, " and giccid in ", &filter.giccid, "");
        }
        Table::Device => {
            sql.push("device_history where true");
        }
        Table::Erased => {
            sql.push("erased where true");
            let hashes: Vec<String> = filter.giccid.iter().map(|it| hashed(it)).collect();
            any_of(sql, " and giccid_sha256 in ", &hashes, "");
        }
        Table::Retracted => {
            sql.push("retracted where true");
        }
        Table::Test => {
            sql.push("test_record where true");
            any_of(sql, " and kind in ", &filter.kind, "");
            any_of(sql, " and giccid in ", &filter.giccid, "");
        }
    }
}

#[derive(FromRow)]
struct ErasedRow {
    id: i64,
    giccid_sha256: Option<String>,
    giccid_hmac: Option<String>,
}

#[derive(FromRow)]
struct TestRow {
    id: i64,
    received_ms: i64,
    kind: String,
    own_ms: i64,
    giccid: Option<String>,
}

impl TryFrom<TestRow> for TestRecord {
    type Error = StoreError;

    fn try_from(row: TestRow) -> Result<Self, StoreError> {
        let corrupt = || StoreError::Corrupt { table: "test_record", id: row.id };
        let giccid = row.giccid.as_deref().map(str::parse::<Giccid>).transpose();
        Ok(Self {
            id: row.id,
            received_at: Timestamp::from_unix_ms(row.received_ms),
            kind: row.kind.parse::<Kind>().map_err(|_| corrupt())?,
            own_ms: row.own_ms,
            giccid: giccid.map_err(|_| corrupt())?,
        })
    }
}
