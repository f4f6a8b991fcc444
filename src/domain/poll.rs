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
    /// How many routers RCMS counts, and how many of them its list holds, where both are known.
    pub counted_and_listed: Option<(usize, usize)>,
    /// In how many cycles in a row the list was shorter than the count.
    pub short_lists: u64,
    /// How long what RCMS says of a router's state holds.
    pub good_for: Option<Duration>,
    /// How many routers were not asked for in the time in which each should be.
    pub late: usize,
    /// In how many cycles in a row there were such routers.
    pub late_cycles: u64,
    /// How many items of the list have no serial number that can be read, and how many of its routers
    /// an online flag that says neither yes nor no.
    pub unread: (usize, usize),
    /// Since when no router has told anything about itself although some are online.
    pub no_samples_since: Option<Timestamp>,
    /// By how much our clock was ahead of RCMS's in the last two cycles that told it.
    pub clock_ahead_ms: [i64; 2],
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
    /// A router may come or go between the two questions; a list that is short twice is short.
    const SHORT_LISTS_MIN: u64 = 2;
    /// From here on two clocks differ.
    const CLOCK_FAR_MS: i64 = 60_000;
    /// Each router is asked several times meanwhile, about all of it.
    const NO_SAMPLES_MIN: Duration = Duration::from_secs(2 * 60 * 60);
    /// After a pause everybody is late for a cycle.
    const LATE_CYCLES_MIN: u64 = 3;

    /// Notes what a list that was read to its end held, and how many RCMS counted before.
    pub fn note_list(&mut self, counted: usize, listed: usize) {
        self.short_lists = if listed < counted { self.short_lists + 1 } else { 0 };
        self.counted_and_listed = Some((counted, listed));
    }

    /// Notes by how much our clock is ahead of RCMS's.
    pub fn note_clock(&mut self, ahead_ms: i64) {
        self.clock_ahead_ms = [self.clock_ahead_ms[1], ahead_ms];
    }

    /// Whether our clock is far ahead of RCMS's, or else far behind it, if it is either for good.
    pub fn is_clock_ahead(&self) -> Option<bool> {
        let are_far = |is_far: fn(i64) -> bool| self.clock_ahead_ms.into_iter().all(is_far);
        let (ahead, behind) =
            (are_far(|ms| ms >= Self::CLOCK_FAR_MS), are_far(|ms| ms <= -Self::CLOCK_FAR_MS));
        (ahead || behind).then_some(ahead)
    }

    /// Whether RCMS is too slow, or bears too few questions, for every router to have its turn.
    pub fn is_slow(&self) -> bool {
        self.late_cycles >= Self::LATE_CYCLES_MIN
    }

    /// Notes how many routers should have been asked for about themselves, and were not.
    pub fn note_late(&mut self, late: usize) {
        self.late_cycles = if late > 0 { self.late_cycles + 1 } else { 0 };
        self.late = late;
    }

    /// Notes that routers are asked about themselves, of which some are online or none is.
    pub fn note_asked(&mut self, is_any_online: bool, now: Timestamp) {
        self.no_samples_since = is_any_online.then(|| self.no_samples_since.unwrap_or(now));
    }

    /// Notes that a router has told something about itself.
    pub fn note_samples(&mut self) {
        self.no_samples_since = None;
    }

    /// Since when no router has told anything about itself, if that is long.
    pub fn without_samples(&self, now: Timestamp) -> Option<Timestamp> {
        self.no_samples_since.filter(|since| now.since(*since) >= Self::NO_SAMPLES_MIN)
    }

    /// How many routers RCMS counts and how many it lists, if those it lists are fewer for good.
    pub fn short_list(&self) -> Option<(usize, usize)> {
        self.counted_and_listed.filter(|_| self.short_lists >= Self::SHORT_LISTS_MIN)
    }

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
