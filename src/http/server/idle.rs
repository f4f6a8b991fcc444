//! Connections that wait for their client, so that the one that has waited longest can make room for
//! another: at rest, or in the middle of a TLS handshake, of a request's header or of its body.
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Waker,
    time::Duration,
};

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

use crate::http::client_ip::SourceBlock;

/// All connections of a listener that may be closed while they wait for their client.
///
/// A rest begins and ends with every request, so it is one store in the connection's own memory;
/// only who looks for the longest rest looks at all of them.
pub(super) struct IdleConnections {
    began: Instant,
    connections: Mutex<Connections>,
}

#[derive(Default)]
struct Connections {
    last: u64,
    by_number: HashMap<u64, (SourceBlock, Arc<Rest>)>,
}

/// The rest of one connection.
#[derive(Default)]
pub(super) struct Rest {
    /// When it began, in microseconds after the listener's beginning; 0 while there is none.
    since_us: AtomicU64,
    /// Whether it is to end.
    is_over: AtomicBool,
    waker: AtomicWaker,
}

/// Takes the connection off the list.
pub(super) struct Listed {
    idle: Arc<IdleConnections>,
    number: u64,
    rest: Arc<Rest>,
}

impl IdleConnections {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { began: Instant::now(), connections: Mutex::default() })
    }

    /// Puts a connection on the list.
    pub(super) fn list(self: &Arc<Self>, source: SourceBlock) -> Listed {
        let rest = Arc::new(Rest::default());
        let mut connections = self.locked();
        connections.last += 1;
        let number = connections.last;
        connections.by_number.insert(number, (source, Arc::clone(&rest)));
        Listed { idle: Arc::clone(self), number, rest }
    }

    /// Ends the longest rest, of this source or of all, if it is so long at least. Otherwise says
    /// how long the longest has still to be, if there is one.
    pub(super) fn end_longest(
        &self,
        source: Option<SourceBlock>,
        time_min: Duration,
        now: Instant,
    ) -> Result<(), Option<Duration>> {
        let longest = {
            let connections = self.locked();
            let of_source = |it: &SourceBlock| source.as_ref().is_none_or(|source| source == it);
            connections
                .by_number
                .values()
                .filter(|(source, rest)| of_source(source) && rest.can_end())
                .map(|(_, rest)| (rest.since_us.load(Ordering::Relaxed), rest))
                .filter(|(since_us, _)| *since_us != 0)
                .min_by_key(|(since_us, _)| *since_us)
                .map(|(since_us, rest)| (since_us, Arc::clone(rest)))
        };
        let (since_us, rest) = longest.ok_or(None)?;
        let now_us = self.since_began_us(now);
        let lasted = Duration::from_micros(now_us.saturating_sub(since_us));
        match time_min.checked_sub(lasted) {
            Some(left) if !left.is_zero() => Err(Some(left)),
            _ => {
                rest.is_over.store(true, Ordering::Release);
                rest.waker.wake();
                Ok(())
            }
        }
    }

    fn since_began_us(&self, now: Instant) -> u64 {
        u64::try_from(now.duration_since(self.began).as_micros()).unwrap_or(u64::MAX)
    }

    fn locked(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rest {
    fn can_end(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }
}

impl Listed {
    /// The connection rests from `now` on; its task is woken when the rest is to end.
    pub(super) fn begins(&self, waker: &Waker, now: Instant) {
        self.rest.is_over.store(false, Ordering::Relaxed);
        self.rest.waker.register(waker);
        let since_us = self.idle.since_began_us(now).max(1);
        self.rest.since_us.store(since_us, Ordering::Relaxed);
    }

    /// It does not rest any more: it goes on even if the rest was to end.
    pub(super) fn ends(&self) {
        self.rest.since_us.store(0, Ordering::Relaxed);
        self.rest.is_over.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_over(&self) -> bool {
        self.rest.is_over.load(Ordering::Acquire)
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.idle.locked().by_number.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn source(last: u8) -> SourceBlock {
        IpAddr::from([192, 0, 2, last]).into()
    }

    #[test]
    fn the_longest_rest_ends_first_and_none_that_is_short_or_over() {
        let idle = IdleConnections::new();
        let at = |seconds| idle.began + Duration::from_secs(seconds);
        let end = |source, seconds| idle.end_longest(source, Duration::from_secs(10), at(seconds));
        let connections: Vec<Listed> = (0..3).map(|nth| idle.list(source(nth))).collect();
        assert_eq!(end(None, 0), Err(None), "nobody rests");
        for (connection, second) in connections.iter().rev().zip(1..) {
            connection.begins(Waker::noop(), at(second));
        }
        assert_eq!(end(None, 3), Err(Some(Duration::from_secs(8))));
        assert_eq!(end(Some(source(1)), 23), Ok(()));
        assert!(connections[1].is_over());
        connections[2].ends();
        assert_eq!(end(None, 23), Ok(()));
        assert!(connections[0].is_over() && !connections[2].is_over());
        assert_eq!(end(None, 23), Err(None));
        connections[1].ends();
        assert!(!connections[1].is_over(), "a request came first");
    }
}
