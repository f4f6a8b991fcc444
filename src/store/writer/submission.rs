use std::net::IpAddr;

use crate::domain::{KeptFrom, NewHeld, NewRecord, Timestamp};

/// What one push wants stored, all or nothing.
#[derive(Clone, Debug, Default)]
pub struct Submission {
    /// What could be read.
    pub records: Vec<NewRecord>,
    /// What goes to quarantine.
    pub quarantine: Vec<NewHeld>,
    /// Who sent it, if it was pushed.
    pub source: Option<IpAddr>,
    /// Who sent the very same, too, if it is a retry: it is stored as a push of each of them, all or
    /// nothing. None stands for one that is not known.
    pub also_from: Vec<Option<IpAddr>>,
    /// The held push that this one takes out, if it is a retry.
    pub releases: Option<i64>,
    /// Whether it is one of our own tests: kept apart and in no total.
    pub is_test: bool,
    /// Whether it was not pushed but comes from a file: no sign that SmartHub still pushes, and what
    /// it repeats is no news. It is committed by itself, without pushes.
    pub is_history: bool,
    /// When it was pushed, by its `datePush`, which is signed. None where that says nothing of the
    /// present time: of a test, a file or a retry.
    pub pushed_at: Option<Timestamp>,
    /// The same of the latest in it that is neither too old nor too far ahead.
    pub accepted_date: Option<Timestamp>,
}

impl Submission {
    /// All that sent it.
    pub(super) fn sources(&self) -> impl Iterator<Item = Option<IpAddr>> {
        [self.source].into_iter().chain(self.also_from.iter().copied())
    }

    pub(super) fn concerns_held(&self) -> bool {
        self.releases.is_some() || !self.quarantine.is_empty()
    }

    pub(super) fn changes_rings(&self) -> bool {
        self.releases.is_some() || self.quarantine.iter().any(|held| held.ring.is_some())
    }

    /// Whether a record in it is older than what is kept. Tests are kept by number, not by age.
    pub(super) fn is_too_old(&self, kept_from: &KeptFrom) -> bool {
        !self.is_test && self.records.iter().any(|new| kept_from.refuses(new))
    }
}

/// What became of a push.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Records that are new.
    pub stored: u64,
    /// Records that were there already.
    pub duplicates: u64,
    /// Parts that went to quarantine.
    pub quarantined: u64,
    /// Records and parts that were left out, because all of them is about erased SIMs.
    pub erased: u64,
}

/// The answer to one submission of a committed batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is on disk.
    Stored(Outcome),
    /// Nothing of it was stored, because quarantine has no room for what would go there.
    QuarantineFull,
}
