//! Copies of the database: taken while it is written, checked, and whole or not there.
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::mpsc::{self, RecvTimeoutError},
    time::Duration,
};

use sqlx::{
    ConnectOptions, Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use tokio::task::{JoinHandle, spawn_blocking};

use super::{
    StoreError,
    copies::{self, PARTIAL},
    database_file::{beside, database_bytes},
    erasures::{self, Secrets},
    folder::free_bytes,
    foreign_names::{ErasedHashes, erased_in, rename},
    read::give_way,
};
use crate::domain::Timestamp;

/// A copy that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Where it is.
    pub path: PathBuf,
    /// How large it is.
    pub bytes: u64,
    /// The newest id in it.
    pub last_id: i64,
    /// How many records of all kinds are in it.
    pub records: i64,
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The disk has too little room.
    #[error(
        "a copy may need {needed} bytes and {folder} has {free}: free some room, or choose \
         another folder with SIMDECK_BACKUP_DIR"
    )]
    NoRoom {
        /// Where it should lie.
        folder: PathBuf,
        /// A fifth more than the database has.
        needed: u64,
        /// What is free.
        free: u64,
    },
    /// The copy is not what the database is.
    #[error("the copy is not whole: {0}")]
    NotWhole(String),
    /// A file could not be made or moved.
    #[error("{path} could not be written")]
    File {
        /// Which.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The database refused or failed.
    #[error("the database could not be copied")]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for BackupError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Copies a database into a folder while others write it, and keeps the copies there that were made
/// last, so many. Rings, signatures, API keys, links and sessions are left out.
pub async fn back_up(
    database: &Path,
    folder: &Path,
    keep: usize,
    now: Timestamp,
) -> Result<Backup, BackupError> {
    let unwritten = |source| BackupError::File { path: folder.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unwritten)?;
    copies::remove_partial(folder).map_err(unwritten)?;
    let (path, partial) = copies::next(folder, now).map_err(unwritten)?;
    let done = copied(database, folder, &partial, now).await;
    let (last_id, records, secrets, erased) = match done {
        Ok(told) => told,
        Err(error) => {
            if let Err(error) = fs::remove_file(&partial) {
                tracing::debug!(%error, "There is no part of a copy to take away");
            }
            return Err(error);
        }
    };
    // The folder may be far away and hang: not where pushes are taken.
    let (database, into) = (database.to_owned(), folder.to_owned());
    let finishing = spawn_blocking(move || {
        let unwritten = |source| BackupError::File { path: into.clone(), source };
        // The list goes with the copies: where all else is lost, a restore still knows it.
        let beside_copies = erasures::list_in(&into);
        let named = erasures::read(&erasures::list_of(&database)).map_err(unwritten)?;
        erasures::add(&beside_copies, &named).map_err(unwritten)?;
        rename(&beside_copies, &secrets, &erased).map_err(unwritten)?;
        put_in_place(&partial, &path)?;
        if let Err(error) = copies::rotate(&into, keep, now) {
            tracing::warn!(%error, "An old backup could not be removed");
        }
        let bytes = fs::metadata(&path).map_err(unwritten)?.len();
        Ok(Backup { path, bytes, last_id, records })
    });
    finishing.await.map_err(|error| unwritten(error.into()))?
}

async fn copied(
    database: &Path,
    folder: &Path,
    partial: &Path,
    now: Timestamp,
) -> Result<(i64, i64, Secrets, ErasedHashes), BackupError> {
    const LEFT_OUT: [&str; 7] = [
        "delete from held where class = 'refused'",
        "delete from ring_dropped",
        "delete from dropped_push",
        "delete from meta where name in ('refused_waiting', 'secrets')",
        "delete from pass",
        "update held set signatures = null where signatures is not null",
        // None of them opens anything there; their names tell which have to be made again.
        "insert or replace into meta (name, value) values ('backed_up_ms', $1)",
    ];
    const KEYS: &str = "
        update api_key set digest = randomblob(32), revoked_ms = coalesce(revoked_ms, $1)";
    check_room(database, folder)?;
    copy(database, partial).await?;
    let mut copy = alone(partial).connect().await?;
    for statement in LEFT_OUT {
        sqlx::query(statement).bind(now.unix_ms().to_string()).execute(&mut copy).await?;
    }
    sqlx::query(KEYS).bind(now.unix_ms()).execute(&mut copy).await?;
    check(&mut copy, Depth::Whole).await?;
    let (last_id, records) = sqlx::query_as(
        "select (select last from seq), (select coalesce(sum(records - gone), 0) from tally)",
    )
    .fetch_one(&mut copy)
    .await?;
    let secrets = Secrets::load(&mut copy).await?;
    let erased = erased_in(&mut copy).await?;
    copy.close().await?;
    Ok((last_id, records, secrets, erased))
}

/// Writes a copy of one moment. It is made by a connection of its own, which holds nobody back.
async fn copy(database: &Path, to: &Path) -> Result<(), BackupError> {
    let unwritten = |source| BackupError::File { path: to.to_owned(), source };
    OpenOptions::new().create_new(true).write(true).mode(0o600).open(to).map_err(unwritten)?;
    let mut reader = SqliteConnectOptions::new()
        .filename(database)
        .read_only(true)
        .pragma("temp_store", "memory")
        .disable_statement_logging()
        .connect()
        .await?;
    reader.lock_handle().await?.set_progress_handler(10_000, || {
        give_way();
        true
    });
    let to = to.to_str().ok_or_else(|| {
        unwritten(io::Error::new(io::ErrorKind::InvalidFilename, "its name is no UTF-8"))
    })?;
    let (end, syncing) = trickle_to_disk(File::open(to).map_err(unwritten)?);
    let done = sqlx::query("vacuum into $1").bind(to).execute(&mut reader).await;
    // Its descriptor is closed before anybody opens the copy: closing it drops SQLite's locks.
    drop(end);
    if let Err(error) = syncing.await {
        tracing::debug!(%error, "A growing copy could not be synced");
    }
    done?;
    reader.close().await?;
    Ok(())
}

/// Has a growing file written to the disk bit by bit until the answer is dropped. Left alone, all
/// of it would be flushed at once, and a commit's sync would wait behind it: half a second for half
/// a gigabyte.
fn trickle_to_disk(file: File) -> (mpsc::Sender<()>, JoinHandle<()>) {
    const EVERY: Duration = Duration::from_millis(20);
    let (end, ended) = mpsc::channel();
    let syncing = spawn_blocking(move || {
        while ended.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
            // Whoever gives the copy its name syncs it too, and hears of a failure.
            if let Err(error) = file.sync_data() {
                tracing::debug!(%error, "A growing copy could not be synced");
            }
        }
    });
    (end, syncing)
}

/// Brings what was written while a copy was made back into the database, beside the writer.
pub async fn checkpoint_beside(database: &Path) -> Result<(), StoreError> {
    let mut beside = SqliteConnectOptions::new()
        .filename(database)
        .disable_statement_logging()
        .connect()
        .await?;
    sqlx::query("pragma wal_checkpoint(passive)").execute(&mut beside).await?;
    beside.close().await?;
    Ok(())
}

/// A copy of the database as it is, before a newer version changes its schema. One is kept: the
/// newest.
pub(super) async fn keep_copy_before(database: &Path, version: i64) -> Result<(), BackupError> {
    let folder = folder_of(database);
    let path = beside(database, &format!(".before-{version}"));
    if path.exists() {
        return Ok(());
    }
    let partial = beside(database, &format!(".before-{version}{PARTIAL}"));
    if partial.exists() {
        fs::remove_file(&partial)
            .map_err(|source| BackupError::File { path: partial.clone(), source })?;
    }
    check_room(database, folder)?;
    copy(database, &partial).await?;
    let mut copy = alone(&partial).connect().await?;
    let told: String = sqlx::query_scalar("pragma quick_check(1)").fetch_one(&mut copy).await?;
    copy.close().await?;
    if told != "ok" {
        return Err(BackupError::NotWhole(told));
    }
    forget_copies(database, Timestamp::from_unix_ms(i64::MAX))?;
    put_in_place(&partial, &path)
}

/// Takes away the copies beside a database that were last written before a moment: those that were
/// kept before a migration, and what a restore has replaced.
pub fn forget_copies(database: &Path, before: Timestamp) -> Result<(), BackupError> {
    let folder = folder_of(database);
    let name = database.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let unread = |source| BackupError::File { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(unread)? {
        let entry = entry.map_err(unread)?;
        let is_copy = entry
            .file_name()
            .to_str()
            .and_then(|other| other.strip_prefix(&name))
            .is_some_and(is_ending_of_copy);
        if is_copy && entry.metadata().map_err(unread)?.mtime() < before.unix_seconds() {
            fs::remove_file(entry.path()).map_err(unread)?;
        }
    }
    Ok(())
}

fn is_ending_of_copy(ending: &str) -> bool {
    // A restore that did not come to its end leaves a copy, of which there may be one in turn.
    let ending = match ending.strip_prefix(".restoring") {
        Some("" | "-wal" | "-shm") => return true,
        Some(of_restored) => of_restored,
        None => ending,
    };
    match ending.strip_prefix(".before-") {
        Some(version) => version.bytes().all(|byte| byte.is_ascii_digit()),
        None => [".replaced", ".replaced-wal", ".replaced-shm"].contains(&ending),
    }
}

/// How thoroughly a copy is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// Whether each page can be read, and lists have as many rows as were counted.
    Quick,
    /// Every index against its table, and sums against records.
    Whole,
}

/// Whether a database is in order, and has as many records as it counted.
pub(super) async fn check(copy: &mut SqliteConnection, depth: Depth) -> Result<(), BackupError> {
    const COUNTS: [(&str, &str); 3] = [
        (
            "usage records",
            "select (select count(*) from usage)
                - coalesce((select sum(records - gone) from tally where kind = 'data-usage'), 0)",
        ),
        (
            "messages",
            "select (select count(*) from sms)
                - coalesce((select sum(records - gone) from tally where kind = 'mo-sms'), 0)",
        ),
        (
            "notifications",
            "select (select count(*) from notification) - coalesce((select sum(records - gone)
                from tally where kind not in ('data-usage', 'mo-sms')), 0)",
        ),
    ];
    // From the first quarter of an hour on that has lost no record to its age.
    const SUMS: &str = "
        with first(ms) as (
            select coalesce(
                (select (from_ms / 900000 + 1) * 900000 from kept where what = 'data-usage'),
                -9000000000000000000))
        select coalesce((select sum(data_usage) from usage, first where start_ms >= ms), 0)
            - coalesce((select sum(data_usage) from usage_quarter_hour, first
                where start_ms >= ms), 0)
            - coalesce((select sum(data_usage) from usage, first where start_ms >= ms
                and id > (select complete_to from mark where summary = 'sums')), 0)";
    let pragma = match depth {
        Depth::Quick => "pragma quick_check(1)",
        Depth::Whole => "pragma integrity_check(1)",
    };
    let told: String = sqlx::query_scalar(pragma).fetch_one(&mut *copy).await?;
    if told != "ok" {
        return Err(BackupError::NotWhole(told));
    }
    for (what, sql) in COUNTS {
        let more: i64 = sqlx::query_scalar(sql).fetch_one(&mut *copy).await?;
        if more != 0 {
            return Err(BackupError::NotWhole(format!("{what}: {more} more than were counted")));
        }
    }
    if depth == Depth::Whole {
        let more: i64 = sqlx::query_scalar(SUMS).fetch_one(&mut *copy).await?;
        if more != 0 {
            let told = format!("the volumes of the records are {more} more than their sums");
            return Err(BackupError::NotWhole(told));
        }
    }
    Ok(())
}

/// A fifth more than the database has, so that the copy and its check fit.
pub(super) fn check_room(database: &Path, folder: &Path) -> Result<(), BackupError> {
    let needed = database_bytes(database).saturating_mul(6) / 5;
    let free = free_bytes(folder)
        .map_err(|source| BackupError::File { path: folder.to_owned(), source })?;
    if free < needed {
        return Err(BackupError::NoRoom { folder: folder.to_owned(), needed, free });
    }
    Ok(())
}

/// Gives a file its name once it is on disk.
pub(super) fn put_in_place(partial: &Path, path: &Path) -> Result<(), BackupError> {
    let unwritten = |source| BackupError::File { path: path.to_owned(), source };
    File::open(partial).and_then(|file| file.sync_all()).map_err(unwritten)?;
    fs::rename(partial, path).map_err(unwritten)?;
    File::open(folder_of(path)).and_then(|folder| folder.sync_all()).map_err(unwritten)
}

pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// A file that nobody else has open, and that no crash has to spare.
fn alone(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Off)
        .synchronous(SqliteSynchronous::Off)
        .pragma("secure_delete", "on")
        .pragma("temp_store", "memory")
        .disable_statement_logging()
}
