use super::{
    DeviceEvent, Giccid, Kind, Notification, RetractQuestion, SerialNumber, SmsRecord, Stored,
    Timestamp, UsageRecord,
};

/// One row of all that is stored, whatever its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Data used.
    Usage(Stored<UsageRecord>),
    /// A message.
    Sms(Stored<SmsRecord>),
    /// Any other push.
    Notification(Stored<Notification>),
    /// An entry of a router's history, and the router.
    Device(SerialNumber, DeviceEvent),
    /// What one of our own tests brought.
    Test(TestRecord),
    /// That a SIM was erased.
    Erased(ErasedSim),
    /// That records were retracted.
    Retracted(RetractedPushes),
}

/// What is left of a SIM that was erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasedSim {
    /// Its place in the one sequence over all kinds of record.
    pub id: i64,
    /// SHA-256 of the digits of its giccid, in hex; none if only the list beside the database names
    /// it.
    pub giccid_sha256: Option<String>,
    /// HMAC-SHA-256 of them with a secret of the store, in hex; none if only a hash is known.
    pub giccid_hmac: Option<String>,
}

/// That the records that came under one `datePush` were taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetractedPushes {
    /// Its place in the one sequence over all kinds of record.
    pub id: i64,
    /// Which ones.
    pub of: RetractQuestion,
}

/// What is kept of a record that one of our own tests brought: that it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestRecord {
    /// Its place in the one sequence over all kinds of record.
    pub id: i64,
    /// When we committed it.
    pub received_at: Timestamp,
    /// The push category.
    pub kind: Kind,
    /// Its own time, or the second of `datePush`, milliseconds since 1970, UTC.
    pub own_ms: i64,
    /// The SIM, where it names one.
    pub giccid: Option<Giccid>,
}

/// Which changes are meant: every list that is not empty narrows, the values in one widen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ChangeFilter {
    /// Push categories, and [`Change::DEVICE`].
    pub kind: Vec<String>,
    /// SIMs. What belongs to none is left out then.
    pub giccid: Vec<String>,
    /// The customer's labels for groups of SIMs. What carries none is left out then.
    pub sim_group: Vec<String>,
    /// Whether our own tests are shown, too.
    pub with_tests: bool,
}

/// A piece of the one sequence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The rows, in order of commit.
    pub rows: Vec<Change>,
    /// Nothing that was asked for is missing up to this id.
    pub through: i64,
}

impl Change {
    /// What the rows of routers are called among the push categories.
    pub const DEVICE: &'static str = "device";
    /// What the rows of erased SIMs are called.
    pub const ERASED: &'static str = "erased";
    /// What the rows of retractions are called.
    pub const RETRACTED: &'static str = "retracted";

    /// Its place in the one sequence, which is the order of commit.
    pub fn id(&self) -> i64 {
        match self {
            Self::Usage(row) => row.id,
            Self::Sms(row) => row.id,
            Self::Notification(row) => row.id,
            Self::Device(_, event) => event.id,
            Self::Test(test) => test.id,
            Self::Erased(sim) => sim.id,
            Self::Retracted(pushes) => pushes.id,
        }
    }
}
