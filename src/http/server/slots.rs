//! Who may still come in: one count for all, one for each source.
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ipnet::IpNet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::ConnectionLimits;
use crate::http::client_ip::{SourceBlock, is_within};

/// The places for connections.
pub(super) struct Slots {
    all: Arc<Semaphore>,
    sources: Arc<Sources>,
    per_source_max: usize,
    exempt: Arc<[IpNet]>,
}

/// Whether somebody may be waiting for a place.
#[derive(Clone)]
pub(super) struct Crowd(Arc<Semaphore>);

impl Crowd {
    pub(super) fn is_full(&self) -> bool {
        self.0.available_permits() == 0
    }
}

/// The place of one connection, free again when this is dropped: first for its source, so that
/// whoever comes in for it finds the source's count already right.
pub(super) struct Slot {
    _one_of_source: Option<OneOfSource>,
    _one_of_all: OwnedSemaphorePermit,
}

impl Slots {
    pub(super) fn new(limits: &ConnectionLimits) -> Self {
        Self {
            all: Arc::new(Semaphore::new(limits.connections_max.min(Semaphore::MAX_PERMITS))),
            sources: Arc::default(),
            per_source_max: limits.connections_per_source_max,
            exempt: Arc::clone(&limits.exempt_sources),
        }
    }

    pub(super) fn crowd(&self) -> Crowd {
        Crowd(Arc::clone(&self.all))
    }

    /// Waits until there is a place for one more.
    pub(super) async fn free(&self) -> OwnedSemaphorePermit {
        loop {
            match Arc::clone(&self.all).acquire_owned().await {
                Ok(permit) => return permit,
                // Only a closed semaphore says so, and nobody closes this one.
                Err(_) => std::future::pending().await,
            }
        }
    }

    /// A place for one more, if there is one now.
    pub(super) fn free_now(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.all).try_acquire_owned().ok()
    }

    /// Gives the free place to `source`, unless it has its share already.
    pub(super) fn take(&self, free: OwnedSemaphorePermit, source: IpAddr) -> Option<Slot> {
        let one_of_source = if is_within(source, &self.exempt) {
            None
        } else {
            Some(OneOfSource::new(&self.sources, source.into(), self.per_source_max)?)
        };
        Some(Slot { _one_of_source: one_of_source, _one_of_all: free })
    }
}

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
            if !share.told {
                share.told = true;
                tracing::warn!(
                    %source,
                    connections = share.connections,
                    "Closed a connection: its source has as many as it may; \
                     if it is a proxy of yours, name it as trusted"
                );
            }
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
