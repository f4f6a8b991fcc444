use sqlx::{FromRow, QueryBuilder, Sqlite};

use super::{READ_TIME_MAX, Store, filter::push_list, page};
use crate::{
    domain::{AuditFilter, AuditRow, Timestamp, Walk},
    store::{StoreError, error::of_read},
};

#[derive(FromRow)]
struct Row {
    id: i64,
    at_ms: i64,
    who: String,
    source: String,
    action: String,
    target: String,
    outcome: String,
    details: String,
    count: i64,
}

impl Store {
    /// The newest number of an audit row.
    pub async fn audit_top(&self) -> Result<i64, StoreError> {
        let mut reader = self.reader(READ_TIME_MAX).await?;
        sqlx::query_scalar("select coalesce(max(id), 0) from audit")
            .fetch_one(&mut *reader)
            .await
            .map_err(of_read)
    }

    /// One page of the audit, the newest first.
    pub async fn audit(
        &self,
        filter: &AuditFilter,
        walk: &Walk,
    ) -> Result<Vec<AuditRow>, StoreError> {
        const SELECT: &str = "
            select id, at_ms, who, source, action, target, outcome, details, count";
        let mut sql = question(SELECT, filter);
        page::narrow(&mut sql, "id", walk);
        Ok(page::newest_first(walk, self.rows::<Row, _>(sql).await?))
    }

    /// How many rows of the audit there are up to a number.
    pub async fn audit_count(&self, filter: &AuditFilter, top: i64) -> Result<u64, StoreError> {
        let mut sql = question("select count(*)", filter);
        sql.push(" and id <= ").push_bind(top);
        self.count(sql).await
    }
}

fn question(select: &str, filter: &AuditFilter) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::new(select);
    sql.push(" from audit where true");
    let actions = filter.action.iter().map(|action| action.as_str().to_owned()).collect();
    let outcomes = filter.outcome.iter().map(|outcome| outcome.as_str().to_owned()).collect();
    let fields: [(&str, Vec<String>); 4] = [
        ("action", actions),
        ("who", filter.who.clone()),
        ("source", filter.source.clone()),
        ("outcome", outcomes),
    ];
    for (column, values) in fields.iter().filter(|(_, values)| !values.is_empty()) {
        sql.push(format_args!(" and {column} in "));
        push_list(&mut sql, values);
    }
    for (comparison, ms) in [(">=", filter.from_ms), ("<", filter.to_ms)] {
        if let Some(ms) = ms {
            sql.push(format_args!(" and at_ms {comparison} ")).push_bind(ms);
        }
    }
    sql
}

impl TryFrom<Row> for AuditRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            at: Timestamp::from_unix_ms(row.at_ms),
            who: row.who,
            source: row.source,
            action: row.action,
            subject: row.target,
            outcome: row.outcome,
            details: row.details,
            count: row.count,
        })
    }
}
