//! Puts a copy of the database in the database's place.
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, utimensat};
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};

use super::{
    OpenError, OpenOptions, StoreError,
    backup::{BackupError, folder_of, put_in_place},
    copy_owner::{CopyOwner, carry_epochs, epochs_in},
    copy_room::Claim,
    database_file::{beside, database_bytes, own_name},
    erasures::{self, Secrets},
    foreign_names::{ErasedHashes, erased_in},
    integrity::{Depth, check},
    kept_copies::{REPLACED, forget_copies, own_copies},
    leftovers::{RESTORING, remove_parts},
    made_files::make_file,
    migrate::{Progress, last_migration, newest_migration},
    missing::missing_database,
    open::{check_list, for_reading, for_writing, open_with},
    other_program,
};
use crate::domain::{
    AUDITED_COMMAND, AuditAction, AuditNote, Clock, SystemClock, Timestamp, counted,
};

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// When the copy was made.
    pub backed_up_at: Option<Timestamp>,
    /// The newest id.
    pub last_id: i64,
    /// How many records of all kinds there are.
    pub records: i64,
    /// Labels of the API keys that were live then and open nothing now.
    pub api_keys: Vec<String>,
    /// Where the database lies that was there before.
    pub replaced: Option<PathBuf>,
    /// Whether a list beside the copy, or beside the database, names the SIMs that were erased since.
    pub has_list: bool,
    /// The schema of the older version that the copy is of, and the one that it was brought to.
    pub migrated: Option<(i64, i64)>,
}

/// Why nothing was restored. What was there is there still.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The copy cannot be used.
    #[error("{path} cannot be restored")]
    Backup {
        /// The copy.
        path: PathBuf,
        /// The cause.
        source: BackupError,
    },
    /// It cannot be opened as a store.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// Puts a copy in the database's place, under a new epoch and without the SIMs that were erased
/// since. The data directory has to be ours; until the last moment the old database is there.
pub async fn restore(
    backup: &Path,
    options: &OpenOptions,
    is_verified: bool,
) -> Result<Restored, RestoreError> {
    restore_telling(backup, options, is_verified, &|_| ()).await
}

/// The same, and tells how far it is while the schema of an older copy is brought up to date.
pub async fn restore_telling(
    backup: &Path,
    options: &OpenOptions,
    is_verified: bool,
    progress: Progress<'_>,
) -> Result<Restored, RestoreError> {
    let list = erasures::list_of(&options.database);
    let options = &OpenOptions { database: own_name(&options.database), ..options.clone() };
    let partial = beside(&options.database, RESTORING);
    let how = (is_verified, progress);
    let restored = restore_by((&partial, &list), backup, options, how).await;
    if restored.is_err() {
        remove_parts(&partial);
    }
    restored
}

async fn restore_by(
    (partial, list): (&Path, &Path),
    backup: &Path,
    options: &OpenOptions,
    (is_verified, progress): (bool, Progress<'_>),
) -> Result<Restored, RestoreError> {
    let wrong = |source: BackupError| RestoreError::Backup { path: backup.to_owned(), source };
    let database = &options.database;
    other_program::refuse_with_log(database).await?;
    check_room(backup, options).map_err(wrong)?;
    bring(backup, partial).map_err(wrong)?;
    let mut restored = prepare(database, partial, is_verified).await.map_err(wrong)?;
    let (secrets, erased) = carry_secrets(database, partial).await.map_err(wrong)?;
    let ours = erasures::read(list)
        .map_err(|source| wrong(BackupError::File { path: list.to_owned(), source }))?;
    let of_copies = erasures::list_in(folder_of(backup));
    restored.has_list = of_copies.exists() || list.exists();
    // Before the two lists are one: a refusal must leave ours as it was.
    let named = check_list(&secrets, &erased, backup, &of_copies, &ours)?;
    // If this ends before its end, the old database has to understand the list of both.
    give_secrets(&secrets, database).await;
    erasures::add(list, &named)
        .map_err(|source| wrong(BackupError::File { path: list.to_owned(), source }))?;
    let of_copy = OpenOptions { database: partial.to_owned(), ..options.clone() };
    let opened = open_with(&of_copy, list, false, progress).await?;
    let mut writer = opened.writer;
    opened.store.close().await;
    writer
        .audit(&note(backup, &restored), SystemClock.now())
        .await
        .map_err(|error| wrong(error.into()))?;
    writer.close().await.map_err(|error| wrong(error.into()))?;
    forget_copies(partial, Timestamp::from_unix_ms(i64::MAX)).map_err(wrong)?;
    restored.replaced = set_aside(database).await.map_err(wrong)?;
    put_in_place(partial, database).map_err(wrong)?;
    Ok(restored)
}

/// A fifth more than the copy has, so that a newer schema fits. What the old database takes stays taken,
/// and pushes need their room as soon as the server starts.
fn check_room(backup: &Path, options: &OpenOptions) -> Result<(), BackupError> {
    // To ask the database which are its own would leave a log beside it, where nothing is restored.
    let owner = CopyOwner::default();
    let folder = folder_of(&options.database);
    let claim = Claim {
        folder,
        needed: database_bytes(backup).saturating_mul(6) / 5,
        pushes_need: &[folder.to_owned()],
        reserve: options.limits.disk_reserve_bytes,
        log_bytes: 0,
    };
    let copies = || own_copies(&options.database, folder_of(backup), &owner).unwrap_or_default();
    // None of them goes by itself: each may be the one that is to be restored next.
    claim.check(|_| Ok(None), || copies().to_string())
}

/// What the restored store says of how it came about.
fn note(backup: &Path, restored: &Restored) -> AuditNote {
    let name = backup.file_name().unwrap_or_default().display().to_string();
    let as_of = restored.backed_up_at.map_or("an unknown time".to_owned(), |at| at.to_string());
    let records = counted(restored.records, "record", "records");
    let details = format!("{records}, as of {as_of}");
    AuditNote::by_itself(AUDITED_COMMAND, AuditAction::Restore, name, details)
}

/// Copies the file and the log beside it, with no log of an earlier try beside the copy.
fn bring(backup: &Path, partial: &Path) -> Result<(), BackupError> {
    let unwritten = |source| BackupError::File { path: partial.to_owned(), source };
    for ending in ["", "-wal", "-shm"] {
        remove(&beside(partial, ending)).map_err(unwritten)?;
    }
    let unread = |source| BackupError::File { path: backup.to_owned(), source };
    match fs::metadata(backup) {
        Ok(file) if file.is_dir() => {
            return Err(BackupError::Unusable("it is a folder and no backup"));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(BackupError::Unusable("it is not there"));
        }
        _ => (),
    }
    let mut from = File::open(backup).map_err(unread)?;
    let mut to = make_file(partial).map_err(unwritten)?;
    io::copy(&mut from, &mut to).map_err(unwritten)?;
    to.sync_all().map_err(unwritten)?;
    // A copy of the files of a server that was killed has its newest records in the log.
    let log = beside(backup, "-wal");
    if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        let copied = File::open(&log)
            .and_then(|mut log| io::copy(&mut log, &mut make_file(&beside(partial, "-wal"))?));
        copied.map_err(|source| BackupError::File { path: log, source })?;
    }
    Ok(())
}

/// Checks the copy and gives it an epoch of its own.
async fn prepare(
    database: &Path,
    partial: &Path,
    is_verified: bool,
) -> Result<Restored, BackupError> {
    const OURS: &str = "
        select count(*) from sqlite_schema
        where type = 'table' and name in ('meta', 'seq', 'tally', 'usage', 'erased')";
    const EPOCH: &str = "update meta set value = $1 where name = 'epoch'";
    const TOLD: &str = "
        select (select value from meta where name = 'backed_up_ms'), (select last from seq),
            (select coalesce(sum(records - gone), 0) from tally)";
    const KEYS: &str = "
        select label from api_key
        where revoked_ms = (select cast(value as integer) from meta where name = 'backed_up_ms')
        order by id";
    let mut copy = for_writing(partial).connect().await?;
    let tables: i64 = sqlx::query_scalar(OURS).fetch_one(&mut copy).await?;
    if tables != 5 {
        return Err(BackupError::NotWhole("it is no backup of this version of simdeck".to_owned()));
    }
    check(&mut copy, if is_verified { Depth::Whole } else { Depth::Quick }).await?;
    let epochs = epochs_in(&mut copy).await?;
    let was_there = missing_database(folder_of(database), database).is_some();
    carry_epochs((database, is_there(database) || was_there), &mut copy, epochs).await?;
    sqlx::query(EPOCH).bind(format!("{:016x}", rand::random::<u64>())).execute(&mut copy).await?;
    let (at_ms, last_id, records): (Option<String>, i64, i64) =
        sqlx::query_as(TOLD).fetch_one(&mut copy).await?;
    let api_keys = sqlx::query_scalar(KEYS).fetch_all(&mut copy).await?;
    let schema = last_migration(&mut copy).await?.unwrap_or_default();
    copy.close().await?;
    let backed_up_at = at_ms.and_then(|ms| ms.parse().ok()).map(Timestamp::from_unix_ms);
    let migrated = (schema < newest_migration()).then(|| (schema, newest_migration()));
    let (replaced, has_list) = (None, false);
    Ok(Restored { backed_up_at, last_id, records, api_keys, replaced, has_list, migrated })
}

/// Takes over the secrets by which the database that goes named erased SIMs in its list. Without them
/// the list would tell nothing, where the copy is of another store. Gives all that the copy has then, and
/// the erasures that it knows.
async fn carry_secrets(
    database: &Path,
    partial: &Path,
) -> Result<(Secrets, ErasedHashes), BackupError> {
    let mut copy = for_writing(partial).connect().await?;
    let read = async {
        let mut old = for_reading(database).connect().await?;
        let secrets = Secrets::load(&mut old).await?;
        old.close().await?;
        Ok::<_, StoreError>(secrets)
    };
    match read.await {
        Ok(secrets) => secrets.carry_to(&mut copy).await?,
        Err(_) if !is_there(database) => (),
        // If the list needs them, opening the copy fails with what to do.
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "The secrets of the old database cannot be read");
        }
    }
    let told = (Secrets::load(&mut copy).await?, erased_in(&mut copy).await?);
    copy.close().await?;
    Ok(told)
}

/// Gives the database that goes the secrets of the one that comes. One that takes none is no worse off
/// than it is.
async fn give_secrets(secrets: &Secrets, database: &Path) {
    if !is_there(database) {
        return;
    }
    let given = async {
        let mut old = for_writing(database).connect().await?;
        secrets.carry_to(&mut old).await?;
        old.close().await?;
        Ok::<_, StoreError>(())
    };
    if let Err(error) = given.await {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(error, "The old database cannot be given the secrets of the copy's list");
    }
}

/// Gives the database that is there a second name, and takes its log away, which beside another database
/// would be poison: it is brought back into the old one first. A database that is gone may have left its
/// log, too.
async fn set_aside(database: &Path) -> Result<Option<PathBuf>, BackupError> {
    let is_there = is_there(database);
    if is_there {
        bring_log_back(database).await?;
    }
    let aside = name_aside(database);
    let unwritten = |source| BackupError::File { path: aside.clone(), source };
    for ending in ["-wal", "-shm"] {
        let left = beside(database, ending);
        if left.exists() {
            fs::rename(&left, beside(&aside, ending)).map_err(unwritten)?;
        }
    }
    if !is_there {
        return Ok(None);
    }
    fs::hard_link(database, &aside).map_err(unwritten)?;
    // It is kept for some time from now on, whenever it was written last.
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let times = Timestamps { last_access: now, last_modification: now };
    utimensat(CWD, &aside, &times, AtFlags::empty()).map_err(|error| unwritten(error.into()))?;
    Ok(Some(aside))
}

/// Whether there is a database. SQLite takes an empty file for a new one, and deletes the log beside it.
fn is_there(database: &Path) -> bool {
    fs::metadata(database).is_ok_and(|file| file.len() > 0)
}

async fn bring_log_back(database: &Path) -> Result<(), BackupError> {
    let old = SqliteConnectOptions::new().filename(database).disable_statement_logging();
    match old.connect().await {
        Ok(mut old) => {
            let done = sqlx::query("pragma wal_checkpoint(truncate)").execute(&mut old).await;
            if let Err(error) = done {
                tracing::warn!(%error, "The old database does not take its log back");
            }
            old.close().await?;
        }
        Err(error) => tracing::warn!(%error, "The old database cannot be opened"),
    }
    Ok(())
}

/// A name that no earlier restore has given away: what that has replaced may be the one that is wanted.
fn name_aside(database: &Path) -> PathBuf {
    let is_free =
        |aside: &PathBuf| ["", "-wal", "-shm"].iter().all(|ending| !beside(aside, ending).exists());
    let first = beside(database, REPLACED);
    let others = (2_u64..).map(|nth| beside(database, &format!("{REPLACED}-{nth}")));
    [first.clone()].into_iter().chain(others).find(is_free).unwrap_or(first)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
