//! The one that writes.
//!
//! A batch is one `begin immediate` transaction with one statement for each table. What makes
//! records unique, and all sums, are held in memory for the records after a mark and written in
//! sorted bulk when the mark moves; until then a push costs one append.
pub(super) mod audit;
mod backup_notes;
mod cut_short;
mod device;
mod device_forget;
mod device_sample;
mod device_status;
mod erase;
mod erase_list;
mod erase_rest;
mod erase_text;
pub(super) mod erased_sims;
mod file_search;
mod held;
mod held_source;
mod insert;
mod intern;
mod label;
mod mark;
mod outsiders;
mod prune;
mod prune_device;
mod pruned;
mod push;
mod push_repeat;
mod rebuild;
mod rebuild_dropped;
mod removal;
mod retention;
mod retract;
mod retract_cards;
mod retract_list;
mod retract_records;
mod rings;
mod room_notes;
mod round;
mod scrub;
mod silent_count;
mod sim_pruned;
mod sims;
mod submission;
mod tail;
mod undo;
mod usage;
mod waiting_refused;

use std::{error::Error, path::PathBuf, sync::Arc};

use sqlx::SqliteConnection;

pub use self::device_forget::Forgetting;
pub use self::erase::{Erased, Erasing};
pub use self::prune::Pruning;
pub use self::pruned::{Pruned, Retention};
pub use self::rebuild::Rebuilding;
pub use self::retract::{RetractedCounts, Retracting};
pub use self::scrub::Scrubbed;
pub use self::submission::{Outcome, Submission, Verdict};
pub use self::waiting_refused::RefusedCounts;
pub use self::{erase_list::Lift, erased_sims::ErasedNumbers, file_search::FileSearch};
use self::{
    erased_sims::{ErasedSims, Left},
    insert::Batch,
    intern::Interned,
    outsiders::{BEGIN_UNLESS_CHANGED, data_version},
    retention::{SignedClock, load_kept_from},
    rings::Rings,
    round::Round,
    tail::Tail,
};
pub(super) use self::{retention::written as written_evidence, retract::push_pushes};
use super::{OpenFiles, StoreError, days::StoreDays, quota::is_used_up, read::KindTally};
use crate::domain::{KeptFrom, NewHeld, Retracted, Timestamp};

/// What the writer may keep.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of bodies in quarantine.
    pub quarantine_bytes_max: u64,
    /// Records that a summary may be behind.
    pub tail_records_max: usize,
    /// Records that the sums by time and network may be behind.
    pub sums_tail_records_max: usize,
    /// Bytes to leave free on the disk of the database, where a copy of it is kept or restored.
    pub disk_reserve_bytes: u64,
}

impl Limits {
    /// How many records a summary is behind at most, unless a test wants it otherwise. The summaries
    /// are ordered by SIM, so a move rewrites a page for nearly each of its records until there are
    /// more records than pages: moving every 4,096 records cost 18 µs for each of them on a fleet of
    /// 100,000 SIMs, every 32,768 a third of it. The price is memory, 3 MiB, and the time that one
    /// move takes; where there is time for it, a summary moves before it is so far behind.
    pub const TAIL_RECORDS_MAX: usize = 32_768;

    /// The same for the sums by time and network. They have few rows, however many SIMs there are,
    /// so that they can move more often: then a chart has fewer records to add. Every 4,096 cost a
    /// push 1 to 3 µs, which is seen; every 16,384 cannot be told from every 32,768.
    pub const SUMS_TAIL_RECORDS_MAX: usize = 16_384;

    /// These limits, and the usual tail.
    pub const fn of_quarantine(bytes_max: u64) -> Self {
        Self {
            quarantine_bytes_max: bytes_max,
            tail_records_max: Self::TAIL_RECORDS_MAX,
            sums_tail_records_max: Self::SUMS_TAIL_RECORDS_MAX,
            disk_reserve_bytes: 0,
        }
    }
}

/// Owns the one connection that writes.
#[derive(Debug)]
pub struct Writer {
    pub(super) connection: SqliteConnection,
    files: OpenFiles,
    days: StoreDays,
    limits: Limits,
    interned: Interned,
    tail: Tail,
    rings: Rings,
    kept_from: KeptFrom,
    signed_clock: SignedClock,
    pub(super) erased_sims: ErasedSims,
    retracted: Arc<Retracted>,
    /// The list of erased SIMs beside the database.
    erasures: PathBuf,
    /// Bytes of bodies in quarantine.
    quarantine_bytes: u64,
    /// All volumes stored so far; guards every sum against overflow.
    volume: i64,
    /// Memory may know of records that were never stored: it has to be read again first.
    is_stale: bool,
    /// SQLite's number for what other connections have changed, when memory was read.
    data_version: i64,
}

impl Writer {
    pub(super) async fn new(
        connection: SqliteConnection,
        files: OpenFiles,
        days: StoreDays,
        limits: Limits,
    ) -> Result<Self, StoreError> {
        let mut writer = Self {
            connection,
            files,
            days,
            limits,
            interned: Interned::default(),
            tail: Tail::default(),
            rings: Rings::default(),
            kept_from: KeptFrom::default(),
            signed_clock: SignedClock::default(),
            erased_sims: ErasedSims::default(),
            retracted: Arc::default(),
            erasures: PathBuf::new(),
            quarantine_bytes: 0,
            volume: 0,
            is_stale: true,
            data_version: 0,
        };
        writer.refresh().await?;
        writer.limit_kept_from().await?;
        Ok(writer)
    }

    /// Stores a batch in one transaction. When this returns `Ok`, it has been synced to disk, and is
    /// found under the database's name; after an error nothing of it is there, or nobody can tell.
    pub async fn commit(
        &mut self,
        batch: &[Submission],
        now: Timestamp,
    ) -> Result<Vec<Verdict>, StoreError> {
        self.refresh().await?;
        self.signed_clock.take_all(batch, now);
        if batch.iter().any(|submission| submission.is_too_old(&self.kept_from)) {
            return Err(StoreError::TooOld);
        }
        if self.has_retracted(batch) {
            return Err(StoreError::Retracted);
        }
        let before = self.before(batch);
        let done = match self.try_commit(batch, now).await {
            Err(error) if error.is_of_data() && self.is_changed_by_others().await => {
                let undone: Result<(), _> = self.undo_unless(Err(error)).await;
                tracing::error!(
                    "Another process has changed the database while it was open: what simdeck knows of \
                     it was read again. Stop simdeck before anything else writes to its database"
                );
                drop(undone);
                // Where it could not be read again, the same records would be judged by the old memory.
                self.refresh().await?;
                let before = self.before(batch);
                match self.try_commit(batch, now).await {
                    Err(error) => self.undo_commit(error, before).await,
                    stored => stored,
                }
            }
            Err(error) => self.undo_commit(error, before).await,
            stored => stored,
        };
        let verdicts = done?;
        self.files.check_records()?;
        Ok(verdicts)
    }

    /// Puts refused pushes into their rings, in a transaction of their own. After an error none of
    /// them is held, and nothing is counted as dropped for them.
    pub async fn keep_refused(
        &mut self,
        refused: &[NewHeld],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.refresh().await?;
        let dropped_before = self.rings.dropped_so_far();
        let done = self.try_keep_refused(refused, now).await;
        if done.is_err() {
            self.rings.set_dropped(dropped_before);
        }
        self.undo_unless(done).await
    }

    /// The newest id that is on disk, if memory knows it.
    pub fn last_id(&self) -> Option<i64> {
        (!self.is_stale).then_some(self.tail.last_id)
    }

    /// Closes the connection; the last one to do so brings the log back into the database.
    pub async fn close(mut self) -> Result<(), StoreError> {
        const BRING_LOG_BACK: &str = "pragma wal_checkpoint(truncate)";
        let done = sqlx::query(BRING_LOG_BACK).execute(&mut self.connection).await;
        let done = done.map_err(|error| self.or_quota(error.into()));
        let closed = sqlx::Connection::close(self.connection).await;
        done?;
        Ok(closed?)
    }

    async fn try_commit(
        &mut self,
        batch: &[Submission],
        now: Timestamp,
    ) -> Result<Vec<Verdict>, StoreError> {
        let mut round = Round::default();
        round.add(BEGIN_UNLESS_CHANGED).bind(self.data_version)?;
        let concerns_held = batch.iter().any(Submission::concerns_held);
        if concerns_held {
            round.run(&mut self.connection).await?;
        }
        let mut verdicts: Vec<_> =
            batch.iter().map(|_| Verdict::Stored(Outcome::default())).collect();
        let left: Vec<_> = batch.iter().map(|one| self.erased_sims.left_of(one)).collect();
        let mut rows = Batch::default();
        for (nth, Left { submission, erased, came }) in left.iter().enumerate() {
            if !self.has_room(submission).await? {
                verdicts[nth] = Verdict::QuarantineFull;
                continue;
            }
            self.erased_sims.add_counts(came);
            if let Some(id) = submission.releases {
                self.release_held(id, submission).await?;
            }
            self.quarantine_all(submission, now).await?;
            count(&mut verdicts, nth, |outcome| {
                outcome.quarantined += submission.quarantine.len() as u64;
                outcome.erased += erased;
            });
            rows.add(nth, submission);
        }
        rows.sort();
        for (nth, Left { submission, .. }) in left.iter().enumerate() {
            if verdicts.get(nth) != Some(&Verdict::QuarantineFull) {
                rows.add_also(nth, submission);
            }
        }
        let has_dropped = concerns_held && self.rings.has_dropped();
        if has_dropped {
            self.write_dropped(now).await?;
        }
        let volume = self.insert(&rows, &mut verdicts, &mut round, now).await?;
        self.count_erased(&mut round)?;
        let evidence = self.write_signed_clock(&mut round)?;
        let due = self.tail.due(&self.limits);
        if let Some(summary) = due {
            round.run(&mut self.connection).await?;
            self.move_mark(summary).await?;
        }
        round.add("commit").run(&mut self.connection).await?;
        self.volume = volume;
        if has_dropped {
            self.rings.dropped_is_counted();
        }
        self.signed_clock_written(evidence);
        if let Some(summary) = due {
            self.tail.moved(summary);
        }
        Ok(verdicts)
    }

    /// Counts what came of erased SIMs.
    fn count_erased(&mut self, round: &mut Round) -> Result<(), StoreError> {
        const COUNT: &str = "update erased set came_again = came_again + ? where giccid_sha256 = ? or listed_as = ?;";
        for (key, came) in self.erased_sims.counted() {
            round.add(COUNT).bind(came)?.bind(&key)?.bind(&key)?;
        }
        Ok(())
    }

    /// Ends a transaction that failed, and forgets what memory learned from it. A database that will
    /// not even be read now is read before the next batch: until then memory would take records that
    /// were never stored for repeats.
    pub(in crate::store) async fn undo_unless<T>(
        &mut self,
        done: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let done = done.map_err(|error| self.or_quota(error));
        if done.is_err() {
            self.is_stale = true;
            if let Err(error) = self.refresh().await {
                tracing::warn!(error = &error as &dyn Error, "The store cannot be read again yet");
            }
        }
        done
    }

    fn or_quota(&self, error: StoreError) -> StoreError {
        let is_quota = error.is_failed_write() && self.files.database().is_some_and(is_used_up);
        if is_quota { StoreError::QuotaUsedUp } else { error }
    }

    /// The failure of a change, told apart from a quota that is used up; nothing of it is left.
    pub async fn told_apart(&mut self, error: StoreError) -> StoreError {
        match self.undo_unless::<()>(Err(error)).await {
            Err(error) => error,
            Ok(()) => StoreError::QuotaUsedUp,
        }
    }

    /// Makes sure that no transaction is open and that memory says what the database says.
    pub(in crate::store) async fn refresh(&mut self) -> Result<(), StoreError> {
        if !self.is_stale {
            return Ok(());
        }
        // SQLite has already rolled back after some errors; then there is nothing to end.
        if let Err(error) = run(&mut self.connection, "rollback").await {
            tracing::debug!(error = &error as &dyn Error, "Nothing to roll back");
        }
        self.reload().await?;
        self.is_stale = false;
        Ok(())
    }

    /// Brings memory to what the database says.
    async fn reload(&mut self) -> Result<(), StoreError> {
        self.data_version = data_version(&mut self.connection).await?;
        self.interned = Interned::default();
        self.tail = Tail::load(&mut self.connection).await?;
        self.kept_from = load_kept_from(&mut self.connection).await?;
        let signed_clock = SignedClock::load(&mut self.connection).await?;
        self.signed_clock = signed_clock.with_newest_of(&self.signed_clock);
        self.erased_sims = ErasedSims::load(&mut self.connection).await?;
        self.retracted = Arc::new(self.load_retracted().await?);
        let rings = Rings::load(&mut self.connection).await?;
        self.rings = rings.with_dropped_of(&mut self.rings);
        let quarantined: i64 = sqlx::query_scalar(
            "select coalesce(sum(bytes), 0) from held where class = 'quarantined'",
        )
        .fetch_one(&mut self.connection)
        .await?;
        self.quarantine_bytes = quarantined.unsigned_abs();
        self.volume = sqlx::query_scalar("select coalesce(sum(data_usage), 0) from tally")
            .fetch_one(&mut self.connection)
            .await?;
        Ok(())
    }
}

/// Changes the outcome of a submission that is being stored.
fn count(verdicts: &mut [Verdict], nth: usize, change: impl FnOnce(&mut Outcome)) {
    if let Some(Verdict::Stored(outcome)) = verdicts.get_mut(nth) {
        change(outcome);
    }
}

/// Runs a statement that takes nothing and gives nothing.
pub(super) async fn run(
    connection: &mut SqliteConnection,
    sql: &'static str,
) -> Result<(), StoreError> {
    Ok(sqlx::query(sql).execute(connection).await.map(drop)?)
}

/// What a batch adds to a kind's tally.
pub(super) type TallyChange = KindTally;
