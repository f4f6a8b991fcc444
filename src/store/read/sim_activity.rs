//! How many SIMs are at work, and how many are silent.
use sqlx::{Connection, SqliteConnection};

use super::{READ_TIME_MAX, Store, aside::aside};
use crate::{
    domain::{SimActivity, SimActivityQuestion},
    store::{StoreError, error::of_read},
};

impl Store {
    /// How many SIMs have sent lately, and how many have not.
    pub async fn sim_activity(&self, ask: &SimActivityQuestion) -> Result<SimActivity, StoreError> {
        let (store, ask) = (self.clone(), ask.clone());
        aside(async move { store.count_activity(&ask).await }).await
    }

    async fn count_activity(&self, ask: &SimActivityQuestion) -> Result<SimActivity, StoreError> {
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let mut moment = reader.begin().await?;
        let tail = self.card_tail(&mut moment).await?;
        let in_tail = serde_json::to_string(&tail.sums.seen.keys().collect::<Vec<_>>())?;
        let mut activity = kept(&mut moment, ask, &in_tail).await?;
        for seen in tail.sums.seen.values() {
            activity.known += 1;
            activity.active += u64::from(seen.last.0 >= ask.active_from_ms);
            activity.silent += u64::from(seen.last.0 < ask.silent_since_ms);
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
    const ALL: &str = "
        select count(*), coalesce(sum(last_ms >= $1), 0), coalesce(sum(last_ms < $2), 0)
        from card_seen where card_id not in (select value from json_each($3))";
    let (known, active, silent): (i64, i64, i64) = sqlx::query_as(ALL)
        .bind(ask.active_from_ms)
        .bind(ask.silent_since_ms)
        .bind(in_tail)
        .fetch_one(moment)
        .await
        .map_err(of_read)?;
    let [known, active, silent] = [known, active, silent].map(i64::unsigned_abs);
    Ok(SimActivity { known, active, silent })
}
