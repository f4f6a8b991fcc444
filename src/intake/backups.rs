//! Backups: one at a time, made on a thread that answers nobody, since the folder may be far away and
//! hang, and looked at from outside. Held by `tests/it/disk/silent_folder.rs`.
use std::{
    error::Error,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
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
    AdminError, Intake, Trouble, chores::Upkeep, finished::finished, own_copies::OwnCopiesNow,
};
use crate::{
    domain::{AuditAction, AuditNote, Caller, Timestamp, counted},
    store::{
        Backup, BackupError, BackupPlan, CopyWatch, NewestBackup, back_up, checkpoint_beside,
        newest_backup, remove_parts_of_backups,
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

/// How backups fare.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackupState {
    /// How often one is made by itself.
    pub every: Option<Duration>,
    /// The one that was made last.
    pub newest: Option<NewestBackup>,
    /// How long that took, if this process made it.
    pub took: Option<Duration>,
    /// How many failed since the start.
    pub failures: u64,
    /// Since when they fail, and why, if the last one did.
    pub failing: Option<(Timestamp, String)>,
}

/// The turn to make a copy, and what became of the copies.
#[derive(Debug, Default)]
pub(super) struct Backups {
    turn: Arc<Turn<()>>,
    known: Mutex<BackupState>,
    pub(super) own_copies: OwnCopiesNow,
    /// Whether the copy that has the turn does not come on.
    is_silent: AtomicBool,
}

impl Backups {
    fn known<T>(&self, look: impl FnOnce(&mut BackupState) -> T) -> T {
        look(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, made: &Result<Backup, KeepError>, now: Timestamp, took: Duration) {
        self.known(|known| match made {
            Ok(Backup { path, bytes, .. }) => {
                known.newest = Some(NewestBackup { path: path.clone(), at: now, bytes: *bytes });
                (known.took, known.failing) = (Some(took), None);
            }
            // Another one is being made, or we end: neither is a failure.
            Err(
                KeepError::InTheMaking
                | KeepError::Backup(BackupError::GivenUp)
                | KeepError::Admin(AdminError::Stopping),
            ) => (),
            Err(error) => known.note_failure(error, now),
        });
    }

    /// Whether a copy is being made that comes on.
    pub(super) fn is_making(&self) -> bool {
        self.turn.try_lock().is_err() && !self.is_silent()
    }

    fn is_silent(&self) -> bool {
        self.is_silent.load(Ordering::Relaxed)
    }

    fn set_silent(&self, is_silent: bool) {
        self.is_silent.store(is_silent, Ordering::Relaxed);
    }
}

impl BackupState {
    fn note_failure(&mut self, error: &KeepError, now: Timestamp) {
        let since = self.failing.as_ref().map_or(now, |(since, _)| *since);
        self.failing = Some((since, with_causes(error)));
        self.failures += 1;
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
            intake.shared.backups.note(&made, intake.now(), began.elapsed());
            made
        });
        finished(making).await.unwrap_or_else(|| Err(KeepError::Admin(self.ended())))
    }

    /// How backups fare.
    pub fn backups(&self) -> BackupState {
        let every = self.shared.options.keep.backup_every;
        self.shared.backups.known(|known| BackupState { every, ..known.clone() })
    }

    /// Since when backups fail that should be made by themselves, and why, if they do.
    pub fn backup_failure(&self) -> Option<(Timestamp, String)> {
        self.shared.options.keep.backup_every?;
        self.shared.backups.known(|known| known.failing.clone())
    }

    async fn make_backup(&self) -> Result<Backup, KeepError> {
        let keep = &self.shared.options.keep;
        let backups = &self.shared.backups;
        let Ok(turn) = Arc::clone(&backups.turn).try_lock_owned() else {
            return Err(match backups.is_silent() {
                true => BackupError::Silent { folder: keep.backup_dir.clone() }.into(),
                false => KeepError::InTheMaking,
            });
        };
        // What is written meanwhile is brought back beside the writer, not by a push that would have
        // to wait for all of it.
        self.keep_up(|reply| Upkeep::HoldCheckpoints { is_held: true, reply }).await?;
        let watch = Arc::new(CopyWatch::default());
        let (plan, now, runtime) = (self.backup_plan(), self.now(), Handle::current());
        let (seen, intake) = (Arc::clone(&watch), self.clone());
        let making = tokio::spawn(async move {
            let work = spawn_blocking(move || runtime.block_on(back_up(&plan, &seen, now)));
            let made = finished(work).await.unwrap_or(Err(BackupError::GivenUp));
            // One that did not come on may have ended after all.
            intake.shared.backups.set_silent(false);
            drop(turn);
            made
        });
        let done = self.look_on(making, &watch).await;
        if let Err(error) = checkpoint_beside(&keep.database).await {
            tracing::warn!(error = &error as &dyn Error, "No checkpoint after a backup");
        }
        self.keep_up(|reply| Upkeep::HoldCheckpoints { is_held: false, reply }).await?;
        let backup = done?;
        tracing::info!(
            backup.path = %backup.path.display(),
            backup.bytes,
            backup.records,
            "Made a backup"
        );
        Ok(backup)
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
        }
    }

    /// Makes the copy that is due; gives how long after it the next one is.
    pub(super) async fn back_up_by_itself(&self) -> Duration {
        let every = self.shared.options.keep.backup_every.unwrap_or_default();
        match self.back_up(None).await {
            Ok(_) => every,
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
        let mut looking = spawn_blocking(move || {
            if let Err(error) = remove_parts_of_backups(&folder, now) {
                tracing::warn!(%error, "Parts of backups that were not finished stay");
            }
            newest_backup(&folder, now)
        });
        let looked = match timeout(SILENCE_MAX, &mut looking).await {
            Ok(looked) => looked,
            Err(_) => {
                self.note_silent_folder();
                looking.await
            }
        };
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

fn with_causes(error: &KeepError) -> String {
    let first: &dyn Error = error;
    let causes = std::iter::successors(Some(first), |it| (*it).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
