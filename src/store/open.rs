use std::{
    error::Error,
    mem,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::tz::TimeZone;
use sqlx::{
    ConnectOptions, Connection, SqliteConnection,
    pool::PoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use super::{
    KnownCopies, Limits, OpenError, Rebuilding, Store, StoreError, Unfinished, Writer,
    copy_owner::copies_known_to,
    database_file::make_private,
    days::{StoreDays, name_of},
    erasures::{self, Listed, Secrets},
    foreign_names::{erased_in, understand},
    migrate::{Progress, bring_up_to_date},
    open_files::OpenFiles,
    other_program,
};
use crate::domain::{Clock, SystemClock, Timestamp};

/// The first SQLite that cannot lose committed writes when two connections write or checkpoint at
/// once.
const SQLITE_MIN: (u32, u32, u32) = (3, 51, 3);

/// How long a write waits for others.
pub(super) const BUSY_WAIT: Duration = Duration::from_secs(5);

/// How long a step of a rebuild takes that nobody waits for.
const STEP_TIME: Duration = Duration::from_millis(500);

/// How many reads run side by side.
const READERS: u32 = 4;

/// How to open a store.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// The database file; made if it is not there.
    pub database: PathBuf,
    /// The zone in which a SIM's days break. With another one than before the sums have to be cut anew;
    /// without one it stays the one that it is, or UTC in a new store.
    pub time_zone: Option<TimeZone>,
    /// What the writer may keep.
    pub limits: Limits,
}

/// An open store.
#[derive(Debug)]
pub struct Opened {
    /// For reading.
    pub store: Store,
    /// For writing.
    pub writer: Writer,
    /// The zone by whose days [`Writer::rebuild_some`] has to cut the sums anew, if that is another
    /// than theirs.
    pub next_zone: Option<TimeZone>,
    /// Nothing authentic had ever been put into it.
    pub is_empty: bool,
    /// What an earlier process began to take away and did not end.
    pub unfinished: Unfinished,
    /// The files that are open.
    pub files: OpenFiles,
    /// What the store knows of its copies.
    pub copies: KnownCopies,
}

/// No authentic push has ever been stored, not even a test, and none lies aside. The sequence does
/// not tell: what is known of devices takes ids of it, too.
const NOTHING_AUTHENTIC: &str = "
    select not exists (select 1 from tally) and not exists (select 1 from test_record)
        and not exists (select 1 from held where class <> 'refused')";

/// What is decided once.
pub(super) const GIVE_FACT: &str =
    "insert into meta (name, value) values ($1, $2) on conflict do nothing";

/// Opens the store, makes it if it is not there, brings its schema up to date, and ends what an earlier
/// process began to take away.
pub async fn open(options: &OpenOptions) -> Result<Opened, OpenError> {
    let list = erasures::list_of(&options.database);
    open_with(options, &list, true, &|_| ()).await
}

/// The same, but what was begun is left to the caller: it may take long. While the schema is brought up to
/// date, which may too, it is told how far that is.
pub async fn open_to_serve(
    options: &OpenOptions,
    progress: Progress<'_>,
) -> Result<Opened, OpenError> {
    let list = erasures::list_of(&options.database);
    open_unfinished(options, &list, true, progress).await
}

/// Opens it with another list of erased SIMs. What is a copy itself needs none before a migration.
pub(super) async fn open_with(
    options: &OpenOptions,
    list: &Path,
    keeps_copy: bool,
    progress: Progress<'_>,
) -> Result<Opened, OpenError> {
    let mut opened = open_unfinished(options, list, keeps_copy, progress).await?;
    let path = &options.database;
    let left = mem::take(&mut opened.unfinished);
    left.finish(&mut opened.writer, path)
        .await
        .map_err(|source| OpenError::Unusable { path: path.clone(), source })?;
    Ok(opened)
}

async fn open_unfinished(
    options: &OpenOptions,
    list: &Path,
    keeps_copy: bool,
    progress: Progress<'_>,
) -> Result<Opened, OpenError> {
    let path = &options.database;
    let unusable = |source: StoreError| OpenError::Unusable { path: path.clone(), source };
    other_program::refuse(path).await?;
    make_private(path).map_err(|e| unusable(sqlx::Error::from(e).into()))?;
    let reserve = keeps_copy.then_some(options.limits.disk_reserve_bytes);
    let mut connection = connect_up_to_date((path, reserve), progress).await?;
    let files = OpenFiles::of_database(path).map_err(|e| unusable(sqlx::Error::from(e).into()))?;
    let (epoch, days) = founding_facts(&mut connection, options).await.map_err(unusable)?;
    let is_empty = sqlx::query_scalar(NOTHING_AUTHENTIC)
        .fetch_one(&mut connection)
        .await
        .map_err(|e| unusable(e.into()))?;
    let mut writer =
        Writer::new(connection, files.clone(), days, options.limits).await.map_err(unusable)?;
    let erased = erased_in(&mut writer.connection).await.map_err(unusable)?;
    check_list(&writer.erasure_secrets(), &erased, path, list, &[])?;
    let unfinished = Unfinished::take_up(&mut writer, (path, list), SystemClock.now())
        .await
        .map_err(unusable)?;
    let copies = copies_known_to(&mut writer.connection).await.map_err(|e| unusable(e.into()))?;
    let next_zone = next_zone(&mut writer, options).await.map_err(unusable)?;
    let readers = PoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(Duration::from_secs(4))
        .connect_lazy_with(for_reading(path));
    let days = writer.days().clone();
    let store = Store::new(readers, path, epoch, days, writer.erasure_secrets());
    Ok(Opened { store, writer, next_zone, is_empty, unfinished, files, copies })
}

/// The connection of the writer, with a schema that is up to date.
async fn connect_up_to_date(
    (path, reserve): (&Path, Option<u64>),
    progress: Progress<'_>,
) -> Result<SqliteConnection, OpenError> {
    let unusable =
        |error: sqlx::Error| OpenError::Unusable { path: path.to_owned(), source: error.into() };
    let mut connection = for_writing(path).connect().await.map_err(unusable)?;
    let mut done = check_version(&mut connection).await.map_err(unusable).flatten();
    if done.is_ok() {
        done = other_program::refuse_open(&mut connection, path).await.map_err(unusable).flatten();
    }
    if done.is_ok() {
        done = bring_up_to_date(&mut connection, (path, reserve), progress).await;
    }
    let Err(error) = done else { return Ok(connection) };
    // Its thread may outlive neither us nor what it has taken back: the log of a migration that found
    // no room would go on taking that room.
    if let Err(error) = connection.close().await {
        tracing::warn!(error = &error as &dyn Error, "Cannot close the database");
    }
    Err(error)
}

/// Refuses a list that names SIMs which nobody here can tell: what comes of them would be kept. Gives
/// what it names.
pub(super) fn check_list(
    secrets: &Secrets,
    erased: &[(String, Timestamp)],
    path: &Path,
    list: &Path,
    others: &[Listed],
) -> Result<Vec<Listed>, OpenError> {
    let lines = erasures::lines_with_warnings(list).map_err(|error| OpenError::Unusable {
        path: path.to_owned(),
        source: sqlx::Error::from(error).into(),
    })?;
    let understood = understand(lines, secrets, erased, others);
    match understood.unknown {
        0 => Ok(erasures::each_once(understood.lines)),
        sims => Err(OpenError::ForeignErasures { list: list.into(), path: path.into(), sims }),
    }
}

/// The zone by whose days the sums are to be cut anew, if another is asked for than they are cut by.
async fn next_zone(
    writer: &mut Writer,
    options: &OpenOptions,
) -> Result<Option<TimeZone>, StoreError> {
    let kept = name_of(writer.days().zone());
    let next = options.time_zone.clone().filter(|zone| name_of(zone) != kept);
    match writer.zone_on_its_way().await? {
        Some(zone) if next.as_ref().is_none_or(|next| name_of(next) != zone) => {
            tracing::warn!(
                zone,
                kept,
                "The change of time zone that was on its way is given up: set SIMDECK_TIME_ZONE to it \
                 again to have it made"
            );
            writer.give_up_zone(&zone, SystemClock.now()).await?;
        }
        None if next.is_none() => writer.drop_rebuild().await?,
        _ => (),
    }
    Ok(next)
}

/// Cuts the sums by day anew whatever they are cut by: by the zone that is asked for, or by the one
/// that they have. Gives its name. The data directory has to be ours.
pub async fn rebuild(options: &OpenOptions) -> Result<String, OpenError> {
    let opened = open(options).await?;
    let mut writer = opened.writer;
    let kept = writer.days().zone().clone();
    let zone = opened.next_zone.unwrap_or_else(|| kept.clone());
    let (kept, name) = (name_of(&kept), name_of(&zone));
    let failed = |source| OpenError::Rebuild {
        path: options.database.clone(),
        kept: kept.clone(),
        zone: name.clone(),
        source,
    };
    let mut work = Rebuilding::new(zone, STEP_TIME).by_command();
    while !writer.rebuild_some(&mut work, SystemClock.now()).await.map_err(failed)? {}
    opened.store.close().await;
    writer.close().await.map_err(failed)?;
    Ok(name)
}

/// One connection, `FULL` because a reply promises that the batch is on disk, and checkpoints as
/// often as SQLite does by itself: larger ones stall commits.
pub(super) fn for_writing(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_WAIT)
        .pragma("cache_size", "-8192")
        .pragma("journal_size_limit", "67108864")
        .pragma("temp_store", "memory")
        .pragma("secure_delete", "on")
        .disable_statement_logging()
}

pub(super) fn for_reading(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .busy_timeout(Duration::from_secs(1))
        .pragma("query_only", "on")
        .pragma("temp_store", "memory")
        .disable_statement_logging()
}

async fn check_version(
    connection: &mut SqliteConnection,
) -> Result<Result<(), OpenError>, sqlx::Error> {
    let version: String =
        sqlx::query_scalar("select sqlite_version()").fetch_one(connection).await?;
    Ok(if is_too_old(&version) { Err(OpenError::SqliteTooOld(version)) } else { Ok(()) })
}

fn is_too_old(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    (next(), next(), next()) < SQLITE_MIN
}

/// What was decided when the store was made: its epoch, by which a cursor of another store is
/// known, and the zone of its days.
async fn founding_facts(
    connection: &mut SqliteConnection,
    options: &OpenOptions,
) -> Result<(u64, StoreDays), StoreError> {
    let mut making = connection.begin_with("begin immediate").await?;
    for (name, value) in [
        ("epoch", format!("{:016x}", rand::random::<u64>())),
        ("time_zone", name_of(options.time_zone.as_ref().unwrap_or(&TimeZone::UTC))),
        (erasures::SECRET, erasures::new_secret()),
    ] {
        sqlx::query(GIVE_FACT).bind(name).bind(value).execute(&mut *making).await?;
    }
    let epoch: String = sqlx::query_scalar("select value from meta where name = 'epoch'")
        .fetch_one(&mut *making)
        .await?;
    let zone: String = sqlx::query_scalar("select value from meta where name = 'time_zone'")
        .fetch_one(&mut *making)
        .await?;
    let earlier: Option<String> =
        sqlx::query_scalar("select value from meta where name = 'earlier_zones'")
            .fetch_optional(&mut *making)
            .await?;
    making.commit().await?;
    let epoch =
        u64::from_str_radix(&epoch, 16).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok((epoch, StoreDays::read(&zone, earlier.as_deref())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sqlite_below_3_51_3_is_too_old() {
        for version in ["3.51.2", "3.9.0", "2.99.99", "3.51", "nonsense"] {
            assert!(is_too_old(version), "{version}");
        }
        for version in ["3.51.3", "3.51.10", "3.52.0", "4.0.0"] {
            assert!(!is_too_old(version), "{version}");
        }
    }
}
