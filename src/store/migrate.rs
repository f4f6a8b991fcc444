//! Brings the schema of a store of an older version up to date. That may take minutes on a large one, and
//! no push is taken meanwhile: whoever looks at the log or asks the manager of services is told how far it
//! is, and what is sorted lies on the disk, so that memory does not grow with the records. Held by
//! `withstand::old_store`.
use std::{fs, path::Path, pin::pin, time::Duration};

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
    copy_owner::CopyOwner,
    database_file::{database_folder, log_of},
    disk::free_bytes,
    erasures,
    kept_copies::{copy_before, keep_copy_before, own_copies},
    open::GIVE_FACT,
};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

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
    let newest = newest_migration();
    let not_migrated = |error| match error {
        NotMigrated::Sql(MigrateError::VersionMissing(version)) => {
            OpenError::Newer { path: path.to_owned(), version }
        }
        NotMigrated::Sql(source) => OpenError::Migrate { path: path.to_owned(), source },
        NotMigrated::NoRoom { lacks } => {
            // No backups lie there, but what was kept beside the database.
            let copies = own_copies(path, &database_folder(path), &CopyOwner::default());
            let copies = copies.ok().map(|copies| copies.to_string());
            OpenError::NoRoomToMigrate {
                path: path.to_owned(),
                lacks,
                copies: copies.unwrap_or_default(),
            }
        }
    };
    let Some(last) = last.filter(|last| *last < newest) else {
        return migrate(connection, &Told::nobody(), None).await.map_err(not_migrated);
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
    // Who has put an empty file in the copy's place goes on without what pushes need.
    let has_copy = fs::metadata(copy_before(path, newest)).is_ok_and(|copy| copy.len() > 0);
    let room = Room::now(connection, path, reserve.filter(|_| has_copy)).await.map_err(unusable)?;
    let done = migrate(connection, &told, Some(&room)).await;
    sort_in_memory(connection).await.map_err(unusable)?;
    done.map_err(not_migrated)?;
    let seconds = told.began.elapsed().as_secs();
    tracing::info!(schema = newest, seconds, "Migrated the database");
    Ok(())
}

/// All or nothing: half way it would be a schema that no version of simdeck was ever run on, neither this
/// one nor the one that somebody may want to go back to.
async fn migrate(
    connection: &mut SqliteConnection,
    told: &Told<'_>,
    room: Option<&Room<'_>>,
) -> Result<(), NotMigrated> {
    let mut migrating = connection.begin_with("begin immediate").await?;
    let last = last_migration(&mut migrating).await?.unwrap_or_default();
    let waiting: Vec<_> = MIGRATIONS.iter().filter(|step| step.version > last).collect();
    for (nth, step) in waiting.iter().enumerate() {
        let what = format!("step {} of {} ({})", nth + 1, waiting.len(), step.description);
        let doing = MIGRATIONS.run_to(step.version, &mut *migrating);
        told.while_it_lasts(&what, doing).await?;
        if let Some(room) = room {
            room.check(&mut migrating).await?;
        }
    }
    // Also where none waits: a database that a newer version has changed is refused.
    MIGRATIONS.run(&mut *migrating).await?;
    told.while_it_lasts("writing it to the disk", migrating.commit()).await?;
    Ok(())
}

/// Why a schema was not brought up to date. Nothing of it is there then.
#[derive(Debug)]
enum NotMigrated {
    Sql(MigrateError),
    /// So many bytes more have to be free.
    NoRoom {
        lacks: u64,
    },
}

impl<E: Into<MigrateError>> From<E> for NotMigrated {
    fn from(error: E) -> Self {
        Self::Sql(error.into())
    }
}

/// What a migration may take of the disk. Until it is committed it lies in the log and can be taken back;
/// once it is, the log has to be brought into the database, whatever room there is.
struct Room<'p> {
    database: &'p Path,
    /// What pushes need to be free.
    reserve: u64,
    bytes_before: u64,
}

impl<'p> Room<'p> {
    async fn now(
        connection: &mut SqliteConnection,
        database: &'p Path,
        reserve: Option<u64>,
    ) -> Result<Self, sqlx::Error> {
        let bytes_before = bytes_of(connection).await?;
        Ok(Self { database, reserve: reserve.unwrap_or_default(), bytes_before })
    }

    /// Whether the database can grow by what was added so far, and pushes have their room when the log
    /// is gone.
    async fn check(&self, migrating: &mut SqliteConnection) -> Result<(), NotMigrated> {
        let grows = bytes_of(migrating).await?.saturating_sub(self.bytes_before);
        let log = fs::metadata(log_of(self.database)).map_or(0, |log| log.len());
        let folder = database_folder(self.database);
        // Where nobody can tell, the disk itself says so.
        let free = free_bytes(&folder).unwrap_or(u64::MAX);
        let wanted = grows.max((grows + self.reserve).saturating_sub(log));
        match wanted.saturating_sub(free) {
            0 => Ok(()),
            lacks => Err(NotMigrated::NoRoom { lacks }),
        }
    }
}

/// How large the database is, with what this connection has not committed yet.
async fn bytes_of(connection: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    const BYTES: &str = "
        select page_count * page_size from pragma_page_count, pragma_page_size";
    let bytes: i64 = sqlx::query_scalar(BYTES).fetch_one(connection).await?;
    Ok(bytes.unsigned_abs())
}

/// The last migration that this version knows.
pub(super) fn newest_migration() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default()
}

/// The last migration that a database has seen; none where it is new.
pub(super) async fn last_migration(
    connection: &mut SqliteConnection,
) -> Result<Option<i64>, sqlx::Error> {
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
