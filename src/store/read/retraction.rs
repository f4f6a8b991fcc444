use std::net::IpAddr;

use sqlx::{FromRow, QueryBuilder, Sqlite};

use super::{COUNT_TIME_MAX, READ_TIME_MAX, Store, page};
use crate::{
    domain::{
        RetractCount, RetractQuestion, RetractedPushes, Retraction, RetractionCounts, Timestamp,
    },
    store::{StoreError, error::of_read, push::source_of, writer::push_pushes},
};

#[derive(FromRow)]
struct Row {
    id: i64,
    date_push_s: i64,
    source: Vec<u8>,
}

#[derive(FromRow)]
struct NotedRow {
    id: i64,
    date_push_s: i64,
    source: Vec<u8>,
    at_ms: i64,
    pending: bool,
    lifted_ms: Option<i64>,
    data_usage: Option<i64>,
    mo_sms: Option<i64>,
    notifications: Option<i64>,
    stored_again: Option<i64>,
}

impl NotedRow {
    fn counts(&self) -> Option<RetractionCounts> {
        Some(RetractionCounts {
            usage: self.data_usage?.unsigned_abs(),
            sms: self.mo_sms?.unsigned_abs(),
            notifications: self.notifications?.unsigned_abs(),
            kept: self.stored_again?.unsigned_abs(),
        })
    }
}

impl Store {
    /// All that was retracted, the last one first.
    pub async fn retractions(&self) -> Result<Vec<Retraction>, StoreError> {
        const ALL: &str = "
            select id, date_push_s, source, at_ms, pending, lifted_ms, data_usage, mo_sms,
                notifications, stored_again
            from retracted order by id desc";
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let rows: Vec<NotedRow> =
            sqlx::query_as(ALL).fetch_all(&mut *reader).await.map_err(of_read)?;
        let row = |row: NotedRow| Retraction {
            id: row.id,
            of: question(row.date_push_s, &row.source),
            at: Timestamp::from_unix_ms(row.at_ms),
            is_pending: row.pending,
            lifted_at: row.lifted_ms.map(Timestamp::from_unix_ms),
            counts: row.counts(),
        };
        Ok(rows.into_iter().map(row).collect())
    }

    /// Whether anything came under a `datePush`, new or not: perhaps it was mistyped.
    pub async fn came_under(&self, of: RetractQuestion) -> Result<bool, StoreError> {
        let mut sql = QueryBuilder::new("select exists (select 1 from push where ");
        push_pushes(&mut sql, "push", of);
        sql.push(") or exists (select 1 from push_repeat where ");
        push_pushes(&mut sql, "push_repeat", of);
        sql.push(")");
        let mut reader = self.reader(READ_TIME_MAX).await?;
        sql.build_query_scalar().fetch_one(&mut *reader).await.map_err(of_read)
    }

    /// What a retraction would take out, by source.
    pub async fn retract_counts(
        &self,
        of: RetractQuestion,
    ) -> Result<Vec<RetractCount>, StoreError> {
        let mut sql = QueryBuilder::new("select source");
        for table in ["usage", "sms", "notification"] {
            sql.push(", sum(");
            push_count(&mut sql, table, (" and not ", of));
            sql.push(")");
        }
        for (sign, table) in [(", sum(", "usage"), (" + ", "sms"), (" + ", "notification")] {
            sql.push(sign);
            push_count(&mut sql, table, (" and ", of));
        }
        sql.push(") from push where ");
        push_pushes(&mut sql, "push", of);
        sql.push(" group by source order by source");
        let mut reader = self.reader(COUNT_TIME_MAX).await?;
        let rows: Vec<(Vec<u8>, i64, i64, i64, i64)> =
            sql.build_query_as().fetch_all(&mut *reader).await.map_err(of_read)?;
        let count = |(source, usage, sms, notifications, kept): (Vec<u8>, i64, i64, i64, i64)| {
            RetractCount {
                source: source_of(&source),
                usage: usage.unsigned_abs(),
                sms: sms.unsigned_abs(),
                notifications: notifications.unsigned_abs(),
                kept: kept.unsigned_abs(),
            }
        };
        Ok(rows.into_iter().map(count).collect())
    }

    /// Retractions by their ids.
    pub(super) async fn retractions_by_ids(
        &self,
        ids: &[i64],
    ) -> Result<Vec<RetractedPushes>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut sql =
            QueryBuilder::new("select id, date_push_s, source from retracted where id in ");
        page::push_ids(&mut sql, ids);
        self.rows::<Row, _>(sql).await
    }
}

impl TryFrom<Row> for RetractedPushes {
    type Error = StoreError;

    fn try_from(Row { id, date_push_s, source }: Row) -> Result<Self, StoreError> {
        Ok(Self { id, of: question(date_push_s, &source) })
    }
}

/// Adds how many records of a table came with a push, of those that another push brought, too, or of
/// the others.
fn push_count(
    sql: &mut QueryBuilder<Sqlite>,
    table: &'static str,
    (which, of): (&'static str, RetractQuestion),
) {
    sql.push(format_args!(
        "(select count(*) from {table} as pushed
            where pushed.id between push.id and push.id + push.ids - 1
                and pushed.date_push_s = push.date_push_s{which}exists (
                    select 1 from push_repeat as other where other.id = pushed.id and not ("
    ));
    push_pushes(sql, "other", of);
    sql.push(")))");
}

fn question(date_push_s: i64, source: &[u8]) -> RetractQuestion {
    let source: Option<IpAddr> = source_of(source);
    RetractQuestion { date_push_s, source }
}
