//! The sums of each SIM, cut anew by the days of another zone.
//!
//! They are made beside those in force, in steps that are each a transaction with a note of how far it
//! came, and take their place in one more: whatever ends the process, the sums in force are whole, and
//! the next start goes on where this one was. Nothing else is written meanwhile, because the store is
//! not open yet. Tests: `store_contract::zones`.
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, FromRow};

use super::{Writer, run, tail::Summary};
use crate::store::{
    StoreError,
    card::{CardSums, month_of},
    days::{StoreDays, name_of},
    rollup::{SimSums, TailUsage},
};

/// How many records one step takes, beside what a summary may be behind: in a step their days are
/// sorted, and written in that order.
const STEP_TAILS: usize = 4;
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
    /// The last record that was added.
    id: i64,
}

#[derive(FromRow)]
struct Numbered {
    id: i64,
    #[sqlx(flatten)]
    usage: TailUsage,
}

/// Tells how far it is, now and then.
struct Telling {
    began: Instant,
    told: Instant,
    first_id: i64,
    last_id: i64,
}

impl Writer {
    /// The days of the sums.
    pub(in crate::store) fn days(&self) -> &StoreDays {
        &self.days
    }

    /// Forgets a rebuild that was broken off: what came since is not in it.
    pub(in crate::store) async fn drop_rebuild(&mut self) -> Result<(), StoreError> {
        if self.rebuild_progress().await?.is_some() {
            self.without_wiping(&[
                "begin immediate",
                "drop table if exists usage_sim_day_next",
                "drop table if exists usage_card_month_next",
                "delete from meta where name = 'rebuild'",
                "commit",
            ])
            .await?;
        }
        Ok(())
    }

    /// Cuts the sums of each SIM by the days of this zone.
    pub(in crate::store) async fn rebuild_days(
        &mut self,
        zone: TimeZone,
    ) -> Result<(), StoreError> {
        self.refresh().await?;
        self.settle(Summary::Sims).await?;
        let mut progress = self.begin_rebuild(&zone).await?;
        let days = self.days.changed(zone, progress.border_ms);
        let mut telling = Telling::new(&progress, self.tail.last_id);
        if let Some(border_ms) = progress.border_ms {
            let before = self.days.span_of(border_ms.saturating_sub(1));
            let last_day = self.days.number_of(before);
            while self.take_over_day(&mut progress, last_day).await? {
                telling.tell(&progress);
            }
        }
        while self.add_records(&mut progress, &days).await? {
            telling.tell(&progress);
        }
        self.put_in_force(&days).await?;
        self.days = days;
        Ok(())
    }

    async fn rebuild_progress(&mut self) -> Result<Option<Progress>, StoreError> {
        let text: Option<String> =
            sqlx::query_scalar("select value from meta where name = 'rebuild'")
                .fetch_optional(&mut self.connection)
                .await?;
        // One of another version is begun anew.
        Ok(text.map(|text| {
            let none = Progress { zone: String::new(), border_ms: None, day: 0, id: 0 };
            serde_json::from_str(&text).unwrap_or(none)
        }))
    }

    async fn begin_rebuild(&mut self, zone: &TimeZone) -> Result<Progress, StoreError> {
        const TABLES: [&str; 2] = [
            "create table usage_sim_day_next (
                day integer not null, sim_id integer not null, data_usage integer not null,
                records integer not null, primary key (day, sim_id)) strict, without rowid",
            "create table usage_card_month_next (
                month integer not null, card_id integer not null, data_usage integer not null,
                records integer not null, primary key (month, card_id)) strict, without rowid",
        ];
        let zone = name_of(zone);
        if let Some(progress) = self.rebuild_progress().await?.filter(|it| it.zone == zone) {
            tracing::info!(zone, "Going on with the sums by day where the last start left them");
            return Ok(progress);
        }
        self.drop_rebuild().await?;
        let kept_from_ms: Option<i64> =
            sqlx::query_scalar("select from_ms from kept where what = 'data-usage'")
                .fetch_optional(&mut self.connection)
                .await?;
        let border_ms = kept_from_ms.map(|from_ms| {
            let day = self.days.span_of(from_ms);
            if day.start_ms == from_ms { from_ms } else { day.end_ms }
        });
        let progress = Progress { zone, border_ms, day: i64::MIN, id: 0 };
        run(&mut self.connection, "begin immediate").await?;
        for table in TABLES {
            run(&mut self.connection, table).await?;
        }
        self.note_progress(&progress).await?;
        run(&mut self.connection, "commit").await?;
        Ok(progress)
    }

    async fn note_progress(&mut self, progress: &Progress) -> Result<(), StoreError> {
        sqlx::query("insert or replace into meta (name, value) values ('rebuild', $1)")
            .bind(serde_json::to_string(progress)?)
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// Takes over the sums of the next day before the border; false where there is none.
    async fn take_over_day(
        &mut self,
        progress: &mut Progress,
        last_day: i64,
    ) -> Result<bool, StoreError> {
        const NEXT: &str = "select min(day) from usage_sim_day where day > $1 and day <= $2";
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
        let Some(day) = next else { return Ok(false) };
        progress.day = day;
        run(&mut self.connection, "begin immediate").await?;
        sqlx::query(DAY).bind(day).execute(&mut self.connection).await?;
        sqlx::query(MONTH).bind(day).bind(month_of(day)).execute(&mut self.connection).await?;
        self.note_progress(progress).await?;
        run(&mut self.connection, "commit").await?;
        Ok(true)
    }

    /// Adds the next records behind the border; false where there are none.
    async fn add_records(
        &mut self,
        progress: &mut Progress,
        days: &StoreDays,
    ) -> Result<bool, StoreError> {
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
        let step = self.limits.tail_records_max.saturating_mul(STEP_TAILS).min(STEP_RECORDS_MAX);
        let rows: Vec<Numbered> = sqlx::query_as(RECORDS)
            .bind(progress.id)
            .bind(i64::try_from(step).unwrap_or(i64::MAX))
            .fetch_all(&mut self.connection)
            .await?;
        let Some(last) = rows.last() else { return Ok(false) };
        progress.id = last.id;
        let border_ms = progress.border_ms.unwrap_or(i64::MIN);
        let behind = rows.into_iter().map(|row| row.usage).filter(|it| it.start_ms >= border_ms);
        let usage: Vec<TailUsage> = behind.collect();
        run(&mut self.connection, "begin immediate").await?;
        self.upsert(DAYS, &SimSums::of(&usage, days).days()).await?;
        self.upsert(MONTHS, &CardSums::of(&usage, &[], days).months()).await?;
        self.note_progress(progress).await?;
        run(&mut self.connection, "commit").await?;
        Ok(true)
    }

    /// Puts the new sums in the place of those in force, unless they are not as large.
    async fn put_in_force(&mut self, days: &StoreDays) -> Result<(), StoreError> {
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
            self.drop_rebuild().await?;
            return Err(StoreError::Corrupt { table: "usage_sim_day", id: 0 });
        }
        run(&mut self.connection, "pragma secure_delete = off").await?;
        run(&mut self.connection, "begin immediate").await?;
        for statement in [
            "drop table usage_sim_day",
            "alter table usage_sim_day_next rename to usage_sim_day",
            "drop table usage_card_month",
            "alter table usage_card_month_next rename to usage_card_month",
            "delete from meta where name in ('rebuild', 'earlier_zones')",
        ] {
            run(&mut self.connection, statement).await?;
        }
        let facts = [("time_zone", Some(name_of(days.zone()))), ("earlier_zones", days.earlier()?)];
        for (name, value) in facts {
            if let Some(value) = value {
                sqlx::query(FACT).bind(name).bind(value).execute(&mut self.connection).await?;
            }
        }
        run(&mut self.connection, "commit").await?;
        run(&mut self.connection, "pragma secure_delete = on").await
    }

    /// Runs statements that drop tables. These hold numbers of ours and sums, nothing that has to be
    /// wiped off the disk: writing each page once more would take as long as all the rest.
    async fn without_wiping(&mut self, statements: &[&'static str]) -> Result<(), StoreError> {
        run(&mut self.connection, "pragma secure_delete = off").await?;
        for statement in statements {
            sqlx::query(AssertSqlSafe(*statement)).execute(&mut self.connection).await?;
        }
        run(&mut self.connection, "pragma secure_delete = on").await
    }
}

impl Telling {
    fn new(progress: &Progress, last_id: i64) -> Self {
        tracing::info!(
            zone = progress.zone,
            "Cutting the sums of each SIM by the days of another time zone: pushes wait until it is \
             done; ended before, it goes on at the next start"
        );
        let now = Instant::now();
        Self { began: now, told: now, first_id: progress.id, last_id }
    }

    fn tell(&mut self, progress: &Progress) {
        if self.told.elapsed() < TELL_EVERY {
            return;
        }
        self.told = Instant::now();
        let (done, all) = (progress.id - self.first_id, self.last_id - self.first_id);
        let seconds = self.began.elapsed().as_secs();
        let rest_s = u64::try_from(all - done)
            .ok()
            .zip(u64::try_from(done).ok().filter(|done| *done > 0))
            .map(|(rest, done)| seconds.saturating_mul(rest) / done);
        tracing::info!(
            zone = progress.zone,
            at_id = progress.id,
            of_id = self.last_id,
            seconds_left = rest_s,
            "Cutting the sums of each SIM by the days of another time zone"
        );
    }
}
