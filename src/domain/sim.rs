use std::time::Duration;

use super::{Giccid, SerialNumber, ShortText, Timestamp};

/// A SIM as far as its records and people tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sim {
    /// Its number.
    pub giccid: Giccid,
    /// What people say of it.
    pub label: SimLabel,
    /// What its records say; none for one that has only been named.
    pub seen: Option<SimSeen>,
    /// Its usage on the day of asking.
    pub today: UsageSum,
    /// Its usage in the month of asking.
    pub this_month: UsageSum,
}

/// What a SIM's records say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimSeen {
    /// Own time of its first usage record or message.
    pub first: Timestamp,
    /// Own time of its last one.
    pub last: Timestamp,
    /// The subscriber of that.
    pub imsi: ShortText,
    /// The network context of its last usage record; all empty where it has none.
    pub network: NetworkContext,
}

/// Where and as what a SIM used data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkContext {
    /// The customer's label for a group of SIMs.
    pub sim_group: ShortText,
    /// The visited country.
    pub country_code: ShortText,
    /// The visited network, country part.
    pub mcc: ShortText,
    /// The visited network, own part.
    pub mnc: ShortText,
    /// The access point name.
    pub apn: ShortText,
}

/// What people say of a SIM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SimLabel {
    /// Its name, or nothing.
    pub name: ShortText,
    /// The router it sits in.
    pub device_sn: Option<SerialNumber>,
}

/// A change of what people say of a SIM: only what is named is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelChange {
    /// The SIM.
    pub giccid: Giccid,
    /// Its new name; an empty one takes the name away.
    pub name: Option<ShortText>,
    /// The router it now sits in, or none.
    pub device_sn: Option<Option<SerialNumber>>,
}

/// A volume and how many records it is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageSum {
    /// The sum of volumes.
    pub data_usage: i64,
    /// How many records.
    pub records: i64,
}

/// How many SIMs are at work is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimActivityQuestion {
    /// Those are active that have sent since, by their records' own times.
    pub active_from_ms: i64,
    /// Those are silent that have not sent since.
    pub silent_since_ms: i64,
}

/// How many SIMs are at work, by what each sent last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SimActivity {
    /// How many have ever sent.
    pub known: u64,
    /// How many are active.
    pub active: u64,
    /// How many are silent.
    pub silent: u64,
}

/// Which SIMs are meant: every field that is set narrows, the values in one field widen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SimFilter {
    /// Groups of the last usage record.
    pub sim_group: Vec<String>,
    /// Countries of it.
    pub country_code: Vec<String>,
    /// Networks of it, country part.
    pub mcc: Vec<String>,
    /// Networks of it, own part.
    pub mnc: Vec<String>,
    /// Access points of it.
    pub apn: Vec<String>,
    /// Names.
    pub name: Vec<String>,
    /// Routers that SIMs sit in.
    pub device_sn: Vec<String>,
    /// Parts of a giccid or a name.
    pub q: Vec<String>,
    /// Only those whose last record is older than this.
    pub silent_for: Option<Duration>,
}

/// In which order SIMs are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SimSort {
    /// Those first that were first heard of last. Their places never change.
    #[default]
    Newest,
    /// By own time of the last record, the newest first.
    LastSeen,
    /// By this month's usage, the largest first.
    DataUsage,
}

/// A SIM's place in a list: what the list is sorted by, and, among equals, the SIM's own number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SimSpot {
    /// Milliseconds or a volume; 0 where the number alone decides.
    pub value: i64,
    /// The larger, the later the SIM was first heard of.
    pub number: i64,
}
