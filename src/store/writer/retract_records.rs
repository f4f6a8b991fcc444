//! The records that a retraction takes out, inside its open transaction: out of the lists, the sums
//! and the counters, and the subscribers of which nothing else is known.
use std::collections::BTreeSet;

use sqlx::FromRow;

use super::{Writer, removal::GoingUsage, sims::SimKey};
use crate::{
    domain::{Giccid, ShortText, Timestamp},
    store::{
        StoreError,
        card::CardSums,
        rollup::{SimSums, TailUsage},
    },
};

/// A usage record that goes, with its card.
#[derive(Clone, Copy, Debug, FromRow)]
pub(super) struct CardUsage {
    #[sqlx(flatten)]
    usage: GoingUsage,
    card_id: i64,
}

/// A message that goes.
#[derive(Clone, Copy, Debug, FromRow)]
pub(super) struct CardSms {
    id: i64,
    sim_id: i64,
    card_id: i64,
}

/// Records of a table that came with these pushes, `[[id, ids], …]` in `$1`, in the second `$2`, `$3`
/// of them at most.
macro_rules! among {
    ($columns:literal, $table:literal, $sim:literal) => {
        concat!(
            "select ",
            $columns,
            " from json_each($1) as push cross join ",
            $table,
            " as pushed on pushed.id between push.value ->> 0
                    and (push.value ->> 0) + (push.value ->> 1) - 1
                and pushed.date_push_s = $2 ",
            $sim,
            " limit $3"
        )
    };
}

impl Writer {
    pub(super) async fn usage_among(
        &mut self,
        pushes: &str,
        date_push_s: i64,
        most: usize,
    ) -> Result<Vec<CardUsage>, StoreError> {
        const USAGE: &str = among!(
            "pushed.id, pushed.sim_id, pushed.start_ms, pushed.h, pushed.series_id,
                pushed.data_usage, sim.card_id",
            "usage",
            "cross join sim on sim.id = pushed.sim_id"
        );
        self.among(USAGE, pushes, date_push_s, most).await
    }

    pub(super) async fn sms_among(
        &mut self,
        pushes: &str,
        date_push_s: i64,
        most: usize,
    ) -> Result<Vec<CardSms>, StoreError> {
        const SMS: &str = among!(
            "pushed.id, pushed.sim_id, sim.card_id",
            "sms",
            "cross join sim on sim.id = pushed.sim_id"
        );
        self.among(SMS, pushes, date_push_s, most).await
    }

    pub(super) async fn notifications_among(
        &mut self,
        pushes: &str,
        date_push_s: i64,
        most: usize,
    ) -> Result<Vec<(i64, String)>, StoreError> {
        const NOTIFICATIONS: &str = among!("pushed.id, pushed.kind", "notification", "");
        self.among(NOTIFICATIONS, pushes, date_push_s, most).await
    }

    async fn among<T>(
        &mut self,
        sql: &'static str,
        pushes: &str,
        date_push_s: i64,
        most: usize,
    ) -> Result<Vec<T>, StoreError>
    where
        T: for<'r> FromRow<'r, sqlx::sqlite::SqliteRow> + Send + Unpin,
    {
        if most == 0 {
            return Ok(Vec::new());
        }
        Ok(sqlx::query_as(sql)
            .bind(pushes)
            .bind(date_push_s)
            .bind(i64::try_from(most).unwrap_or(i64::MAX))
            .fetch_all(&mut self.connection)
            .await?)
    }

    /// Takes usage records out. Gives how many of them were stored anew.
    pub(super) async fn retract_usage(
        &mut self,
        going: &[CardUsage],
        at: Timestamp,
    ) -> Result<u64, StoreError> {
        if going.is_empty() {
            return Ok(0);
        }
        let records: Vec<GoingUsage> = going.iter().map(|row| row.usage).collect();
        let ids: Vec<i64> = records.iter().map(|record| record.id).collect();
        let repeated = self.repeated_usage(&ids).await?;
        self.remove_usage(&records).await?;
        self.take_out_of_sums(&records).await?;
        let folded: Vec<TailUsage> = going.iter().map(CardUsage::folded).collect();
        self.take_out_of_sim_sums(&folded).await?;
        let kept = self.store_anew(repeated, at).await?;
        let sims = going.iter().map(|row| (row.usage.sim_id, row.card_id));
        self.note_cards(sims.collect()).await?;
        Ok(kept)
    }

    /// Takes messages out. Gives how many of them were stored anew.
    pub(super) async fn retract_sms(
        &mut self,
        going: &[CardSms],
        at: Timestamp,
    ) -> Result<u64, StoreError> {
        if going.is_empty() {
            return Ok(0);
        }
        let ids: Vec<i64> = going.iter().map(|row| row.id).collect();
        let repeated = self.repeated_sms(&ids).await?;
        self.remove_sms_and_counts(&ids).await?;
        let kept = self.store_anew(repeated, at).await?;
        self.note_cards(going.iter().map(|row| (row.sim_id, row.card_id)).collect()).await?;
        Ok(kept)
    }

    /// Takes notifications out. Gives how many of them were stored anew.
    pub(super) async fn retract_notifications(
        &mut self,
        going: &[(i64, String)],
        at: Timestamp,
    ) -> Result<u64, StoreError> {
        if going.is_empty() {
            return Ok(0);
        }
        let ids: Vec<i64> = going.iter().map(|(id, _)| *id).collect();
        let repeated = self.repeated_notifications(&ids).await?;
        self.remove_notifications(going).await?;
        self.store_anew(repeated, at).await
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

    /// Notes the cards of what went, and forgets subscribers of which nothing is left.
    async fn note_cards(&mut self, sims: BTreeSet<(i64, i64)>) -> Result<(), StoreError> {
        const NOTE: &str =
            "insert or ignore into retracted_card (card_id) select value from json_each($1)";
        let cards: BTreeSet<i64> = sims.iter().map(|(_, card_id)| *card_id).collect();
        sqlx::query(NOTE)
            .bind(serde_json::to_string(&cards)?)
            .execute(&mut self.connection)
            .await?;
        self.forget_unused_sims(sims.into_iter().map(|(sim_id, _)| sim_id).collect()).await
    }

    /// Forgets those of these subscribers of which nothing is left: one that only a forgery named
    /// must not be found, nor stand in the way of an erasure. The one that its card shows stays until
    /// the card shows another.
    pub(super) async fn forget_unused_sims(
        &mut self,
        mut sims: BTreeSet<i64>,
    ) -> Result<(), StoreError> {
        const FORGET: &str = "
            with recursive days(day) as (
                select min(day) from usage_key
                union all
                select (select min(day) from usage_key where usage_key.day > days.day)
                from days where day is not null
            ), known(day) as materialized (select day from days where day is not null)
            delete from sim where id in (select value from json_each($1))
                and not exists (select 1 from sms where sms.sim_id = sim.id)
                and not exists (select 1 from sim_pruned where sim_pruned.sim_id = sim.id)
                and not exists (
                    select 1 from card_seen
                    where card_seen.card_id = sim.card_id and card_seen.sim_id = sim.id)
                and not exists (
                    select 1 from known cross join usage_key as key
                        on key.day = known.day and key.sim_id = sim.id)
            returning giccid, imsi";
        for in_tail in self.tail.sims() {
            sims.remove(&in_tail);
        }
        let forgotten: Vec<(String, String)> = sqlx::query_as(FORGET)
            .bind(serde_json::to_string(&sims)?)
            .fetch_all(&mut self.connection)
            .await?;
        self.forget_sims(&forgotten);
        Ok(())
    }

    /// Forgets the numbers of subscribers that are not in the database any more.
    pub(super) fn forget_sims(&mut self, sims: &[(String, String)]) {
        for (giccid, imsi) in sims {
            let key = giccid
                .parse::<Giccid>()
                .ok()
                .zip(ShortText::try_from(&**imsi).ok())
                .map(|(giccid, imsi)| SimKey::new(&giccid, &imsi));
            match key {
                Some(key) => drop(self.interned.sims.remove(&key)),
                None => self.interned = Default::default(),
            }
        }
    }

    /// Forgets pushes of which no record is left.
    pub(super) async fn forget_pushes(
        &mut self,
        date_push_s: i64,
        pushes: &str,
    ) -> Result<(), StoreError> {
        const FORGET: &str = "
            delete from push where (date_push_s, id) in (
                select $2, push.value ->> 0 from json_each($1) as push)";
        sqlx::query(FORGET).bind(pushes).bind(date_push_s).execute(&mut self.connection).await?;
        Ok(())
    }
}

impl CardUsage {
    fn folded(&self) -> TailUsage {
        let GoingUsage { sim_id, start_ms, series_id, data_usage, .. } = self.usage;
        TailUsage { sim_id, card_id: self.card_id, series_id, start_ms, data_usage }
    }
}
