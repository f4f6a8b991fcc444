//! Takes out what was pushed under one `datePush`: records that somebody attached to a captured
//! signature. At every commit sums equal records.
//!
//! A signature covers the second and not the body, so the records themselves are not to blame: the
//! same record under another `datePush` is taken in. What still comes under the retracted one is set
//! aside (see [`Retracted`](crate::domain::Retracted)), because whoever captured its signature can send it again.
use std::{collections::BTreeSet, net::IpAddr};

use sqlx::{FromRow, QueryBuilder, Sqlite};

use super::{Writer, removal::GoingUsage, run, tail::Summary};
use crate::{
    domain::{Caller, RetractQuestion, Timestamp},
    store::{
        StoreError,
        admin::audit,
        card::{CardSeen, CardSums, TailSms},
        push::source_octets,
        rollup::{DAY_MS, SimSums, TailUsage},
    },
};

/// Rows of one step: each is taken out of several sums, and its SIM is looked through.
const STEP_ROWS: i64 = 64;

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
}

/// A retraction on its way.
#[derive(Debug)]
pub struct Retracting {
    question: RetractQuestion,
    stage: Stage,
    counts: RetractedCounts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Usage,
    Sms,
    Notifications,
    Pushes,
    Done,
}

/// A usage record that goes, with its card.
#[derive(Clone, Copy, Debug, FromRow)]
struct CardUsage {
    #[sqlx(flatten)]
    usage: GoingUsage,
    card_id: i64,
}

impl Retracting {
    /// What it has taken away so far.
    pub fn counts(&self) -> RetractedCounts {
        self.counts
    }

    /// Whether nothing is left to do.
    pub fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    fn next(&mut self) {
        self.stage = match self.stage {
            Stage::Usage => Stage::Sms,
            Stage::Sms => Stage::Notifications,
            Stage::Notifications => Stage::Pushes,
            Stage::Pushes | Stage::Done => Stage::Done,
        };
    }
}

impl Writer {
    /// Begins a retraction: it is among the changes and in the audit.
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
        const NOTE: &str = "
            insert into retracted (id, at_ms, date_push_s, source) values ($1, $2, $3, $4)";
        run(&mut self.connection, "begin immediate").await?;
        run(&mut self.connection, "update seq set last = last + 1").await?;
        self.tail.last_id += 1;
        let id = self.tail.last_id;
        sqlx::query(NOTE)
            .bind(id)
            .bind(now.unix_ms())
            .bind(question.date_push_s)
            .bind(octets(question.source))
            .execute(&mut self.connection)
            .await?;
        audit(&mut self.connection, caller, "retract", &question.to_string(), now).await?;
        run(&mut self.connection, "commit").await?;
        let counts = RetractedCounts { id, ..RetractedCounts::default() };
        Ok(Retracting { question, stage: Stage::Usage, counts })
    }

    /// Takes a few records away, in one short transaction.
    pub async fn retract_some(&mut self, retracting: &mut Retracting) -> Result<(), StoreError> {
        self.refresh().await?;
        let done = self.try_retract_some(retracting).await;
        if self.undo_unless(done).await? {
            retracting.next();
        }
        Ok(())
    }

    async fn try_retract_some(&mut self, retracting: &mut Retracting) -> Result<bool, StoreError> {
        let (question, counts) = (retracting.question, &mut retracting.counts);
        run(&mut self.connection, "begin immediate").await?;
        // What goes must be in every summary and in no tail, neither in ours nor in a reader's.
        for summary in Summary::ALL {
            self.move_mark(summary).await?;
        }
        let (taken, of_kind) = match retracting.stage {
            Stage::Usage => (self.retract_usage(question).await?, &mut counts.usage),
            Stage::Sms => (self.retract_sms(question).await?, &mut counts.sms),
            Stage::Notifications => {
                (self.retract_notifications(question).await?, &mut counts.notifications)
            }
            Stage::Pushes | Stage::Done => (self.forget_pushes(question).await?, &mut 0),
        };
        run(&mut self.connection, "commit").await?;
        for summary in Summary::ALL {
            self.tail.moved(summary);
        }
        *of_kind += taken;
        Ok(taken == 0)
    }

    async fn retract_usage(&mut self, question: RetractQuestion) -> Result<u64, StoreError> {
        let mut sql = QueryBuilder::new(
            "select pushed.id, pushed.sim_id, pushed.start_ms, pushed.h, pushed.series_id,
                pushed.data_usage, sim.card_id",
        );
        push_records(&mut sql, "usage", question);
        let going: Vec<CardUsage> = sql.build_query_as().fetch_all(&mut self.connection).await?;
        if going.is_empty() {
            return Ok(0);
        }
        let records: Vec<GoingUsage> = going.iter().map(|row| row.usage).collect();
        self.remove_usage(&records).await?;
        self.take_out_of_sums(&records).await?;
        let folded: Vec<TailUsage> = going.iter().map(CardUsage::folded).collect();
        self.take_out_of_sim_sums(&folded).await?;
        self.look_again(going.iter().map(|row| row.card_id).collect()).await?;
        Ok(going.len() as u64)
    }

    async fn retract_sms(&mut self, question: RetractQuestion) -> Result<u64, StoreError> {
        let mut sql = QueryBuilder::new("select pushed.id, sim.card_id");
        push_records(&mut sql, "sms", question);
        let going: Vec<(i64, i64)> = sql.build_query_as().fetch_all(&mut self.connection).await?;
        if going.is_empty() {
            return Ok(0);
        }
        let ids: Vec<i64> = going.iter().map(|(id, _)| *id).collect();
        self.remove_sms_and_counts(&ids).await?;
        self.look_again(going.iter().map(|(_, card_id)| *card_id).collect()).await?;
        Ok(going.len() as u64)
    }

    async fn retract_notifications(
        &mut self,
        question: RetractQuestion,
    ) -> Result<u64, StoreError> {
        let mut sql = QueryBuilder::new("select pushed.id, pushed.kind");
        push_records(&mut sql, "notification", question);
        let going: Vec<(i64, String)> =
            sql.build_query_as().fetch_all(&mut self.connection).await?;
        if !going.is_empty() {
            self.remove_notifications(&going).await?;
        }
        Ok(going.len() as u64)
    }

    async fn forget_pushes(&mut self, question: RetractQuestion) -> Result<u64, StoreError> {
        let mut sql = QueryBuilder::new("delete from push where ");
        push_pushes(&mut sql, question);
        sql.build().execute(&mut self.connection).await?;
        Ok(0)
    }

    /// Takes usage records out of the sums by SIM and by card.
    async fn take_out_of_sim_sums(&mut self, going: &[TailUsage]) -> Result<(), StoreError> {
        const DAYS: [&str; 2] = [
            "update usage_sim_day
            set data_usage = data_usage - (row.value ->> 2), records = records - (row.value ->> 3)
            from json_each($1) as row where day = row.value ->> 0 and sim_id = row.value ->> 1",
            "delete from usage_sim_day where records = 0 and (day, sim_id) in (
                select row.value ->> 0, row.value ->> 1 from json_each($1) as row)",
        ];
        const MONTHS: [&str; 2] = [
            "update usage_card_month
            set data_usage = data_usage - (row.value ->> 2), records = records - (row.value ->> 3)
            from json_each($1) as row where month = row.value ->> 0 and card_id = row.value ->> 1",
            "delete from usage_card_month where records = 0 and (month, card_id) in (
                select row.value ->> 0, row.value ->> 1 from json_each($1) as row)",
        ];
        let days = serde_json::to_string(&SimSums::of(going, &self.days).days())?;
        let months = serde_json::to_string(&CardSums::of(going, &[], &self.days).months())?;
        for (statements, rows) in [(DAYS, &days), (MONTHS, &months)] {
            for statement in statements {
                sqlx::query(statement).bind(rows).execute(&mut self.connection).await?;
            }
        }
        Ok(())
    }

    /// Finds the first and the last record of these cards among those that are left; one of which
    /// nothing is left goes.
    async fn look_again(&mut self, cards: BTreeSet<i64>) -> Result<(), StoreError> {
        const KNOWN: &str = "
            select first_ms, last_ms, sim_id, usage_ms, series_id from card_seen where card_id = $1";
        const SEEN: &str = "
            update card_seen set first_ms = $2, last_ms = $3, sim_id = $4, usage_ms = $5,
                series_id = $6 where card_id = $1";
        const NONE: [&str; 3] = [
            "delete from card_seen where card_id = $1",
            "delete from sim where card_id = $1",
            "delete from card where id = $1",
        ];
        /// The columns of `card_seen` behind the card.
        type SeenRow = (i64, i64, i64, Option<i64>, Option<i64>);
        for card_id in cards {
            let known: Option<SeenRow> =
                sqlx::query_as(KNOWN).bind(card_id).fetch_optional(&mut self.connection).await?;
            let Some((first_ms, last_ms, sim_id, usage_ms, series_id)) = known else { continue };
            let usage = usage_ms.zip(series_id);
            let before = CardSeen { first_ms, last: (last_ms, sim_id), usage };
            let Some(seen) = self.seen_of_what_is_left(card_id, before).await? else {
                for statement in NONE {
                    sqlx::query(statement).bind(card_id).execute(&mut self.connection).await?;
                }
                self.interned = Default::default();
                continue;
            };
            let (usage_ms, series_id) = seen.usage.unzip();
            sqlx::query(SEEN)
                .bind(card_id)
                .bind(seen.first_ms)
                .bind(seen.last.0)
                .bind(seen.last.1)
                .bind(usage_ms)
                .bind(series_id)
                .execute(&mut self.connection)
                .await?;
        }
        Ok(())
    }

    /// Records that were pruned are known by the day only: where only they can tell, what was known
    /// before is kept.
    async fn seen_of_what_is_left(
        &mut self,
        card_id: i64,
        before: CardSeen,
    ) -> Result<Option<CardSeen>, StoreError> {
        const USAGE: &str = "
            with recursive days(day) as (
                select min(day) from usage_key
                union all
                select (select min(day) from usage_key where usage_key.day > days.day)
                from days where day is not null
            ), of_card(day) as materialized (
                select days.day from days where days.day is not null and exists (
                    select 1 from sim cross join usage_key as key
                        on key.day = days.day and key.sim_id = sim.id
                    where sim.card_id = $1)
            )
            select key.sim_id, $1 as card_id, usage.series_id, key.start_ms, usage.data_usage
            from sim cross join usage_key as key on key.sim_id = sim.id
                and key.day in ((select min(day) from of_card), (select max(day) from of_card))
            cross join usage on usage.id = key.id
            where sim.card_id = $1";
        const SMS: &str = "
            select sim_id, $1 as card_id, event_ms from sms
            where sim_id in (select id from sim where card_id = $1)";
        const SUMMED: &str = "
            select min(day), max(day) from usage_sim_day
            where sim_id in (select id from sim where card_id = $1)";
        let usage: Vec<TailUsage> =
            sqlx::query_as(USAGE).bind(card_id).fetch_all(&mut self.connection).await?;
        let sms: Vec<TailSms> =
            sqlx::query_as(SMS).bind(card_id).fetch_all(&mut self.connection).await?;
        let left = CardSums::of(&usage, &sms, &self.days).seen.remove(&card_id);
        let summed: (Option<i64>, Option<i64>) =
            sqlx::query_as(SUMMED).bind(card_id).fetch_one(&mut self.connection).await?;
        let Some((first_day, last_day)) = summed.0.zip(summed.1) else { return Ok(left) };
        let Some(mut seen) = left else { return Ok(Some(before)) };
        // A day of the store's zone begins and ends within one of UTC's beside it.
        if (first_day + 2) * DAY_MS < seen.first_ms {
            seen.first_ms = before.first_ms;
        }
        if seen.usage.is_none_or(|(usage_ms, _)| usage_ms < (last_day - 1) * DAY_MS) {
            (seen.last, seen.usage) = (before.last, before.usage);
        }
        Ok(Some(seen))
    }
}

impl CardUsage {
    fn folded(&self) -> TailUsage {
        let GoingUsage { sim_id, start_ms, series_id, data_usage, .. } = self.usage;
        TailUsage { sim_id, card_id: self.card_id, series_id, start_ms, data_usage }
    }
}

/// Adds where the records come from that a step takes.
fn push_records(sql: &mut QueryBuilder<Sqlite>, table: &'static str, question: RetractQuestion) {
    sql.push(format_args!(
        " from push cross join {table} as pushed
            on pushed.id between push.id and push.id + push.ids - 1
                and pushed.date_push_s = push.date_push_s"
    ));
    if table != "notification" {
        sql.push(" cross join sim on sim.id = pushed.sim_id");
    }
    sql.push(" where ");
    push_pushes(sql, question);
    sql.push(" limit ").push_bind(STEP_ROWS);
}

/// Adds which rows of `push` are meant.
pub(in crate::store) fn push_pushes(sql: &mut QueryBuilder<Sqlite>, question: RetractQuestion) {
    sql.push("push.date_push_s = ").push_bind(question.date_push_s);
    if let Some(source) = question.source {
        sql.push(" and push.source = ").push_bind(source_octets(source));
    }
}

/// As the tables have them: nothing where any source is meant.
fn octets(source: Option<IpAddr>) -> Vec<u8> {
    source.map(source_octets).unwrap_or_default()
}
