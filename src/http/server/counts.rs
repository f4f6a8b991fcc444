//! How many connections a listener has, and whether it ran out of places for them.
use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::domain::{Clock, SystemClock, Timestamp};

/// A shortage is over when nobody has had to wait for so long.
const SHORTAGE_OVER_AFTER: Duration = Duration::from_secs(10 * 60);

/// What is counted of one listener's connections.
#[derive(Debug, Default)]
pub struct ConnectionCounts {
    places: AtomicU64,
    open: AtomicU64,
    over_share: AtomicU64,
    made_room: AtomicU64,
    waited: AtomicU64,
    shortage: Mutex<Option<Shortage>>,
}

/// A time in which every place was taken and more wanted to come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// When it began.
    pub since: Timestamp,
    /// When somebody last found every place taken.
    pub last: Timestamp,
}

/// The counts at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionFigures {
    /// How many there may be.
    pub places: u64,
    /// How many there are.
    pub open: u64,
    /// How many were closed at once because their source had its share.
    pub over_share: u64,
    /// How many were closed at rest because another needed the place.
    pub made_room: u64,
    /// How many found every place taken.
    pub waited: u64,
}

impl ConnectionCounts {
    /// All of them.
    pub fn figures(&self) -> ConnectionFigures {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        ConnectionFigures {
            places: read(&self.places),
            open: read(&self.open),
            over_share: read(&self.over_share),
            made_room: read(&self.made_room),
            waited: read(&self.waited),
        }
    }

    /// The shortage that lasts at this moment, if there is one.
    pub fn shortage(&self, now: Timestamp) -> Option<Shortage> {
        self.locked().filter(|it| it.lasts(now))
    }

    pub(super) fn has_places(&self, places: usize) {
        self.places.store(places as u64, Ordering::Relaxed);
    }

    pub(super) fn opened(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn closed(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn was_over_share(&self) {
        self.over_share.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn made_room(&self) {
        self.made_room.fetch_add(1, Ordering::Relaxed);
    }

    /// Somebody found every place taken.
    pub(super) fn ran_out(&self) {
        self.waited.fetch_add(1, Ordering::Relaxed);
        let now = SystemClock.now();
        let mut shortage = self.locked();
        let since = shortage.filter(|it| it.lasts(now)).map_or(now, |it| it.since);
        *shortage = Some(Shortage { since, last: now });
    }

    fn locked(&self) -> MutexGuard<'_, Option<Shortage>> {
        self.shortage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shortage {
    fn lasts(&self, now: Timestamp) -> bool {
        now.since(self.last) <= SHORTAGE_OVER_AFTER
    }
}
