//! What is wrong with how simdeck comes by its data, and what to do about it.
//!
//! Whoever takes pushes notes on [`Signals`] what matters, at next to no cost while all is well. Now
//! and then, and whenever somebody asks, [`Watch::look`] is given the [`Facts`] that have to be read
//! from elsewhere; it tells what holds, and logs and passes on what began or ended since the last
//! look.
mod erased;
mod place;
mod rcms;
mod rejected;
mod rules;
mod signals;
mod table;

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock, PoisonError, RwLock},
    time::Duration,
};

use tokio::sync::{Mutex, MutexGuard, mpsc};

pub use rejected::Rejection;
pub use rules::{Facts, LargeHeaders, LastPush, PlacesTaken, ShareTaken};
pub use signals::Signals;

use self::table::Table;
use crate::domain::{Condition, ConditionChange, Kind, Timestamp};

/// How long what was learned of usual pauses is good for: it takes a look at weeks of records.
const LEARNED_FOR: Duration = Duration::from_secs(15 * 60);

/// Watches over the data's way in. Clones share one table.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    signals: Arc<Signals>,
    seen: Mutex<Seen>,
    /// What the last look found.
    last: RwLock<Vec<Condition>>,
    changes: OnceLock<mpsc::Sender<ConditionChange>>,
}

/// What the last look left.
#[derive(Debug, Default)]
struct Seen {
    table: Table,
    usual: Option<(Timestamp, BTreeMap<Kind, Duration>)>,
}

/// A look that has begun. Others wait, so that an older look never overrules a newer one.
#[derive(Debug)]
pub struct Look<'w> {
    watch: &'w Watch,
    seen: MutexGuard<'w, Seen>,
}

impl Watch {
    /// Watches by these signals.
    pub fn new(signals: Arc<Signals>) -> Self {
        Self { shared: Arc::new(Shared { signals, ..Shared::default() }) }
    }

    /// What began or ended, where somebody outside is to be told, goes here from now on; what finds
    /// no room is lost. Only the first receiver counts.
    pub fn tell(&self, changes: mpsc::Sender<ConditionChange>) {
        if self.shared.changes.set(changes).is_err() {
            tracing::debug!("Changes are told to somebody already");
        }
    }

    /// What the last look found, for who cannot wait for another.
    pub fn last(&self) -> Vec<Condition> {
        self.shared.last.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Begins a look.
    pub async fn look(&self) -> Look<'_> {
        Look { watch: self, seen: self.shared.seen.lock().await }
    }
}

impl Look<'_> {
    /// How long the longest pause of each kind usually is, if it was learned not long ago.
    pub fn usual(&self, now: Timestamp) -> Option<&BTreeMap<Kind, Duration>> {
        let (at, usual) = self.seen.usual.as_ref()?;
        let is_good = *at <= now && now.since(*at) < LEARNED_FOR;
        is_good.then_some(usual)
    }

    /// Keeps what was learned of usual pauses.
    pub fn learn(&mut self, now: Timestamp, usual: BTreeMap<Kind, Duration>) {
        self.seen.usual = Some((now, usual));
    }

    /// What is wrong by these facts and by what was noted.
    pub fn end(self, facts: &Facts) -> Vec<Condition> {
        let Self { watch, mut seen } = self;
        let found = rules::found(facts, &watch.shared.signals.read(facts.now));
        let changes = seen.table.update(found, &facts.unknown(), facts.now);
        let conditions = seen.table.conditions();
        let last = &watch.shared.last;
        last.write().unwrap_or_else(PoisonError::into_inner).clone_from(&conditions);
        drop(seen);
        for change in changes {
            table::log(&change);
            if change.condition.kind.is_alerted()
                && let Some(receiver) = watch.shared.changes.get()
                && receiver.try_send(change).is_err()
            {
                tracing::warn!("An alert was lost: too many wait to be sent");
            }
        }
        conditions
    }
}
