//! Backups: one at a time, made on a thread that answers nobody, since the folder may be far away and
//! hang, and looked at from outside. Held by `tests/it/disk/silent_folder.rs`.
use std::{
    error::Error,
    future::ready,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::Mutex as Turn,
    task::{JoinHandle, spawn_blocking},
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::{
    AdminError, Intake, Trouble, backup_state::BackupState, chores::Upkeep, finished::finished,
    own_copies::OwnCopiesNow,
};
use crate::{
    domain::{AuditAction, AuditNote, Caller, Timestamp, counted},
    store::{
        Backup, BackupError, BackupPlan, CopyOwner, CopyWatch, KnownCopies, NewestBackup,
        RememberedBackups, back_up, checkpoint_beside, newest_backup, remove_parts_of_backups,
    },
};

/// When a copy that failed is tried again.
pub(super) const AGAIN_AFTER: Duration = Duration::from_secs(10 * 60);
/// How often it is looked whether a copy comes on.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A folder that does nothing for so long does not answer.
const SILENCE_MAX: Duration = Duration::from_secs(5 * 60);

/// Why a copy was not made.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// Another one is on its way.
    #[error("a backup is being made already")]
    InTheMaking,
    /// It failed.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The writer did not take part.
    #[error(transparent)]
    Admin(#[from] AdminError),
}

impl KeepError {
    /// Whether another one is being made, or we end.
    fn is_no_failure(&self) -> bool {
        matches!(
            self,
            Self::InTheMaking
                | Self::Backup(BackupError::GivenUp)
                | Self::Admin(AdminError::Stopping)
        )
    }
}

/// The turn to make a copy, and what became of the copies.
#[derive(Debug, Default)]
pub(super) struct Backups {
    pub(super) turn: Arc<Turn<()>>,
    known: Mutex<BackupState>,
    /// By what our copies are known.
    pub(super) owner: Arc<CopyOwner>,
    remembered: Mutex<RememberedBackups>,
    pub(super) own_copies: OwnCopiesNow,
    /// Whether the copy that has the turn does not come on.
    is_silent: AtomicBool,
    /// Whether a copy reads the database, whose log cannot be emptied meanwhile.
    is_reading: AtomicBool,
    /// What the log took while a copy was made that had to be given up for it.
    log_bytes: AtomicU64,
    /// Whether the list of erased SIMs beside the copies has to be brought up to date …
    pub(super) is_list_due: AtomicBool,
    /// … and whether that has the turn, which is soon done.
    pub(super) is_listing: AtomicBool,
}

impl Backups {
    pub(super) fn of((owner, remembered): KnownCopies) -> Self {
        Self { owner: Arc::new(owner), remembered: Mutex::new(remembered), ..Self::default() }
    }

    pub(super) fn remembered(&self) -> RememberedBackups {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn remember(&self, made: RememberedBackups) {
        *self.remembered.lock().unwrap_or_else(PoisonError::into_inner) = made;
    }

    pub(super) fn known<T>(&self, look: impl FnOnce(&mut BackupState) -> T) -> T {
        look(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, made: &Result<Backup, KeepError>, now: Timestamp, took: Duration) {
        self.known(|known| match made {
            Ok(Backup { path, bytes, .. }) => {
                known.newest = Some(NewestBackup { path: path.clone(), at: now, bytes: *bytes });
                (known.took, known.failing) = (Some(took), None);
            }
            Err(error) if error.is_no_failure() => (),
            Err(error) => known.note_failure(error, now),
        });
    }

    /// Has the next copy leave room for the log, where this one did not. Without it each would be given up
    /// at the same point, while older ones that could go stay.
    fn note_log(&self, made: &Result<Backup, BackupError>) {
        match made {
            Err(BackupError::RoomGone { log_grew, .. }) => {
                self.log_bytes.fetch_max(log_grew.saturating_mul(2), Ordering::Relaxed);
            }
            // It may have been much for once.
            Err(BackupError::NoRoom { .. }) => self.log_bytes.store(0, Ordering::Relaxed),
            _ => (),
        }
    }

    /// Whether a copy reads the database.
    pub(super) fn is_reading(&self) -> bool {
        self.is_reading.load(Ordering::Relaxed)
    }

    fn is_silent(&self) -> bool {
        self.is_silent.load(Ordering::Relaxed)
    }

    fn set_silent(&self, is_silent: bool) {
        self.is_silent.store(is_silent, Ordering::Relaxed);
    }
}

impl Intake {
    /// Makes a copy of the database, one at a time. Whoever asked may go: it is finished all the
    /// same.
    pub async fn back_up(&self, caller: Option<&Caller>) -> Result<Backup, KeepError> {
        let caller = caller.cloned();
        let intake = self.clone();
        let making = tokio::spawn(async move {
            let began = Instant::now();
            let making = intake.make_backup();
            let made = match caller {
                None => making.await,
                Some(caller) => {
                    let note = AuditNote::by(&caller, AuditAction::Backup, "store");
                    intake.audited(note, making, copy_in_words).await
                }
            };
            if let Ok(made) = &made {
                intake.remember_backup(made).await;
            }
            intake.shared.backups.note(&made, intake.now(), began.elapsed());
            made
        });
        finished(making).await.unwrap_or_else(|| Err(KeepError::Admin(self.ended())))
    }

    async fn make_backup(&self) -> Result<Backup, KeepError> {
        let keep = &self.shared.options.keep;
        let backups = &self.shared.backups;
        let Some(turn) = backups.take_turn().await else {
            return Err(match backups.is_silent() {
                true => BackupError::Silent { folder: keep.backup_dir.clone() }.into(),
                false => KeepError::InTheMaking,
            });
        };
        let watch = Arc::new(CopyWatch::default());
        let released = self.hold_checkpoints(&watch).await?;
        let (plan, now, runtime) = (self.backup_plan(), self.now(), Handle::current());
        let (seen, intake) = (Arc::clone(&watch), self.clone());
        let making = tokio::spawn(async move {
            let copying = Arc::clone(&seen);
            let work =
                spawn_blocking(move || runtime.block_on(back_up(&plan, &copying, now))).await;
            // Whatever became of it, be it a panic: nothing is held when the next one has the turn.
            seen.note_read();
            if let Err(error) = released.await {
                tracing::error!(%error, "The log of the database may be held since a backup");
            }
            // One that did not come on may have ended after all.
            intake.shared.backups.set_silent(false);
            drop(turn);
            let made = finished(ready(work)).await.unwrap_or(Err(BackupError::GivenUp));
            intake.shared.backups.note_log(&made);
            made
        });
        let backup = self.look_on(making, &watch).await?;
        tracing::info!(
            backup.path = %backup.path.display(),
            backup.bytes,
            backup.records,
            "Made a backup"
        );
        Ok(backup)
    }

    /// Leaves the log alone until the database is read no longer. What was written meanwhile is then
    /// brought back beside the writer, not by a push that would have to wait for all of it.
    async fn hold_checkpoints(&self, watch: &Arc<CopyWatch>) -> Result<JoinHandle<()>, KeepError> {
        self.keep_up(|reply| Upkeep::HoldCheckpoints { is_held: true, reply }).await?;
        self.shared.backups.is_reading.store(true, Ordering::Relaxed);
        let (intake, watch) = (self.clone(), Arc::clone(watch));
        Ok(tokio::spawn(async move {
            watch.until_read().await;
            let database = &intake.shared.options.keep.database;
            if let Err(error) = checkpoint_beside(database).await {
                tracing::warn!(error = &error as &dyn Error, "No checkpoint after a backup");
            }
            intake.shared.backups.is_reading.store(false, Ordering::Relaxed);
            let released =
                intake.keep_up(|reply| Upkeep::HoldCheckpoints { is_held: false, reply }).await;
            if let Err(error) = released {
                // We end, and with us all that is held.
                tracing::debug!(error = &error as &dyn Error, "Checkpoints are still held");
            }
        }))
    }

    /// Waits for a copy as long as it comes on. One that does not keeps its turn until its folder
    /// answers, and is awaited no longer.
    async fn look_on(
        &self,
        mut making: JoinHandle<Result<Backup, BackupError>>,
        watch: &CopyWatch,
    ) -> Result<Backup, BackupError> {
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut steps, mut came_on) = (watch.steps(), Instant::now());
        loop {
            tokio::select! {
                made = finished(&mut making) => return made.unwrap_or(Err(BackupError::GivenUp)),
                _ = look.tick() => (),
            }
            if self.shared.work_ends.is_cancelled() || self.trouble() == Some(Trouble::Stopping) {
                watch.give_up();
            }
            if watch.steps() != steps {
                (steps, came_on) = (watch.steps(), Instant::now());
            } else if came_on.elapsed() > SILENCE_MAX {
                watch.give_up();
                watch.note_read();
                self.shared.backups.set_silent(true);
                let folder = self.shared.options.keep.backup_dir.clone();
                return Err(BackupError::Silent { folder });
            }
        }
    }

    fn note_silent_folder(&self) {
        let folder = self.shared.options.keep.backup_dir.clone();
        let error = BackupError::Silent { folder }.into();
        self.shared.backups.known(|known| known.note_failure(&error, self.now()));
        tracing::error!(error = &error as &dyn Error, "No backup is made until it does");
    }

    fn backup_plan(&self) -> BackupPlan {
        let options = &self.shared.options;
        let pushes_need = vec![self.database_folder(), options.data_dir.clone()];
        BackupPlan {
            database: options.keep.database.clone(),
            folder: options.keep.backup_dir.clone(),
            keep: options.keep.backups_kept,
            pushes_need,
            reserve_bytes: options.disk_reserve_bytes,
            log_bytes: self.shared.backups.log_bytes.load(Ordering::Relaxed),
        }
    }

    /// Makes the copy that is due; gives how long after it the next one is.
    pub(super) async fn back_up_by_itself(&self) -> Duration {
        let every = self.shared.options.keep.backup_every.unwrap_or_default();
        match self.back_up(None).await {
            Ok(_) => every,
            Err(error) if error.is_no_failure() => AGAIN_AFTER.min(every),
            Err(error) => {
                let error = &error as &dyn Error;
                tracing::error!(error, "No backup was made; will try again");
                AGAIN_AFTER.min(every)
            }
        }
    }

    /// When the next copy is due: counted from the one that was made last. One that seems to be made
    /// later than now was made by a wrong clock, so that nobody knows its age.
    pub(super) async fn first_backup(&self) -> Option<Instant> {
        let keep = &self.shared.options.keep;
        let (folder, now) = (keep.backup_dir.clone(), self.now());
        let owner = Arc::clone(&self.shared.backups.owner);
        let mut looking = spawn_blocking(move || {
            if let Err(error) = remove_parts_of_backups(&folder, now, &owner) {
                tracing::warn!(%error, "Parts of backups that were not finished stay");
            }
            newest_backup(&folder, now, &owner)
        });
        let looked = match timeout(SILENCE_MAX, &mut looking).await {
            Ok(looked) => looked,
            Err(_) => {
                self.note_silent_folder();
                looking.await
            }
        };
        self.list_beside_backups();
        // Where there is no folder yet there is no copy.
        let newest = looked.ok().and_then(Result::ok).flatten();
        self.shared.backups.known(|known| {
            known.newest = known.newest.take().or(newest.clone());
        });
        let every = keep.backup_every?;
        let newest = newest.map(|newest| newest.at).filter(|at| *at <= now);
        let age = newest.map_or(every, |at| now.since(at));
        Some(Instant::now() + every.saturating_sub(age))
    }
}

/// Which copy was made, for the audit.
fn copy_in_words(made: &Backup) -> String {
    let name = made.path.file_name().unwrap_or_default().display();
    format!("{name}, {}", counted(made.records, "record", "records"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_log_took_of_the_room_of_a_copy_is_left_for_it_by_the_next() {
        let (backups, folder) = (Backups::default(), std::path::PathBuf::new());
        let log_bytes = || backups.log_bytes.load(Ordering::Relaxed);
        let gone = |log_grew| {
            Err(BackupError::RoomGone { folder: folder.clone(), reserve: 9, free: 8, log_grew })
        };
        backups.note_log(&gone(0));
        assert_eq!(log_bytes(), 0, "others took it");
        backups.note_log(&gone(50));
        backups.note_log(&gone(20));
        assert_eq!(log_bytes(), 100);
        let (needed, own_copies) = (1, String::new());
        let folder = folder.clone();
        let refused = BackupError::NoRoom { folder, needed, reserve: 9, free: 0, own_copies };
        backups.note_log(&Err(refused));
        assert_eq!(log_bytes(), 0);
    }
}
