//! The room on the disk, and until when it lasts.
use std::{error::Error, path::PathBuf, time::Duration};

use super::{Intake, Trouble, folders::FolderRoom, growth::Lasts};
use crate::store::{database_bytes, database_folder, free_bytes};

/// How often the disk is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How the disk stands that holds the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskState {
    /// Bytes that are free for us.
    pub free_bytes: Option<u64>,
    /// Bytes that are to be left free.
    pub reserve_bytes: u64,
    /// What database and log take.
    pub database_bytes: u64,
    /// When nothing but the reserve is left, if the database grows as it did in the last week.
    pub lasts: Lasts,
    /// The folders that simdeck writes to, each with the room on its own disk.
    pub folders: Vec<FolderRoom>,
}

impl Intake {
    /// How the disk stands, and when it will be full.
    pub fn disk(&self) -> DiskState {
        let options = &self.shared.options;
        let free = free_bytes(&self.database_folder()).ok();
        let reserve_bytes = options.disk_reserve_bytes;
        DiskState {
            free_bytes: free,
            reserve_bytes,
            database_bytes: database_bytes(&options.keep.database),
            lasts: free.map_or(Lasts::Unknown, |free| self.disk_lasts(free)),
            folders: self.folder_rooms(),
        }
    }

    /// Where pushes are written to: the reserve is left free on this disk.
    pub(super) fn database_folder(&self) -> PathBuf {
        database_folder(&self.shared.options.keep.database)
    }

    /// Looks at the room on the disk for as long as the process lives.
    pub(super) async fn watch_disk(&self) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            look.tick().await;
            // The writer looks itself before it closes the database, which takes the log away.
            if self.trouble() != Some(Trouble::Stopping) {
                self.check_files();
            }
            match free_bytes(&self.database_folder()) {
                Ok(free) => {
                    let is_low = self.is_low(free).await;
                    self.note_disk(is_low);
                }
                Err(error) => tracing::warn!(%error, "Cannot tell how much room the disk has"),
            }
        }
    }

    /// Whether new records would eat the reserve. Room within the database, which a prune has made,
    /// is as good as room on the disk, as long as there is some for the log.
    async fn is_low(&self, free: u64) -> bool {
        let reserve = self.shared.options.disk_reserve_bytes;
        if free >= reserve {
            return false;
        }
        let inside = match self.shared.store.bytes_inside().await {
            Ok((_, inside)) => inside,
            // All readers are busy: that makes no room and takes none.
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn Error,
                    "The room within the database is not known"
                );
                self.known_inside()
            }
        };
        eats_reserve(free, inside, reserve)
    }
}

/// Whether so little is free, on the disk and inside the database, that new records eat the reserve.
pub fn eats_reserve(free: u64, inside: u64, reserve: u64) -> bool {
    free < reserve / 4 || free.saturating_add(inside) < reserve
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_inside_the_database_is_as_good_while_a_quarter_of_the_reserve_is_free() {
        for (free, inside, is_low) in [
            (0, u64::MAX, true),
            (99, 1_000, true),
            (100, 1_000, false),
            (100, 300, false),
            (100, 299, true),
            (399, 0, true),
            (399, 1, false),
            (400, 0, false),
            (500, 0, false),
        ] {
            assert_eq!(eats_reserve(free, inside, 400), is_low, "{free} and {inside}");
        }
        assert!(!eats_reserve(0, 0, 0));
    }
}
