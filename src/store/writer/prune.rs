//! What goes by age: a few rows at a time, each time in a transaction of its own, so that no push
//! waits long. The sums of what goes stay.
use std::time::{Duration, Instant};

use super::{
    Pruned, Retention, Writer,
    prune_device::Routers,
    removal::{GoingUsage, note_gone, note_kept_from, note_removed},
    run,
    tail::Summary,
};
use crate::{
    domain::{HeldClass, Timestamp},
    store::StoreError,
};

/// How long one step should take: a push that comes then waits for it.
const STEP_TIME: Duration = Duration::from_millis(10);
const STEP_ROWS_MIN: usize = 32;
const STEP_ROWS_MAX: usize = 4_096;
/// Bodies that lie aside are large: a step takes fewer of them.
const ROWS_PER_BODY: usize = 16;

/// A prune on its way.
#[derive(Debug)]
pub struct Pruning {
    records_before_ms: i64,
    messages_before_ms: i64,
    refused_before_ms: i64,
    pub(super) by_clock: bool,
    pub(super) audit_before_ms: i64,
    /// What this server's clock says.
    pub clock: Timestamp,
    stage: Stage,
    /// How many of the summaries have been brought up to date.
    settled: usize,
    /// How far the usage table has been looked through.
    at_id: i64,
    /// How far the pushes have been, by `datePush` and id.
    pub(super) at_push: (i64, i64),
    pub(super) routers: Routers,
    step_rows: usize,
    pub(super) pruned: Pruned,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Settle,
    Usage,
    Sms,
    Notifications,
    Pushes,
    Held(HeldClass),
    Audit,
    SilentCounts,
    Routers,
    Done,
}

impl Pruning {
    /// Of all that is older at this moment than it may be. The moment is that of
    /// [`Writer::retention_now`], unless a person vouches for another.
    pub fn new(retention: &Retention, now: Timestamp) -> Self {
        Self {
            records_before_ms: now.minus(retention.records).unix_ms(),
            messages_before_ms: now.minus(retention.messages).unix_ms(),
            refused_before_ms: now.minus(retention.refused).unix_ms(),
            by_clock: false,
            audit_before_ms: now.minus(retention.audit).unix_ms(),
            clock: now,
            stage: Stage::Settle,
            settled: 0,
            at_id: 0,
            at_push: (i64::MIN, 0),
            routers: Routers::new(retention.devices),
            step_rows: 256,
            pruned: Pruned::default(),
        }
    }

    /// The same, by a clock that a person vouches for.
    pub fn by_clock(retention: &Retention, now: Timestamp) -> Self {
        Self { by_clock: true, ..Self::new(retention, now) }
    }

    /// Lets it look once more at all there is: after a step that failed others may have changed what
    /// it had looked at.
    pub fn look_anew(&mut self) {
        (self.stage, self.settled) = (Stage::Settle, 0);
        (self.at_id, self.at_push) = (0, (i64::MIN, 0));
        self.routers.look_anew();
    }

    /// What it has taken away so far.
    pub fn pruned(&self) -> Pruned {
        self.pruned
    }

    /// Whether nothing is left to do.
    pub fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Pushes of this second or later have lost nothing yet. A record is hardly ever younger than its
    /// push; one that is keeps it.
    pub(super) fn pushes_before_s(&self) -> i64 {
        self.records_before_ms.max(self.messages_before_ms).div_euclid(1000)
    }

    pub(super) fn limit(&self) -> i64 {
        i64::try_from(self.step_rows).unwrap_or(i64::MAX)
    }

    /// Takes as many rows next time as fit into the time of a step.
    fn pace(&mut self, took: Duration) {
        if took < STEP_TIME / 2 {
            self.step_rows = (self.step_rows * 2).min(STEP_ROWS_MAX);
        } else if took > STEP_TIME {
            self.step_rows = (self.step_rows / 2).max(STEP_ROWS_MIN);
        }
    }

    fn next(&mut self) {
        self.stage = match self.stage {
            Stage::Settle => Stage::Usage,
            Stage::Usage => Stage::Sms,
            Stage::Sms => Stage::Notifications,
            Stage::Notifications => Stage::Pushes,
            Stage::Pushes => Stage::Held(HeldClass::Quarantined),
            Stage::Held(HeldClass::Quarantined) => Stage::Held(HeldClass::Stale),
            Stage::Held(HeldClass::Stale) => Stage::Held(HeldClass::Refused),
            Stage::Held(HeldClass::Refused) => Stage::Audit,
            Stage::Audit => Stage::SilentCounts,
            Stage::SilentCounts => Stage::Routers,
            Stage::Routers | Stage::Done => Stage::Done,
        };
    }
}

impl Writer {
    /// Takes a few rows away that are too old, in one short transaction.
    pub async fn prune_some(&mut self, pruning: &mut Pruning) -> Result<(), StoreError> {
        self.refresh().await?;
        let began = Instant::now();
        let done = self.try_prune_some(pruning).await;
        pruning.pace(began.elapsed());
        if self.undo_unless(done).await? {
            pruning.next();
        }
        Ok(())
    }

    /// Whether the stage has come to its end.
    async fn try_prune_some(&mut self, pruning: &mut Pruning) -> Result<bool, StoreError> {
        match pruning.stage {
            Stage::Settle => {
                let (usage_ms, sms_ms) = (pruning.records_before_ms, pruning.messages_before_ms);
                // Once a summary has what is old, the next ones still wait for it.
                let is_due = self.tail.has_before(usage_ms, sms_ms);
                let Some(summary) = Summary::ALL.get(pruning.settled).filter(|_| is_due) else {
                    return Ok(true);
                };
                self.settle(*summary).await?;
                pruning.settled += 1;
                Ok(false)
            }
            Stage::Usage => self.prune_usage(pruning).await,
            Stage::Sms => self.prune_sms(pruning).await,
            Stage::Notifications => self.prune_notifications(pruning).await,
            Stage::Pushes => self.prune_pushes(pruning).await,
            Stage::Held(class) => {
                let gone = self.prune_held(class, pruning).await?;
                *pruning.pruned.held(class) += gone;
                Ok(gone == 0)
            }
            Stage::Audit => {
                let gone = self.prune_audit(pruning).await?;
                pruning.pruned.audit += gone;
                Ok(gone == 0)
            }
            Stage::SilentCounts => {
                Ok(self.prune_silent_counts(pruning.records_before_ms, pruning).await? == 0)
            }
            Stage::Routers => self.prune_routers(pruning).await,
            Stage::Done => Ok(true),
        }
    }

    /// Brings a summary up to the newest record: what goes must not be in a tail, neither in ours
    /// nor in one that a reader holds in memory.
    pub(super) async fn settle(&mut self, summary: Summary) -> Result<(), StoreError> {
        run(&mut self.connection, "begin immediate").await?;
        self.move_mark(summary).await?;
        run(&mut self.connection, "commit").await?;
        self.tail.moved(summary);
        Ok(())
    }

    /// Goes by the stretches of the usage table. Their records lie in order of arrival, which is
    /// nearly that of own times.
    async fn prune_usage(&mut self, pruning: &mut Pruning) -> Result<bool, StoreError> {
        const STRETCH: &str = "
            select first_id, last_id, (select min(complete_to) from mark) from usage_block
            where start_min_ms < $1 and last_id > $2 order by last_id limit 1";
        const OLD: &str = "
            select id, sim_id, start_ms, h, series_id, data_usage from usage
            where id > $1 and id >= $2 and id <= $3 and start_ms < $4 order by id limit $5";
        const NOT_BEFORE: &str = "
            update usage_block set start_min_ms = max(start_min_ms, $2) where last_id = $1";
        let before_ms = pruning.records_before_ms;
        let stretch: Option<(i64, i64, i64)> = sqlx::query_as(STRETCH)
            .bind(before_ms)
            .bind(pruning.at_id)
            .fetch_optional(&mut self.connection)
            .await?;
        // What came while this prune goes on may be in a tail: it is for the next one.
        let Some((first_id, last_id, settled_to)) = stretch else { return Ok(true) };
        let going: Vec<GoingUsage> = sqlx::query_as(OLD)
            .bind(pruning.at_id)
            .bind(first_id)
            .bind(last_id.min(settled_to))
            .bind(before_ms)
            .bind(pruning.limit())
            .fetch_all(&mut self.connection)
            .await?;
        run(&mut self.connection, "begin immediate").await?;
        // No further than what goes: a record that is newer was never there, and may still come.
        let kept_from_ms = after_newest(going.iter().map(|record| record.start_ms));
        if let Some(last) = going.last() {
            self.note_pruned_usage(&going).await?;
            self.remove_usage(&going).await?;
            note_kept_from(&mut self.connection, "data-usage", kept_from_ms).await?;
            note_removed(&mut self.connection, last.id).await?;
        }
        let is_through = going.len() < pruning.step_rows;
        if is_through && last_id <= settled_to {
            sqlx::query(NOT_BEFORE)
                .bind(last_id)
                .bind(before_ms)
                .execute(&mut self.connection)
                .await?;
        }
        run(&mut self.connection, "commit").await?;
        if let Some(last) = going.last() {
            self.kept_from.usage_ms = self.kept_from.usage_ms.max(kept_from_ms);
            pruning.pruned.usage += going.len() as u64;
            pruning.at_id = last.id;
        }
        if is_through {
            pruning.at_id = last_id;
        }
        Ok(false)
    }

    async fn prune_sms(&mut self, pruning: &mut Pruning) -> Result<bool, StoreError> {
        const OLD: &str = "
            select id, event_ms, sim_id from sms where event_ms < $1
                and id <= (select complete_to from mark where summary = 'sims')
            order by event_ms limit $2";
        let before_ms = pruning.messages_before_ms;
        let rows: Vec<(i64, i64, i64)> = sqlx::query_as(OLD)
            .bind(before_ms)
            .bind(pruning.limit())
            .fetch_all(&mut self.connection)
            .await?;
        let ids: Vec<i64> = rows.iter().map(|(id, ..)| *id).collect();
        let Some(last_id) = ids.iter().max() else { return Ok(true) };
        let kept_from_ms = after_newest(rows.iter().map(|(_, event_ms, _)| *event_ms));
        run(&mut self.connection, "begin immediate").await?;
        sqlx::query("delete from sms where id in (select value from json_each($1))")
            .bind(serde_json::to_string(&ids)?)
            .execute(&mut self.connection)
            .await?;
        self.note_pruned_sms(rows.iter().map(|(_, event_ms, sim_id)| (*sim_id, *event_ms))).await?;
        self.forget_repeats(&ids).await?;
        note_gone(&mut self.connection, "mo-sms", ids.len()).await?;
        note_kept_from(&mut self.connection, "mo-sms", kept_from_ms).await?;
        note_removed(&mut self.connection, *last_id).await?;
        run(&mut self.connection, "commit").await?;
        self.kept_from.sms_ms = self.kept_from.sms_ms.max(kept_from_ms);
        pruning.pruned.sms += ids.len() as u64;
        Ok(false)
    }

    async fn prune_notifications(&mut self, pruning: &mut Pruning) -> Result<bool, StoreError> {
        const OLD: &str = "
            select id, kind, key_ms from notification where key_ms < $1 order by key_ms limit $2";
        let before_ms = pruning.messages_before_ms;
        let found: Vec<(i64, String, i64)> = sqlx::query_as(OLD)
            .bind(before_ms)
            .bind(pruning.limit())
            .fetch_all(&mut self.connection)
            .await?;
        if found.is_empty() {
            return Ok(true);
        }
        let kept_from_ms = after_newest(found.iter().map(|(.., key_ms)| *key_ms));
        let rows: Vec<(i64, String)> = found.into_iter().map(|(id, kind, _)| (id, kind)).collect();
        run(&mut self.connection, "begin immediate").await?;
        self.remove_notifications(&rows).await?;
        note_kept_from(&mut self.connection, "notification", kept_from_ms).await?;
        let last_id = rows.iter().map(|(id, _)| *id).max().unwrap_or_default();
        note_removed(&mut self.connection, last_id).await?;
        run(&mut self.connection, "commit").await?;
        self.kept_from.notification_ms = self.kept_from.notification_ms.max(kept_from_ms);
        pruning.pruned.notifications += rows.len() as u64;
        Ok(false)
    }

    async fn prune_held(&mut self, class: HeldClass, pruning: &Pruning) -> Result<u64, StoreError> {
        const OLD: &str = "
            select id from held
            where class = $1 and coalesce(age_from_ms, received_ms) < $2 and id <= $4
            order by coalesce(age_from_ms, received_ms) limit $3";
        let before_ms = match class {
            HeldClass::Refused => pruning.refused_before_ms,
            HeldClass::Quarantined | HeldClass::Stale => pruning.records_before_ms,
        };
        let known_to_id = self.held_of_known_age(pruning.by_clock).await?;
        let ids: Vec<i64> = sqlx::query_scalar(OLD)
            .bind(class.as_str())
            .bind(before_ms)
            .bind(i64::try_from(pruning.step_rows.div_ceil(ROWS_PER_BODY)).unwrap_or(i64::MAX))
            .bind(known_to_id)
            .fetch_all(&mut self.connection)
            .await?;
        if ids.is_empty() {
            return Ok(0);
        }
        run(&mut self.connection, "begin immediate").await?;
        for id in &ids {
            self.delete_held(*id).await?;
        }
        run(&mut self.connection, "commit").await?;
        Ok(ids.len() as u64)
    }
}

/// The first moment after all of these.
fn after_newest(own_times_ms: impl Iterator<Item = i64>) -> i64 {
    own_times_ms.max().map_or(i64::MIN, |newest_ms| newest_ms + 1)
}

#[cfg(test)]
#[path = "prune_tests.rs"]
mod tests;
