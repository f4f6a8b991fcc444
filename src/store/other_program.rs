//! An SQLite file of another program, named as the database by mistake: it gets no table of ours. Held by
//! `tests/it/withstand/unit.rs`.
use std::{fs, path::Path};

use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use super::{OpenError, database_file::log_of, open::for_reading};

/// Whether there are tables, and how many of those that every version of simdeck has. The one that says
/// which migrations were made, many programs have.
const TABLES: &str = "
    select count(*) > 0, count(*) filter (where name in ('meta', 'seq', 'tally', 'usage'))
    from sqlite_schema
    where type = 'table' and name not glob 'sqlite_*' and name <> '_sqlx_migrations'";

/// Refuses a file of another program before anything of it is changed, be it how its log is kept. Where a
/// log lies beside it, the file alone may be neither what it was nor what it is: then only whoever opens
/// both can tell.
pub(super) async fn refuse(database: &Path) -> Result<(), OpenError> {
    match has_log(database) {
        true => Ok(()),
        // Nothing is made beside it.
        false => refuse_by(for_reading(database).immutable(true), database).await,
    }
}

/// The same with what a log beside it holds, where nobody opens it for writing.
pub(super) async fn refuse_with_log(database: &Path) -> Result<(), OpenError> {
    match has_log(database) {
        true => refuse_by(for_reading(database), database).await,
        false => refuse(database).await,
    }
}

fn has_log(database: &Path) -> bool {
    fs::metadata(log_of(database)).is_ok_and(|log| log.len() > 0)
}

async fn refuse_by(options: SqliteConnectOptions, database: &Path) -> Result<(), OpenError> {
    let look = async {
        let mut file = options.connect().await?;
        let found = is_of_another(&mut file).await;
        file.close().await?;
        found
    };
    // What cannot be read, or is not there yet, is told when it is opened.
    match look.await {
        Ok(true) => Err(OpenError::OfAnotherProgram { path: database.to_owned() }),
        _ => Ok(()),
    }
}

/// The same once it is open, with what its log holds.
pub(super) async fn refuse_open(
    connection: &mut SqliteConnection,
    database: &Path,
) -> Result<Result<(), OpenError>, sqlx::Error> {
    Ok(match is_of_another(connection).await? {
        true => Err(OpenError::OfAnotherProgram { path: database.to_owned() }),
        false => Ok(()),
    })
}

async fn is_of_another(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    let (has_tables, ours): (bool, i64) = sqlx::query_as(TABLES).fetch_one(connection).await?;
    Ok(has_tables && ours < 4)
}
