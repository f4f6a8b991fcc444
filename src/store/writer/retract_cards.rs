//! What a card shows after records of it were taken out: its first and last record among those that
//! are left, and what pruned ones told.
use std::time::Instant;

use sqlx::FromRow;

use super::{
    Writer, audit::audit_ended, cut_short::end_others, retract::Retracting, run, tail::Summary,
};
use crate::{
    domain::{AuditAction, AuditOutcome},
    store::{StoreError, card::CardSeen},
};

/// What pruned records, or messages, say of one SIM.
#[derive(FromRow)]
struct SimSeen {
    sim_id: i64,
    first_ms: i64,
    last_ms: i64,
    usage_ms: Option<i64>,
    series_id: Option<i64>,
}

impl SimSeen {
    fn seen(self) -> CardSeen {
        let usage = self.usage_ms.zip(self.series_id);
        CardSeen { first_ms: self.first_ms, last: (self.last_ms, self.sim_id), usage }
    }
}

impl Writer {
    /// Looks at a few cards that records were taken of, each once. Whether none is left, so that the
    /// retraction is at its end.
    pub(super) async fn look_again(&mut self, work: &mut Retracting) -> Result<bool, StoreError> {
        const NEXT: &str = "select card_id from retracted_card limit $1";
        const IS_BEHIND: &str = "
            select (select complete_to from mark where summary = 'keys')
                < (select complete_to from mark where summary = 'sims')";
        const LOOKED: &str =
            "delete from retracted_card where card_id in (select value from json_each($1))";
        const ENDED: &str = "update retracted set pending = 0 where id = $1";
        let began = Instant::now();
        let cards: Vec<i64> = sqlx::query_scalar(NEXT)
            .bind(i64::try_from(work.step_rows()).unwrap_or(i64::MAX))
            .fetch_all(&mut self.connection)
            .await?;
        run(&mut self.connection, "begin immediate").await?;
        if cards.is_empty() {
            sqlx::query(ENDED).bind(work.counts.id).execute(&mut self.connection).await?;
            let (outcome, told) = (AuditOutcome::Done, work.counts.to_string());
            audit_ended(&mut self.connection, work.audit_id, outcome, &told).await?;
            end_others(&mut self.connection, work.audit_id, AuditAction::Retract).await?;
            run(&mut self.connection, "commit").await?;
            return Ok(true);
        }
        // The keys have to tell of all records that a card's row does.
        let is_behind: bool = sqlx::query_scalar(IS_BEHIND).fetch_one(&mut self.connection).await?;
        if is_behind {
            self.move_mark(Summary::Keys).await?;
        }
        for card_id in &cards {
            self.look_again_at(*card_id).await?;
        }
        sqlx::query(LOOKED)
            .bind(serde_json::to_string(&cards)?)
            .execute(&mut self.connection)
            .await?;
        work.pace(began.elapsed());
        run(&mut self.connection, "commit").await?;
        if is_behind {
            self.tail.moved(Summary::Keys);
        }
        Ok(false)
    }

    async fn look_again_at(&mut self, card_id: i64) -> Result<(), StoreError> {
        const SHOWN: &str = "select sim_id from card_seen where card_id = $1";
        const SEEN: &str = "
            insert or replace into card_seen
                (card_id, first_ms, last_ms, sim_id, usage_ms, series_id)
            values ($1, $2, $3, $4, $5, $6)";
        let shown: Option<i64> =
            sqlx::query_scalar(SHOWN).bind(card_id).fetch_optional(&mut self.connection).await?;
        let Some(seen) = self.seen_of_what_is_left(card_id).await? else {
            return self.forget_card(card_id).await;
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
        let before = shown.filter(|sim_id| *sim_id != seen.last.1);
        self.forget_unused_sims(before.into_iter().collect()).await
    }

    /// Forgets a card of which nothing is left. One of which something came just now is known by that.
    async fn forget_card(&mut self, card_id: i64) -> Result<(), StoreError> {
        const UNSEEN: &str = "delete from card_seen where card_id = $1";
        const SIMS: &str = "delete from sim where card_id = $1 returning giccid, imsi";
        const CARD: &str = "delete from card where id = $1";
        sqlx::query(UNSEEN).bind(card_id).execute(&mut self.connection).await?;
        if self.tail.has_card(card_id) {
            return Ok(());
        }
        let forgotten: Vec<(String, String)> =
            sqlx::query_as(SIMS).bind(card_id).fetch_all(&mut self.connection).await?;
        self.forget_sims(&forgotten);
        sqlx::query(CARD).bind(card_id).execute(&mut self.connection).await?;
        Ok(())
    }

    async fn seen_of_what_is_left(&mut self, card_id: i64) -> Result<Option<CardSeen>, StoreError> {
        const PRUNED: &str = "
            select sim_id, first_ms, last_ms, usage_ms, series_id from sim_pruned
            where sim_id in (select id from sim where card_id = $1)";
        const MESSAGES: &str = "
            select sim_id, first_ms, last_ms, null as usage_ms, null as series_id from (
                select id as sim_id,
                    (select min(event_ms) from sms where sms.sim_id = sim.id) as first_ms,
                    (select max(event_ms) from sms where sms.sim_id = sim.id) as last_ms
                from sim where card_id = $1)
            where first_ms is not null";
        let mut all: Vec<CardSeen> = Vec::new();
        for question in [PRUNED, MESSAGES] {
            let rows: Vec<SimSeen> =
                sqlx::query_as(question).bind(card_id).fetch_all(&mut self.connection).await?;
            all.extend(rows.into_iter().map(SimSeen::seen));
        }
        all.extend(self.seen_of_kept_usage(card_id).await?);
        Ok(all.into_iter().reduce(CardSeen::and))
    }

    /// Goes by day, of which there are few, and not by record.
    async fn seen_of_kept_usage(&mut self, card_id: i64) -> Result<Option<CardSeen>, StoreError> {
        const FIRST_DAY: &str = "
            with recursive days(day) as (
                select min(day) from usage_key
                union all
                select (select min(day) from usage_key where usage_key.day > days.day)
                from days where day is not null
            )
            select day from days where day is not null and exists (
                select 1 from sim cross join usage_key as key
                    on key.day = days.day and key.sim_id = sim.id
                where sim.card_id = $1)
            limit 1";
        const LAST_DAY: &str = "
            with recursive days(day) as (
                select max(day) from usage_key
                union all
                select (select max(day) from usage_key where usage_key.day < days.day)
                from days where day is not null
            )
            select day from days where day is not null and exists (
                select 1 from sim cross join usage_key as key
                    on key.day = days.day and key.sim_id = sim.id
                where sim.card_id = $1)
            limit 1";
        const FIRST: &str = "
            select min((
                select min(start_ms) from usage_key as key
                where key.day = $2 and key.sim_id = sim.id))
            from sim where card_id = $1";
        const LAST: &str = "
            with last(ms) as materialized (
                select max((
                    select max(start_ms) from usage_key as key
                    where key.day = $2 and key.sim_id = sim.id))
                from sim where card_id = $1)
            select last.ms, max(key.sim_id), max(usage.series_id)
            from last cross join sim on sim.card_id = $1
            cross join usage_key as key
                on key.day = $2 and key.sim_id = sim.id and key.start_ms = last.ms
            cross join usage on usage.id = key.id";
        let connection = &mut self.connection;
        let day: Option<i64> =
            sqlx::query_scalar(FIRST_DAY).bind(card_id).fetch_optional(&mut *connection).await?;
        let Some(first_day) = day else { return Ok(None) };
        let last_day: i64 =
            sqlx::query_scalar(LAST_DAY).bind(card_id).fetch_one(&mut *connection).await?;
        let first_ms: i64 = sqlx::query_scalar(FIRST)
            .bind(card_id)
            .bind(first_day)
            .fetch_one(&mut *connection)
            .await?;
        let (last_ms, sim_id, series_id): (i64, i64, i64) =
            sqlx::query_as(LAST).bind(card_id).bind(last_day).fetch_one(connection).await?;
        let usage = Some((last_ms, series_id));
        Ok(Some(CardSeen { first_ms, last: (last_ms, sim_id), usage }))
    }
}
