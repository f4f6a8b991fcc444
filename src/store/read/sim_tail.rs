use std::sync::Arc;

use sqlx::SqliteConnection;

use super::{Store, packed};
use crate::store::{
    StoreError,
    card::{CardSeen, CardSums, TailSms},
    days::StoreDays,
    error::of_read,
    rollup::TailUsage,
};

/// What came after the mark of the sums by SIM. It is kept from one question to the next, which then
/// reads only what came since: the tail can be long.
#[derive(Clone, Debug, Default)]
pub(super) struct CardTail {
    /// The mark that it begins after, and the id up to which it is complete.
    after: i64,
    to: i64,
    /// By whose days its sums are cut; none as long as it has none.
    days: Option<StoreDays>,
    /// Sums of the tail alone. What is known of each card in it, however, is known of all its
    /// records.
    pub(super) sums: CardSums,
}

/// Rows that a tail does not have yet.
struct News {
    usage: Vec<TailUsage>,
    sms: Vec<TailSms>,
}

impl Store {
    /// The tail as of this moment's snapshot.
    pub(super) async fn card_tail(
        &self,
        moment: &mut SqliteConnection,
    ) -> Result<Arc<CardTail>, StoreError> {
        const REACH: &str = "
            select complete_to, (select last from seq) from mark where summary = 'sims'";
        let (after, to): (i64, i64) =
            sqlx::query_as(REACH).fetch_one(&mut *moment).await.map_err(of_read)?;
        let days = self.days_in(moment).await?;
        let none = CardTail { after, to: after, days: Some(days.clone()), ..CardTail::default() };
        let mut known = self.card_tail.lock().await;
        if known.after > after || (known.after == after && known.to > to) {
            // This snapshot is older than what another question has seen already.
            drop(known);
            let mut tail = none;
            tail.read_on(moment, to, &days).await?;
            return Ok(Arc::new(tail));
        }
        if known.after < after || !known.days.as_ref().is_some_and(|known| known.are_same(&days)) {
            *known = Arc::new(none);
        }
        if known.to < to {
            Arc::make_mut(&mut known).read_on(moment, to, &days).await?;
        }
        Ok(Arc::clone(&known))
    }
}

impl CardTail {
    /// Takes in what came up to this id. A read that fails, or is given up, changes nothing.
    async fn read_on(
        &mut self,
        moment: &mut SqliteConnection,
        to: i64,
        days: &StoreDays,
    ) -> Result<(), StoreError> {
        let news = News::read(moment, self.to).await?;
        let usage = news.usage.iter().map(|record| record.card_id);
        let mut new: Vec<i64> = usage
            .chain(news.sms.iter().map(|message| message.card_id))
            .filter(|card_id| !self.sums.seen.contains_key(card_id))
            .collect();
        new.sort_unstable();
        new.dedup();
        let kept = kept_states(moment, &new).await?;
        self.sums.add(&news.usage, &news.sms, days);
        for (card_id, state) in kept {
            self.sums.seen.entry(card_id).and_modify(|seen| *seen = seen.and(state));
        }
        self.to = to;
        Ok(())
    }
}

impl News {
    async fn read(moment: &mut SqliteConnection, after: i64) -> Result<Self, StoreError> {
        const USAGE: &str = "
            select sim_id, card_id, series_id, start_ms, data_usage
            from usage join sim on sim.id = usage.sim_id where usage.id > $1";
        const SMS: &str = "
            select sim_id, card_id, event_ms
            from sms join sim on sim.id = sms.sim_id where sms.id > $1";
        Ok(Self {
            usage: packed(sqlx::query(USAGE).bind(after), 5, moment).await?,
            sms: packed(sqlx::query(SMS).bind(after), 3, moment).await?,
        })
    }
}

/// What the summary knows of these cards, of those that it knows.
pub(super) async fn kept_states(
    moment: &mut SqliteConnection,
    card_ids: &[i64],
) -> Result<Vec<(i64, CardSeen)>, StoreError> {
    const KEPT: &str = "
        select card_id, first_ms, last_ms, sim_id, usage_ms, series_id
        from json_each($1) as asked cross join card_seen on card_seen.card_id = asked.value";
    type Row = (i64, i64, i64, i64, Option<i64>, Option<i64>);
    if card_ids.is_empty() {
        return Ok(Vec::new());
    }
    let kept = sqlx::query(KEPT).bind(serde_json::to_string(card_ids)?);
    let rows: Vec<Row> = packed(kept, 6, moment).await?;
    let state = |(card_id, first_ms, last_ms, sim_id, usage_ms, series_id): Row| {
        let usage = usage_ms.zip(series_id);
        (card_id, CardSeen { first_ms, last: (last_ms, sim_id), usage })
    };
    Ok(rows.into_iter().map(state).collect())
}
