//! How many requests came to the public listener, and what became of them.
use std::sync::atomic::{AtomicU64, Ordering};

use super::{
    log::{PushOutcome, PushRow},
    refusal::{Reason, SentAway},
};
use crate::{
    domain::{HeldClass, HeldReason},
    smarthub::kind::{self, KNOWN, KNOWN_COUNT},
};

const OUTCOMES: usize = PushOutcome::ALL.len();
/// Those that SmartHub documents, all others, and none.
const KINDS: usize = KNOWN_COUNT + 2;
const OTHER: usize = KNOWN_COUNT;
const NONE: usize = KNOWN_COUNT + 1;

/// Counts since the start. Nothing here takes a lock. Those of each kind have cache lines of their
/// own, so that pushes of different kinds do not get in each other's way.
#[derive(Debug, Default)]
pub(in crate::http) struct PushFigures {
    kinds: [OfKind; KINDS],
    tests: [AtomicU64; OUTCOMES],
    sent_away: [AtomicU64; SentAway::COUNT],
    /// What a held push is goes by its reason.
    held: [AtomicU64; HeldReason::ALL.len()],
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct OfKind {
    outcomes: [AtomicU64; OUTCOMES],
    stored: AtomicU64,
    duplicates: AtomicU64,
    quarantined: AtomicU64,
}

/// Records that came in pushes of one kind.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct RecordCounts {
    pub(in crate::http) kind: &'static str,
    pub(in crate::http) stored: u64,
    pub(in crate::http) duplicates: u64,
    pub(in crate::http) quarantined: u64,
}

impl PushFigures {
    pub(super) fn count(&self, row: &PushRow) {
        let outcome = row.outcome as usize;
        if row.is_test {
            add(&self.tests[outcome], 1);
            return;
        }
        let number = row.kind.as_ref().map(|kind| kind::number(kind.as_str()).unwrap_or(OTHER));
        let kind = &self.kinds[number.unwrap_or(NONE)];
        add(&kind.outcomes[outcome], 1);
        if let Some(records) = row.records {
            add(&kind.stored, records.stored);
            add(&kind.duplicates, records.duplicates);
            add(&kind.quarantined, records.quarantined);
        }
        match row.reason {
            Some(Reason::SentAway(reason)) => add(&self.sent_away[reason as usize], 1),
            Some(Reason::Held(reason)) => add(&self.held[reason as usize], 1),
            None => (),
        }
    }

    /// Requests, by kind and outcome.
    pub(in crate::http) fn pushes(&self) -> impl Iterator<Item = (&'static str, PushOutcome, u64)> {
        self.kinds.iter().enumerate().flat_map(|(number, kind)| {
            let counts = PushOutcome::ALL.into_iter().zip(&kind.outcomes);
            counts.map(move |(outcome, count)| (name_of(number), outcome, read(count)))
        })
    }

    /// Our own tests, by outcome.
    pub(in crate::http) fn tests(&self) -> impl Iterator<Item = (PushOutcome, u64)> {
        PushOutcome::ALL.into_iter().zip(&self.tests).map(|(outcome, count)| (outcome, read(count)))
    }

    /// Requests that were not taken in, by reason.
    pub(in crate::http) fn sent_away(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let sent_away = SentAway::ALL.into_iter().map(SentAway::as_str).zip(&self.sent_away);
        let sent_away = sent_away.map(|(reason, count)| (reason, read(count)));
        self.held_as(HeldClass::Refused).chain(sent_away)
    }

    /// Authentic pushes of which something is held, by the first reason.
    pub(in crate::http) fn quarantined(&self) -> impl Iterator<Item = (&'static str, u64)> {
        HeldClass::AUTHENTIC.into_iter().flat_map(|class| self.held_as(class))
    }

    fn held_as(&self, class: HeldClass) -> impl Iterator<Item = (&'static str, u64)> {
        let of_class = HeldReason::ALL.into_iter().filter(move |reason| reason.class() == class);
        of_class.map(|reason| (reason.as_str(), read(&self.held[reason as usize])))
    }

    /// Records, by the kind of the push that brought them.
    pub(in crate::http) fn records(&self) -> impl Iterator<Item = RecordCounts> {
        self.kinds.iter().enumerate().take(NONE).map(|(number, kind)| RecordCounts {
            kind: name_of(number),
            stored: read(&kind.stored),
            duplicates: read(&kind.duplicates),
            quarantined: read(&kind.quarantined),
        })
    }
}

fn name_of(number: usize) -> &'static str {
    match number {
        OTHER => "other",
        NONE => "none",
        known => KNOWN[known].slug,
    }
}

fn add(count: &AtomicU64, more: u64) {
    if more > 0 {
        count.fetch_add(more, Ordering::Relaxed);
    }
}

fn read(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}
