//! What needs a person. Each question looks at few enough rows to be asked often: those of the
//! newest days, and of the SIMs that can matter.
mod held;
mod imei_change;
mod new_country;
mod pauses;
mod silence;
mod sim_above_usual;
mod usage_pause;

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
};

use jiff::tz::TimeZone;
use sqlx::{FromRow, SqliteConnection};

use super::{packed, sim_tail::CardTail};
use crate::{
    domain::{Calendar, Giccid, Interval, NetworkContext, ShortText, Span, Timestamp, USUAL_DAYS},
    store::{StoreError, error::of_read, rollup::DAY_MS},
};

/// The complete days before a moment that tell what is usual, in order.
fn usual_days(now: Timestamp, zone: &TimeZone) -> Vec<Span> {
    let calendar = Calendar::new(zone.clone(), Interval::Day);
    let mut days = Vec::new();
    let mut next = calendar.span_of(now.unix_ms());
    for _ in 0..USUAL_DAYS {
        next = calendar.span_of(next.start_ms.saturating_sub(1));
        days.push(next);
    }
    days.reverse();
    days
}

/// What these cards used on these days of the store's zone, by card and day. A day without a record
/// is not there.
async fn uses(
    moment: &mut SqliteConnection,
    tail: &CardTail,
    card_ids: &[i64],
    days: Range<i64>,
) -> Result<HashMap<i64, BTreeMap<i64, i64>>, StoreError> {
    const KEPT: &str = "
        with asked(sim_id, card_id) as materialized (
            select sim.id, sim.card_id
            from json_each($1) as asked cross join sim on sim.card_id = asked.value order by sim.id)
        select asked.card_id, kept.day, kept.data_usage
        from json_each($2) as day cross join asked
        cross join usage_sim_day as kept on kept.day = day.value and kept.sim_id = asked.sim_id";
    let kept = sqlx::query(KEPT)
        .bind(serde_json::to_string(card_ids)?)
        .bind(serde_json::to_string(&days.clone().collect::<Vec<_>>())?);
    let rows: Vec<(i64, i64, i64)> = packed(kept, 3, moment).await?;
    let mut uses: HashMap<i64, BTreeMap<i64, i64>> = HashMap::new();
    let mut add = |card_id, day, data_usage| {
        *uses.entry(card_id).or_default().entry(day).or_default() += data_usage;
    };
    for (card_id, day, data_usage) in rows {
        add(card_id, day, data_usage);
    }
    for card_id in card_ids.iter().filter(|card_id| tail.sums.seen.contains_key(card_id)) {
        for day in days.clone() {
            if let Some(sum) = tail.sums.by_day.get(&(day, *card_id)) {
                add(*card_id, day, sum.data_usage);
            }
        }
    }
    Ok(uses)
}

/// The numbers of these cards.
async fn giccids(
    moment: &mut SqliteConnection,
    card_ids: &[i64],
) -> Result<HashMap<i64, Giccid>, StoreError> {
    const NUMBERS: &str = "
        select card.id, giccid from json_each($1) as asked cross join card on card.id = asked.value";
    let rows: Vec<(i64, String)> = sqlx::query_as(NUMBERS)
        .bind(serde_json::to_string(card_ids)?)
        .fetch_all(moment)
        .await
        .map_err(of_read)?;
    let read = |(id, giccid): (i64, String)| {
        let giccid = giccid.parse().map_err(|_| StoreError::Corrupt { table: "card", id })?;
        Ok((id, giccid))
    };
    rows.into_iter().map(read).collect()
}

#[derive(FromRow)]
struct SeriesRow {
    id: i64,
    sim_group: String,
    country_code: String,
    mcc: String,
    mnc: String,
    apn: String,
}

/// The network contexts of these numbers.
async fn networks(
    moment: &mut SqliteConnection,
    series_ids: impl IntoIterator<Item = i64>,
) -> Result<HashMap<i64, NetworkContext>, StoreError> {
    const SERIES: &str = "
        select series.id, sim_group, country_code, mcc, mnc, apn
        from json_each($1) as asked cross join series on series.id = asked.value";
    let mut ids: Vec<i64> = series_ids.into_iter().collect();
    ids.sort_unstable();
    ids.dedup();
    let rows: Vec<SeriesRow> = sqlx::query_as(SERIES)
        .bind(serde_json::to_string(&ids)?)
        .fetch_all(moment)
        .await
        .map_err(of_read)?;
    rows.into_iter().map(|row| Ok((row.id, row.network()?))).collect()
}

impl SeriesRow {
    fn network(self) -> Result<NetworkContext, StoreError> {
        let corrupt = |_| StoreError::Corrupt { table: "series", id: self.id };
        let text = |text: &str| ShortText::try_from(text).map_err(corrupt);
        Ok(NetworkContext {
            sim_group: text(&self.sim_group)?,
            country_code: text(&self.country_code)?,
            mcc: text(&self.mcc)?,
            mnc: text(&self.mnc)?,
            apn: text(&self.apn)?,
        })
    }
}
