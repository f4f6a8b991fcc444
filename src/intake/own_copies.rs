//! The copies of ours that take room where pushes need it.
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::Mutex as Turn, task::spawn_blocking, time::timeout};

use super::Intake;
use crate::store::{OwnCopies, own_copies};

/// How long who asks waits for a folder that may hang.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// What the last look found. One looks at a time: of those that hang there is one.
#[derive(Debug, Default)]
pub(super) struct OwnCopiesNow {
    turn: Arc<Turn<()>>,
    last: Arc<Mutex<OwnCopies>>,
}

impl Intake {
    /// The copies of ours on the disk of the database; by the last look, if another takes too long.
    pub async fn own_copies(&self) -> OwnCopies {
        let OwnCopiesNow { turn, last } = &self.shared.backups.own_copies;
        if let Ok(turn) = Arc::clone(turn).try_lock_owned() {
            let (keep, last) = (self.shared.options.keep.clone(), Arc::clone(last));
            let owner = Arc::clone(&self.shared.backups.owner);
            let looking = spawn_blocking(move || {
                match own_copies(&keep.database, &keep.backup_dir, &owner) {
                    Ok(found) => *last.lock().unwrap_or_else(PoisonError::into_inner) = found,
                    Err(error) => tracing::debug!(%error, "Our own copies cannot be looked at"),
                }
                drop(turn);
            });
            if timeout(WAIT_MAX, looking).await.is_err() {
                tracing::debug!("A folder of our own copies does not answer");
            }
        }
        last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
