//! How many SIMs are at work, and how many have fallen silent.
use sqlx::{Connection, SqliteConnection};

use super::{READ_TIME_MAX, Store};
use crate::{
    domain::{SimActivity, SimActivityQuestion},
    store::{StoreError, error::of_read},
};

impl Store {
    /// How many SIMs have sent lately, and since when the others are silent.
    pub async fn sim_activity(&self, ask: &SimActivityQuestion) -> Result<SimActivity, StoreError> {
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let mut moment = reader.begin().await?;
        let tail = self.card_tail(&mut moment).await?;
        let in_tail = serde_json::to_string(&tail.sums.seen.keys().collect::<Vec<_>>())?;
        let mut activity = kept(&mut moment, ask, &in_tail).await?;
        for seen in tail.sums.seen.values() {
            activity.known += 1;
            activity.active += u64::from(seen.last.0 >= ask.active_from_ms);
            if let Some(by) = ask.silent_by_ms.iter().position(|by_ms| seen.last.0 < *by_ms) {
                activity.silent_by[by] += 1;
            }
        }
        // So far each SIM counts once: where its silence began. It lasts to the end.
        let mut silent = 0;
        for by in &mut activity.silent_by {
            silent += *by;
            *by = silent;
        }
        Ok(activity)
    }
}

/// What the summary knows of cards that are not in the tail.
async fn kept(
    moment: &mut SqliteConnection,
    ask: &SimActivityQuestion,
    in_tail: &str,
) -> Result<SimActivity, StoreError> {
    // One pass; the moments come as one text.
    const ALL: &str = "
        select count(*), coalesce(sum(last_ms >= $1), 0), coalesce(sum(last_ms < $2), 0),
            json_group_array(last_ms) filter (where last_ms >= $2 and last_ms < $3)
        from card_seen where card_id not in (select value from json_each($4))";
    let (first, last) = (ask.silent_by_ms.first().copied(), ask.silent_by_ms.last().copied());
    let (known, active, long, lately): (i64, i64, i64, String) = sqlx::query_as(ALL)
        .bind(ask.active_from_ms)
        .bind(first)
        .bind(last)
        .bind(in_tail)
        .fetch_one(moment)
        .await
        .map_err(of_read)?;
    let mut silent_by = vec![0; ask.silent_by_ms.len()];
    if let Some(by) = silent_by.first_mut() {
        *by = long.unsigned_abs();
    }
    let lately: Vec<i64> = serde_json::from_str(&lately)?;
    for last_ms in lately {
        let by = ask.silent_by_ms.partition_point(|by_ms| *by_ms <= last_ms);
        if let Some(by) = silent_by.get_mut(by) {
            *by += 1;
        }
    }
    Ok(SimActivity { known: known.unsigned_abs(), active: active.unsigned_abs(), silent_by })
}
