use std::{collections::BTreeMap, fmt, time::Duration};

use super::Timestamp;

/// What the poller does: ask RCMS, and keep what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PollCall {
    /// The list of devices, page by page.
    DeviceList,
    /// The counts of the whole fleet.
    DeviceTotal,
    /// What one device told about itself.
    StatusData,
    /// Storing the answers.
    Keep,
}

/// In which way a question to RCMS failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PollFailureKind {
    /// No connection, or one that broke.
    Transport,
    /// An HTTP status other than 200.
    Status,
    /// An answer that is not the JSON it should be, or more of it than we take.
    Unreadable,
    /// RCMS says no, in its own code.
    Code,
    /// RCMS does not accept our signature.
    Signature,
    /// RCMS answered, and the answer could not be stored.
    Store,
}

/// What does not work at present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PollFailure {
    /// When it first failed in this row.
    pub since: Timestamp,
    /// When it last failed.
    pub at: Timestamp,
    /// In which way.
    pub kind: PollFailureKind,
    /// What is wrong and what to do, in plain words.
    pub sentence: String,
}

/// How the poller fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PollReport {
    /// When RCMS last answered anything as it should, since this start.
    pub last_success_at: Option<Timestamp>,
    /// What fails at present.
    pub failing: BTreeMap<PollCall, PollFailure>,
    /// When RCMS is asked again, while it is left alone because it fails.
    pub paused_until: Option<Timestamp>,
    /// How many cycles have ended since this start.
    pub cycles: u64,
    /// How long the last one took.
    pub last_cycle_took: Option<Duration>,
    /// How many questions have been asked since this start.
    pub requests: u64,
    /// How many of them failed, by kind.
    pub failures: BTreeMap<PollFailureKind, u64>,
}

impl PollCall {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::DeviceList, Self::DeviceTotal, Self::StatusData, Self::Keep];

    /// The word in API, log and metric; RCMS's own for what it is asked.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DeviceList => "devices",
            Self::DeviceTotal => "deviceTotal",
            Self::StatusData => "statusData",
            Self::Keep => "store",
        }
    }
}

impl PollFailureKind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Transport, Self::Status, Self::Unreadable, Self::Code, Self::Signature, Self::Store];

    /// The word in API, log and metric.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transport => "transport",
            Self::Status => "status",
            Self::Unreadable => "unreadable",
            Self::Code => "code",
            Self::Signature => "signature",
            Self::Store => "store",
        }
    }
}

impl PollReport {
    /// The failure that matters most: of the list before that of the totals, before that of single
    /// devices, before that of the store, which is told elsewhere too.
    pub fn worst(&self) -> Option<(PollCall, &PollFailure)> {
        self.failing.first_key_value().map(|(call, failure)| (*call, failure))
    }
}

impl fmt::Display for PollCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for PollFailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
