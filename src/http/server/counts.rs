//! How many connections a listener has, and whether it ran out of places for them.
use std::{
    net::IpAddr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::domain::{Clock, SourceBlock, SystemClock, Timestamp};

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
    excess: Mutex<Option<Excess>>,
    large_headers: Mutex<Option<LargeHeaders>>,
}

/// A time in which every place, or all that one source may have, was taken and more wanted to come
/// in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// When it began.
    pub since: Timestamp,
    /// When somebody last found no place.
    pub last: Timestamp,
}

/// A source that has all the connections that one may have, and wanted more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excess {
    /// The last one.
    pub source: SourceBlock,
    /// How many one may have.
    pub connections_max: u64,
    /// When.
    pub shortage: Shortage,
}

/// Requests that were answered 431, and of which nothing else is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LargeHeaders {
    /// How many.
    pub count: u64,
    /// From where the last one came: a client, or the proxy in front of us.
    pub last_peer: IpAddr,
    /// When the first one came, and the last.
    pub times: Shortage,
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
    /// How many were closed, waiting for their client, because another needed the place.
    pub made_room: u64,
    /// How many found every place taken.
    pub waited: u64,
    /// How many were closed since the header of a request was too large.
    pub large_headers: u64,
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
            large_headers: self.large_headers().map_or(0, |it| it.count),
        }
    }

    /// The shortage that lasts at this moment, if there is one.
    pub fn shortage(&self, now: Timestamp) -> Option<Shortage> {
        locked(&self.shortage).filter(|it| it.lasts(now))
    }

    /// The source whose connections are closed at once at this moment, if there is one.
    pub fn excess(&self, now: Timestamp) -> Option<Excess> {
        locked(&self.excess).filter(|it| it.shortage.lasts(now))
    }

    /// The requests whose header was too large, if there were any.
    pub fn large_headers(&self) -> Option<LargeHeaders> {
        *locked(&self.large_headers)
    }

    pub(super) fn header_was_too_large(&self, last_peer: IpAddr) {
        let now = SystemClock.now();
        let mut all = locked(&self.large_headers);
        let before = all.map_or((0, now), |it| (it.count, it.times.since));
        let times = Shortage { since: before.1, last: now };
        *all = Some(LargeHeaders { count: before.0 + 1, last_peer, times });
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

    pub(super) fn was_over_share(&self, source: SourceBlock, connections_max: usize) {
        self.over_share.fetch_add(1, Ordering::Relaxed);
        let now = SystemClock.now();
        let mut excess = locked(&self.excess);
        let lasting = excess.map(|it| it.shortage).filter(|it| it.lasts(now));
        let shortage = Shortage { since: lasting.map_or(now, |it| it.since), last: now };
        let connections_max = connections_max as u64;
        *excess = Some(Excess { source, connections_max, shortage });
    }

    pub(super) fn made_room(&self) {
        self.made_room.fetch_add(1, Ordering::Relaxed);
    }

    /// Somebody found every place taken.
    pub(super) fn ran_out(&self) {
        self.waited.fetch_add(1, Ordering::Relaxed);
        let now = SystemClock.now();
        let mut shortage = locked(&self.shortage);
        let since = shortage.filter(|it| it.lasts(now)).map_or(now, |it| it.since);
        *shortage = Some(Shortage { since, last: now });
    }
}

fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shortage {
    fn lasts(&self, now: Timestamp) -> bool {
        now.since(self.last) <= SHORTAGE_OVER_AFTER
    }
}
