/// Which records are meant: every field that is not empty narrows, the values in one field widen.
///
/// One type for all kinds of record; what a kind does not have, its questions leave empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    /// SIMs.
    pub giccid: Vec<String>,
    /// Subscribers.
    pub imsi: Vec<String>,
    /// The customer's labels for groups of SIMs.
    pub sim_group: Vec<String>,
    /// Visited countries.
    pub country_code: Vec<String>,
    /// Visited networks, country part.
    pub mcc: Vec<String>,
    /// Visited networks, own part.
    pub mnc: Vec<String>,
    /// Access point names.
    pub apn: Vec<String>,
    /// Senders of messages.
    pub from_msisdn: Vec<String>,
    /// Recipients of messages.
    pub to_msisdn: Vec<String>,
    /// Push categories of notifications.
    pub kind: Vec<String>,
    /// Words that the unknown fields of a message hold.
    pub q: Vec<String>,
    /// The pushes that records came with, see [`PushOrigin::id`](super::PushOrigin::id).
    pub push_id: Vec<i64>,
    /// `datePush`, whole seconds since 1970.
    pub date_push_s: Vec<i64>,
    /// The record's own time, from this millisecond on.
    pub from_ms: Option<i64>,
    /// The record's own time, before this millisecond.
    pub to_ms: Option<i64>,
    /// When we received it, from this millisecond on.
    pub received_from_ms: Option<i64>,
    /// When we received it, before this millisecond.
    pub received_to_ms: Option<i64>,
}

/// How many rows a page has at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSize(u32);

impl PageSize {
    /// The largest page there is, that of a cursor.
    pub const MAX: u32 = 1000;
    /// A page of one row.
    pub const ONE: Self = Self(1);
    /// A page of as many rows as there may be.
    pub const LARGEST: Self = Self(Self::MAX);

    /// A page of `rows` rows, if that is at least one and at most `max`.
    pub fn within(rows: u32, max: u32) -> Option<Self> {
        (1..=max.min(Self::MAX)).contains(&rows).then_some(Self(rows))
    }

    /// The number of rows.
    pub fn rows(self) -> u32 {
        self.0
    }
}

/// Where a page begins, in a list that runs from the newest to the oldest. `K` is what tells a row's
/// place in the order: its id, where nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<K = i64> {
    /// At the newest.
    Newest,
    /// With the next older than this id.
    OlderThan(K),
    /// So that it ends right before this id.
    NewerThan(K),
    /// After this many of the newest.
    Skip(u32),
    /// So that it ends with the oldest.
    Oldest,
}

/// One page of a walk through a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk<K = i64> {
    /// The newest id when the walk began; what came later is not part of it.
    pub top: i64,
    /// Where this page begins.
    pub place: Place<K>,
    /// How many rows it has.
    pub size: PageSize,
}
