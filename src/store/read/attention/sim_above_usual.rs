use std::collections::HashMap;

use sqlx::{Connection, SqliteConnection};

use super::{giccids, networks, uses};
use crate::{
    domain::{NetworkContext, SimAboveUsual, Timestamp, USUAL_DAYS, usual_of},
    store::{
        Store, StoreError,
        read::{
            READ_TIME_MAX,
            aside::aside,
            packed,
            sim_tail::{CardTail, kept_states},
            sim_usage::{Span, Unit},
        },
    },
};

/// How many SIMs are looked at: those with the largest use today.
const LOOKED_AT_MAX: usize = 1000;

/// A card by its number, what it used today and what it usually uses in a day.
type Above = (i64, i64, i64);

impl Store {
    /// The SIMs that used far more today, in the store's zone, than is usual for them; the most
    /// first.
    pub async fn sims_above_usual(
        &self,
        now: Timestamp,
        most: usize,
    ) -> Result<Vec<SimAboveUsual>, StoreError> {
        let store = self.clone();
        aside(async move { store.find_sims_above_usual(now, most).await }).await
    }

    async fn find_sims_above_usual(
        &self,
        now: Timestamp,
        most: usize,
    ) -> Result<Vec<SimAboveUsual>, StoreError> {
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let mut moment = reader.begin().await?;
        let days = self.days_in(&mut moment).await?;
        let Some(today) = Span::of(Unit::Day, now, days.zone(), &days) else {
            return Ok(Vec::new());
        };
        let tail = self.card_tail(&mut moment).await?;
        let mut above = above_usual(&mut moment, &tail, &today).await?;
        above.truncate(most);
        let card_ids: Vec<i64> = above.iter().map(|(card_id, ..)| *card_id).collect();
        let giccids = giccids(&mut moment, &card_ids).await?;
        let mut networks = last_networks(&mut moment, &tail, &card_ids).await?;
        let told = |(card_id, data_usage, usual): Above| {
            let corrupt = StoreError::Corrupt { table: "card", id: card_id };
            Ok(SimAboveUsual {
                giccid: giccids.get(&card_id).ok_or(corrupt)?.clone(),
                network: networks.remove(&card_id).unwrap_or_default(),
                data_usage,
                usual,
            })
        };
        above.into_iter().map(told).collect()
    }
}

async fn above_usual(
    moment: &mut SqliteConnection,
    tail: &CardTail,
    today: &Span,
) -> Result<Vec<Above>, StoreError> {
    let candidates = candidates(moment, tail, today.number).await?;
    let sums = today.sums(moment, tail, &candidates).await?;
    let mut used: Vec<(i64, i64)> =
        sums.into_iter().map(|(card_id, sum)| (sum.data_usage, card_id)).collect();
    used.sort_unstable_by(|a, b| b.cmp(a));
    used.truncate(LOOKED_AT_MAX);
    let card_ids: Vec<i64> = used.iter().map(|(_, card_id)| *card_id).collect();
    let days = today.number - USUAL_DAYS..today.number;
    let mut before = uses(moment, tail, &card_ids, days).await?;
    let mut above: Vec<Above> = used
        .into_iter()
        .filter_map(|(data_usage, card_id)| {
            let days = before.remove(&card_id)?.into_values().filter(|day| *day > 0).collect();
            let usual = usual_of(days)?;
            SimAboveUsual::is_above(data_usage, usual).then_some((card_id, data_usage, usual))
        })
        .collect();
    above.sort_unstable_by_key(|(card_id, data_usage, usual)| (usual - data_usage, *card_id));
    Ok(above)
}

/// The cards that may be among those with the largest use of a day: all of the tail, and those with
/// the largest sums otherwise.
async fn candidates(
    moment: &mut SqliteConnection,
    tail: &CardTail,
    day: i64,
) -> Result<Vec<i64>, StoreError> {
    const LARGEST: &str = "
        select card_id from sim where id in (
            select sim_id from usage_sim_day where day = $1 order by data_usage desc limit $2)";
    let largest = sqlx::query(LARGEST).bind(day).bind(LOOKED_AT_MAX as i64);
    let largest: Vec<[i64; 1]> = packed(largest, 1, moment).await?;
    let mut card_ids: Vec<i64> = largest.into_iter().flatten().collect();
    let in_tail = tail.sums.by_day.range((day, i64::MIN)..(day + 1, i64::MIN));
    card_ids.extend(in_tail.map(|((_, card_id), _)| *card_id));
    card_ids.sort_unstable();
    card_ids.dedup();
    Ok(card_ids)
}

/// Where these cards used data last.
async fn last_networks(
    moment: &mut SqliteConnection,
    tail: &CardTail,
    card_ids: &[i64],
) -> Result<HashMap<i64, NetworkContext>, StoreError> {
    let mut series: HashMap<i64, i64> = HashMap::new();
    for (card_id, seen) in kept_states(moment, card_ids).await? {
        series.extend(seen.usage.map(|(_, series_id)| (card_id, series_id)));
    }
    for card_id in card_ids {
        let usage = tail.sums.seen.get(card_id).and_then(|seen| seen.usage);
        series.extend(usage.map(|(_, series_id)| (*card_id, series_id)));
    }
    let networks = networks(moment, series.values().copied()).await?;
    let of = |(card_id, series_id)| Some((card_id, networks.get(&series_id)?.clone()));
    Ok(series.into_iter().filter_map(of).collect())
}
