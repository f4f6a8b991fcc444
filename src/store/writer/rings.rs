use std::{collections::HashMap, mem};

use sqlx::SqliteConnection;

use crate::{
    domain::{HeldReason, Ring, Timestamp},
    store::StoreError,
};

const HOUR_MS: i64 = 60 * 60 * 1000;

/// How many refused pushes a ring holds, and how many bytes of bodies.
pub(super) const FULL: Use = Use { rows: 10_000, bytes: 64 << 20 };

/// How much of a ring one source may take: a quarter.
pub(super) const SHARE: Use = Use { rows: FULL.rows / 4, bytes: FULL.bytes / 4 };

/// Rows and the bytes of their bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

impl Use {
    pub(super) fn add(&mut self, bytes: u64) {
        self.rows += 1;
        self.bytes += bytes;
    }

    fn remove(&mut self, bytes: u64) {
        self.rows = self.rows.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Whether one more row of so many bytes would be too much.
    pub(super) fn exceeds(self, limit: Self, bytes: u64) -> bool {
        self.rows >= limit.rows || self.bytes + bytes > limit.bytes
    }
}

/// What the rings hold, by source, in the order of [`Ring::ALL`].
#[derive(Debug, Default)]
pub(super) struct Rings {
    rings: [OneRing; Ring::ALL.len()],
    /// Pushes that could not be kept and are not yet counted in the database.
    dropped: DroppedCounts,
    /// Pushes that wait to be kept: they count as dropped where this process ends before they are.
    waiting: DroppedCounts,
    /// What the database says of these.
    waiting_written: DroppedCounts,
}

/// How many pushes, by what is told of them.
pub(super) type DroppedCounts = HashMap<DroppedAs, u64>;

/// What is told of pushes that could not be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct DroppedAs {
    pub(super) hour_ms: i64,
    pub(super) ring: Ring,
    pub(super) reason: HeldReason,
}

impl DroppedAs {
    pub(super) fn at(at: Timestamp, ring: Ring, reason: HeldReason) -> Self {
        Self { hour_ms: at.unix_ms().div_euclid(HOUR_MS) * HOUR_MS, ring, reason }
    }
}

/// One ring.
#[derive(Debug, Default)]
pub(super) struct OneRing {
    pub(super) all: Use,
    by_source: HashMap<String, Use>,
}

impl Rings {
    pub(super) async fn load(connection: &mut SqliteConnection) -> Result<Self, StoreError> {
        const SUMS: &str = "
            select ring, source_block, count(*), sum(bytes) from held where ring <> ''
            group by ring, source_block";
        let mut rings = Self::default();
        let rows: Vec<(String, String, i64, i64)> =
            sqlx::query_as(SUMS).fetch_all(connection).await?;
        for (ring, source, rows, bytes) in rows {
            let Some(ring) = named(&ring) else { continue };
            let used = Use { rows: rows.unsigned_abs(), bytes: bytes.unsigned_abs() };
            let ring = rings.of(ring);
            ring.all.rows += used.rows;
            ring.all.bytes += used.bytes;
            ring.by_source.insert(source, used);
        }
        Ok(rings)
    }

    /// Takes over what is not yet counted in the database.
    pub(super) fn with_dropped_of(mut self, before: &mut Self) -> Self {
        self.dropped = mem::take(&mut before.dropped);
        self.waiting = mem::take(&mut before.waiting);
        self.waiting_written = mem::take(&mut before.waiting_written);
        self
    }

    pub(super) fn of(&mut self, ring: Ring) -> &mut OneRing {
        &mut self.rings[ring as usize]
    }

    pub(super) fn count_dropped(
        &mut self,
        ring: Ring,
        reason: HeldReason,
        pushes: u64,
        at: Timestamp,
    ) {
        *self.dropped.entry(DroppedAs::at(at, ring, reason)).or_default() += pushes;
    }

    /// All that is not yet counted in the database, to come back to.
    pub(super) fn dropped_so_far(&self) -> HashMap<DroppedAs, u64> {
        self.dropped.clone()
    }

    pub(super) fn set_dropped(&mut self, dropped: HashMap<DroppedAs, u64>) {
        self.dropped = dropped;
    }

    /// What is not yet counted in the database.
    pub(super) fn dropped(&self) -> impl Iterator<Item = (DroppedAs, u64)> {
        self.dropped.iter().map(|(dropped_as, pushes)| (*dropped_as, *pushes))
    }

    /// Notes that all of it is, and that the database knows what waits.
    pub(super) fn dropped_is_counted(&mut self) {
        self.dropped.clear();
        self.waiting_written.clone_from(&self.waiting);
    }

    /// Notes what waits to be kept.
    pub(super) fn set_waiting(&mut self, waiting: DroppedCounts) {
        self.waiting = waiting;
    }

    /// What waits to be kept, where the database says something else.
    pub(super) fn waiting_to_write(&self) -> Option<&DroppedCounts> {
        (self.waiting != self.waiting_written).then_some(&self.waiting)
    }

    /// Counts as dropped what the database says of an earlier process: that it waits to be kept.
    pub(super) fn take_up_waiting(&mut self, written: DroppedCounts) {
        for (dropped_as, pushes) in &written {
            *self.dropped.entry(*dropped_as).or_default() += pushes;
        }
        self.waiting_written = written;
    }

    /// Whether something was dropped that is not yet counted in the database.
    pub(super) fn has_dropped(&self) -> bool {
        !self.dropped.is_empty()
    }
}

impl OneRing {
    pub(super) fn add(&mut self, source: &str, bytes: u64) {
        self.all.add(bytes);
        self.by_source.entry(source.to_owned()).or_default().add(bytes);
    }

    pub(super) fn remove(&mut self, source: &str, bytes: u64) {
        self.all.remove(bytes);
        if let Some(used) = self.by_source.get_mut(source) {
            used.remove(bytes);
            if used.rows == 0 {
                self.by_source.remove(source);
            }
        }
    }

    pub(super) fn used_by(&self, source: &str) -> Use {
        self.by_source.get(source).copied().unwrap_or_default()
    }

    /// The source with the most rows: the one that loses its oldest when the ring is full.
    pub(super) fn largest(&self) -> Option<String> {
        self.by_source.iter().max_by_key(|(_, used)| used.rows).map(|(source, _)| source.clone())
    }
}

/// The ring of this name; none where nothing may be dropped.
pub(super) fn named(ring: &str) -> Option<Ring> {
    Ring::ALL.into_iter().find(|known| known.as_str() == ring)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_dropped_is_still_to_be_counted_when_the_rings_are_read_again() {
        let mut before = Rings::default();
        let at = Timestamp::from_unix_ms(2 * HOUR_MS + 1);
        before.count_dropped(Ring::Plausible, HeldReason::SignatureWrong, 2, at);
        before.count_dropped(Ring::Plausible, HeldReason::SignatureWrong, 1, at);
        let mut rings = Rings::default();
        rings.of(Ring::Noise).add("192.0.2.1", 5);
        let mut rings = rings.with_dropped_of(&mut before);
        let dropped_as = DroppedAs {
            hour_ms: 2 * HOUR_MS,
            ring: Ring::Plausible,
            reason: HeldReason::SignatureWrong,
        };
        assert_eq!(rings.dropped().collect::<Vec<_>>(), [(dropped_as, 3)]);
        assert_eq!(rings.of(Ring::Noise).all, Use { rows: 1, bytes: 5 });
    }
}
