//! What keeps the store fit for years: retention, erasures, copies.
use std::{path::PathBuf, time::Duration};

use tokio::{task::JoinHandle, time::Instant};

use super::{
    AdminError, Intake, Trouble,
    admin::{Command, Reply},
    backups::AGAIN_AFTER,
    chores::Upkeep,
};
use crate::{
    domain::Timestamp,
    store::{Retention, forget_copies},
};

/// How often it is looked whether something is due.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How often what is too old goes.
const PRUNE_EVERY: Duration = Duration::from_secs(60 * 60);
/// A server that was just started has better things to do.
const PRUNE_FIRST_AFTER: Duration = Duration::from_secs(5 * 60);
/// How often room is sought on a full disk.
const SEEK_ROOM_EVERY: Duration = Duration::from_secs(60);
/// How long readers may keep the log of a full disk from being emptied; no push is taken then.
const SEEK_ROOM_WAIT: Duration = Duration::from_secs(1);
/// How long a copy stays that was kept before a migration or a restore.
const COPIES_KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// For how long what is kept, and where copies of it lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeepOptions {
    /// The database file.
    pub database: PathBuf,
    /// How long what was stored is kept.
    pub retention: Retention,
    /// How often a copy is made by itself.
    pub backup_every: Option<Duration>,
    /// How many copies are kept.
    pub backups_kept: usize,
    /// Where they lie.
    pub backup_dir: PathBuf,
}

impl KeepOptions {
    /// What holds for a database where nobody says anything else.
    pub fn usual(database: PathBuf) -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        let (long, refused) = (400 * DAY, 7 * DAY);
        let retention =
            Retention { records: long, messages: long, refused, audit: long, devices: long };
        let backup_dir = database.with_file_name("backups");
        Self { database, retention, backup_every: None, backups_kept: 7, backup_dir }
    }
}

impl Intake {
    /// Does by itself what is due, for as long as the process lives.
    pub(super) async fn keep(&self) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        let mut due = Due::since(Instant::now());
        let mut backup_at = None;
        // The folder may be far away and hang.
        let intake = self.clone();
        let mut first = Some(tokio::spawn(async move { intake.first_backup().await }));
        let mut pruning: Option<JoinHandle<()>> = None;
        let mut backing_up: Option<JoinHandle<Duration>> = None;
        loop {
            let now = look.tick().await;
            if due.is_room_sought(self.trouble(), now) {
                let wait = SEEK_ROOM_WAIT;
                let done = self.keep_up(|reply| Upkeep::Checkpoint { wait, reply }).await;
                tell("The log of the database could not be emptied", done.map(drop));
            }
            // It may wait for a database that fails: neither copies nor room wait for it.
            if due.is_prune(now) && pruning.as_ref().is_none_or(JoinHandle::is_finished) {
                let intake = self.clone();
                pruning = Some(tokio::spawn(async move { intake.prune_by_itself().await }));
            }
            if let Some(looked) = first.take_if(|looking| looking.is_finished()) {
                backup_at = looked.await.unwrap_or_default();
            }
            // Nor does room wait for a copy.
            if let Some(made) = backing_up.take_if(|making| making.is_finished()) {
                // Not by the clock: it may be set while we wait.
                backup_at = Some(now + made.await.unwrap_or(AGAIN_AFTER));
            }
            if backing_up.is_none() && backup_at.is_some_and(|at| at <= now) {
                let intake = self.clone();
                backing_up = Some(tokio::spawn(async move { intake.back_up_by_itself().await }));
            }
        }
    }

    /// Takes away copies beside the database that are older than they are kept, by the time from
    /// which retention counts.
    pub(super) async fn forget_old_copies(&self) {
        let now = self.now();
        match self.shared.store.clock_evidence().await {
            Ok(evidence) => {
                let confirmed = evidence.map_or(now, |evidence| now.min(evidence.confirmed()));
                self.forget_copies(confirmed.minus(COPIES_KEPT));
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "Old copies of the database stay: nobody can tell their age");
            }
        }
    }

    /// Takes away copies beside the database that were made before this.
    pub(super) fn forget_copies(&self, before: Timestamp) {
        if let Err(error) = forget_copies(&self.shared.options.keep.database, before) {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "An old copy of the database stays");
        }
    }

    pub(super) async fn keep_up<T>(
        &self,
        upkeep: impl FnOnce(Reply<T>) -> Upkeep,
    ) -> Result<T, AdminError> {
        self.ask(|reply| Command::KeepUp(upkeep(reply))).await
    }
}

/// When what is done again and again is due.
struct Due {
    prune_at: Instant,
    seek_room_at: Instant,
}

impl Due {
    fn since(start: Instant) -> Self {
        Self { prune_at: start + PRUNE_FIRST_AFTER, seek_room_at: start }
    }

    /// Whether room is to be sought on the disk now; then what is too old goes, too.
    fn is_room_sought(&mut self, trouble: Option<Trouble>, now: Instant) -> bool {
        let is_due = trouble == Some(Trouble::DiskReserve) && self.seek_room_at <= now;
        if is_due {
            *self = Self { prune_at: now, seek_room_at: now + SEEK_ROOM_EVERY };
        }
        is_due
    }

    /// Whether what is too old goes now.
    fn is_prune(&mut self, now: Instant) -> bool {
        let is_due = self.prune_at <= now;
        if is_due {
            self.prune_at = now + PRUNE_EVERY;
        }
        is_due
    }
}

pub(super) fn tell(what: &str, done: Result<(), AdminError>) {
    if let Err(error) = done {
        tracing::warn!(error = &error as &dyn std::error::Error, "{what}");
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io, sync::Arc};

    use super::*;

    const FULL: Option<Trouble> = Some(Trouble::DiskReserve);

    #[test]
    fn a_prune_is_due_after_five_minutes_and_then_every_hour_and_room_on_a_full_disk_at_once() {
        let start = Instant::now();
        let mut due = Due::since(start);
        // The second, what keeps from storing, whether room is sought, and whether a prune is due.
        for (second, trouble, seeks, prunes) in [
            (0, None, false, false),
            (299, None, false, false),
            (300, None, false, true),
            (301, None, false, false),
            (3_899, Some(Trouble::Failing), false, false),
            (3_900, None, false, true),
            (4_000, FULL, true, true),
            (4_059, FULL, false, false),
            (4_060, FULL, true, true),
            (4_200, None, false, false),
            (7_659, None, false, false),
            (7_660, None, false, true),
        ] {
            let now = start + Duration::from_secs(second);
            assert_eq!(due.is_room_sought(trouble, now), seeks, "second {second}");
            assert_eq!(due.is_prune(now), prunes, "second {second}");
        }
        assert!(Due::since(start).is_room_sought(FULL, start));
    }

    #[test]
    fn what_failed_by_itself_is_told_and_what_did_not_is_not() -> io::Result<()> {
        let log = tempfile::NamedTempFile::new()?;
        let writer = Arc::new(log.reopen()?);
        let subscriber = tracing_subscriber::fmt().with_writer(writer).finish();
        tracing::subscriber::with_default(subscriber, || {
            tell("Nothing", Ok(()));
            tell("What is due was not done", Err(AdminError::Stopping));
        });
        let log = fs::read_to_string(log.path())?;
        assert!(!log.contains("Nothing") && log.contains("What is due was not done"), "{log}");
        Ok(())
    }
}
