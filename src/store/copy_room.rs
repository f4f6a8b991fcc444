//! The room for a copy of the database. A copy never takes what pushes need: it is begun only where it
//! fits beside the reserve of the disk, and given up when the reserve is reached while it grows, since
//! others write to the disk, too. Nor does it run ahead of a disk that does not answer: while it reads,
//! the log of the database cannot shrink. Held by `tests/it/disk/copy_room.rs` and
//! `tests/it/disk/silent_folder.rs`.
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use super::{
    backup::BackupError,
    database_file::{database_bytes, log_of},
    disk::{free_bytes, is_same_disk},
    read::give_way,
};

/// How often it is looked at the room while a copy grows.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// A copy waits for a sync that takes longer …
const SYNC_WAIT: Duration = Duration::from_millis(100);
/// … and is given up when one takes so long.
const SYNC_TIME_MAX: Duration = Duration::from_secs(2 * 60);
/// A file system gives back what was removed within this time.
const FREED_WITHIN: Duration = Duration::from_secs(6);
/// The log of the database may become so large while a copy is made, or as large as the database.
const WAL_BYTES_MAX: u64 = 1 << 30;

/// What a copy needs on its disk, and what has to stay free there.
#[derive(Clone, Debug)]
pub(super) struct Claim<'a> {
    /// Where the copy goes.
    pub(super) folder: &'a Path,
    /// What it takes.
    pub(super) needed: u64,
    /// Where pushes need room.
    pub(super) pushes_need: &'a [PathBuf],
    /// How much on each of those disks.
    pub(super) reserve: u64,
    /// What the log of the database takes meanwhile.
    pub(super) log_bytes: u64,
}

impl Claim<'_> {
    /// Makes sure that the copy fits. `remove_one` is told how much is lacking, takes away one older copy
    /// and gives what that took, or nothing where none goes. What comes of it is measured each time: with
    /// snapshots of the file system nothing does, and then no other copy goes.
    pub(super) fn check(
        &self,
        mut remove_one: impl FnMut(u64) -> io::Result<Option<u64>>,
        own_copies: impl FnOnce() -> String,
    ) -> Result<(), BackupError> {
        let unread = |source| BackupError::File { path: self.folder.to_owned(), source };
        let is_shared = self.is_shared().map_err(unread)?;
        let reserve = if is_shared { self.reserve.saturating_add(self.log_bytes) } else { 0 };
        let wanted = self.needed.saturating_add(reserve);
        let mut free = free_bytes(self.folder).map_err(unread)?;
        while free < wanted {
            let Some(bytes) = remove_one(wanted - free).map_err(unread)? else { break };
            let before = free;
            free = free_after_removal(self.folder, before, bytes).map_err(unread)?;
            if free < freed(before, bytes) {
                tracing::warn!(
                    folder = %self.folder.display(),
                    "To remove an old copy made no room there, perhaps for snapshots of the file system: \
                     no other goes"
                );
                break;
            }
        }
        if free >= wanted {
            return Ok(());
        }
        let (folder, needed) = (self.folder.to_owned(), self.needed);
        Err(BackupError::NoRoom { folder, needed, reserve, free, own_copies: own_copies() })
    }

    /// Whether pushes need room on the disk of the copy.
    fn is_shared(&self) -> io::Result<bool> {
        for folder in self.pushes_need {
            if is_same_disk(folder, self.folder)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What is free at least once this much was removed: others write meanwhile.
fn freed(before: u64, bytes: u64) -> u64 {
    before.saturating_add(bytes / 2)
}

/// XFS gives back what was removed a moment later, ZFS some seconds.
fn free_after_removal(folder: &Path, before: u64, bytes: u64) -> io::Result<u64> {
    let removed = Instant::now();
    loop {
        let free = free_bytes(folder)?;
        if free >= freed(before, bytes) || removed.elapsed() > FREED_WITHIN {
            return Ok(free);
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// How a copy fares, for who makes it and for who looks on.
#[derive(Debug, Default)]
pub struct CopyWatch {
    steps: AtomicU64,
    is_given_up: AtomicBool,
    reason: Mutex<Option<BackupError>>,
    is_read: CancellationToken,
}

impl CopyWatch {
    /// Changes as long as the copy comes on.
    pub fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }

    /// Has the copy end as soon as it can. Nothing is left of it then.
    pub fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Relaxed);
    }

    /// Waits until the database is read no longer, so that its log may shrink again.
    pub async fn until_read(&self) {
        self.is_read.cancelled().await;
    }

    /// Notes that it is read no longer.
    pub fn note_read(&self) {
        self.is_read.cancel();
    }

    pub(super) fn step(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Relaxed)
    }

    /// Why the copy was given up, in place of what the database said when it was interrupted.
    pub(super) fn reason(&self, error: BackupError) -> BackupError {
        if !self.is_given_up() || !matches!(error, BackupError::Store(_)) {
            return error;
        }
        let mut reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        reason.take().unwrap_or(BackupError::GivenUp)
    }

    fn give_up_for(&self, why: BackupError) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        self.give_up();
    }
}

/// Since when a growing copy is being synced, if it is.
#[derive(Debug, Default)]
pub(super) struct Syncing(Mutex<Option<Instant>>);

impl Syncing {
    pub(super) fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    fn took(&self) -> Option<Duration> {
        let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.map(|since| since.elapsed())
    }
}

/// Looks at the disks between two steps of a copy.
pub(super) struct Guard {
    watch: Arc<CopyWatch>,
    syncing: Arc<Syncing>,
    folder: PathBuf,
    /// What has to stay free where pushes need room. A disk that had less before lacks it for other
    /// causes.
    floors: Vec<(PathBuf, u64)>,
    wal: PathBuf,
    wal_bytes_before: u64,
    wal_bytes_max: u64,
    looked: Instant,
}

impl Guard {
    pub(super) fn new(
        claim: &Claim<'_>,
        database: &Path,
        watch: &Arc<CopyWatch>,
        syncing: &Arc<Syncing>,
    ) -> Self {
        let floor = |folder: &PathBuf| {
            let has_reserve = free_bytes(folder).is_ok_and(|free| free >= claim.reserve);
            has_reserve.then(|| (folder.clone(), claim.reserve))
        };
        let wal = log_of(database);
        Self {
            watch: Arc::clone(watch),
            syncing: Arc::clone(syncing),
            folder: claim.folder.to_owned(),
            floors: claim.pushes_need.iter().filter_map(floor).collect(),
            wal_bytes_before: bytes_of(&wal),
            wal,
            wal_bytes_max: WAL_BYTES_MAX.max(database_bytes(database)),
            looked: Instant::now(),
        }
    }

    /// Whether the copy goes on. Called often, on the thread that makes it.
    pub(super) fn may_go_on(&mut self) -> bool {
        give_way();
        self.watch.step();
        if self.looked.elapsed() >= LOOK_EVERY {
            if let Err(why) = self.look() {
                self.watch.give_up_for(why);
            }
            self.looked = Instant::now();
        }
        !self.watch.is_given_up()
    }

    fn look(&self) -> Result<(), BackupError> {
        let wal_bytes = bytes_of(&self.wal);
        for (folder, reserve) in &self.floors {
            // Where nobody can tell, the copy itself fails.
            let free = free_bytes(folder).unwrap_or(u64::MAX);
            if free < *reserve {
                let (folder, reserve) = (folder.clone(), *reserve);
                let log_grew = wal_bytes.saturating_sub(self.wal_bytes_before);
                return Err(BackupError::RoomGone { folder, reserve, free, log_grew });
            }
        }
        if wal_bytes > self.wal_bytes_max {
            return Err(BackupError::LogTooLarge { wal_bytes });
        }
        while let Some(took) = self.syncing.took().filter(|took| *took > SYNC_WAIT) {
            if took > SYNC_TIME_MAX {
                return Err(BackupError::Silent { folder: self.folder.clone() });
            }
            if self.watch.is_given_up() {
                break;
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }
}

fn bytes_of(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |file| file.len())
}
