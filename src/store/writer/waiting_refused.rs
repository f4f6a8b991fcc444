//! Refused pushes that wait to be kept.
//!
//! Their senders have their answer, so that nobody sends them again, and they lie in memory until it
//! is their turn. Each commit that keeps some of them also writes how many wait still: a process that
//! is killed loses these, and the next one counts them as dropped. Held by
//! `tests/it/front/refused_turns.rs`.
use std::{collections::HashMap, error::Error};

use super::{
    Writer,
    rings::{self, DroppedAs, DroppedCounts},
};
use crate::{
    domain::{HeldReason, Ring, Timestamp},
    store::StoreError,
};

/// The name in `meta` of the counts, by hour, ring and reason.
const WAITING: &str = "refused_waiting";

/// How many refused pushes, by ring and reason.
pub type RefusedCounts = HashMap<(Ring, HeldReason), u64>;

/// One count as it is written: hour, ring, reason, pushes.
type Written = (i64, String, String, u64);

impl Writer {
    /// Counts refused pushes that nobody had time to keep.
    pub fn count_dropped(&mut self, ring: Ring, reason: HeldReason, pushes: u64, at: Timestamp) {
        self.rings.count_dropped(ring, reason, pushes, at);
    }

    /// Notes how many refused pushes wait to be kept. The next [`Writer::keep_refused`] writes it.
    pub fn note_waiting(&mut self, waiting: &RefusedCounts, now: Timestamp) {
        let counts = waiting
            .iter()
            .map(|((ring, reason), pushes)| (DroppedAs::at(now, *ring, *reason), *pushes));
        self.rings.set_waiting(counts.collect());
    }

    /// Counts as dropped what waited when an earlier process was killed. Where the database does not
    /// take that now, the next commit of refused pushes writes it.
    pub(in crate::store) async fn count_those_that_waited(&mut self, now: Timestamp) {
        let counted = match self.load_waiting().await {
            Ok(waited) if waited.is_empty() => return,
            Ok(waited) => {
                let pushes: u64 = waited.values().sum();
                tracing::warn!(
                    pushes,
                    "Refused pushes were lost when simdeck was killed; they are counted as dropped"
                );
                self.rings.take_up_waiting(waited);
                self.keep_refused(&[], now).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = counted {
            let error = &error as &dyn Error;
            tracing::warn!(error, "Refused pushes that were lost are not counted yet");
        }
    }

    /// Writes how many wait, inside the open transaction.
    pub(super) async fn write_waiting(&mut self) -> Result<(), StoreError> {
        const WRITE: &str = "insert or replace into meta (name, value) values ($1, $2)";
        let Some(waiting) = self.rings.waiting_to_write() else { return Ok(()) };
        let written: Vec<_> = waiting
            .iter()
            .map(|(DroppedAs { hour_ms, ring, reason }, pushes)| {
                (hour_ms, ring.as_str(), reason.as_str(), pushes)
            })
            .collect();
        let written = serde_json::to_string(&written)?;
        sqlx::query(WRITE).bind(WAITING).bind(written).execute(&mut self.connection).await?;
        Ok(())
    }

    async fn load_waiting(&mut self) -> Result<DroppedCounts, StoreError> {
        let written: Option<String> = sqlx::query_scalar("select value from meta where name = $1")
            .bind(WAITING)
            .fetch_optional(&mut self.connection)
            .await?;
        let Some(written) = written else { return Ok(DroppedCounts::new()) };
        let written: Vec<Written> = serde_json::from_str(&written)?;
        let counts = written.into_iter().filter_map(|(hour_ms, ring, reason, pushes)| {
            let (ring, reason) = (rings::named(&ring)?, reason.parse().ok()?);
            Some((DroppedAs { hour_ms, ring, reason }, pushes))
        });
        Ok(counts.collect())
    }
}
