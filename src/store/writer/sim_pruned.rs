//! What pruned records told of their SIMs. A card's row is made of all records that ever came; when
//! some of them are retracted it is made anew, and those that were pruned still count.
use std::collections::BTreeMap;

use super::{Writer, removal::GoingUsage};
use crate::store::{StoreError, card::CardSeen};

impl Writer {
    /// Notes what usage records say that are pruned, inside the open transaction.
    pub(super) async fn note_pruned_usage(
        &mut self,
        going: &[GoingUsage],
    ) -> Result<(), StoreError> {
        let seen = going.iter().map(|record| {
            let &GoingUsage { sim_id, start_ms, series_id, .. } = record;
            let usage = Some((start_ms, series_id));
            (sim_id, CardSeen { first_ms: start_ms, last: (start_ms, sim_id), usage })
        });
        self.note_pruned(seen).await
    }

    /// Notes what messages say that are pruned: of which SIM, and when they were sent.
    pub(super) async fn note_pruned_sms(
        &mut self,
        going: impl Iterator<Item = (i64, i64)>,
    ) -> Result<(), StoreError> {
        let seen = |(sim_id, event_ms)| {
            (sim_id, CardSeen { first_ms: event_ms, last: (event_ms, sim_id), usage: None })
        };
        self.note_pruned(going.map(seen)).await
    }

    async fn note_pruned(
        &mut self,
        seen: impl Iterator<Item = (i64, CardSeen)>,
    ) -> Result<(), StoreError> {
        const NOTE: [&str; 2] = [
            "insert into sim_pruned (sim_id, first_ms, last_ms, usage_ms, series_id)
            select column1, column2, column3, column4, column5 from (values ",
            ") where column1 is not null
            on conflict (sim_id) do update set
                first_ms = min(first_ms, excluded.first_ms),
                last_ms = max(last_ms, excluded.last_ms),
                series_id = iif(usage_ms is null or (excluded.usage_ms, excluded.series_id)
                    > (usage_ms, series_id), excluded.series_id, series_id),
                usage_ms = coalesce(max(usage_ms, excluded.usage_ms), usage_ms,
                    excluded.usage_ms);",
        ];
        let mut by_sim: BTreeMap<i64, CardSeen> = BTreeMap::new();
        for (sim_id, seen) in seen {
            let known = by_sim.entry(sim_id).or_insert(seen);
            *known = known.and(seen);
        }
        let row = |(sim_id, seen): (i64, CardSeen)| {
            let (usage_ms, series_id) = seen.usage.unzip();
            [Some(sim_id), Some(seen.first_ms), Some(seen.last.0), usage_ms, series_id]
        };
        self.upsert(NOTE, &by_sim.into_iter().map(row).collect::<Vec<_>>()).await
    }
}
