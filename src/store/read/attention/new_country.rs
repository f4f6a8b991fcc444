use std::collections::BTreeMap;

use sqlx::{Connection, SqliteConnection};

use super::DAY_MS;
use crate::{
    domain::{NewCountry, Timestamp},
    store::{
        Store, StoreError,
        error::of_read,
        read::{READ_TIME_MAX, aside::aside, sim_tail::CardTail},
        rollup::QUARTER_HOUR_MS,
    },
};

/// A store that is younger has seen too little for anything to be new.
const AGE_MIN_MS: i64 = 7 * DAY_MS;

/// A group, and a country that it is in.
type Place = (String, String);

impl Store {
    /// The groups of SIMs of which the first records from a country came within the last day.
    pub async fn new_countries(&self, now: Timestamp) -> Result<Vec<NewCountry>, StoreError> {
        let store = self.clone();
        aside(async move { store.find_new_countries(now).await }).await
    }

    async fn find_new_countries(&self, now: Timestamp) -> Result<Vec<NewCountry>, StoreError> {
        const FIRST: &str = "select received_ms from usage order by id limit 1";
        let from_ms = now.unix_ms() - DAY_MS;
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let mut moment = reader.begin().await?;
        let first_ms: Option<i64> =
            sqlx::query_scalar(FIRST).fetch_optional(&mut *moment).await.map_err(of_read)?;
        if first_ms.is_none_or(|first_ms| first_ms > now.unix_ms() - AGE_MIN_MS) {
            return Ok(Vec::new());
        }
        let Some(known) = known_series(&mut moment, from_ms).await? else {
            return Ok(Vec::new());
        };
        let new = new_series(&mut moment, known).await?;
        if new.is_empty() {
            return Ok(Vec::new());
        }
        let tail = self.card_tail(&mut moment).await?;
        let ids: Vec<i64> = new.iter().map(|(id, ..)| *id).collect();
        let sims = sims_there(&mut moment, &tail, &ids).await?;
        let used = used_there(&mut moment, &ids, from_ms - DAY_MS).await?;
        let mut places: BTreeMap<Place, NewCountry> = BTreeMap::new();
        for (id, sim_group, country_code) in new {
            // Without records of these days it is history that was read in.
            let Some((since_ms, data_usage)) = used.get(&id).copied() else { continue };
            let since = Timestamp::from_unix_ms(since_ms);
            let place = places.entry((sim_group.clone(), country_code.clone()));
            let place = place.or_insert(NewCountry {
                sim_group,
                country_code,
                sims: 0,
                data_usage: 0,
                since,
            });
            place.sims += sims.get(&id).copied().unwrap_or(0);
            place.data_usage += data_usage;
            place.since = place.since.min(since);
        }
        Ok(places.into_values().collect())
    }
}

/// The newest network context of records received before this. Contexts are numbered when their
/// first record is stored, so those with larger numbers have only records that came since.
async fn known_series(
    moment: &mut SqliteConnection,
    from_ms: i64,
) -> Result<Option<i64>, StoreError> {
    const KNOWN: &str = "
        select max(series_id) from (
            select (select max(inside.series_id) from usage_block_series as inside
                where inside.last_id = block.last_id) as series_id
            from usage_block as block where received_max_ms < $1
            union all
            select (select max(usage.series_id) from usage
                where usage.id between block.first_id and block.last_id and received_ms < $1)
            from usage_block as block where received_min_ms < $1 and received_max_ms >= $1
            union all
            select max(series_id) from usage
            where id > (select complete_to from mark where summary = 'sums') and received_ms < $1)";
    sqlx::query_scalar(KNOWN).bind(from_ms).fetch_one(moment).await.map_err(of_read)
}

/// The network contexts of groups in countries where they have no older one.
async fn new_series(
    moment: &mut SqliteConnection,
    known: i64,
) -> Result<Vec<(i64, String, String)>, StoreError> {
    const NEW: &str = "
        select id, sim_group, country_code from series as new
        where id > $1 and country_code <> '' and not exists (
            select 1 from series as old
            where old.sim_group = new.sim_group and old.country_code = new.country_code
                and old.id <= $1)
        order by id limit 1000";
    sqlx::query_as(NEW).bind(known).fetch_all(moment).await.map_err(of_read)
}

/// How many SIMs used data last in each of these network contexts.
async fn sims_there(
    moment: &mut SqliteConnection,
    tail: &CardTail,
    ids: &[i64],
) -> Result<BTreeMap<i64, u64>, StoreError> {
    const KEPT: &str = "
        select series_id, card_id from card_seen
        where series_id in (select value from json_each($1))";
    let kept: Vec<(i64, i64)> = sqlx::query_as(KEPT)
        .bind(serde_json::to_string(ids)?)
        .fetch_all(moment)
        .await
        .map_err(of_read)?;
    let mut sims: BTreeMap<i64, u64> = ids.iter().map(|id| (*id, 0)).collect();
    let kept = kept.into_iter().filter(|(_, card_id)| !tail.sums.seen.contains_key(card_id));
    let in_tail = tail.sums.seen.values().filter_map(|seen| seen.usage);
    for series_id in kept.map(|(id, _)| id).chain(in_tail.map(|(_, id)| id)) {
        if let Some(sims) = sims.get_mut(&series_id) {
            *sims += 1;
        }
    }
    Ok(sims)
}

/// The first quarter of an hour with use in each of these network contexts, and the use since.
async fn used_there(
    moment: &mut SqliteConnection,
    ids: &[i64],
    from_ms: i64,
) -> Result<BTreeMap<i64, (i64, i64)>, StoreError> {
    const USED: &str = "
        select series_id, min(start_ms), sum(data_usage) from (
            select series_id, start_ms, data_usage from usage_quarter_hour
            where start_ms >= $2 and series_id in (select value from json_each($1))
            union all
            select series_id, start_ms - start_ms % $3, data_usage from usage
            where id > (select complete_to from mark where summary = 'sums')
                and start_ms >= $2 and series_id in (select value from json_each($1)))
        group by series_id";
    let rows: Vec<(i64, i64, i64)> = sqlx::query_as(USED)
        .bind(serde_json::to_string(ids)?)
        .bind(from_ms)
        .bind(QUARTER_HOUR_MS)
        .fetch_all(moment)
        .await
        .map_err(of_read)?;
    Ok(rows.into_iter().map(|(id, start_ms, used)| (id, (start_ms, used))).collect())
}
