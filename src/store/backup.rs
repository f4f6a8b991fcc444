//! Copies of the database: taken while it is written, checked, and whole or not there.
use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use sqlx::{
    ConnectOptions, Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use tokio::task::{JoinHandle, spawn_blocking};

use super::{
    RememberedBackups, StoreError, copies,
    copy_owner::{CopyOwner, epochs_in, known_copies},
    copy_room::{Claim, CopyWatch, Guard, Syncing},
    erasures::{self, Secrets},
    foreign_names::{ErasedHashes, erased_in, rename},
    integrity::{Depth, check},
    kept_copies::own_copies,
    leftovers::remove_parts,
    made_files::{make_file, make_folder},
    read::give_way,
};
use crate::domain::{Timestamp, mib};

/// How many steps of SQLite's machine pass between two looks at how a copy fares.
const STEPS_BETWEEN_LOOKS: i32 = 10_000;
/// The same while rows are copied: one takes three steps, and may be as large as a push.
const STEPS_BETWEEN_LOOKS_AT_ROOM: i32 = 100;

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
    /// What the store has to remember of its copies now.
    pub remembered: RememberedBackups,
}

/// Where copies go, how many stay there, and what they must leave.
#[derive(Clone, Debug)]
pub struct BackupPlan {
    /// The database.
    pub database: PathBuf,
    /// Where the copies go.
    pub folder: PathBuf,
    /// How many stay there.
    pub keep: usize,
    /// Where pushes need room.
    pub pushes_need: Vec<PathBuf>,
    /// How many bytes have to stay free for them on each of those disks.
    pub reserve_bytes: u64,
    /// What the log of the database takes meanwhile, as far as it is known.
    pub log_bytes: u64,
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The disk has too little room.
    #[error(
        "the copy takes {} and {} have to stay free for pushes, and {} has {} MiB{}{own_copies}",
        mib(*needed), mib(*reserve), folder.display(), free >> 20,
        if own_copies.is_empty() { "" } else { "; " },
    )]
    NoRoom {
        /// Where it should lie.
        folder: PathBuf,
        /// What it takes.
        needed: u64,
        /// What has to stay free.
        reserve: u64,
        /// What is free.
        free: u64,
        /// A clause that names other copies of ours there.
        own_copies: String,
    },
    /// Pushes would soon have had no room, by whatever took it meanwhile.
    #[error(
        "it was given up half way, since {} have to stay free for pushes and {} has {} MiB left",
        mib(*reserve), folder.display(), free >> 20
    )]
    RoomGone {
        /// Where pushes need room.
        folder: PathBuf,
        /// What has to stay free.
        reserve: u64,
        /// What is free.
        free: u64,
        /// What the log of the database took of it, which shrinks only when the copy has ended.
        log_grew: u64,
    },
    /// So much was written meanwhile that the log has become too large, which shrinks only when the copy
    /// has ended.
    #[error(
        "it was given up half way, since it takes so long that the log of the database has grown to {}",
        mib(*wal_bytes)
    )]
    LogTooLarge {
        /// How large the log is.
        wal_bytes: u64,
    },
    /// The folder does not answer.
    #[error("{} does not answer", folder.display())]
    Silent {
        /// Where it should lie.
        folder: PathBuf,
    },
    /// We end.
    #[error("it was given up half way, since simdeck is stopping")]
    GivenUp,
    /// The copy is not what the database is.
    #[error("the copy is not whole: {0}")]
    NotWhole(String),
    /// What should be a copy is none.
    #[error("{0}")]
    Unusable(&'static str),
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

impl BackupError {
    /// Whether it is for lack of room.
    pub fn is_for_room(&self) -> bool {
        match self {
            Self::NoRoom { .. } | Self::RoomGone { .. } => true,
            Self::File { source, .. } => {
                matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
            }
            Self::Store(error) => error.is_disk_full(),
            _ => false,
        }
    }
}

impl From<sqlx::Error> for BackupError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Copies a database into a folder while others write it, and keeps the copies there that were made
/// last, so many. Rings, signatures, API keys, links and sessions are left out. The folder may be far
/// away and hang: not to be called where requests are answered.
pub async fn back_up(
    plan: &BackupPlan,
    watch: &Arc<CopyWatch>,
    now: Timestamp,
) -> Result<Backup, BackupError> {
    let folder = &*plan.folder;
    let unwritten = |source| BackupError::File { path: folder.to_owned(), source };
    make_folder(folder).map_err(unwritten)?;
    let (owner, remembered) = known_copies(&plan.database).await?;
    copies::remove_partial(folder, now, &owner).map_err(unwritten)?;
    let lost = copies::lost_backup(folder, plan.keep, &owner, &remembered).map_err(unwritten)?;
    let (path, partial) = copies::next(folder, now, &owner).map_err(unwritten)?;
    let done = match copied(plan, &partial, (watch, &owner), now).await {
        Ok(_) if watch.is_given_up() => Err(BackupError::GivenUp),
        done => done,
    };
    let made = match done {
        Ok(told) => finish(plan, (&partial, &path), told, (lost, &owner, now)),
        Err(error) => Err(watch.reason(error)),
    };
    if made.is_err() {
        remove_parts(&partial);
    }
    made
}

/// Gives a copy that is whole its name.
fn finish(
    plan: &BackupPlan,
    (partial, path): (&Path, &Path),
    (last_id, records, secrets, erased): (i64, i64, Secrets, ErasedHashes),
    (lost, owner, now): (Option<PathBuf>, &CopyOwner, Timestamp),
) -> Result<Backup, BackupError> {
    let folder = &*plan.folder;
    let unwritten = |source| BackupError::File { path: folder.to_owned(), source };
    // The list goes with the copies: where all else is lost, a restore still knows it.
    let beside_copies = erasures::list_in(folder);
    let named = erasures::read(&erasures::list_of(&plan.database)).map_err(unwritten)?;
    erasures::add(&beside_copies, &named).map_err(unwritten)?;
    rename(&beside_copies, &secrets, &erased).map_err(unwritten)?;
    put_in_place(partial, path)?;
    if let Err(error) = copies::rotate(folder, plan.keep, now, owner) {
        tracing::warn!(%error, "An old backup could not be removed");
    }
    let bytes = fs::metadata(path).map_err(unwritten)?.len();
    let remembered = RememberedBackups::after(path, lost);
    Ok(Backup { path: path.to_owned(), bytes, last_id, records, remembered })
}

/// Brings the list of erased SIMs beside the copies up to date, where there are copies. Their folder may
/// be far away and hang.
pub fn list_beside_copies(database: &Path, folder: &Path, owner: &CopyOwner) -> io::Result<()> {
    if !folder.is_dir() || copies::sizes(folder, owner)?.is_empty() {
        return Ok(());
    }
    let named = erasures::read(&erasures::list_of(database))?;
    erasures::add(&erasures::list_in(folder), &named)
}

async fn copied(
    plan: &BackupPlan,
    partial: &Path,
    (watch, owner): (&Arc<CopyWatch>, &CopyOwner),
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
    let (folder, reserve) = (&*plan.folder, plan.reserve_bytes);
    let (pushes_need, log_bytes) = (&plan.pushes_need, plan.log_bytes);
    let claim = Claim { folder, needed: 0, pushes_need, reserve, log_bytes };
    let remove_one = |lacks| copies::remove_oldest(folder, lacks, now, owner);
    copy(&plan.database, partial, claim, remove_one, watch).await?;
    watch.note_read();
    let mut copy = alone(partial).connect().await?;
    let seen = Arc::clone(watch);
    copy.lock_handle().await?.set_progress_handler(STEPS_BETWEEN_LOOKS, move || {
        give_way();
        seen.step();
        !seen.is_given_up()
    });
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

/// Writes a copy of one moment, where it fits. It is made by a connection of its own, which holds nobody
/// back.
pub(super) async fn copy(
    database: &Path,
    to: &Path,
    claim: Claim<'_>,
    remove_one: impl FnMut(u64) -> io::Result<Option<u64>>,
    watch: &Arc<CopyWatch>,
) -> Result<(), BackupError> {
    let unwritten = |source| BackupError::File { path: to.to_owned(), source };
    let mut reader = SqliteConnectOptions::new()
        .filename(database)
        .read_only(true)
        // It holds for the copy, which is synced beside: a sync that hangs must not hold what is read.
        .synchronous(SqliteSynchronous::Off)
        .pragma("temp_store", "memory")
        .disable_statement_logging()
        .connect()
        .await?;
    let claim = Claim { needed: bytes_of_copy(&mut reader).await?, ..claim };
    let owner = CopyOwner::of(epochs_in(&mut reader).await?);
    claim.check(remove_one, || own_copies_told(database, claim.folder, &owner))?;
    drop(make_file(to).map_err(unwritten)?);
    let syncing = Arc::new(Syncing::default());
    let mut guard = Guard::new(&claim, database, watch, &syncing);
    reader
        .lock_handle()
        .await?
        .set_progress_handler(STEPS_BETWEEN_LOOKS_AT_ROOM, move || guard.may_go_on());
    let to = to.to_str().ok_or_else(|| {
        unwritten(io::Error::new(io::ErrorKind::InvalidFilename, "its name is no UTF-8"))
    })?;
    let (end, synced) = trickle_to_disk(File::open(to).map_err(unwritten)?, syncing);
    let done = sqlx::query("vacuum into $1").bind(to).execute(&mut reader).await;
    // What was read is held no longer, whatever becomes of the copy.
    let closed = reader.close().await;
    // Its descriptor is closed before anybody opens the copy: closing it drops SQLite's locks.
    drop(end);
    if let Err(error) = synced.await {
        tracing::debug!(%error, "A growing copy could not be synced");
    }
    done.map_err(|error| watch.reason(error.into()))?;
    Ok(closed?)
}

/// What a copy takes: the pages that are in use. Packed anew, trees may come out a little larger.
async fn bytes_of_copy(reader: &mut SqliteConnection) -> Result<u64, BackupError> {
    const BYTES_IN_USE: &str = "
        select (page_count - freelist_count) * page_size
        from pragma_page_count, pragma_freelist_count, pragma_page_size";
    let bytes: i64 = sqlx::query_scalar(BYTES_IN_USE).fetch_one(reader).await?;
    Ok(u64::try_from(bytes).unwrap_or_default().saturating_mul(21) / 20)
}

fn own_copies_told(database: &Path, folder: &Path, owner: &CopyOwner) -> String {
    own_copies(database, folder, owner).map(|copies| copies.to_string()).unwrap_or_default()
}

/// Has a growing file written to the disk bit by bit until the answer is dropped. Left alone, all
/// of it would be flushed at once, and a commit's sync would wait behind it: half a second for half
/// a gigabyte.
fn trickle_to_disk(file: File, syncing: Arc<Syncing>) -> (mpsc::Sender<()>, JoinHandle<()>) {
    const EVERY: Duration = Duration::from_millis(20);
    let (end, ended) = mpsc::channel();
    let trickling = spawn_blocking(move || {
        while ended.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
            syncing.set(Some(Instant::now()));
            // Whoever gives the copy its name syncs it too, and hears of a failure.
            if let Err(error) = file.sync_data() {
                tracing::debug!(%error, "A growing copy could not be synced");
            }
            syncing.set(None);
        }
    });
    (end, trickling)
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
pub(super) fn alone(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Off)
        .synchronous(SqliteSynchronous::Off)
        .pragma("secure_delete", "on")
        .pragma("temp_store", "memory")
        .disable_statement_logging()
}
