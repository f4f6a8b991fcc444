use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::{Duration, Instant},
};

use futures_util::TryStreamExt;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqliteConnection};

use super::{
    KnownRule, StoreError,
    card::reversed,
    erasures::{list_of, unreadable},
    error::of_read,
    identity_rule,
    migrate::newest_migration,
    open::for_reading,
    pieces::Pieces,
    read::{aside::aside, give_way},
    writer::written_evidence,
};
use crate::domain::{BelievedTime, Timestamp, mention::mentions};

/// How long a look at a whole database may take. Until a statement ends, its log cannot be brought back
/// into it.
const LOOK_TIME_MAX: Duration = Duration::from_secs(600);
/// Few, so that it is known soon who has to give way.
const STEPS_BETWEEN_LOOKS: i32 = 1_000;

/// What a look at a database has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examination {
    /// The SQLite that looked.
    pub sqlite_version: String,
    /// The newest migration that the database has.
    pub schema: i64,
    /// The newest one that this version knows.
    pub schema_known: i64,
    /// What is broken; nothing, if all is well.
    pub faults: Vec<String>,
    /// When the newest push came.
    pub newest_push: Option<Timestamp>,
    /// What authentic pushes say of the time.
    pub believed_time: BelievedTime,
    /// By which rule records are told apart.
    pub identity_rule: KnownRule,
    /// The numbers of the lines of the list of erased SIMs that cannot be read.
    pub unreadable_erasures: Vec<usize>,
}

/// Looks at a database without changing it, also while a server works on it. A thorough look also
/// compares every index with its table.
pub async fn examine(database: &Path, thorough: bool) -> Result<Examination, StoreError> {
    let mut connection = patient_reader(database).await?;
    let check = if thorough { "pragma integrity_check(20)" } else { "pragma quick_check(20)" };
    let mut faults: Vec<String> =
        sqlx::query_scalar(check).fetch_all(&mut connection).await.map_err(of_read)?;
    faults.retain(|fault| fault != "ok");
    let sqlite_version =
        sqlx::query_scalar("select sqlite_version()").fetch_one(&mut connection).await?;
    let schema = sqlx::query_scalar("select coalesce(max(version), 0) from _sqlx_migrations")
        .fetch_one(&mut connection)
        .await?;
    let newest_ms: Option<i64> = sqlx::query_scalar("select max(last_received_ms) from tally")
        .fetch_one(&mut connection)
        .await?;
    let believed_time = written_evidence(&mut connection).await?;
    let identity_rule = identity_rule::known(&mut connection).await?;
    connection.close().await?;
    let unreadable = unreadable(&list_of(database)).map_err(sqlx::Error::from)?;
    Ok(Examination {
        sqlite_version,
        schema,
        schema_known: newest_migration(),
        faults,
        newest_push: newest_ms.filter(|ms| *ms > 0).map(Timestamp::from_unix_ms),
        believed_time,
        identity_rule,
        unreadable_erasures: unreadable.into_iter().map(|(number, _)| number).collect(),
    })
}

/// Whether a copy is a database of ours that is not cut short. What costs little tells that; of damage
/// between its pages only a thorough [`examine`] tells.
pub async fn opens(copy: &Path) -> Result<(), StoreError> {
    const LOOK: &str = "
        select (select max(version) from _sqlx_migrations), (select count(*) from tally),
            (select count(*) from meta)";
    let mut connection = patient_reader(copy).await?;
    sqlx::query(LOOK).fetch_one(&mut connection).await.map_err(of_read)?;
    connection.close().await?;
    Ok(())
}

/// Bytes within a database that hold nothing, also while a server works on it.
pub async fn bytes_free_inside(database: &Path) -> Result<u64, StoreError> {
    const FREE: &str = "
        select freelist_count * page_size from pragma_freelist_count, pragma_page_size";
    let mut connection = patient_reader(database).await?;
    let bytes: i64 = sqlx::query_scalar(FREE).fetch_one(&mut connection).await.map_err(of_read)?;
    connection.close().await?;
    Ok(bytes.unsigned_abs())
}

/// How many notifications and held bodies there are of a SIM, or mention it.
pub async fn count_mentions(database: &Path, giccid: &str) -> Result<(u64, u64), StoreError> {
    let (database, giccid) = (database.to_owned(), giccid.to_owned());
    aside(async move { find_mentions(&database, &giccid).await }).await
}

async fn find_mentions(database: &Path, giccid: &str) -> Result<(u64, u64), StoreError> {
    const NOTIFICATIONS: &str = "
        select giccid = $1, cast(payload as blob) from notification
        where (giccid = $1 or instr(payload, $1) > 0 or instr(payload, '\\') > 0)";
    const HELD: &str = "
        select 0, body from held
        where (instr(body, cast($1 as blob)) > 0 or instr(body, cast('\\' as blob)) > 0)";
    let mut connection = patient_reader(database).await?;
    let mut counts = [0, 0];
    let statements = [("notification", NOTIFICATIONS), ("held", HELD)];
    for ((table, statement), count) in statements.into_iter().zip(&mut counts) {
        let mut pieces = Pieces::of(&mut connection, table).await?;
        while let Some(piece) = pieces.next(&mut connection).await? {
            let sql = AssertSqlSafe(format!("{statement} and {piece}"));
            let mut rows = sqlx::query_as::<_, (Option<bool>, Vec<u8>)>(sql)
                .bind(giccid)
                .fetch(&mut connection);
            while let Some((is_own, text)) = rows.try_next().await.map_err(of_read)? {
                let is_one = is_own == Some(true) || mentions(&text, |number| number == giccid);
                *count += u64::from(is_one);
            }
        }
    }
    connection.close().await?;
    Ok((counts[0], counts[1]))
}

/// The tables in which a row mentions a SIM. Unlike a look at the bytes of the files it can tell the
/// number from a longer one that holds it.
pub(super) async fn tables_that_mention(
    database: &Path,
    giccid: &str,
) -> Result<BTreeSet<String>, StoreError> {
    let (database, giccid) = (database.to_owned(), giccid.to_owned());
    aside(async move { find_tables_that_mention(&database, &giccid).await }).await
}

async fn find_tables_that_mention(
    database: &Path,
    giccid: &str,
) -> Result<BTreeSet<String>, StoreError> {
    const COLUMNS: &str = "
        select sqlite_schema.name, info.name
        from sqlite_schema join pragma_table_info(sqlite_schema.name) as info
        where sqlite_schema.type = 'table' and sqlite_schema.name not like 'sqlite%'
            and lower(info.type) not in ('integer', 'bigint', 'real')";
    let mut connection = patient_reader(database).await?;
    let columns: Vec<(String, String)> =
        sqlx::query_as(COLUMNS).fetch_all(&mut connection).await.map_err(of_read)?;
    let backwards = reversed(giccid, usize::MAX);
    let is_meant = |number: &str| number == giccid || number == backwards;
    let mut columns_of = BTreeMap::<String, Vec<String>>::new();
    for (table, column) in columns {
        columns_of.entry(table).or_default().push(column);
    }
    let mut found = BTreeSet::new();
    for (table, columns) in columns_of {
        let mut pieces = Pieces::of(&mut connection, &table).await?;
        'table: while let Some(piece) = pieces.next(&mut connection).await? {
            for column in &columns {
                // A backslash may hide a number.
                let sql = format!(
                    "select cast({column} as blob) from {table}
                    where (instr(cast({column} as blob), $1) > 0
                        or instr(cast({column} as blob), $2) > 0 or instr({column}, '\\') > 0)
                        and {piece}"
                );
                let mut texts = sqlx::query_scalar::<_, Vec<u8>>(AssertSqlSafe(sql))
                    .bind(giccid.as_bytes())
                    .bind(backwards.as_bytes())
                    .fetch(&mut connection);
                while let Some(text) = texts.try_next().await.map_err(of_read)? {
                    if mentions(&text, is_meant) {
                        found.insert(table);
                        break 'table;
                    }
                }
            }
        }
    }
    connection.close().await?;
    Ok(found)
}

/// A connection that may read for as long as a look at a whole database takes.
pub(super) async fn patient_reader(database: &Path) -> Result<SqliteConnection, StoreError> {
    let mut connection = for_reading(database).connect().await?;
    let ends = Instant::now() + LOOK_TIME_MAX;
    connection.lock_handle().await?.set_progress_handler(STEPS_BETWEEN_LOOKS, move || {
        give_way();
        Instant::now() < ends
    });
    Ok(connection)
}
