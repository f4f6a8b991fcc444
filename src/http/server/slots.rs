//! Who may still come in: one count for all, one for each source. Where there is no place, the
//! connection that has waited longest for its client makes room, or, where none has waited for long,
//! one of the source that has most.
use std::{
    cmp::Reverse,
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ipnet::IpNet;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

use super::{
    ConnectionCounts, ConnectionLimits,
    idle::{IdleConnections, Listed},
};
use crate::http::client_ip::{SourceBlock, is_within};

/// The places for connections.
pub(super) struct Slots {
    all: Arc<Semaphore>,
    sources: Arc<Sources>,
    places: usize,
    per_source_max: usize,
    exempt: Arc<[IpNet]>,
    idle: Arc<IdleConnections>,
    rest_time_min: Duration,
    counts: Arc<ConnectionCounts>,
}

/// A connection that was told to end has so long before another is.
const ENDING_TIME: Duration = Duration::from_millis(100);
/// A source has many connections if it has more than one in so many of the places.
const MANY: usize = 32;
/// By how much shorter its connections may wait for it when every place is taken.
const HASTE: u32 = 20;

/// The place of one connection, free again when this is dropped: first for its source, so that
/// whoever comes in for it finds the source's count already right.
pub(super) struct Slot {
    _one_of_source: Option<OneOfSource>,
    _one_of_all: OwnedSemaphorePermit,
    counts: Arc<ConnectionCounts>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.counts.closed();
    }
}

impl Slots {
    pub(super) fn new(limits: &ConnectionLimits, counts: Arc<ConnectionCounts>) -> Self {
        let places = limits.connections_max.min(Semaphore::MAX_PERMITS);
        counts.has_places(places);
        Self {
            all: Arc::new(Semaphore::new(places)),
            sources: Arc::default(),
            places,
            per_source_max: limits.connections_per_source_max,
            exempt: Arc::clone(&limits.exempt_sources),
            idle: IdleConnections::new(),
            rest_time_min: limits.crowded_rest_min,
            counts,
        }
    }

    /// Waits until there is a place for one more.
    pub(super) async fn free(&self) -> OwnedSemaphorePermit {
        if let Some(free) = self.free_now() {
            return free;
        }
        self.counts.ran_out();
        loop {
            let time_max = match self.end_one(Instant::now()) {
                Ok(()) => {
                    self.counts.made_room();
                    ENDING_TIME
                }
                Err(left) => left.map_or(self.rest_time_min, |left| left.min(self.rest_time_min)),
            };
            let time_max = time_max.max(Duration::from_millis(1));
            if let Ok(Ok(free)) = timeout(time_max, Arc::clone(&self.all).acquire_owned()).await {
                return free;
            }
        }
    }

    /// Has a connection make room, or says how long it is until one may have to. Whoever keeps all of
    /// its connections busy would otherwise shut out everybody else, the more so who has many.
    fn end_one(&self, now: Instant) -> Result<(), Option<Duration>> {
        let hasty = self.rest_time_min / HASTE;
        let mut ended = self.idle.end_longest(None, self.rest_time_min, now);
        if ended.is_err() {
            let many = self.sources.with_more_than(self.places / MANY).into_iter().map(Some);
            for source in many.chain([None]) {
                ended = self.idle.end_longest(source, hasty, now);
                if ended.is_ok() {
                    break;
                }
            }
        }
        ended
    }

    /// A place for one more, if there is one now.
    pub(super) fn free_now(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.all).try_acquire_owned().ok()
    }

    /// Whether `source` may have one more connection. If it has its share already, the one of its
    /// own that has waited longest makes room, if there is one.
    pub(super) fn admit(&self, source: IpAddr) -> Option<Admitted> {
        if is_within(source, &self.exempt) {
            return Some(Admitted(None));
        }
        let block = SourceBlock::from(source);
        let one = OneOfSource::new(&self.sources, block, self.per_source_max).or_else(|| {
            self.idle.end_longest(Some(block), self.rest_time_min, Instant::now()).ok()?;
            self.counts.made_room();
            OneOfSource::new(&self.sources, block, usize::MAX)
        });
        if one.is_none() {
            self.counts.was_over_share(block, self.per_source_max);
            self.sources.tell(block);
        }
        one.map(|one| Admitted(Some(one)))
    }

    /// Gives the free place to somebody who was admitted.
    pub(super) fn take(&self, free: OwnedSemaphorePermit, admitted: Admitted) -> Slot {
        self.counts.opened();
        Slot { _one_of_source: admitted.0, _one_of_all: free, counts: Arc::clone(&self.counts) }
    }

    /// A request of this client, or of a proxy, was answered 431.
    pub(super) fn header_was_too_large(&self, peer: IpAddr) {
        self.counts.header_was_too_large(peer);
    }

    /// Has a connection make room for others when it has waited longest for its client; a proxy's is
    /// not asked to.
    pub(super) fn list(&self, source: IpAddr) -> Option<Listed> {
        (!is_within(source, &self.exempt)).then(|| self.idle.list(source.into()))
    }
}

/// The share of a source in the connections, where it has one, until it is dropped.
pub(super) struct Admitted(Option<OneOfSource>);

/// The sources that have connections now.
#[derive(Default)]
struct Sources(Mutex<HashMap<SourceBlock, Share>>);

#[derive(Default)]
struct Share {
    connections: usize,
    /// Whether the log already says that this source was refused; once while it stays.
    told: bool,
}

impl Sources {
    /// Each change is one step, so that a panic elsewhere cannot have left the counts half done.
    fn lock(&self) -> MutexGuard<'_, HashMap<SourceBlock, Share>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sources that have more connections than this, those with most first.
    fn with_more_than(&self, count: usize) -> Vec<SourceBlock> {
        let shares = self.lock();
        let many = shares.iter().filter(|(_, share)| share.connections > count);
        let mut many: Vec<_> = many.map(|(source, share)| (share.connections, *source)).collect();
        many.sort_by_key(|(connections, _)| Reverse(*connections));
        many.into_iter().map(|(_, source)| source).collect()
    }

    /// Tells the log, once while it lasts, that a source has its share.
    fn tell(&self, source: SourceBlock) {
        let mut shares = self.lock();
        let Some(share) = shares.get_mut(&source).filter(|share| !share.told) else { return };
        share.told = true;
        tracing::warn!(
            %source,
            connections = share.connections,
            "Closed a connection: its source has as many as it may; \
             if it is a proxy of yours, name it as trusted"
        );
    }
}

struct OneOfSource {
    sources: Arc<Sources>,
    source: SourceBlock,
}

impl OneOfSource {
    fn new(sources: &Arc<Sources>, source: SourceBlock, max: usize) -> Option<Self> {
        let mut shares = sources.lock();
        let share = shares.entry(source).or_default();
        if share.connections >= max {
            return None;
        }
        share.connections += 1;
        Some(Self { sources: Arc::clone(sources), source })
    }
}

impl Drop for OneOfSource {
    fn drop(&mut self) {
        let mut shares = self.sources.lock();
        if let Some(share) = shares.get_mut(&self.source) {
            share.connections -= 1;
            if share.connections == 0 {
                shares.remove(&self.source);
            }
        }
    }
}
