use std::net::IpAddr;

use super::{Giccid, Kind, ShortText, Timestamp};

/// The largest volume or duration that a record may carry: one field cannot overflow a sum.
pub const VOLUME_MAX: i64 = 1_000_000_000_000_000;

/// The earliest own time a record may carry: 2000-01-01T00:00:00Z.
pub const TIME_MS_MIN: i64 = 946_684_800_000;

/// Stands for a `datePush` that nobody knows: the record came from a file without one.
pub const NO_DATE_PUSH_S: i64 = 0;

/// Data used by a SIM: one `data-usage` record (CDR).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageRecord {
    /// The SIM.
    pub giccid: Giccid,
    /// The subscriber.
    pub imsi: ShortText,
    /// The customer's label for a group of SIMs.
    pub sim_group: ShortText,
    /// The visited country, ISO 3166 alpha-2 by SmartHub's word, kept as sent.
    pub country_code: ShortText,
    /// The visited network's country part; digits with zeros that may lead.
    pub mcc: ShortText,
    /// The visited network's own part; two or three digits with zeros that may lead.
    pub mnc: ShortText,
    /// The access point name.
    pub apn: ShortText,
    /// Start of the record, milliseconds since 1970, UTC.
    pub start_ms: i64,
    /// The volume. SmartHub does not state the unit; bytes is likely.
    pub data_usage: i64,
    /// How long, in a unit that SmartHub does not state.
    pub duration: Option<i64>,
    /// The fields that we do not know, a JSON object.
    pub extra: Option<Box<str>>,
}

/// A text message sent by a SIM: one `mo-sms` record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmsRecord {
    /// The SIM.
    pub giccid: Giccid,
    /// The subscriber.
    pub imsi: ShortText,
    /// The customer's label for a group of SIMs.
    pub sim_group: ShortText,
    /// The sender's number.
    pub from_msisdn: ShortText,
    /// The recipient's number.
    pub to_msisdn: ShortText,
    /// When it was sent, milliseconds since 1970, UTC.
    pub event_ms: i64,
    /// The fields that we do not know, a JSON object.
    pub extra: Option<Box<str>>,
}

/// Any other push, kept whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The push category, or `other` when there are too many unknown ones.
    pub kind: Kind,
    /// The category in the address, where it is not `kind`.
    pub pushed_as: Option<Kind>,
    /// The SIM, where a field of that name holds one.
    pub giccid: Option<Giccid>,
    /// The subscriber, where a field of that name holds one.
    pub imsi: ShortText,
    /// Its own time where it has one, milliseconds since 1970, UTC.
    pub event_ms: Option<i64>,
    /// The pushed fields without `datePush` and `signature`, a JSON object.
    pub payload: Box<str>,
}

/// What a push can hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// `data-usage`
    Usage(UsageRecord),
    /// `mo-sms`
    Sms(SmsRecord),
    /// Every other kind.
    Notification(Notification),
}

/// A record on its way into the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// What it says.
    pub record: Record,
    /// 64 bits of the digest of all that makes it this record and no other. It is compared only
    /// among records of one millisecond (and SIM).
    pub identity: i64,
    /// The `datePush` it came under, whole seconds since 1970, or [`NO_DATE_PUSH_S`].
    pub date_push_s: i64,
}

impl NewRecord {
    /// Its own time, by which it is kept, in milliseconds since 1970.
    pub fn own_ms(&self) -> i64 {
        match &self.record {
            Record::Usage(usage) => usage.start_ms,
            Record::Sms(sms) => sms.event_ms,
            Record::Notification(notification) => {
                notification.event_ms.unwrap_or(self.date_push_s * 1000)
            }
        }
    }

    /// Tells it from the other records of its push: identity and own time.
    pub fn key(&self) -> (i64, i64) {
        (self.identity, self.own_ms())
    }
}

/// The push that a record came with. Neighbouring records of one commit that have source and
/// `datePush` in common share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushOrigin {
    /// The id of the first record that came with it.
    pub id: i64,
    /// Who sent it; none where it came from a file, or before sources were stored.
    pub source: Option<IpAddr>,
}

/// A record as it lies in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored<T> {
    /// Its place in the one sequence over all kinds, which is the order of commit.
    pub id: i64,
    /// When we committed it.
    pub received_at: Timestamp,
    /// See [`NewRecord::identity`].
    pub identity: i64,
    /// See [`NewRecord::date_push_s`].
    pub date_push_s: i64,
    /// The push it came with; none where `date_push_s` is [`NO_DATE_PUSH_S`].
    pub push: Option<PushOrigin>,
    /// What it says.
    pub record: T,
}

/// Anything that is stored of a SIM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimelineEntry {
    /// Data that it used.
    Usage(Stored<UsageRecord>),
    /// A message that it sent.
    Sms(Stored<SmsRecord>),
    /// Anything else that was pushed about it.
    Notification(Stored<Notification>),
}

impl TimelineEntry {
    /// See [`Stored::id`].
    pub fn id(&self) -> i64 {
        match self {
            Self::Usage(row) => row.id,
            Self::Sms(row) => row.id,
            Self::Notification(row) => row.id,
        }
    }
}
