//! API keys that are not live, and sign-ins that fail: how often a source may show them, and that it is
//! told when one does.
//!
//! A live key is never refused for what else its source sent: behind a proxy many share an address. Who
//! guesses is told to wait, is in the log once a minute, and in a metric.
use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use governor::Quota;

use super::failures::FailureLimiter;

/// How often a source may fail in a minute: no person does so, and a key of ours has 256 bits.
const FAILURES_A_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(59);
/// How many failures pass before the sources that have their whole share again are forgotten.
const FAILURES_A_PRUNE: u64 = 1_024;

/// Counts them.
pub(super) struct KeyFailures {
    sources: FailureLimiter,
    logged: FailureLimiter,
    all: AtomicU64,
}

impl Default for KeyFailures {
    /// None yet.
    fn default() -> Self {
        Self {
            sources: FailureLimiter::new(Quota::per_minute(FAILURES_A_MINUTE)),
            logged: FailureLimiter::new(Quota::per_minute(NonZeroU32::MIN)),
            all: AtomicU64::new(0),
        }
    }
}

impl KeyFailures {
    /// Counts one failure; says how long its source should wait when it has had its share.
    pub(super) fn failed(&self, source: IpAddr) -> Result<(), Duration> {
        let all = self.all.fetch_add(1, Ordering::Relaxed) + 1;
        if all.is_multiple_of(FAILURES_A_PRUNE) {
            self.sources.prune();
            self.logged.prune();
        }
        if self.logged.failed(source).is_ok() {
            tracing::warn!(
                %source,
                failures.all = all,
                "Refused an API key or a sign-in that is not live; more from this source are told \
                 once a minute"
            );
        }
        self.sources.failed(source)
    }

    /// How many there were since the start.
    pub(super) fn all(&self) -> u64 {
        self.all.load(Ordering::Relaxed)
    }
}
