//! How many failed pushes one source may send before it is told to wait.
use std::{net::IpAddr, num::NonZeroU32, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::NoOpMiddleware,
    state::keyed::DashMapStateStore,
};

use super::client_ip::SourceBlock;

/// So many sources have a count of their own at once; the memory behind it is a few MiB.
const SOURCES_MAX: usize = 65_536;

/// The key of all sources beyond [`SOURCES_MAX`]: nobody sends from this address.
const EVERYBODY_ELSE: SourceBlock = SourceBlock::V4([0, 0, 0, 0]);

/// Counts failed pushes by source: per IPv4 address, per /64 of IPv6.
///
/// Ask it only after a push has failed. A push that verifies is never counted and never refused,
/// whatever else its source sends.
pub struct FailureLimiter<C: Clock = DefaultClock> {
    sources:
        RateLimiter<SourceBlock, DashMapStateStore<SourceBlock>, C, NoOpMiddleware<C::Instant>>,
    clock: C,
    sources_max: usize,
}

/// How often a source may fail in a minute.
const FAILURES_A_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(19);

impl Default for FailureLimiter {
    /// Lets each source fail 20 times a minute.
    fn default() -> Self {
        Self::new(Quota::per_minute(FAILURES_A_MINUTE))
    }
}

impl FailureLimiter {
    /// A limiter that lets each source fail as often as `quota` says.
    pub fn new(quota: Quota) -> Self {
        Self::with_clock(quota, DefaultClock::default(), SOURCES_MAX)
    }
}

impl<C: Clock + Clone> FailureLimiter<C> {
    /// As [`FailureLimiter::new`], by another clock and with room for `sources_max` sources.
    pub fn with_clock(quota: Quota, clock: C, sources_max: usize) -> Self {
        let sources = RateLimiter::new(quota, DashMapStateStore::default(), clock.clone());
        Self { sources, clock, sources_max }
    }

    /// Counts one failure of `source`; says how long it should wait when it has had its share.
    ///
    /// When more sources fail at once than there is room for, all are counted as one until
    /// [`FailureLimiter::prune`] makes room: that costs failing sources their exact answer, never
    /// a verified push anything, and memory stays bounded.
    pub fn failed(&self, source: IpAddr) -> Result<(), Duration> {
        let full = self.sources.len() >= self.sources_max;
        let key = if full { EVERYBODY_ELSE } else { SourceBlock::from(source) };
        self.sources.check_key(&key).map_err(|not_until| not_until.wait_time_from(self.clock.now()))
    }

    /// Forgets the sources that have their whole share again. Call it every few seconds.
    pub fn prune(&self) {
        self.sources.retain_recent();
        self.sources.shrink_to_fit();
    }

    /// How many sources are remembered now.
    pub fn sources(&self) -> usize {
        self.sources.len()
    }
}
