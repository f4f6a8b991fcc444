use sqlx::{FromRow, QueryBuilder, Sqlite};

use super::{READ_TIME_MAX, Store, filter::push_list, page};
use crate::{
    domain::{
        ApiKey, Held, HeldBody, HeldClass, HeldFilter, HeldReason, KeyDigest, Kind, Scope,
        Timestamp, Walk,
    },
    store::{STEP_BODY_BYTES, StoreError, error::of_read},
};

const SELECT: &str = "
    select id, class, reason, field, kind, source, received_ms, bytes, count,
        (select json_group_array(source) from held_source where held_id = held.id) as other_sources";

#[derive(FromRow)]
struct Row {
    id: i64,
    class: String,
    reason: String,
    field: Option<String>,
    kind: String,
    source: String,
    other_sources: String,
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

    /// One page of held pushes, the newest first.
    pub async fn held(&self, filter: &HeldFilter, walk: &Walk) -> Result<Vec<Held>, StoreError> {
        let mut sql = question(SELECT, filter);
        page::narrow(&mut sql, "id", walk);
        Ok(page::newest_first(walk, self.rows::<Row, _>(sql).await?))
    }

    /// How many held pushes there are up to a number.
    pub async fn held_count(&self, filter: &HeldFilter, top: i64) -> Result<u64, StoreError> {
        let mut sql = question("select count(*)", filter);
        sql.push(" and id <= ").push_bind(top);
        self.count(sql).await
    }

    /// The numbers of held pushes, the oldest first: at most so many of those after one number and up
    /// to another, and no more bytes of bodies than one step may take, but at least one.
    pub async fn held_ids(
        &self,
        filter: &HeldFilter,
        (after, through): (i64, i64),
        rows_max: u32,
    ) -> Result<Vec<i64>, StoreError> {
        let mut sql = step("select id", filter, (after, through), rows_max);
        let mut reader = self.reader(READ_TIME_MAX).await?;
        sql.build_query_scalar().fetch_all(&mut *reader).await.map_err(of_read)
    }

    /// Bodies of held pushes with their numbers, as [`Store::held_ids`] has them.
    pub async fn held_bodies(
        &self,
        filter: &HeldFilter,
        (after, through): (i64, i64),
        rows_max: u32,
    ) -> Result<Vec<(i64, Vec<u8>)>, StoreError> {
        let mut sql = step("select id, body", filter, (after, through), rows_max);
        let mut reader = self.reader(READ_TIME_MAX).await?;
        sql.build_query_as().fetch_all(&mut *reader).await.map_err(of_read)
    }

    /// One held push with its body.
    pub async fn held_body(&self, id: i64) -> Result<Option<HeldBody>, StoreError> {
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let mut sql = question(SELECT, &HeldFilter::default());
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

/// The rows of one step. Which ones fit is found without their bodies.
fn step(
    select: &str,
    filter: &HeldFilter,
    (after, through): (i64, i64),
    rows_max: u32,
) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::new(select);
    sql.push(
        " from held where id in (
            select id from (select id, sum(bytes) over (order by id) - bytes as before from (",
    );
    push_question(&mut sql, "select id, bytes", filter);
    sql.push(" and id > ").push_bind(after).push(" and id <= ").push_bind(through);
    sql.push(" order by id limit ").push_bind(rows_max);
    sql.push(")) where before < ").push_bind(STEP_BODY_BYTES).push(") order by id");
    sql
}

fn question(select: &str, filter: &HeldFilter) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::new("");
    push_question(&mut sql, select, filter);
    sql
}

fn push_question(sql: &mut QueryBuilder<Sqlite>, select: &str, filter: &HeldFilter) {
    sql.push(select).push(" from held where true");
    let classes = filter.class.iter().map(|class| class.as_str().to_owned()).collect();
    let reasons = filter.reason.iter().map(|reason| reason.as_str().to_owned()).collect();
    let fields: [(&str, Vec<String>); 2] = [("class", classes), ("reason", reasons)];
    for (column, values) in fields.iter().filter(|(_, values)| !values.is_empty()) {
        sql.push(format_args!(" and {column} in "));
        push_list(sql, values);
    }
    if !filter.source.is_empty() {
        sql.push(" and (source in ");
        push_list(sql, &filter.source);
        sql.push(" or exists (select 1 from held_source where held_id = held.id and source in ");
        push_list(sql, &filter.source);
        sql.push("))");
    }
    for (comparison, ms) in [(">=", filter.received_from_ms), ("<", filter.received_to_ms)] {
        if let Some(ms) = ms {
            sql.push(format_args!(" and received_ms {comparison} ")).push_bind(ms);
        }
    }
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
            other_sources: serde_json::from_str(&row.other_sources)?,
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
