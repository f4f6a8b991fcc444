use std::{fmt, net::IpAddr, str::FromStr};

use super::{Kind, Timestamp};

/// Why a push, or one record of it, lies aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HeldClass {
    /// It did not prove to be from SmartHub. Kept in a ring.
    Refused,
    /// It did, but we could not read it, or it is too old to be fresh and still no repeat of what was
    /// accepted. Kept until a person decides.
    Quarantined,
    /// It did, but what came under its `datePush` is too old to be fresh or was retracted. Kept in
    /// a [ring](Ring::Stale).
    Stale,
}

/// Which ring a push goes to that may be dropped, so that noise cannot push out what may be real.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ring {
    /// Well-formed fields and a plausible time: perhaps only our key or clock is wrong.
    Plausible,
    /// The rest of those refused.
    Noise,
    /// Authentic, but too old to be fresh: late, or sent again by somebody who captured it. Anybody
    /// with one captured signature can send any number of these for ever, so they have no place
    /// where nothing may be dropped.
    Stale,
}

/// The exact reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HeldReason {
    /// No `signature`.
    SignatureMissing,
    /// `signature` is not 64 hex digits, or stands there twice.
    SignatureUnreadable,
    /// No live key makes this signature.
    SignatureWrong,
    /// No `datePush`.
    DateMissing,
    /// `datePush` has none of the known forms, or stands there twice.
    DateUnreadable,
    /// The body is not JSON of the right shape.
    NotJson,
    /// `datePush` is older than the setting allows.
    DateOld,
    /// What came under this `datePush` was retracted.
    DateRetracted,
    /// `datePush` is further ahead of our clock than the setting allows.
    DateAhead,
    /// A required field is not there.
    FieldMissing,
    /// A typed field cannot be read or is out of bounds.
    FieldInvalid,
    /// A key stands twice in one object.
    RepeatedKey,
    /// Text or numbers that cannot be kept exactly: broken UTF-8, U+0000, a lone surrogate, a
    /// number out of range, nesting too deep. Or, at `_push`, so much beside many records that it
    /// cannot be kept with each.
    Unreadable,
    /// The database would not take it though it took its neighbours.
    StoreRefused,
}

/// A push, or a part of one, on its way into quarantine or a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewHeld {
    /// The ring that may drop it; none where it is kept until a person decides. The store keeps what is
    /// authentic in none where the ring has no room for it, or where it is no repeat.
    pub ring: Option<Ring>,
    /// The exact reason.
    pub reason: HeldReason,
    /// The field that could not be read.
    pub field: Option<Box<str>>,
    /// The push category it came in.
    pub kind: Kind,
    /// Who sent it.
    pub source: IpAddr,
    /// The body, without `signature` wherever that could be told.
    pub body: Box<[u8]>,
    /// The signature bytes of a refused push, 32 for each element of the body, so that it can be
    /// verified again once a key is corrected.
    pub signatures: Option<Box<[u8]>>,
    /// When it was pushed, by its `datePush`, where that is only too old. After all that was accepted it
    /// is no repeat, and may not be dropped.
    pub pushed_at: Option<Timestamp>,
}

/// A held push as it lies in the store, without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its number; a sequence of its own.
    pub id: i64,
    /// Why it lies aside.
    pub class: HeldClass,
    /// The exact reason.
    pub reason: HeldReason,
    /// The field that could not be read.
    pub field: Option<String>,
    /// The push category it came in.
    pub kind: Kind,
    /// Who sent it first of those that it is still held for.
    pub source: String,
    /// Who sent the very same, too. An empty one stands for more than are kept.
    pub other_sources: Vec<String>,
    /// When it first came.
    pub received_at: Timestamp,
    /// How large the body is.
    pub bytes: i64,
    /// How often the very same came.
    pub count: i64,
}

/// Which held pushes are meant: every list that is not empty narrows, the values in one widen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldFilter {
    /// Classes.
    pub class: Vec<HeldClass>,
    /// Reasons.
    pub reason: Vec<HeldReason>,
    /// Addresses that sent them.
    pub source: Vec<String>,
    /// First received at this millisecond or later.
    pub received_from_ms: Option<i64>,
    /// First received before this millisecond.
    pub received_to_ms: Option<i64>,
}

/// A held push with what a retry needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldBody {
    /// All but the body.
    pub held: Held,
    /// The body as kept.
    pub body: Vec<u8>,
    /// See [`NewHeld::signatures`].
    pub signatures: Option<Vec<u8>>,
}

impl HeldFilter {
    /// What a retry takes of those that are meant: what was retracted stays out unless its reason is
    /// named, so that a forgery that was taken out does not come back when something else is retried.
    pub fn of_retry(&self) -> Self {
        let mut filter = self.clone();
        if filter.reason.is_empty() {
            filter.reason.extend(HeldReason::ALL);
            filter.reason.retain(|reason| *reason != HeldReason::DateRetracted);
        }
        filter
    }
}

impl fmt::Display for HeldFilter {
    /// As the query string of `/v1/held` has it, for the audit.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let classes = self.class.iter().map(|class| format!("class={}", class.as_str()));
        let reasons = self.reason.iter().map(|reason| format!("reason={reason}"));
        let sources = self.source.iter().map(|source| format!("source={source}"));
        let time =
            |name, ms: Option<i64>| ms.map(|ms| format!("{name}={}", Timestamp::from_unix_ms(ms)));
        let times = [
            time("received_from", self.received_from_ms),
            time("received_to", self.received_to_ms),
        ];
        let parts = classes.chain(reasons).chain(sources).chain(times.into_iter().flatten());
        f.write_str(&parts.collect::<Vec<_>>().join("&"))
    }
}

impl NewHeld {
    /// Who sent it, in words; empty where that is not known, for which the address of nobody stands.
    pub fn source_name(&self) -> String {
        if self.source.is_unspecified() { String::new() } else { self.source.to_string() }
    }
}

impl Ring {
    /// Every ring.
    pub const ALL: [Self; 3] = [Self::Plausible, Self::Noise, Self::Stale];

    /// The word in API and database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plausible => "plausible",
            Self::Noise => "noise",
            Self::Stale => "stale",
        }
    }
}

impl HeldClass {
    /// Every class.
    pub const ALL: [Self; 3] = [Self::Refused, Self::Quarantined, Self::Stale];
    /// Those of authentic pushes.
    pub const AUTHENTIC: [Self; 2] = [Self::Quarantined, Self::Stale];

    /// The word in API and database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Quarantined => "quarantined",
            Self::Stale => "stale",
        }
    }

    /// What lies in a ring, or in quarantine.
    pub fn of_ring(ring: Option<Ring>) -> Self {
        match ring {
            Some(Ring::Plausible | Ring::Noise) => Self::Refused,
            Some(Ring::Stale) => Self::Stale,
            None => Self::Quarantined,
        }
    }

    /// Whether what has it proved to be from SmartHub.
    pub fn is_authentic(self) -> bool {
        Self::AUTHENTIC.contains(&self)
    }
}

impl HeldReason {
    /// Every reason, in the order in which they are found.
    pub const ALL: [Self; 14] = [
        Self::SignatureMissing,
        Self::SignatureUnreadable,
        Self::SignatureWrong,
        Self::DateMissing,
        Self::DateUnreadable,
        Self::NotJson,
        Self::DateOld,
        Self::DateRetracted,
        Self::DateAhead,
        Self::FieldMissing,
        Self::FieldInvalid,
        Self::RepeatedKey,
        Self::Unreadable,
        Self::StoreRefused,
    ];

    /// What a push is that is held for it, unless it is kept more safely than it has to be.
    pub const fn class(self) -> HeldClass {
        match self {
            Self::SignatureMissing
            | Self::SignatureUnreadable
            | Self::SignatureWrong
            | Self::DateMissing
            | Self::DateUnreadable
            | Self::NotJson => HeldClass::Refused,
            Self::DateOld | Self::DateRetracted => HeldClass::Stale,
            Self::DateAhead
            | Self::FieldMissing
            | Self::FieldInvalid
            | Self::RepeatedKey
            | Self::Unreadable
            | Self::StoreRefused => HeldClass::Quarantined,
        }
    }

    /// The word in API and database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignatureMissing => "signature_missing",
            Self::SignatureUnreadable => "signature_unreadable",
            Self::SignatureWrong => "signature_wrong",
            Self::DateMissing => "date_missing",
            Self::DateUnreadable => "date_unreadable",
            Self::NotJson => "not_json",
            Self::DateOld => "date_old",
            Self::DateRetracted => "date_retracted",
            Self::DateAhead => "date_ahead",
            Self::FieldMissing => "field_missing",
            Self::FieldInvalid => "field_invalid",
            Self::RepeatedKey => "repeated_key",
            Self::Unreadable => "unreadable",
            Self::StoreRefused => "store_refused",
        }
    }
}

/// A word is none of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this word is not known here")]
pub struct UnknownWord;

impl FromStr for HeldClass {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|class| class.as_str() == text).ok_or(UnknownWord)
    }
}

impl FromStr for HeldReason {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text).ok_or(UnknownWord)
    }
}

impl fmt::Display for HeldReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
