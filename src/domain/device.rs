use std::{str::FromStr, time::Duration};

use super::{SerialNumber, ShortText, Timestamp, held::UnknownWord};

/// Whether a router can be reached, as far as RCMS says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeviceState {
    /// RCMS says that it is online.
    Online,
    /// RCMS says that it is not.
    Offline,
    /// RCMS does not say, no longer lists it, or has not answered for too long.
    Unknown,
}

/// RCMS's own count of its devices and users, each as far as its answer says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FleetTotals {
    /// `deviceTotal`
    pub device_total: Option<i64>,
    /// `onlineTotal`
    pub online_total: Option<i64>,
    /// `offlineTotal`
    pub offline_total: Option<i64>,
    /// `registeredTotal`
    pub registered_total: Option<i64>,
    /// `unRegisteredTotal`
    pub un_registered_total: Option<i64>,
    /// `userTotal`
    pub user_total: Option<i64>,
}

/// A router as RCMS's list shows it. A text that is not there is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedDevice {
    /// `sn`
    pub sn: SerialNumber,
    /// `deviceName`
    pub name: ShortText,
    /// `deviceModel`
    pub model: ShortText,
    /// `deviceGroup` or `groupName`
    pub group: ShortText,
    /// `deviceFirmWareVersion`
    pub firmware_version: ShortText,
    /// `deviceDesc`
    pub description: ShortText,
    /// `createTime`, as RCMS writes it.
    pub create_time: ShortText,
    /// `onlineStatus` or `deviceOnLineStatus`
    pub state: DeviceState,
    /// The members that we do not read, a JSON object.
    pub extra: Option<Box<str>>,
}

/// What a router once told RCMS about itself: one element of `statusData`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusSample {
    /// Its own time, where it names one that can be believed.
    pub sampled_at: Option<Timestamp>,
    /// The fields that we read.
    pub facts: StatusFacts,
    /// All of it, as JSON.
    pub whole: Box<str>,
    /// What tells whether it says anything new.
    pub lasting: Lasting,
}

/// A sample without its clocks, which run on while nothing happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lasting {
    /// 64 bits of a digest of all but the clocks that can be read.
    pub digest: i64,
    /// For how many seconds the router has been up, where that can be read.
    pub up_s: Option<i64>,
    /// The same of its link.
    pub link_up_s: Option<i64>,
}

/// The fields of a sample that RCMS's article names, as text whatever their type. One that is not
/// there is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusFacts {
    /// `system.system_time`: the router's clock, in whatever form.
    pub system_time: ShortText,
    /// `system.device_model`
    pub device_model: ShortText,
    /// `system.firmware_version`
    pub firmware_version: ShortText,
    /// `system.uptime`
    pub uptime: ShortText,
    /// `active_link.ip`
    pub ip: ShortText,
    /// `active_link.gateway`
    pub gateway: ShortText,
    /// `active_link.link_uptime`
    pub link_uptime: ShortText,
}

/// How long what RCMS said about a router's state holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// The moment of asking.
    pub now: Timestamp,
    /// Three cycles of the poller, or longer where the list takes longer.
    pub good_for: Duration,
}

/// What one poll learned, to be stored as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevicePoll {
    /// When it was, and since when older states count for nothing.
    pub freshness: Freshness,
    /// What RCMS's own clock said then, if it did.
    pub rcms_time: Option<Timestamp>,
    /// What `deviceTotal` said, if it answered.
    pub totals: Option<FleetTotals>,
    /// What the list said, if any page of it answered.
    pub listing: Option<Listing>,
    /// What `statusData` said of single routers.
    pub statuses: Vec<DeviceStatus>,
}

/// What a walk through the list changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// It was read to its end, and all that it did not hold is gone.
    pub is_complete: bool,
    /// When its reading began, if it went on over several polls.
    pub since: Option<Timestamp>,
    /// Routers that RCMS writes in other letters than are stored: how they are, and how they are now.
    pub respelled: Vec<(SerialNumber, SerialNumber)>,
    /// Routers that are new, or not as they were stored.
    pub changed: Vec<ListedDevice>,
    /// Routers that are as they were stored; empty where the list was read to its end in one poll,
    /// which says it of all that it held.
    pub unchanged: Vec<SerialNumber>,
    /// Routers that a list read to its end holds no more.
    pub gone: Vec<SerialNumber>,
}

/// An answer of `statusData`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceStatus {
    /// Whose.
    pub sn: SerialNumber,
    /// The end of the span that was asked for: the next question begins here.
    pub asked_to: Timestamp,
    /// In RCMS's order.
    pub samples: Vec<StatusSample>,
}

/// A router as we know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its number, in the order in which routers were first seen.
    pub id: i64,
    /// What the list last said of it; its state as of now.
    pub listed: ListedDevice,
    /// When that state was first seen.
    pub state_since: Timestamp,
    /// When the list last held it; never, for one that only the settings name.
    pub listed_at: Option<Timestamp>,
    /// Whether the list held it when it was last read to its end.
    pub is_listed: bool,
    /// Up to when its `statusData` was asked for.
    pub status_asked_to: Option<Timestamp>,
    /// What its newest sample says.
    pub status: Option<NewestSample>,
}

/// What a router's newest sample says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewestSample {
    /// When it was taken, as far as it says so, or else when it came.
    pub as_of: Timestamp,
    /// Whether it says so; what an earlier version has stored does not tell.
    pub has_own_time: bool,
    /// The fields that we read.
    pub facts: StatusFacts,
}

/// A router as it is stored, for the poller to tell what is new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownDevice {
    /// What the list last said of it; its state as of now.
    pub listed: ListedDevice,
    /// Whether the list held it when it was last read to its end.
    pub is_listed: bool,
    /// Up to when its `statusData` was asked for.
    pub status_asked_to: Option<Timestamp>,
}

/// Which routers are meant: every field that is not empty narrows, the values in one field widen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct DeviceFilter {
    /// States as of now.
    pub state: Vec<DeviceState>,
    /// Models.
    pub model: Vec<String>,
    /// RCMS's groups.
    pub group: Vec<String>,
    /// Words in serial number, name or description.
    pub q: Vec<String>,
}

/// One entry of a router's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceEvent {
    /// Its place in the one sequence over all kinds of record.
    pub id: i64,
    /// When the state was first seen, or the sample taken (or else seen).
    pub at: Timestamp,
    /// What it is.
    pub what: DeviceEventKind,
}

/// What happened to a router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceEventKind {
    /// Its state changed to this one.
    State(DeviceState),
    /// It told RCMS about itself.
    Status(SampleRun),
}

/// Samples that say the same, one after another, but for clocks that run on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleRun {
    /// The first one, whole, as JSON.
    pub whole: Box<str>,
    /// When the last one was taken (or else seen).
    pub until: Timestamp,
    /// How many there were, each of a later time than the one before.
    pub samples: i64,
    /// Whether they say when they were taken; what an earlier version has stored does not tell.
    pub has_own_time: bool,
}

/// Which entries of a history are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct HistoryFilter {
    /// Only changes of state, or only samples.
    pub only: Option<DeviceEventWord>,
    /// From this millisecond on.
    pub from_ms: Option<i64>,
    /// Before this millisecond.
    pub to_ms: Option<i64>,
}

/// The kind of an entry, without what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceEventWord {
    /// A change of state.
    State,
    /// A sample.
    Status,
}

/// All routers together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fleet {
    /// What RCMS counted, and when it said so.
    pub totals: Option<(Timestamp, FleetTotals)>,
    /// When the list was last read to its end.
    pub listed_at: Option<Timestamp>,
    /// How many of the routers that we know are online.
    pub online: u64,
    /// … offline.
    pub offline: u64,
    /// How many of these were so in two readings of the list, or more.
    pub offline_confirmed: u64,
    /// … and of how many we cannot say.
    pub unknown: u64,
}

impl NewestSample {
    /// When it was taken, where it says so.
    pub fn sampled_at(&self) -> Option<Timestamp> {
        self.has_own_time.then_some(self.as_of)
    }
}

impl Device {
    /// Whether the list showed it in its state once more after it first did: one reading alone may be a
    /// moment of bad reception, or RCMS's own trouble.
    pub fn is_state_confirmed(&self) -> bool {
        self.listed_at.is_some_and(|at| at > self.state_since)
    }
}

impl DeviceState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Online, Self::Offline, Self::Unknown];

    /// The word in API and database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Offline => "offline",
            Self::Unknown => "unknown",
        }
    }
}

impl FromStr for DeviceState {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(UnknownWord)
    }
}

impl DeviceEventWord {
    /// Every kind of entry.
    pub const ALL: [Self; 2] = [Self::State, Self::Status];

    /// The word in API and database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Status => "status",
        }
    }
}

impl FromStr for DeviceEventWord {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|word| word.as_str() == text).ok_or(UnknownWord)
    }
}

impl Freshness {
    /// The oldest moment whose word still holds.
    pub fn oldest(self) -> Timestamp {
        self.now.minus(self.good_for)
    }
}
