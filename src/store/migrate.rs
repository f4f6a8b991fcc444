//! Brings the schema of a store of an older version up to date. That may take minutes on a large one, and
//! no push is taken meanwhile: whoever looks at the log or asks the manager of services is told how far it
//! is, and what is sorted lies on the disk, so that memory does not grow with the records. Held by
//! `withstand::old_store`.
use std::{path::Path, pin::pin, time::Duration};

use sqlx::{
    AssertSqlSafe, Connection, SqliteConnection,
    migrate::{MigrateError, Migrator},
};
use tokio::{
    select,
    time::{Instant, MissedTickBehavior, interval_at},
};

use super::{
    OpenError,
    database_file::database_folder,
    erasures,
    kept_copies::{copy_before, keep_copy_before},
    open::GIVE_FACT,
};

pub(super) static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// Most steps take no time. Of one that lasts for so long it is told how far it is …
const TELL_AFTER: Duration = Duration::from_secs(1);
/// … and then so often.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Is told, while a store is opened and that takes long, what is being done.
pub type Progress<'p> = &'p (dyn Fn(&str) + Sync);

/// Brings the schema up to date, if it is not. Before that a copy of the store is kept, which leaves so
/// many bytes of the disk free; what is a copy itself needs none.
pub(super) async fn bring_up_to_date(
    connection: &mut SqliteConnection,
    (path, reserve): (&Path, Option<u64>),
    progress: Progress<'_>,
) -> Result<(), OpenError> {
    let unusable =
        |error: sqlx::Error| OpenError::Unusable { path: path.to_owned(), source: error.into() };
    let last = last_migration(connection).await.map_err(unusable)?;
    let newest = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default();
    let not_migrated = |source| match source {
        MigrateError::VersionMissing(version) => {
            OpenError::Newer { path: path.to_owned(), version }
        }
        source => OpenError::Migrate { path: path.to_owned(), source },
    };
    let Some(last) = last.filter(|last| *last < newest) else {
        return migrate(connection, &Told::nobody()).await.map_err(not_migrated);
    };
    let told = Told { began: Instant::now(), progress, is_told: true };
    tracing::info!(
        schema.from = last,
        schema.to = newest,
        "Migrating the database: no push is taken until it is done"
    );
    give_secret(connection).await.map_err(unusable)?;
    if let Some(reserve) = reserve {
        let copying = keep_copy_before(path, newest, reserve);
        told.while_it_lasts("keeping a copy of it", copying).await.map_err(|source| {
            let copy = copy_before(path, newest);
            OpenError::NoCopy { path: path.to_owned(), copy, source }
        })?;
    }
    sort_on_disk(connection, path).await.map_err(unusable)?;
    let done = migrate(connection, &told).await;
    sort_in_memory(connection).await.map_err(unusable)?;
    done.map_err(not_migrated)?;
    let seconds = told.began.elapsed().as_secs();
    tracing::info!(schema = newest, seconds, "Migrated the database");
    Ok(())
}

/// All or nothing: half way it would be a schema that no version of simdeck was ever run on, neither this
/// one nor the one that somebody may want to go back to.
async fn migrate(connection: &mut SqliteConnection, told: &Told<'_>) -> Result<(), MigrateError> {
    let mut migrating = connection.begin_with("begin immediate").await?;
    let last = last_migration(&mut migrating).await?.unwrap_or_default();
    let waiting: Vec<_> = MIGRATIONS.iter().filter(|step| step.version > last).collect();
    for (nth, step) in waiting.iter().enumerate() {
        let what = format!("step {} of {} ({})", nth + 1, waiting.len(), step.description);
        let doing = MIGRATIONS.run_to(step.version, &mut *migrating);
        told.while_it_lasts(&what, doing).await?;
    }
    // Also where none waits: a database that a newer version has changed is refused.
    MIGRATIONS.run(&mut *migrating).await?;
    told.while_it_lasts("writing it to the disk", migrating.commit()).await?;
    Ok(())
}

/// The last migration that a database has seen; none where it is new.
async fn last_migration(connection: &mut SqliteConnection) -> Result<Option<i64>, sqlx::Error> {
    const HAS_ANY: &str = "
        select exists (select 1 from sqlite_schema where name = '_sqlx_migrations')";
    let has_any: bool = sqlx::query_scalar(HAS_ANY).fetch_one(&mut *connection).await?;
    if !has_any {
        return Ok(None);
    }
    sqlx::query_scalar("select max(version) from _sqlx_migrations").fetch_one(connection).await
}

/// Gives a store of an older version the secret by which lists name erased SIMs, before its copy is kept:
/// whoever goes back to that copy has it when the newer version comes again.
async fn give_secret(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query(GIVE_FACT)
        .bind(erasures::SECRET)
        .bind(erasures::new_secret())
        .execute(connection)
        .await?;
    Ok(())
}

/// In memory what is sorted of a million records takes 60 MiB. It lies beside the database: the usual
/// folder may be in memory, too, in a container. No other connection is open yet, of which the folder
/// would be that, too.
async fn sort_on_disk(connection: &mut SqliteConnection, path: &Path) -> Result<(), sqlx::Error> {
    let folder = database_folder(path);
    let folder = folder.to_string_lossy().replace('\'', "''");
    let folder = format!("pragma temp_store_directory = '{folder}'; pragma temp_store = file");
    sqlx::raw_sql(AssertSqlSafe(folder)).execute(connection).await?;
    Ok(())
}

async fn sort_in_memory(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let usual = "pragma temp_store = memory; pragma temp_store_directory = ''";
    sqlx::raw_sql(usual).execute(connection).await?;
    Ok(())
}

/// Who is told how far it is.
struct Told<'p> {
    began: Instant,
    progress: Progress<'p>,
    is_told: bool,
}

impl Told<'_> {
    /// For a new store, which is made at once.
    fn nobody() -> Self {
        Self { began: Instant::now(), progress: &|_| (), is_told: false }
    }

    /// Does something: whoever looks sees what, and the log has it now and then where it lasts.
    async fn while_it_lasts<T>(&self, what: &str, doing: impl Future<Output = T>) -> T {
        if self.is_told {
            (self.progress)(&format!("Migrating the database: {what}"));
        }
        let mut doing = pin!(doing);
        let mut look = interval_at(Instant::now() + TELL_AFTER, TELL_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            select! {
                done = &mut doing => return done,
                _ = look.tick(), if self.is_told => self.tell(what),
            }
        }
    }

    fn tell(&self, what: &str) {
        let seconds = self.began.elapsed().as_secs();
        let told = format!("Migrating the database: {what}, {seconds} s so far");
        tracing::info!("{told}");
        (self.progress)(&told);
    }
}
