//! The sums of each SIM, cut anew by the days of another zone, while pushes come in.
//!
//! They are made beside those in force, in steps that are each a transaction with a note of how far it
//! came, and take their place in one more: whatever ends the process, the sums in force are whole, and
//! the next start goes on where this one was. What is stored meanwhile is read like all other records.
//! Days before the border are copied, the last of them together with the id up to which it is
//! complete, since it may still get records. Nothing may be pruned meanwhile; whoever takes records
//! out of the sums lets the next step begin anew. Tests: `store_contract::zones`, `front::rezone`.
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use sqlx::FromRow;

use super::{Writer, audit, run, tail::Summary};
use crate::{
    domain::{AUDITED_COMMAND, AUDITED_SERVER, AuditAction, AuditNote, Timestamp},
    store::{
        StoreError,
        card::{CardSums, month_of},
        days::{StoreDays, name_of},
        rollup::{SimSums, TailUsage},
    },
};

/// How many records one step takes, beside what a summary may be behind: in a step their days are
/// sorted, and written in that order.
const STEP_TAILS: usize = 4;
const STEP_RECORDS_MIN: usize = 4;
const STEP_RECORDS_MAX: usize = 1 << 17;
/// How often it is told how far it is.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// How far it came, as the database has it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Progress {
    zone: String,
    /// Days before it keep their sums: records that they are made of are gone.
    border_ms: Option<i64>,
    /// The last of those days that was taken over.
    day: i64,
    /// Up to which id the days before the border have all of their records: those that came later are
    /// added. None as long as the last of them is not taken over.
    before_border_to: Option<i64>,
    /// The last record that was added.
    id: i64,
}

/// Such work on its way.
#[derive(Debug)]
pub struct Rebuilding {
    zone: TimeZone,
    step_time: Duration,
    step_records: usize,
    began: Instant,
    told: Instant,
    first_id: i64,
    done: (i64, i64),
    /// The first attempt did not come to the sums in force.
    is_second: bool,
    /// Who does it, for the audit.
    who: &'static str,
}

impl Rebuilding {
    /// By the days of this zone, in steps of about this time.
    pub fn new(zone: TimeZone, step_time: Duration) -> Self {
        let (now, step_records) = (Instant::now(), STEP_RECORDS_MIN);
        let (first_id, done) = (i64::MAX, (0, 0));
        let (is_second, who) = (false, AUDITED_SERVER);
        Self {
            zone,
            step_time,
            step_records,
            began: now,
            told: now,
            first_id,
            done,
            is_second,
            who,
        }
    }

    /// The same, done by a command that works on the files.
    pub fn by_command(self) -> Self {
        Self { who: AUDITED_COMMAND, ..self }
    }

    /// The zone of the days to come.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// How far it is: up to which id, and of which.
    pub fn done(&self) -> (i64, i64) {
        self.done
    }
}

#[derive(FromRow)]
struct Numbered {
    id: i64,
    #[sqlx(flatten)]
    usage: TailUsage,
}

impl Writer {
    /// The days of the sums.
    pub(in crate::store) fn days(&self) -> &StoreDays {
        &self.days
    }

    /// The zone by whose days the sums are being made anew, if they are.
    pub(in crate::store) async fn zone_on_its_way(&mut self) -> Result<Option<String>, StoreError> {
        Ok(self.rebuild_progress().await?.map(|progress| progress.zone))
    }

    /// Does the next step; true when the new sums are in force.
    pub async fn rebuild_some(
        &mut self,
        work: &mut Rebuilding,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.refresh().await?;
        let began = Instant::now();
        let done = self.try_rebuild_some(work, now).await;
        if done.is_err() {
            // It may have failed where nothing is wiped.
            run(&mut self.connection, "pragma secure_delete = on").await?;
        }
        let is_done = self.undo_unless(done).await?;
        work.pace(began.elapsed(), self.limits.tail_records_max);
        Ok(is_done)
    }

    async fn try_rebuild_some(
        &mut self,
        work: &mut Rebuilding,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let zone = name_of(&work.zone);
        let Some(mut progress) = self.rebuild_progress().await?.filter(|it| it.zone == zone) else {
            self.begin_rebuild(zone).await?;
            return Ok(false);
        };
        let days = self.days.changed(work.zone.clone(), progress.border_ms);
        work.tell(&progress, self.tail.last_id);
        if let (Some(border_ms), None) = (progress.border_ms, progress.before_border_to) {
            let before = self.days.span_of(border_ms.saturating_sub(1));
            let last_day = self.days.number_of(before);
            self.take_over_day(&mut progress, last_day).await?;
            return Ok(false);
        }
        if self.add_records(&mut progress, &days, work.step_records).await? == work.step_records {
            return Ok(false);
        }
        // Nothing comes in until the new sums are in force.
        self.settle(Summary::Sims).await?;
        while self.add_records(&mut progress, &days, work.step_records).await? > 0 {}
        let before = name_of(self.days.zone());
        let details = if before == zone { String::new() } else { format!("instead of {before}") };
        let note = AuditNote::by_itself(work.who, AuditAction::Rebuild, &*zone, details);
        if !self.put_in_force(&days, &note, now).await? {
            // Something was taken out of the sums in force, and the end came before that was noted.
            self.restart_rebuild().await?;
            let first = !std::mem::replace(&mut work.is_second, true);
            let corrupt = StoreError::Corrupt { table: "usage_sim_day", id: 0 };
            return if first { Ok(false) } else { Err(corrupt) };
        }
        self.days = days;
        tracing::info!(zone, "Sums by day now go by the new time zone");
        Ok(true)
    }

    async fn rebuild_progress(&mut self) -> Result<Option<Progress>, StoreError> {
        let text: Option<String> =
            sqlx::query_scalar("select value from meta where name = 'rebuild'")
                .fetch_optional(&mut self.connection)
                .await?;
        // One of another version is begun anew.
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    async fn begin_rebuild(&mut self, zone: String) -> Result<(), StoreError> {
        const TABLES: [&str; 2] = [
            "create table usage_sim_day_next (
                day integer not null, sim_id integer not null, data_usage integer not null,
                records integer not null, primary key (day, sim_id)) strict, without rowid",
            "create table usage_card_month_next (
                month integer not null, card_id integer not null, data_usage integer not null,
                records integer not null, primary key (month, card_id)) strict, without rowid",
        ];
        self.drop_rebuild().await?;
        let kept_from_ms: Option<i64> =
            sqlx::query_scalar("select from_ms from kept where what = 'data-usage'")
                .fetch_optional(&mut self.connection)
                .await?;
        let border_ms = kept_from_ms.map(|from_ms| {
            let day = self.days.span_of(from_ms);
            if day.start_ms == from_ms { from_ms } else { day.end_ms }
        });
        tracing::info!(
            zone,
            "Adding up each SIM's usage by the days of the new time zone; until that is done, sums by \
             day go by the old one, and a restart goes on with it"
        );
        let progress = Progress { zone, border_ms, day: i64::MIN, before_border_to: None, id: 0 };
        run(&mut self.connection, "begin immediate").await?;
        for table in TABLES {
            run(&mut self.connection, table).await?;
        }
        self.note_progress(&progress).await?;
        run(&mut self.connection, "delete from meta where name = 'zone_given_up'").await?;
        run(&mut self.connection, "commit").await
    }

    async fn note_progress(&mut self, progress: &Progress) -> Result<(), StoreError> {
        sqlx::query("insert or replace into meta (name, value) values ('rebuild', $1)")
            .bind(serde_json::to_string(progress)?)
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// Takes over the sums of the next day before the border. The last one may still get records, and
    /// all that it has are in its sums when they are taken over.
    async fn take_over_day(
        &mut self,
        progress: &mut Progress,
        last_day: i64,
    ) -> Result<(), StoreError> {
        const NEXT: &str = "select min(day) from usage_sim_day where day > $1 and day < $2";
        const DAY: &str = "
            insert into usage_sim_day_next (day, sim_id, data_usage, records)
            select day, sim_id, data_usage, records from usage_sim_day where day = $1";
        const MONTH: &str = "
            insert into usage_card_month_next (month, card_id, data_usage, records)
            select $2, sim.card_id, sum(data_usage), sum(records)
            from usage_sim_day join sim on sim.id = usage_sim_day.sim_id
            where day = $1 group by sim.card_id
            on conflict (month, card_id) do update set
                data_usage = data_usage + excluded.data_usage, records = records + excluded.records";
        let next: Option<i64> = sqlx::query_scalar(NEXT)
            .bind(progress.day)
            .bind(last_day)
            .fetch_one(&mut self.connection)
            .await?;
        let day = next.unwrap_or(last_day);
        if next.is_none() {
            self.settle(Summary::Sims).await?;
            progress.before_border_to = Some(self.tail.last_id);
        }
        progress.day = day;
        run(&mut self.connection, "begin immediate").await?;
        sqlx::query(DAY).bind(day).execute(&mut self.connection).await?;
        sqlx::query(MONTH).bind(day).bind(month_of(day)).execute(&mut self.connection).await?;
        self.note_progress(progress).await?;
        run(&mut self.connection, "commit").await
    }

    /// Adds the next records that no day has which was taken over. Gives how many were looked at.
    async fn add_records(
        &mut self,
        progress: &mut Progress,
        days: &StoreDays,
        most: usize,
    ) -> Result<usize, StoreError> {
        const RECORDS: &str = "
            select usage.id, sim_id, card_id, series_id, start_ms, data_usage
            from usage join sim on sim.id = usage.sim_id
            where usage.id > $1 order by usage.id limit $2";
        const DAYS: [&str; 2] = [
            "insert into usage_sim_day_next (day, sim_id, data_usage, records)
            select column1, column2, column3, column4 from (values ",
            ") where column1 is not null
            on conflict (day, sim_id) do update set
                data_usage = data_usage + excluded.data_usage, records = records + excluded.records;",
        ];
        const MONTHS: [&str; 2] = [
            "insert into usage_card_month_next (month, card_id, data_usage, records)
            select column1, column2, column3, column4 from (values ",
            ") where column1 is not null
            on conflict (month, card_id) do update set
                data_usage = data_usage + excluded.data_usage, records = records + excluded.records;",
        ];
        let rows: Vec<Numbered> = sqlx::query_as(RECORDS)
            .bind(progress.id)
            .bind(i64::try_from(most).unwrap_or(i64::MAX))
            .fetch_all(&mut self.connection)
            .await?;
        let (looked_at, Some(last)) = (rows.len(), rows.last()) else { return Ok(0) };
        progress.id = last.id;
        let border_ms = progress.border_ms.unwrap_or(i64::MIN);
        let taken_to = progress.before_border_to.unwrap_or(i64::MAX);
        let is_new = |row: &Numbered| row.usage.start_ms >= border_ms || row.id > taken_to;
        let usage: Vec<TailUsage> = rows.into_iter().filter(is_new).map(|row| row.usage).collect();
        run(&mut self.connection, "begin immediate").await?;
        self.upsert(DAYS, &SimSums::of(&usage, days).days()).await?;
        self.upsert(MONTHS, &CardSums::of(&usage, &[], days).months()).await?;
        self.note_progress(progress).await?;
        run(&mut self.connection, "commit").await?;
        Ok(looked_at)
    }

    /// Puts the new sums in the place of those in force; false if they are not as large.
    async fn put_in_force(
        &mut self,
        days: &StoreDays,
        note: &AuditNote,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const ARE_EQUAL: &str = "
            with days(volume, records) as (select sum(data_usage), sum(records) from usage_sim_day),
                next_days(volume, records) as (
                    select sum(data_usage), sum(records) from usage_sim_day_next),
                next_months(volume, records) as (
                    select sum(data_usage), sum(records) from usage_card_month_next)
            select days.volume is next_days.volume and days.records is next_days.records
                and days.volume is next_months.volume and days.records is next_months.records
            from days, next_days, next_months";
        const FACT: &str = "insert or replace into meta (name, value) values ($1, $2)";
        let are_equal: bool = sqlx::query_scalar(ARE_EQUAL).fetch_one(&mut self.connection).await?;
        if !are_equal {
            return Ok(false);
        }
        run(&mut self.connection, "pragma secure_delete = off").await?;
        run(&mut self.connection, "begin immediate").await?;
        for statement in [
            "drop table usage_sim_day",
            "alter table usage_sim_day_next rename to usage_sim_day",
            "drop table usage_card_month",
            "alter table usage_card_month_next rename to usage_card_month",
            "delete from meta where name in ('rebuild', 'earlier_zones', 'zone_given_up')",
        ] {
            run(&mut self.connection, statement).await?;
        }
        let facts = [("time_zone", Some(name_of(days.zone()))), ("earlier_zones", days.earlier()?)];
        for (name, value) in facts {
            if let Some(value) = value {
                sqlx::query(FACT).bind(name).bind(value).execute(&mut self.connection).await?;
            }
        }
        audit::insert(&mut self.connection, &self.erased_sims, note, 1, now).await?;
        run(&mut self.connection, "commit").await?;
        run(&mut self.connection, "pragma secure_delete = on").await?;
        Ok(true)
    }
}

impl Rebuilding {
    /// Takes as many records next time as fit into the time of a step.
    fn pace(&mut self, took: Duration, tail_records_max: usize) {
        if took < self.step_time / 2 {
            self.step_records *= 2;
        } else if took > self.step_time {
            self.step_records /= 2;
        }
        let most = tail_records_max.saturating_mul(STEP_TAILS).min(STEP_RECORDS_MAX);
        self.step_records = self.step_records.clamp(STEP_RECORDS_MIN, most.max(STEP_RECORDS_MIN));
    }

    /// Notes how far it is, and tells it now and then.
    fn tell(&mut self, progress: &Progress, last_id: i64) {
        self.first_id = self.first_id.min(progress.id);
        self.done = (progress.id, last_id);
        if self.told.elapsed() < TELL_EVERY {
            return;
        }
        self.told = Instant::now();
        let (done, all) = (progress.id - self.first_id, last_id - self.first_id);
        let seconds = self.began.elapsed().as_secs();
        let rest_s = u64::try_from(all - done)
            .ok()
            .zip(u64::try_from(done).ok().filter(|done| *done > 0))
            .map(|(rest, done)| seconds.saturating_mul(rest) / done);
        tracing::info!(
            zone = progress.zone,
            at_id = progress.id,
            of_id = last_id,
            seconds_left = rest_s,
            "Adding up each SIM's usage by the days of the new time zone"
        );
    }
}
