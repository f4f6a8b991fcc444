use sqlx::{FromRow, QueryBuilder, Sqlite};

use super::{READ_TIME_MAX, Store, page};
use crate::{
    domain::{
        ApiKey, Held, HeldBody, HeldClass, HeldReason, KeyDigest, Kind, Scope, Timestamp, Walk,
    },
    store::{StoreError, error::of_read},
};

const SELECT: &str = "
    select id, class, reason, field, kind, source, received_ms, bytes, count";

#[derive(FromRow)]
struct Row {
    id: i64,
    class: String,
    reason: String,
    field: Option<String>,
    kind: String,
    source: String,
    received_ms: i64,
    bytes: i64,
    count: i64,
}

#[derive(FromRow)]
struct KeyRow {
    id: i64,
    label: String,
    scope: String,
    digest: Vec<u8>,
    created_ms: i64,
    revoked_ms: Option<i64>,
}

impl Store {
    /// The newest number of a held push.
    pub async fn held_top(&self) -> Result<i64, StoreError> {
        let mut reader = self.reader(READ_TIME_MAX).await?;
        sqlx::query_scalar("select coalesce(max(id), 0) from held")
            .fetch_one(&mut *reader)
            .await
            .map_err(of_read)
    }

    /// One page of held pushes, the newest first. An empty list of classes or reasons means all.
    pub async fn held(
        &self,
        classes: &[HeldClass],
        reasons: &[HeldReason],
        walk: &Walk,
    ) -> Result<Vec<Held>, StoreError> {
        let mut sql = question(SELECT, classes, reasons);
        page::narrow(&mut sql, "id", walk);
        Ok(page::newest_first(walk, self.rows::<Row, _>(sql).await?))
    }

    /// How many held pushes there are up to a number.
    pub async fn held_count(
        &self,
        classes: &[HeldClass],
        reasons: &[HeldReason],
        top: i64,
    ) -> Result<u64, StoreError> {
        let mut sql = question("select count(*)", classes, reasons);
        sql.push(" and id <= ").push_bind(top);
        self.count(sql).await
    }

    /// One held push with its body.
    pub async fn held_body(&self, id: i64) -> Result<Option<HeldBody>, StoreError> {
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let mut sql = question(SELECT, &[], &[]);
        sql.push(" and id = ").push_bind(id);
        let row: Option<Row> =
            sql.build_query_as().fetch_optional(&mut *reader).await.map_err(of_read)?;
        let Some(row) = row else { return Ok(None) };
        let bodies: Option<(Vec<u8>, Option<Vec<u8>>)> =
            sqlx::query_as("select body, signatures from held where id = $1")
                .bind(id)
                .fetch_optional(&mut *reader)
                .await
                .map_err(of_read)?;
        let Some((body, signatures)) = bodies else { return Ok(None) };
        Ok(Some(HeldBody { held: row.try_into()?, body, signatures }))
    }

    /// All API keys, also revoked ones.
    pub async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        const ALL: &str = "
            select id, label, scope, digest, created_ms, revoked_ms from api_key order by id";
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let rows: Vec<KeyRow> =
            sqlx::query_as(ALL).fetch_all(&mut *reader).await.map_err(of_read)?;
        rows.into_iter().map(ApiKey::try_from).collect()
    }
}

fn question(select: &str, classes: &[HeldClass], reasons: &[HeldReason]) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::new(select);
    sql.push(" from held where true");
    let classes = classes.iter().map(|class| class.as_str());
    let reasons = reasons.iter().map(|reason| reason.as_str());
    for (column, words) in
        [("class", classes.collect::<Vec<_>>()), ("reason", reasons.collect::<Vec<_>>())]
    {
        if !words.is_empty() {
            let mut list = sql.push(format_args!(" and {column} in (")).separated(", ");
            for word in words {
                list.push_bind(word);
            }
            sql.push(")");
        }
    }
    sql
}

impl TryFrom<Row> for Held {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let corrupt = || StoreError::Corrupt { table: "held", id: row.id };
        Ok(Self {
            id: row.id,
            class: row.class.parse::<HeldClass>().map_err(|_| corrupt())?,
            reason: row.reason.parse::<HeldReason>().map_err(|_| corrupt())?,
            kind: row.kind.parse::<Kind>().map_err(|_| corrupt())?,
            field: row.field,
            source: row.source,
            received_at: Timestamp::from_unix_ms(row.received_ms),
            bytes: row.bytes,
            count: row.count,
        })
    }
}

impl TryFrom<KeyRow> for ApiKey {
    type Error = StoreError;

    fn try_from(row: KeyRow) -> Result<Self, StoreError> {
        let corrupt = || StoreError::Corrupt { table: "api_key", id: row.id };
        Ok(Self {
            id: row.id,
            scope: row.scope.parse::<Scope>().map_err(|_| corrupt())?,
            digest: KeyDigest::try_from(row.digest.as_slice()).map_err(|_| corrupt())?,
            label: row.label,
            created_at: Timestamp::from_unix_ms(row.created_ms),
            revoked_at: row.revoked_ms.map(Timestamp::from_unix_ms),
        })
    }
}
