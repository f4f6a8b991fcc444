//! Takes one SIM out of everything, a few rows at a time. From the first step on nothing of it comes
//! in again; at every commit sums equal records.
use std::{collections::BTreeMap, fmt, time::Duration};

use sqlx::QueryBuilder;

use super::{
    Writer,
    audit::{audit_begun, audit_ended},
    cut_short::end_others,
    erase_text::{SMS_EXTRA, USAGE_EXTRA},
    removal::GoingUsage,
    run,
    tail::Summary,
};
use crate::{
    domain::{AuditAction, AuditOutcome, Caller, Giccid, Timestamp, counted},
    store::{
        StoreError,
        card::reversed,
        erasures::hashed,
        rollup::{DAY_MS, HOUR_MS, QUARTER_HOUR_MS, Sum},
    },
};

/// Rows of one step: each is taken out of several sums.
const STEP_ROWS: i64 = 256;
/// How long a checkpoint may wait for readers before pushes go on.
const CHECKPOINT_WAIT: Duration = Duration::from_millis(100);

/// What an erasure took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// The number of its row among the changes.
    pub id: i64,
    /// Usage records.
    pub usage: u64,
    /// Messages.
    pub sms: u64,
    /// Notifications.
    pub notifications: u64,
    /// Bodies that lay aside, or parts of them.
    pub held: u64,
}

impl fmt::Display for Erased {
    /// As the audit has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usage = counted(self.usage, "usage record", "usage records");
        let sms = counted(self.sms, "message", "messages");
        let notifications = counted(self.notifications, "notification", "notifications");
        let held = counted(self.held, "held push", "held pushes");
        write!(f, "{usage}, {sms}, {notifications}, {held}")
    }
}

/// An erasure on its way.
#[derive(Debug)]
pub struct Erasing {
    pub(super) giccid: String,
    stage: Stage,
    pub(super) sims: Vec<i64>,
    /// Its IMSIs that no other SIM has.
    pub(super) imsis: Vec<String>,
    pub(super) at_id: i64,
    pub(super) erased: Erased,
    /// Its row in the audit.
    audit_id: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Settle,
    Usage,
    Sms,
    Notifications,
    Held,
    UsageExtra,
    SmsExtra,
    Names,
    Checkpoint,
    Done,
}

impl Erasing {
    /// What it has taken away so far.
    pub fn erased(&self) -> Erased {
        self.erased
    }

    /// Whether nothing is left to do.
    pub fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Whether all rows are gone, and only the database's log still has them.
    pub fn only_log_is_left(&self) -> bool {
        self.stage == Stage::Checkpoint
    }

    /// Lets it look once more at all there is: after a step that failed others may have changed what
    /// it had looked at.
    pub fn look_anew(&mut self) {
        (self.stage, self.at_id) = (Stage::Settle, 0);
        self.sims.clear();
        self.imsis.clear();
    }

    /// The number that goes.
    pub fn giccid(&self) -> &str {
        &self.giccid
    }

    /// Its row in the audit, if it has one.
    pub fn audit_id(&self) -> Option<i64> {
        self.audit_id
    }

    /// Whether it is this SIM that goes.
    pub fn is_of(&self, giccid: &Giccid) -> bool {
        self.giccid == giccid.as_str()
    }

    fn next(&mut self) {
        self.at_id = 0;
        self.stage = match self.stage {
            Stage::Settle => Stage::Usage,
            Stage::Usage => Stage::Sms,
            Stage::Sms => Stage::Notifications,
            Stage::Notifications => Stage::Held,
            Stage::Held => Stage::UsageExtra,
            Stage::UsageExtra => Stage::SmsExtra,
            Stage::SmsExtra => Stage::Names,
            Stage::Names => Stage::Checkpoint,
            Stage::Checkpoint | Stage::Done => Stage::Done,
        };
    }
}

impl Writer {
    /// It counts from one time on, and is on record from another.
    pub(super) async fn try_begin_erasure(
        &mut self,
        giccid: &str,
        caller: &Caller,
        (at, now): (Timestamp, Timestamp),
    ) -> Result<Erasing, StoreError> {
        // One that was broken off goes on counting where it was; one that ended has been counted.
        const KEEP_COUNTS: &str = "
            update erased set earlier_data_usage = earlier_data_usage + coalesce(data_usage, 0),
                earlier_mo_sms = earlier_mo_sms + coalesce(mo_sms, 0),
                earlier_notifications = earlier_notifications + coalesce(notifications, 0),
                earlier_held = earlier_held + coalesce(held, 0),
                data_usage = 0, mo_sms = 0, notifications = 0, held = 0
            where giccid_sha256 = $1 and pending is null";
        const NOTE: &str = "
            insert into erased (id, at_ms, giccid_sha256, came_again, pending, giccid_hmac, audit_id,
                data_usage, mo_sms, notifications, held)
            values ($1, $2, $3, 0, $4, $5, $6, 0, 0, 0, 0)
            on conflict (giccid_sha256) do update set id = excluded.id,
                first_at_ms = coalesce(erased.first_at_ms, erased.at_ms), at_ms = excluded.at_ms,
                pending = excluded.pending, giccid_hmac = excluded.giccid_hmac, lifted_ms = null,
                audit_id = excluded.audit_id
            returning id";
        self.learn_number(giccid).await?;
        let (hash, keyed) = (hashed(giccid), self.erased_sims.secrets().keyed(giccid));
        run(&mut self.connection, "begin immediate").await?;
        run(&mut self.connection, "update seq set last = last + 1").await?;
        self.tail.last_id += 1;
        let action = AuditAction::Erase;
        let audit_id =
            audit_begun(&mut self.connection, &self.erased_sims, caller, action, &keyed, now)
                .await?;
        sqlx::query(KEEP_COUNTS).bind(&hash).execute(&mut self.connection).await?;
        let id = sqlx::query_scalar(NOTE)
            .bind(self.tail.last_id)
            .bind(at.unix_ms())
            .bind(&hash)
            .bind(giccid)
            .bind(&keyed)
            .bind(audit_id)
            .fetch_one(&mut self.connection)
            .await?;
        run(&mut self.connection, "commit").await?;
        self.erased_sims.add(hash);
        let erased = Erased { id, ..Erased::default() };
        Ok(erasing(giccid.to_owned(), erased, Some(audit_id)))
    }

    /// Takes a few rows of a SIM away, in one short transaction.
    pub async fn erase_some(&mut self, erasing: &mut Erasing) -> Result<(), StoreError> {
        self.refresh().await?;
        let done = self.try_erase_some(erasing).await;
        if self.undo_unless(done).await? {
            erasing.next();
        }
        Ok(())
    }

    async fn try_erase_some(&mut self, erasing: &mut Erasing) -> Result<bool, StoreError> {
        match erasing.stage {
            Stage::Settle => {
                // Each once: what comes meanwhile is of other SIMs.
                let nth = usize::try_from(erasing.at_id).unwrap_or(usize::MAX);
                if let Some(summary) = Summary::ALL.get(nth) {
                    self.settle(*summary).await?;
                    erasing.at_id += 1;
                    return Ok(false);
                }
                erasing.sims = self.sims_of(&erasing.giccid).await?;
                erasing.imsis = self.own_imsis(&erasing.giccid).await?;
                Ok(true)
            }
            Stage::Usage => self.erase_usage(erasing).await,
            Stage::Sms => self.erase_sms(erasing).await,
            Stage::Notifications => self.erase_notifications(erasing).await,
            Stage::Held => self.erase_held(erasing).await,
            Stage::UsageExtra => self.erase_from_extra(erasing, &USAGE_EXTRA).await,
            Stage::SmsExtra => self.erase_from_extra(erasing, &SMS_EXTRA).await,
            Stage::Names => {
                if self.has_records_of(&erasing.giccid).await? {
                    // Nothing should have stored any, but they would be another SIM's or nobody's.
                    tracing::warn!("Records of a SIM came while it was erased; they go, too");
                    erasing.stage = Stage::Settle;
                    erasing.at_id = 0;
                    return Ok(false);
                }
                run(&mut self.connection, "begin immediate").await?;
                self.erase_names(erasing).await?;
                let (outcome, told) = (AuditOutcome::Done, erasing.erased.to_string());
                audit_ended(&mut self.connection, erasing.audit_id, outcome, &told).await?;
                end_others(&mut self.connection, erasing.audit_id, AuditAction::Erase).await?;
                self.note_file_search(erasing.erased.id, &erasing.giccid).await?;
                run(&mut self.connection, "commit").await?;
                self.interned = Default::default();
                Ok(true)
            }
            Stage::Checkpoint => self.checkpoint(CHECKPOINT_WAIT).await,
            Stage::Done => Ok(true),
        }
    }

    async fn sims_of(&mut self, giccid: &str) -> Result<Vec<i64>, StoreError> {
        const SIMS: &str = "
            select sim.id from card join sim on sim.card_id = card.id
            where card.giccid_reversed = $1";
        let backwards = reversed(giccid, usize::MAX);
        Ok(sqlx::query_scalar(SIMS).bind(backwards).fetch_all(&mut self.connection).await?)
    }

    async fn own_imsis(&mut self, giccid: &str) -> Result<Vec<String>, StoreError> {
        const IMSIS: &str = "
            select sim.imsi from card join sim on sim.card_id = card.id
            where card.giccid_reversed = $1 and sim.imsi <> '' and not exists (
                select 1 from sim as other
                where other.imsi_reversed = sim.imsi_reversed and other.card_id <> sim.card_id)";
        let backwards = reversed(giccid, usize::MAX);
        Ok(sqlx::query_scalar(IMSIS).bind(backwards).fetch_all(&mut self.connection).await?)
    }

    async fn erase_usage(&mut self, erasing: &mut Erasing) -> Result<bool, StoreError> {
        const NEXT: &str = "
            with recursive days(day) as (
                select min(day) from usage_key where day >= $2
                union all
                select (select min(day) from usage_key where usage_key.day > days.day)
                from days where day is not null
            )
            select usage.id, usage.sim_id, usage.start_ms, usage.h, usage.series_id,
                usage.data_usage
            from days cross join usage_key as key on key.day = days.day and key.sim_id = $1
            cross join usage on usage.id = key.id
            where days.day is not null limit $3";
        let Some(sim_id) = erasing.sims.last().copied() else {
            erasing.sims = self.sims_of(&erasing.giccid).await?;
            return Ok(true);
        };
        // While it lasts, `at_id` is the day that has been come to; no record is older than the first.
        let going: Vec<GoingUsage> = sqlx::query_as(NEXT)
            .bind(sim_id)
            .bind(erasing.at_id)
            .bind(STEP_ROWS)
            .fetch_all(&mut self.connection)
            .await?;
        let Some(last) = going.last() else {
            erasing.sims.pop();
            erasing.at_id = 0;
            return Ok(false);
        };
        run(&mut self.connection, "begin immediate").await?;
        self.remove_usage(&going).await?;
        self.take_out_of_sums(&going).await?;
        self.note_erasing(erasing, "data_usage", going.len()).await?;
        run(&mut self.connection, "commit").await?;
        erasing.at_id = last.start_ms.div_euclid(DAY_MS);
        erasing.erased.usage += going.len() as u64;
        Ok(false)
    }

    /// Counts what a step takes away in the row of the erasure, inside the open transaction: whoever
    /// goes on with it after a crash counts from there.
    pub(super) async fn note_erasing(
        &mut self,
        erasing: &Erasing,
        column: &'static str,
        rows: usize,
    ) -> Result<(), StoreError> {
        if rows > 0 {
            let mut sql: QueryBuilder<sqlx::Sqlite> = QueryBuilder::new("update erased set ");
            sql.push(format_args!("{column} = {column} + "));
            sql.push_bind(i64::try_from(rows).unwrap_or(i64::MAX));
            sql.push(" where pending = ").push_bind(&erasing.giccid);
            sql.build().execute(&mut self.connection).await?;
        }
        Ok(())
    }

    /// Takes records out of the sums by time and network, and out of the volume that guards all sums
    /// against overflow, inside the open transaction.
    pub(super) async fn take_out_of_sums(
        &mut self,
        going: &[GoingUsage],
    ) -> Result<(), StoreError> {
        const QUARTERS: [&str; 2] = [
            "update usage_quarter_hour
            set data_usage = data_usage - (row.value ->> 2), records = records - (row.value ->> 3)
            from json_each($1) as row
            where start_ms = row.value ->> 0 and series_id = row.value ->> 1",
            "delete from usage_quarter_hour where records = 0 and (start_ms, series_id) in (
                select row.value ->> 0, row.value ->> 1 from json_each($1) as row)",
        ];
        const GONE: &str = "
            with gone(dimension, start_ms, value, data_usage, records) as materialized (
                select dimension.value, row.value ->> 0,
                    case dimension.value
                        when 'sim_group' then sim_group when 'country_code' then country_code
                        when 'network' then mcc || '-' || mnc else apn end,
                    sum(row.value ->> 2), sum(row.value ->> 3)
                from json_each($1) as row join series on series.id = row.value ->> 1
                cross join json_each('[\"sim_group\",\"country_code\",\"network\",\"apn\"]')
                    as dimension
                group by 1, 2, 3)
            update usage_hour set data_usage = usage_hour.data_usage - gone.data_usage,
                records = usage_hour.records - gone.records
            from gone where usage_hour.dimension = gone.dimension
                and usage_hour.start_ms = gone.start_ms and usage_hour.value = gone.value";
        const NO_HOURS: &str = "
            delete from usage_hour where records = 0 and (dimension, start_ms) in (
                select dimension.value, row.value ->> 0 from json_each($1) as row
                cross join json_each('[\"sim_group\",\"country_code\",\"network\",\"apn\"]')
                    as dimension)";
        let by = |unit_ms: i64| {
            let mut sums: BTreeMap<(i64, i64), Sum> = BTreeMap::new();
            for record in going {
                let start_ms = record.start_ms - record.start_ms.rem_euclid(unit_ms);
                let sum = sums.entry((start_ms, record.series_id)).or_default();
                sum.add(Sum { data_usage: record.data_usage, records: 1 });
            }
            let row = |((start, series), sum): ((i64, i64), Sum)| {
                [start, series, sum.data_usage, sum.records]
            };
            serde_json::to_string(&sums.into_iter().map(row).collect::<Vec<_>>())
        };
        let (quarters, hours) = (by(QUARTER_HOUR_MS)?, by(HOUR_MS)?);
        for (statement, rows) in
            [(QUARTERS[0], &quarters), (QUARTERS[1], &quarters), (GONE, &hours), (NO_HOURS, &hours)]
        {
            sqlx::query(statement).bind(rows).execute(&mut self.connection).await?;
        }
        self.shrink_volume(going).await
    }
}

/// An erasure that has taken so much away already.
pub(super) fn erasing(giccid: String, erased: Erased, audit_id: Option<i64>) -> Erasing {
    let (sims, imsis) = (Vec::new(), Vec::new());
    Erasing { giccid, stage: Stage::Settle, sims, imsis, at_id: 0, erased, audit_id }
}
