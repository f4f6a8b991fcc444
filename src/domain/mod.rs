//! What simdeck is about, in its own words: SIMs, records, held pushes, devices, questions.
//!
//! Nothing here does I/O or knows a vendor's format, a database or HTTP. A value of one of these
//! types has already been checked; the layers above pass them on without looking again.
mod accepted_dates;
mod aggregate;
mod attention;
mod audit;
mod calendar;
mod change;
mod clock;
mod clock_evidence;
mod condition;
mod device;
mod edits;
mod giccid;
mod held;
mod held_words;
mod histogram;
mod kept_from;
mod key;
mod kind;
pub mod mention;
mod pass;
mod poll;
mod question;
mod record;
mod retraction;
mod search;
mod secret;
mod serial_number;
mod silence;
mod sim;
mod source;
mod span;
mod text;
mod usual;

pub use accepted_dates::AcceptedDates;
pub use aggregate::{AggregateQuestion, AggregateRow, Group, GroupBy};
pub use attention::{
    HeldTally, ImeiChange, NewCountry, PushPause, SimAboveUsual, USUAL_DAYS, usual_of,
};
pub use audit::{
    AUDITED_COMMAND, AUDITED_LIST, AUDITED_SERVER, AuditAction, AuditFilter, AuditNote,
    AuditOutcome, AuditRow, SecretDigests, changed_secrets,
};
pub use calendar::{Calendar, Interval, Run, Span};
pub use change::{Change, ChangeFilter, Changes, ErasedSim, RetractedPushes, TestRecord};
pub use clock::{Clock, FixedClock, SystemClock, Timestamp};
pub use clock_evidence::{BelievedTime, ClockEvidence, ClockFault};
pub use condition::{Condition, ConditionChange, ConditionKind};
pub use device::{
    Device, DeviceEvent, DeviceEventKind, DeviceEventWord, DeviceFilter, DevicePoll, DeviceState,
    DeviceStatus, Fleet, FleetTotals, Freshness, HistoryFilter, KnownDevice, Lasting, ListedDevice,
    Listing, NewestSample, SampleRun, StatusFacts, StatusSample,
};
pub use edits::edits;
pub use giccid::{Giccid, GiccidError};
pub use held::{Held, HeldBody, HeldClass, HeldFilter, HeldReason, NewHeld, Ring};
pub use histogram::{Histogram, HistogramReading};
pub use kept_from::KeptFrom;
pub use key::{ApiKey, Caller, KeyDigest, Scope};
pub use kind::{Kind, KindError};
pub use pass::{Pass, PassDigest, PassKind};
pub use poll::{PollCall, PollFailure, PollFailureKind, PollReport};
pub use question::{Filter, PageSize, Place, Walk};
pub use record::{
    NO_DATE_PUSH_S, NewRecord, Notification, PushOrigin, Record, SmsRecord, Stored, TIME_MS_MIN,
    TimelineEntry, UsageRecord, VOLUME_MAX,
};
pub use retraction::{RetractCount, RetractQuestion, Retracted, Retraction, RetractionCounts};
pub use search::{Hit, HitOf, Matched};
pub use secret::{BLANK_EDGE, Invisible, Secret, has_blank_edge, invisible_in, without_mark};
pub use serial_number::{SerialNumber, SerialNumberError};
pub use silence::{Silence, SilentCount, SilentGroup, SilentSim, is_too_silent};
pub use sim::{
    LabelChange, NetworkContext, Sim, SimActivity, SimActivityQuestion, SimFilter, SimLabel,
    SimSeen, SimSort, SimSpot, UsageSum,
};
pub use source::SourceBlock;
pub use span::span;
pub use text::{ShortText, TextTooLong, counted, mib, sentence};
pub use usual::{ComparedRow, Usual};
