//! The list of erased SIMs beside the backups: where all else is lost, a restore knows from it whom to
//! take out. Each backup brings it along; each erasure, each lift and each start bring it up to date
//! between two backups.
use std::{
    error::Error,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{sync::OwnedMutexGuard, task::spawn_blocking, time::timeout};

use super::{Intake, backups::Backups, finished::finished};
use crate::store::{BackupError, list_beside_copies};

/// A backup waits for so long until the list is written.
const LIST_WAIT: Duration = Duration::from_secs(5);

impl Backups {
    /// The turn to make a copy, if nobody else has it.
    pub(super) async fn take_turn(&self) -> Option<OwnedMutexGuard<()>> {
        match Arc::clone(&self.turn).try_lock_owned() {
            Ok(turn) => Some(turn),
            Err(_) if self.is_listing.load(Ordering::Acquire) => {
                timeout(LIST_WAIT, Arc::clone(&self.turn).lock_owned()).await.ok()
            }
            Err(_) => None,
        }
    }
}

impl Intake {
    /// Brings the list beside the backups up to date, and keeps nobody waiting: their folder may be far
    /// away and hang. Where that fails, backups are said to fail.
    pub(super) fn list_beside_backups(&self) {
        if !self.shared.backups.is_list_due.swap(true, Ordering::AcqRel) {
            let intake = self.clone();
            tokio::spawn(async move { intake.write_list_beside_backups().await });
        }
    }

    async fn write_list_beside_backups(&self) {
        let (backups, keep) = (&self.shared.backups, &self.shared.options.keep);
        // A backup that is being made writes it, too.
        let turn = Arc::clone(&backups.turn).lock_owned().await;
        backups.is_listing.store(true, Ordering::Release);
        backups.is_list_due.store(false, Ordering::Release);
        let (database, folder) = (keep.database.clone(), keep.backup_dir.clone());
        let intake = self.clone();
        let writing = spawn_blocking(move || {
            let written = list_beside_copies(&database, &folder, &intake.shared.backups.owner);
            intake.shared.backups.is_listing.store(false, Ordering::Release);
            drop(turn);
            written.map_err(|source| BackupError::File { path: folder, source })
        });
        if let Some(Err(error)) = finished(writing).await {
            tracing::error!(
                error = &error as &dyn Error,
                "The list of erased SIMs beside the backups was not brought up to date; the next erasure, \
                 backup or start tries again"
            );
            let now = self.now();
            backups.known(|known| known.note_failure(&error.into(), now));
        }
    }
}
