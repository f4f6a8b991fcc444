use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
};

use sqlx::{Connection, SqliteConnection};

use super::{DAY_MS, networks};
use crate::{
    domain::{Silence, SilentSim, Timestamp, USUAL_DAYS, is_too_silent},
    store::{
        Store, StoreError,
        read::{READ_TIME_MAX, aside::aside, packed, sim_tail::CardTail},
        rollup::Days,
    },
};

/// How many silent SIMs are looked at: those that fell silent last. What each did in two weeks costs
/// 11 µs to find out.
const LOOKED_AT_MAX: usize = 8_000;

/// What is known of a card: its number, own time of its last record, its last network context's
/// number.
type Last = (i64, i64, Option<i64>);

impl Store {
    /// The SIMs that fell silent in the last two weeks and have been so for longer than is usual
    /// for them.
    pub async fn silence(&self, now: Timestamp) -> Result<Silence, StoreError> {
        let store = self.clone();
        aside(async move { store.find_silence(now).await }).await
    }

    async fn find_silence(&self, now: Timestamp) -> Result<Silence, StoreError> {
        let now_ms = now.unix_ms();
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let mut moment = reader.begin().await?;
        let tail = self.card_tail(&mut moment).await?;
        let mut silent = candidates(&mut moment, &tail, now_ms).await?;
        let is_all = silent.len() < LOOKED_AT_MAX;
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
        Ok(Silence { is_all, ..Silence::of(silent.into_iter().map(told).collect()) })
    }

    /// On which of the days before the one on which it fell silent each card was at work.
    async fn active_days(
        &self,
        moment: &mut SqliteConnection,
        tail: &CardTail,
        silent: &[Last],
    ) -> Result<HashMap<i64, Vec<i64>>, StoreError> {
        let mut days = Days::new(&self.days_in(moment).await?);
        let mut by_day: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for (card_id, last_ms, _) in silent {
            by_day.entry(days.of(*last_ms)).or_default().push(*card_id);
        }
        let mut active = HashMap::with_capacity(silent.len());
        for (day, card_ids) in by_day {
            active.extend(active_of(moment, tail, &card_ids, day - USUAL_DAYS..day).await?);
        }
        Ok(active)
    }
}

/// On which of these days each of these cards was at work.
async fn active_of(
    moment: &mut SqliteConnection,
    tail: &CardTail,
    card_ids: &[i64],
    days: Range<i64>,
) -> Result<HashMap<i64, Vec<i64>>, StoreError> {
    // A bit a day: a row for each would cost more than finding it.
    const KEPT: &str = "
        with asked(sim_id, card_id) as materialized (
            select sim.id, sim.card_id
            from json_each($1) as asked cross join sim on sim.card_id = asked.value order by sim.id)
        select asked.sim_id, asked.card_id, sum(1 << (kept.day - $3))
        from json_each($2) as day cross join asked
        cross join usage_sim_day as kept on kept.day = day.value and kept.sim_id = asked.sim_id
        group by asked.sim_id";
    let kept = sqlx::query(KEPT)
        .bind(serde_json::to_string(card_ids)?)
        .bind(serde_json::to_string(&days.clone().collect::<Vec<_>>())?)
        .bind(days.start);
    let rows: Vec<(i64, i64, i64)> = packed(kept, 3, moment).await?;
    let mut bits: HashMap<i64, i64> = HashMap::with_capacity(rows.len());
    for (_, card_id, of_sim) in rows {
        *bits.entry(card_id).or_default() |= of_sim;
    }
    for card_id in card_ids.iter().filter(|card_id| tail.sums.seen.contains_key(card_id)) {
        for day in days.clone().filter(|day| tail.sums.by_day.contains_key(&(*day, *card_id))) {
            *bits.entry(*card_id).or_default() |= 1 << (day - days.start);
        }
    }
    let active =
        |bits: i64| days.clone().filter(|day| bits >> (day - days.start) & 1 == 1).collect();
    Ok(bits.into_iter().map(|(card_id, bits)| (card_id, active(bits))).collect())
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
    let kept = sqlx::query(KEPT).bind(from_ms).bind(to_ms).bind(in_tail).bind(LOOKED_AT_MAX as i64);
    let mut silent: Vec<Last> = packed(kept, 3, moment).await?;
    let in_tail = tail.sums.seen.iter().filter(|(_, seen)| (from_ms..to_ms).contains(&seen.last.0));
    silent.extend(in_tail.map(|(card_id, seen)| {
        (*card_id, seen.last.0, seen.usage.map(|(_, series_id)| series_id))
    }));
    silent.sort_unstable_by_key(|(card_id, last_ms, _)| (-last_ms, *card_id));
    silent.truncate(LOOKED_AT_MAX);
    Ok(silent)
}
