//! What is known of routers goes by age, too, but for the newest entry of each kind; a router of which
//! nothing is newer goes whole. Held by `store_contract::devices::age`.
use std::time::Duration;

use super::{Writer, prune::Pruning, run};
use crate::{domain::Timestamp, store::StoreError};

/// In the histories of so many routers it is looked at once.
const DEVICES_A_STEP: i64 = 64;

/// How far a prune has come with the routers.
#[derive(Debug)]
pub(super) struct Routers {
    kept_for: Duration,
    /// None until the first step.
    before: Option<Timestamp>,
    /// Up to which router histories have been looked through.
    at_id: i64,
}

impl Routers {
    pub(super) fn new(kept_for: Duration) -> Self {
        Self { kept_for, before: None, at_id: 0 }
    }

    pub(super) fn look_anew(&mut self) {
        self.at_id = 0;
    }
}

impl Writer {
    /// Whether all is done.
    pub(super) async fn prune_routers(
        &mut self,
        pruning: &mut Pruning,
    ) -> Result<bool, StoreError> {
        let before = match pruning.routers.before {
            Some(before) => before,
            None => {
                let now =
                    if pruning.by_clock { Some(pruning.clock) } else { self.reached().await? };
                // Nothing was ever told of a router by which age could be counted.
                let Some(now) = now else { return Ok(true) };
                now.min(self.thinning_now(pruning.clock)).minus(pruning.routers.kept_for)
            }
        };
        pruning.routers.before = Some(before);
        match self.next_routers(pruning.routers.at_id).await? {
            Some(last_id) => self.prune_histories(before, last_id, pruning).await.map(|()| false),
            None => self.forget_old_router(before, pruning).await,
        }
    }

    /// The newest time that our clock and RCMS's had both reached.
    async fn reached(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let reached_ms: Option<i64> = sqlx::query_scalar("select reached_ms from fleet")
            .fetch_one(&mut self.connection)
            .await?;
        Ok(reached_ms.map(Timestamp::from_unix_ms))
    }

    /// The last of the next routers; none if there is none.
    async fn next_routers(&mut self, after_id: i64) -> Result<Option<i64>, StoreError> {
        const NEXT: &str = "
            select max(id) from (select id from device where id > $1 order by id limit $2)";
        let last_id = sqlx::query_scalar(NEXT).bind(after_id).bind(DEVICES_A_STEP);
        Ok(last_id.fetch_one(&mut self.connection).await?)
    }

    /// Takes some of what is too old out of the histories of the next routers.
    async fn prune_histories(
        &mut self,
        before: Timestamp,
        last_id: i64,
        pruning: &mut Pruning,
    ) -> Result<(), StoreError> {
        // What was before the present state stays, too: it tells that the state was seen to begin.
        // Each kind of entry has an index of its own. The order of a `cross join` stays: router by router.
        const OLD_STATES: &str = "
            select history.id from device cross join device_history as history
                on history.device_id = device.id and history.what = 'state' and history.at_ms < $3
            where device.id > $1 and device.id <= $2 and history.id <> (
                select newest.id from device_history as newest
                where newest.device_id = device.id and newest.what = 'state'
                order by newest.at_ms desc, newest.id desc limit 1)
                and history.at_ms is not (
                    select max(before.at_ms) from device_history as before
                    where before.device_id = device.id and before.what = 'state'
                        and before.at_ms < iif(device.state = 'unknown',
                            coalesce(device.known_ms, device.state_ms), device.state_ms))
            limit $4";
        const OLD_SAMPLES: &str = "
            select history.id from device cross join device_history as history
                on history.device_id = device.id and history.what = 'status' and history.at_ms < $3
            where device.id > $1 and device.id <= $2
                and coalesce(history.until_ms, history.at_ms) < $3 and history.id <> (
                    select newest.id from device_history as newest
                    where newest.device_id = device.id and newest.what = 'status'
                    order by newest.at_ms desc, newest.id desc limit 1)
            limit $4";
        let mut going: Vec<i64> = Vec::new();
        for old in [OLD_STATES, OLD_SAMPLES] {
            let found: Vec<i64> = sqlx::query_scalar(old)
                .bind(pruning.routers.at_id)
                .bind(last_id)
                .bind(before.unix_ms())
                .bind(pruning.limit() - i64::try_from(going.len()).unwrap_or(i64::MAX))
                .fetch_all(&mut self.connection)
                .await?;
            going.extend(found);
        }
        if !going.is_empty() {
            run(&mut self.connection, "begin immediate").await?;
            self.delete_entries(&going).await?;
            run(&mut self.connection, "commit").await?;
        }
        pruning.pruned.device_history += going.len() as u64;
        if i64::try_from(going.len()).unwrap_or(i64::MAX) < pruning.limit() {
            pruning.routers.at_id = last_id;
        }
        Ok(())
    }

    /// Takes some away of the first router of which nothing is newer. True if there is none.
    async fn forget_old_router(
        &mut self,
        before: Timestamp,
        pruning: &mut Pruning,
    ) -> Result<bool, StoreError> {
        const OLD: &str = "
            select id from device_seen
            where max(state_ms, coalesce(seen_ms, state_ms), coalesce(status_ms, state_ms),
                coalesce(status_asked_ms, state_ms)) < $1
            order by id limit 1";
        let old: Option<i64> = sqlx::query_scalar(OLD)
            .bind(before.unix_ms())
            .fetch_optional(&mut self.connection)
            .await?;
        let Some(device_id) = old else { return Ok(true) };
        run(&mut self.connection, "begin immediate").await?;
        let (entries, is_gone) = self.forget_some(device_id, pruning.limit()).await?;
        run(&mut self.connection, "commit").await?;
        pruning.pruned.device_history += entries;
        pruning.pruned.devices += u64::from(is_gone);
        Ok(false)
    }
}
