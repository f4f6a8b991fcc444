//! A database that is moved or removed while it is open. What is written from then on is lost, or lies
//! where nobody looks for it: nothing more is acknowledged, and the process ends.
use std::{error::Error, future, sync::OnceLock, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{Intake, Trouble, accept::Unstored, queue::Job, task::WriterTask};
use crate::store::{Fate, FileMoved};

/// How long whoever watches over us has to hear why, before the process ends: conditions are looked at
/// every five seconds, and then told.
const REFUSE_FOR: Duration = Duration::from_secs(10);

/// The first file that was found elsewhere than where it was opened.
#[derive(Debug, Default)]
pub(super) struct MovedFile {
    found: OnceLock<FileMoved>,
    noticed: CancellationToken,
}

impl MovedFile {
    /// Waits until there is one.
    pub(super) async fn noticed(&self) {
        self.noticed.cancelled().await;
    }
}

impl Intake {
    /// Which file of the database is elsewhere than where it was opened, if one is.
    pub fn moved_file(&self) -> Option<FileMoved> {
        self.shared.moved_file.found.get().cloned()
    }

    /// Looks whether the files that are open are still those of their names; true if not.
    pub(super) fn check_files(&self) -> bool {
        if let Err(moved) = self.shared.files.check() {
            self.note_moved(moved);
        }
        self.shared.moved_file.found.get().is_some()
    }

    /// From now on nothing is taken any more. It stays so: what was moved back may lack what others
    /// wrote meanwhile.
    pub(super) fn note_moved(&self, moved: FileMoved) {
        let MovedFile { found, noticed } = &self.shared.moved_file;
        if found.set(moved.clone()).is_ok() {
            self.change_trouble(|before| match before {
                Some(Trouble::Stopping) => before,
                _ => Some(Trouble::FilesMoved),
            });
            tracing::error!(
                file = %moved.path.display(),
                "The database was moved or removed while it was open: {moved}. Pushes are answered 503 \
                 and simdeck ends. {} Then start simdeck again, and stop it before you move its files",
                what_to_do(moved.fate)
            );
            noticed.cancel();
        }
    }
}

/// What was acknowledged lies in what was moved. What was removed is gone with the process.
fn what_to_do(fate: Fate) -> &'static str {
    match fate {
        Fate::Gone | Fate::Replaced => {
            "What was acknowledged lies in the files that were moved. Move them back under their \
             names, or, where they were removed, restore a backup."
        }
        Fate::WrittenOver => "What it held is lost: restore a backup.",
    }
}

impl WriterTask {
    /// Has the open database take up what its log holds: either may have been moved or removed without
    /// the other. A database that was written over is left as it is.
    pub(super) async fn keep_what_is_open(&mut self, moved: &FileMoved) {
        if moved.fate == Fate::WrittenOver {
            return;
        }
        match self.writer.bring_log_back().await {
            Ok(()) => {
                tracing::info!(
                    "All that was acknowledged is in the file of the database now, wherever that is: \
                     where only its log, the log's index or a lock was moved or removed, nothing is lost"
                );
            }
            Err(error) => {
                let error = &error as &dyn Error;
                tracing::warn!(error, "The log of the database could not be brought back into it");
            }
        }
    }

    /// Sends all away for a while, or until we are stopped.
    pub(super) async fn refuse_all(&mut self, stop: &CancellationToken) {
        let refusing = async {
            loop {
                tokio::select! {
                    Some(Job { ticket, .. }) = self.jobs.recv() => ticket.answer(Err(Unstored::Busy)),
                    // Whoever asked hears why.
                    Some(_) = self.asked.recv() => (),
                    else => future::pending().await,
                }
            }
        };
        tokio::select! {
            () = refusing => (),
            () = stop.cancelled() => (),
            () = sleep(REFUSE_FOR) => (),
        }
        self.jobs.close();
        while let Ok(Job { ticket, .. }) = self.jobs.try_recv() {
            ticket.answer(Err(Unstored::Busy));
        }
    }
}
