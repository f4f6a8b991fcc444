//! The room of every folder that simdeck writes to: they may lie on disks of their own.
use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};

use super::Intake;
use crate::store::{Disk, disk_of};

/// How often the backup folder is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// What was seen so long ago may be another by now: a folder on another machine may hang.
const GOOD_FOR: Duration = Duration::from_secs(60);
/// What the small files in the data directory need, with room to spare.
const DATA_BYTES_MIN: u64 = 16 << 20;

/// A folder that simdeck writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folder {
    /// Where the database lies.
    Database,
    /// The data directory.
    Data,
    /// Where copies go.
    Backups,
}

impl Folder {
    /// Its word in API and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Data => "data",
            Self::Backups => "backups",
        }
    }
}

/// How much room a folder has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderRoom {
    /// Which one it is.
    pub folder: Folder,
    /// Where it lies.
    pub path: PathBuf,
    /// Bytes that are free for us on its disk; none where nobody can tell, or it does not answer.
    pub free_bytes: Option<u64>,
    /// Whether it lies on another disk than the database, where that is known.
    pub is_elsewhere: Option<bool>,
}

/// How the disk of the backup folder stood, and when that was seen.
#[derive(Default)]
pub(super) struct BackupDisk(Mutex<Option<(Instant, Option<Disk>)>>);

impl BackupDisk {
    fn note(&self, disk: Option<Disk>) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = Some((Instant::now(), disk));
    }

    fn read(&self) -> Option<Disk> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.filter(|(at, _)| at.elapsed() < GOOD_FOR).and_then(|(_, disk)| disk)
    }
}

impl Intake {
    /// The folders that simdeck writes to, and how much room each has.
    pub(super) fn folder_rooms(&self) -> Vec<FolderRoom> {
        let options = &self.shared.options;
        let database = disk_of(&self.database_folder()).ok();
        let room = |folder, path: &Path, disk: Option<Disk>| FolderRoom {
            folder,
            path: path.to_owned(),
            free_bytes: disk.map(|disk| disk.free_bytes),
            is_elsewhere: database.zip(disk).map(|(one, other)| one.device != other.device),
        };
        vec![
            room(Folder::Database, &self.database_folder(), database),
            room(Folder::Data, &options.data_dir, disk_of(&options.data_dir).ok()),
            room(Folder::Backups, &options.keep.backup_dir, self.shared.backup_disk.read()),
        ]
    }

    /// The data directory, if it lies on a disk of its own that has hardly any room. Pushes are stored
    /// all the same, but keys cannot be kept, and after the next start no command finds the server.
    pub fn data_folder_low(&self) -> Option<FolderRoom> {
        let min = DATA_BYTES_MIN.min(self.shared.options.disk_reserve_bytes);
        self.folder_rooms().into_iter().find(|room| {
            room.folder == Folder::Data
                && room.is_elsewhere == Some(true)
                && room.free_bytes.is_some_and(|free| free < min)
        })
    }

    /// Looks at the backup folder for as long as the process lives. It may be far away and hang: each
    /// look has a thread of its own, which nothing waits for at the end, and there is one at most.
    pub(super) async fn watch_backup_folder(&self) {
        loop {
            let (seen, disk) = oneshot::channel();
            let folder = self.shared.options.keep.backup_dir.clone();
            let (before, look) = (self.backups(), self.look_at_backups());
            let looking =
                thread::Builder::new().name("simdeck-folder".to_owned()).spawn(move || {
                    if seen.send((disk_of(&folder).ok(), look())).is_err() {
                        tracing::trace!("Nobody waits for this look any more");
                    }
                });
            match looking {
                Ok(_) => {
                    let (disk, look) = disk.await.ok().unzip();
                    self.shared.backup_disk.note(disk.flatten());
                    match look {
                        Some(Ok(look)) => self.note_look_at_backups(&before, look),
                        Some(Err(error)) => {
                            tracing::debug!(%error, "The backups cannot be looked at");
                        }
                        None => (),
                    }
                }
                Err(error) => tracing::debug!(%error, "The backup folder cannot be looked at"),
            }
            sleep(LOOK_EVERY).await;
        }
    }
}
