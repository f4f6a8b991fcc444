//! An SQLite file of another program, named as the database by mistake: it gets no table of ours. Held by
//! `tests/it/withstand/unit.rs`.
use std::path::Path;

use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::{OpenError, open::for_reading};

/// Whether there are tables, and how many of those that every version of simdeck has. The one that says
/// which migrations were made, many programs have.
const TABLES: &str = "
    select count(*) > 0, count(*) filter (where name in ('meta', 'seq', 'tally', 'usage'))
    from sqlite_schema
    where type = 'table' and name not glob 'sqlite_*' and name <> '_sqlx_migrations'";

/// Refuses a file of another program before anything of it is changed, be it how its log is kept.
pub(super) async fn refuse(database: &Path) -> Result<(), OpenError> {
    let look = async {
        // Nothing is made beside it, and what a log beside it holds is not seen.
        let mut file = for_reading(database).immutable(true).connect().await?;
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
