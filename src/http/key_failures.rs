//! API keys that are not live, and sign-ins that fail: how often a source may show them, and that it is
//! told when one does.
//!
//! A live key is never refused for what else its source sent: behind a proxy many share an address. Who
//! guesses is told to wait, is in the log once a minute, and in a metric.
use std::{
    collections::HashMap,
    mem,
    net::IpAddr,
    num::NonZeroU32,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use governor::Quota;
use tokio::time::sleep;

use super::{client_ip::SourceBlock, failures::FailureLimiter};
use crate::intake::Intake;

/// How often a source may fail in a minute: no person does so, and a key of ours has 256 bits.
const FAILURES_A_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(59);
/// How many failures pass before the sources that have their whole share again are forgotten.
const FAILURES_A_PRUNE: u64 = 1_024;
/// How long failures are gathered before they are written.
const WRITTEN_AFTER: Duration = Duration::from_secs(1);
/// So many sources are told apart until then; the others count as one.
const SOURCES_MAX: usize = 256;

/// Counts them.
pub(super) struct KeyFailures {
    sources: FailureLimiter,
    logged: FailureLimiter,
    all: AtomicU64,
    /// Those that the audit does not have yet, by source as the limit has it, without one those of
    /// others.
    unwritten: Mutex<HashMap<Option<SourceBlock>, u64>>,
}

impl Default for KeyFailures {
    /// None yet.
    fn default() -> Self {
        Self {
            sources: FailureLimiter::new(Quota::per_minute(FAILURES_A_MINUTE)),
            logged: FailureLimiter::new(Quota::per_minute(NonZeroU32::MIN)),
            all: AtomicU64::new(0),
            unwritten: Mutex::default(),
        }
    }
}

impl KeyFailures {
    /// Counts one failure; says how long its source should wait when it has had its share.
    pub(super) fn failed(
        self: &Arc<Self>,
        source: IpAddr,
        intake: &Intake,
    ) -> Result<(), Duration> {
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
        if self.is_first_unwritten(source) {
            let (failures, intake) = (Arc::clone(self), intake.clone());
            // What comes meanwhile goes with it: who guesses makes no more than one write in this time.
            tokio::spawn(async move {
                sleep(WRITTEN_AFTER).await;
                failures.write(&intake).await;
            });
        }
        self.sources.failed(source)
    }

    /// Writes into the audit what it does not have yet.
    pub(super) async fn write(&self, intake: &Intake) {
        let failures = mem::take(&mut *self.unwritten());
        if !failures.is_empty() {
            intake.audit_failed_sign_ins(failures.into_iter().collect()).await;
        }
    }

    /// Counts one for the audit; says whether nobody is about to write it.
    fn is_first_unwritten(&self, source: IpAddr) -> bool {
        let mut unwritten = self.unwritten();
        let is_first = unwritten.is_empty();
        let source = Some(SourceBlock::from(source));
        let is_known = unwritten.contains_key(&source);
        let source = source.filter(|_| is_known || unwritten.len() < SOURCES_MAX);
        *unwritten.entry(source).or_default() += 1;
        is_first
    }

    fn unwritten(&self) -> MutexGuard<'_, HashMap<Option<SourceBlock>, u64>> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there were since the start.
    pub(super) fn all(&self) -> u64 {
        self.all.load(Ordering::Relaxed)
    }
}
