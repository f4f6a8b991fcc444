use std::{
    path::Path,
    time::{Duration, Instant},
};

use sqlx::{ConnectOptions, Connection};

use super::{
    StoreError,
    error::of_read,
    open::{MIGRATIONS, for_reading},
};
use crate::domain::Timestamp;

/// How long a look at a whole database may take. Until it ends, its log cannot be brought back into
/// it.
const LOOK_TIME_MAX: Duration = Duration::from_secs(600);
const STEPS_BETWEEN_LOOKS: i32 = 100_000;

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
}

/// Looks at a database without changing it, also while a server works on it. A thorough look also
/// compares every index with its table.
pub async fn examine(database: &Path, thorough: bool) -> Result<Examination, StoreError> {
    let mut connection = for_reading(database).connect().await?;
    let ends = Instant::now() + LOOK_TIME_MAX;
    connection
        .lock_handle()
        .await?
        .set_progress_handler(STEPS_BETWEEN_LOOKS, move || Instant::now() < ends);
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
    connection.close().await?;
    Ok(Examination {
        sqlite_version,
        schema,
        schema_known: MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0),
        faults,
        newest_push: newest_ms.filter(|ms| *ms > 0).map(Timestamp::from_unix_ms),
    })
}
