use std::collections::{BTreeMap, HashMap};

use sqlx::{Connection, SqliteConnection};

use super::{DAY_MS, networks, uses};
use crate::{
    domain::{Silence, SilentSim, Timestamp, USUAL_DAYS, is_too_silent},
    store::{
        Store, StoreError,
        error::of_read,
        read::{READ_TIME_MAX, sim_tail::CardTail},
        rollup::Days,
    },
};

/// How many silent SIMs are looked at: those that fell silent last.
const LOOKED_AT_MAX: usize = 20_000;

/// What is known of a card: its number, own time of its last record, its last network context's
/// number.
type Last = (i64, i64, Option<i64>);

impl Store {
    /// The SIMs that fell silent in the last two weeks and have been so for longer than is usual
    /// for them.
    pub async fn silence(&self, now: Timestamp) -> Result<Silence, StoreError> {
        let now_ms = now.unix_ms();
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let mut moment = reader.begin().await?;
        let tail = self.card_tail(&mut moment).await?;
        let mut silent = candidates(&mut moment, &tail, now_ms).await?;
        let active = self.active_days(&mut moment, &tail, &silent).await?;
        silent.retain(|(card_id, last_ms, _)| {
            active.get(card_id).is_some_and(|days| is_too_silent(days, now_ms - last_ms))
        });
        let series = silent.iter().filter_map(|(.., series_id)| *series_id);
        let networks = networks(&mut moment, series).await?;
        let told = |(_, last_ms, series_id): Last| SilentSim {
            last: Timestamp::from_unix_ms(last_ms),
            network: series_id.and_then(|id| networks.get(&id).cloned()).unwrap_or_default(),
        };
        Ok(Silence::of(silent.into_iter().map(told).collect()))
    }

    /// On which of the days before the one on which it fell silent each card was at work.
    async fn active_days(
        &self,
        moment: &mut SqliteConnection,
        tail: &CardTail,
        silent: &[Last],
    ) -> Result<HashMap<i64, Vec<i64>>, StoreError> {
        let mut days = Days::new(&self.zone);
        let mut by_day: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for (card_id, last_ms, _) in silent {
            by_day.entry(days.of(*last_ms)).or_default().push(*card_id);
        }
        let mut active = HashMap::with_capacity(silent.len());
        for (day, card_ids) in by_day {
            let uses = uses(moment, tail, &card_ids, day - USUAL_DAYS..day).await?;
            let days =
                uses.into_iter().map(|(card_id, days)| (card_id, days.into_keys().collect()));
            active.extend(days);
        }
        Ok(active)
    }
}

/// The cards whose last record is older than a day and not older than two weeks, the last first.
async fn candidates(
    moment: &mut SqliteConnection,
    tail: &CardTail,
    now_ms: i64,
) -> Result<Vec<Last>, StoreError> {
    const KEPT: &str = "
        select card_id, last_ms, series_id from card_seen
        where last_ms >= $1 and last_ms < $2 and card_id not in (select value from json_each($3))
        order by last_ms desc limit $4";
    let (from_ms, to_ms) = (now_ms - USUAL_DAYS * DAY_MS, now_ms - DAY_MS);
    let in_tail = serde_json::to_string(&tail.sums.seen.keys().collect::<Vec<_>>())?;
    let mut silent: Vec<Last> = sqlx::query_as(KEPT)
        .bind(from_ms)
        .bind(to_ms)
        .bind(in_tail)
        .bind(LOOKED_AT_MAX as i64)
        .fetch_all(moment)
        .await
        .map_err(of_read)?;
    let in_tail = tail.sums.seen.iter().filter(|(_, seen)| (from_ms..to_ms).contains(&seen.last.0));
    silent.extend(in_tail.map(|(card_id, seen)| {
        (*card_id, seen.last.0, seen.usage.map(|(_, series_id)| series_id))
    }));
    silent.sort_unstable_by_key(|(card_id, last_ms, _)| (-last_ms, *card_id));
    silent.truncate(LOOKED_AT_MAX);
    Ok(silent)
}
