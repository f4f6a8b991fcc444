//! Takes out what was pushed under one `datePush`: records that somebody attached to a captured
//! signature. At every commit sums equal records. Held by `front::retract`, `front::retract_beside`
//! and `front::retract_cut_short`.
//!
//! A signature covers the second and not the body, so the records themselves are not to blame: the
//! same record under another `datePush` is taken in. What still comes under the retracted one is set
//! aside (see [`Retracted`]), because whoever captured its signature can send it again. From the
//! first step on no push brings any more of it, so that all that goes has a smaller id than the row
//! among the changes.
use std::{
    fmt,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{FromRow, QueryBuilder, Sqlite};

use super::{Submission, Writer, audit::audit_begun, run, tail::Summary};
use crate::{
    domain::{AuditAction, Caller, NewRecord, RetractQuestion, Retracted, Timestamp, counted},
    store::{
        StoreError,
        push::{source_octets, source_of},
    },
};

/// How long one step should take before its commit: a push that comes then waits for it. The commit
/// takes as long as the disk does, whatever is in it.
const STEP_TIME: Duration = Duration::from_millis(10);
const STEP_ROWS: usize = 32;
const STEP_ROWS_MIN: usize = 16;
/// Where each of them has to be stored anew, it is still no long wait.
const STEP_ROWS_MAX: usize = 128;
/// Pushes that are looked at in one step.
const STEP_PUSHES: i64 = 256;

/// What a retraction took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetractedCounts {
    /// The number of its row among the changes.
    pub id: i64,
    /// Usage records.
    pub usage: u64,
    /// Messages.
    pub sms: u64,
    /// Notifications.
    pub notifications: u64,
    /// Records of any kind that another push had brought, too: stored anew, as that one's.
    pub kept: u64,
}

impl fmt::Display for RetractedCounts {
    /// As the audit has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { usage, sms, notifications, kept, .. } = *self;
        let usage = counted(usage, "usage record", "usage records");
        let sms = counted(sms, "message", "messages");
        let notifications = counted(notifications, "notification", "notifications");
        write!(f, "{usage}, {sms}, {notifications}")?;
        match kept {
            0 => Ok(()),
            kept => write!(f, "; {} stored again", counted(kept, "record", "records")),
        }
    }
}

/// A retraction on its way.
#[derive(Debug)]
pub struct Retracting {
    pub(super) question: RetractQuestion,
    pub(super) at: Timestamp,
    stage: Stage,
    /// How many of the summaries have been brought up to date.
    settled: usize,
    /// Pushes up to this id have been looked at.
    at_push: i64,
    step_rows: usize,
    pub(super) counts: RetractedCounts,
    /// Its row in the audit.
    pub(super) audit_id: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Settle,
    Records,
    Repeats,
    Cards,
    Done,
}

impl Retracting {
    fn new(
        question: RetractQuestion,
        at: Timestamp,
        counts: RetractedCounts,
        audit_id: Option<i64>,
    ) -> Self {
        let (stage, settled, step_rows) = (Stage::Settle, 0, STEP_ROWS);
        Self { question, at, stage, settled, at_push: 0, step_rows, counts, audit_id }
    }

    /// Lets it look once more at all there is: after a step that failed others may have changed what
    /// it had looked at.
    pub fn look_anew(&mut self) {
        (self.stage, self.settled, self.at_push) = (Stage::Settle, 0, 0);
    }

    /// Its row in the audit, if it has one.
    pub fn audit_id(&self) -> Option<i64> {
        self.audit_id
    }

    /// What it has taken away so far.
    pub fn counts(&self) -> RetractedCounts {
        self.counts
    }

    /// Whether nothing is left to do.
    pub fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    pub(super) fn step_rows(&self) -> usize {
        self.step_rows
    }

    fn next(&mut self) {
        self.stage = match self.stage {
            Stage::Settle => Stage::Records,
            Stage::Records => Stage::Repeats,
            Stage::Repeats => Stage::Cards,
            Stage::Cards | Stage::Done => Stage::Done,
        };
    }

    /// Takes as many rows next time as fit into the time of a step.
    pub(super) fn pace(&mut self, took: Duration) {
        if took < STEP_TIME / 2 {
            self.step_rows = (self.step_rows * 2).min(STEP_ROWS_MAX);
        } else if took > STEP_TIME {
            self.step_rows = (self.step_rows / 2).max(STEP_ROWS_MIN);
        }
    }
}

/// A retraction that an earlier process began.
#[derive(FromRow)]
struct PendingRow {
    id: i64,
    date_push_s: i64,
    source: Vec<u8>,
    at_ms: i64,
    audit_id: Option<i64>,
    data_usage: i64,
    mo_sms: i64,
    notifications: i64,
    stored_again: i64,
}

impl PendingRow {
    fn resumed(&self) -> Retracting {
        let source = source_of(&self.source);
        let counts = RetractedCounts {
            id: self.id,
            usage: self.data_usage.unsigned_abs(),
            sms: self.mo_sms.unsigned_abs(),
            notifications: self.notifications.unsigned_abs(),
            kept: self.stored_again.unsigned_abs(),
        };
        let question = RetractQuestion { date_push_s: self.date_push_s, source };
        Retracting::new(question, Timestamp::from_unix_ms(self.at_ms), counts, self.audit_id)
    }
}

impl Writer {
    /// What still comes under these is set aside.
    pub fn retracted(&self) -> Arc<Retracted> {
        Arc::clone(&self.retracted)
    }

    /// Whether a record of a push that was read before a retraction began would be stored after it.
    pub fn is_retracted(&self, submission: &Submission, new: &NewRecord) -> bool {
        // A person may take in what was retracted: of a retry and a file it is not asked.
        submission.pushed_at.is_some()
            && submission
                .sources()
                .flatten()
                .any(|source| self.retracted.has(new.date_push_s, source))
    }

    pub(super) fn has_retracted(&self, batch: &[Submission]) -> bool {
        let has = |submission: &Submission| {
            submission.records.iter().any(|new| self.is_retracted(submission, new))
        };
        !self.retracted.is_empty() && batch.iter().any(has)
    }

    /// Begins a retraction: it is among the changes and in the audit, and no push brings any more of
    /// what it takes out.
    pub async fn begin_retraction(
        &mut self,
        question: RetractQuestion,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Retracting, StoreError> {
        self.refresh().await?;
        let done = self.try_begin_retraction(question, caller, now).await;
        self.undo_unless(done).await
    }

    async fn try_begin_retraction(
        &mut self,
        question: RetractQuestion,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Retracting, StoreError> {
        // One that the database broke off has the same left to do, and no more.
        const REPLACE: &str =
            "update retracted set pending = 0 where date_push_s = $1 and source = $2";
        const NOTE: &str = "
            insert into retracted (id, at_ms, date_push_s, source, pending, audit_id,
                data_usage, mo_sms, notifications, stored_again)
            values ($1, $2, $3, $4, 1, $5, 0, 0, 0, 0)";
        run(&mut self.connection, "begin immediate").await?;
        run(&mut self.connection, "update seq set last = last + 1").await?;
        self.tail.last_id += 1;
        let id = self.tail.last_id;
        sqlx::query(REPLACE)
            .bind(question.date_push_s)
            .bind(octets(question.source))
            .execute(&mut self.connection)
            .await?;
        let subject = question.to_string();
        let action = AuditAction::Retract;
        let audit_id =
            audit_begun(&mut self.connection, &self.erased_sims, caller, action, &subject, now)
                .await?;
        sqlx::query(NOTE)
            .bind(id)
            .bind(now.unix_ms())
            .bind(question.date_push_s)
            .bind(octets(question.source))
            .bind(audit_id)
            .execute(&mut self.connection)
            .await?;
        run(&mut self.connection, "commit").await?;
        Arc::make_mut(&mut self.retracted).add(question);
        let counts = RetractedCounts { id, ..RetractedCounts::default() };
        Ok(Retracting::new(question, now, counts, Some(audit_id)))
    }

    /// What an earlier process began.
    pub(in crate::store) async fn take_up_retractions(
        &mut self,
    ) -> Result<Vec<Retracting>, StoreError> {
        const PENDING: &str = "
            select id, date_push_s, source, at_ms, audit_id, coalesce(data_usage, 0) as data_usage,
                coalesce(mo_sms, 0) as mo_sms, coalesce(notifications, 0) as notifications,
                coalesce(stored_again, 0) as stored_again
            from retracted where pending order by id";
        let pending: Vec<PendingRow> =
            sqlx::query_as(PENDING).fetch_all(&mut self.connection).await?;
        Ok(pending.iter().map(PendingRow::resumed).collect())
    }

    /// Takes a few records away, in one short transaction.
    pub async fn retract_some(&mut self, work: &mut Retracting) -> Result<(), StoreError> {
        self.refresh().await?;
        let done = self.try_retract_some(work).await;
        if self.undo_unless(done).await? {
            work.next();
        }
        Ok(())
    }

    /// Whether the stage has come to its end.
    async fn try_retract_some(&mut self, work: &mut Retracting) -> Result<bool, StoreError> {
        match work.stage {
            Stage::Settle => {
                // What goes must be in every summary and in no tail, neither in ours nor in a
                // reader's. What comes later is not retracted.
                let Some(summary) = Summary::ALL.get(work.settled) else { return Ok(true) };
                self.settle(*summary).await?;
                work.settled += 1;
                Ok(false)
            }
            Stage::Records => self.retract_records(work).await,
            Stage::Repeats => self.forget_repeats_of(work.question, work.step_rows).await,
            Stage::Cards => self.look_again(work).await,
            Stage::Done => Ok(true),
        }
    }

    async fn retract_records(&mut self, work: &mut Retracting) -> Result<bool, StoreError> {
        let began = Instant::now();
        let pushes = self.next_pushes(work).await?;
        let Some((last_push, _)) = pushes.last().copied() else { return Ok(true) };
        let (among, second) = (serde_json::to_string(&pushes)?, work.question.date_push_s);
        let mut counts = work.counts;
        let mut room = work.step_rows;
        run(&mut self.connection, "begin immediate").await?;
        let usage = self.usage_among(&among, second, room).await?;
        room -= usage.len();
        let kept = self.retract_usage(&usage, work.at).await?;
        (counts.usage, counts.kept) =
            (counts.usage + usage.len() as u64 - kept, counts.kept + kept);
        let sms = self.sms_among(&among, second, room).await?;
        room -= sms.len();
        let kept = self.retract_sms(&sms, work.at).await?;
        (counts.sms, counts.kept) = (counts.sms + sms.len() as u64 - kept, counts.kept + kept);
        let notifications = self.notifications_among(&among, second, room).await?;
        room -= notifications.len();
        let kept = self.retract_notifications(&notifications, work.at).await?;
        counts.notifications += notifications.len() as u64 - kept;
        counts.kept += kept;
        if room > 0 {
            // All that these pushes brought is gone.
            self.forget_pushes(second, &among).await?;
        }
        self.note_retracted(&counts).await?;
        work.pace(began.elapsed());
        run(&mut self.connection, "commit").await?;
        work.counts = counts;
        if room > 0 {
            work.at_push = last_push;
        }
        Ok(false)
    }

    /// Writes what it took away so far, inside the open transaction: whoever goes on with it after a
    /// crash counts from there.
    async fn note_retracted(&mut self, counts: &RetractedCounts) -> Result<(), StoreError> {
        const NOTE: &str = "
            update retracted set data_usage = $2, mo_sms = $3, notifications = $4, stored_again = $5
            where id = $1 and data_usage is not null";
        let integer = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        sqlx::query(NOTE)
            .bind(counts.id)
            .bind(integer(counts.usage))
            .bind(integer(counts.sms))
            .bind(integer(counts.notifications))
            .bind(integer(counts.kept))
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// The next pushes that are meant, with how many ids they span.
    async fn next_pushes(&mut self, work: &Retracting) -> Result<Vec<(i64, i64)>, StoreError> {
        let mut sql = QueryBuilder::new("select id, ids from push where ");
        push_pushes(&mut sql, "push", work.question);
        sql.push(" and id > ").push_bind(work.at_push);
        sql.push(" and id < ").push_bind(work.counts.id);
        sql.push(" order by id limit ").push_bind(STEP_PUSHES);
        Ok(sql.build_query_as().fetch_all(&mut self.connection).await?)
    }
}

/// Adds which rows of `push`, or of a table with the same columns, are meant.
pub(in crate::store) fn push_pushes(
    sql: &mut QueryBuilder<Sqlite>,
    table: &'static str,
    question: RetractQuestion,
) {
    sql.push(format_args!("{table}.date_push_s = ")).push_bind(question.date_push_s);
    if let Some(source) = question.source {
        sql.push(format_args!(" and {table}.source = ")).push_bind(source_octets(source));
    }
}

/// As the tables have them: nothing where any source is meant.
pub(super) fn octets(source: Option<IpAddr>) -> Vec<u8> {
    source.map(source_octets).unwrap_or_default()
}
