//! How backups fare, and what the store remembers of them. Held by `tests/it/disk/shared_folder.rs`.
use std::{error::Error, io, path::PathBuf, sync::Arc, time::Duration};

use super::{Intake, KeepError, chores::Upkeep};
use crate::{
    domain::Timestamp,
    store::{Backup, NewestBackup, lost_backup, newest_backup},
};

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
    /// Since when the copy that was made last is not in its folder any more, and which, if it is not.
    pub lost: Option<(Timestamp, PathBuf)>,
}

/// What a look at the folder has found.
#[derive(Debug)]
pub(super) struct BackupLook {
    pub(super) newest: Option<NewestBackup>,
    pub(super) lost: Option<PathBuf>,
}

impl BackupState {
    pub(super) fn note_failure(&mut self, error: &KeepError, now: Timestamp) {
        let since = self.failing.as_ref().map_or(now, |(since, _)| *since);
        self.failing = Some((since, with_causes(error)));
        self.failures += 1;
    }
}

impl Intake {
    /// Notes what a look at the folder has found, unless a copy was made since that began: people may take
    /// copies away.
    pub(super) fn note_look_at_backups(&self, before: &BackupState, look: BackupLook) {
        let now = self.now();
        self.shared.backups.known(|known| {
            let path = |newest: &Option<NewestBackup>| newest.as_ref().map(|it| it.path.clone());
            if known.newest != before.newest {
                return;
            }
            if path(&known.newest) != path(&look.newest) {
                (known.newest, known.took) = (look.newest, None);
            }
            let since = known.lost.take().map_or(now, |(since, _)| since);
            known.lost = look.lost.map(|lost| (since, lost));
        });
    }

    /// What a look at the folder finds. It may be far away and hang.
    pub(super) fn look_at_backups(
        &self,
    ) -> impl FnOnce() -> io::Result<BackupLook> + Send + 'static {
        let (keep, backups) = (&self.shared.options.keep, &self.shared.backups);
        let (folder, kept, now) = (keep.backup_dir.clone(), keep.backups_kept, self.now());
        let (owner, remembered) = (Arc::clone(&backups.owner), backups.remembered());
        move || {
            let newest = match newest_backup(&folder, now, &owner) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                newest => newest?,
            };
            let lost = lost_backup(&folder, kept, &owner, &remembered)?;
            Ok(BackupLook { newest, lost })
        }
    }

    /// Has the store remember which copy was made, so that it is missed when its disk is not there.
    pub(super) async fn remember_backup(&self, made: &Backup) {
        let remembered = made.remembered.clone();
        self.shared.backups.remember(remembered.clone());
        let kept = self.keep_up(|reply| Upkeep::RememberBackups { made: remembered, reply }).await;
        if let Err(error) = kept {
            let error = &error as &dyn Error;
            tracing::warn!(error, "The store does not remember which backup was made last");
        }
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

    /// Since when the copy that was made last is not in its folder any more, and which, if it is not.
    pub fn backup_lost(&self) -> Option<(Timestamp, PathBuf)> {
        self.shared.backups.known(|known| known.lost.clone())
    }
}

fn with_causes(error: &KeepError) -> String {
    let first: &dyn Error = error;
    let causes = std::iter::successors(Some(first), |it| (*it).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
