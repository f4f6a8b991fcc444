use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use super::{
    Authentic,
    body::write_without,
    bounds::{RECORD_BYTES, WholeAbove},
    identity::{DATE_PUSH, RepeatedKey, SIGNATURE, check_keys, identity},
    json::{Value, What},
    kind::{DATA_USAGE, MO_SMS},
    record::{notification, sms, usage},
};
use crate::domain::{
    HeldReason, KeptFrom, Kind, NO_DATE_PUSH_S, NewRecord, Record, Retracted, Timestamp,
};

/// How old and how far ahead of our clock `datePush` may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgePolicy {
    /// Older pushes are quarantined.
    pub max_age: Duration,
    /// So are those further ahead.
    pub max_ahead: Duration,
}

/// What makes two usage or SMS records the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdentityRule {
    /// Their content.
    #[default]
    Content,
    /// Their content and `datePush`.
    ContentAndDate,
}

/// How a body is to be read.
#[derive(Clone, Debug)]
pub struct ReadRules<'a> {
    /// The push category in the address. It is part of a record's identity.
    pub kind: &'a Kind,
    /// The category that a notification is kept under, if it is another.
    pub kept_as: Option<Kind>,
    /// What makes two records the same.
    pub identity: IdentityRule,
    /// None where a person has decided to take the push whatever its age.
    pub age: Option<AgePolicy>,
    /// What was retracted, and who sent this; none where a person has decided to take the push.
    pub retracted: Option<(&'a Retracted, IpAddr)>,
    /// Seconds between `datePush` and the second that it stands for, as for the signature.
    pub date_shift_s: i64,
    /// The current moment.
    pub now: Timestamp,
    /// Older records cannot be stored.
    pub kept_from: KeptFrom,
    /// The keys of records that the database is known to refuse.
    pub refused: Option<&'a BTreeSet<(i64, i64)>>,
}

/// What a body holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// What could be read.
    pub records: Vec<NewRecord>,
    /// What could not, and goes to quarantine.
    pub unread: Vec<Unread>,
    /// When the body was pushed, by the latest `datePush` in it.
    pub pushed_at: Option<Timestamp>,
    /// The latest `datePush` in it that is neither too old nor too far ahead.
    pub accepted_date: Option<Timestamp>,
    /// About how much memory all of this takes.
    pub bytes: usize,
    /// How much of it are copies of what stands beside containers.
    copies: usize,
}

/// A part of an authentic body that could not be read, made into a body of its own that can be
/// read again later.
#[derive(Debug, PartialEq, Eq)]
pub struct Unread {
    /// Why.
    pub reason: HeldReason,
    /// The field it failed at.
    pub field: Option<&'static str>,
    /// The part, without `signature`.
    pub body: Vec<u8>,
    /// When it was pushed, where that is what is wrong.
    pub pushed_at: Option<Timestamp>,
}

/// Why a record could not be read.
pub(super) struct Fault {
    pub(super) reason: HeldReason,
    pub(super) field: Option<&'static str>,
}

/// What a body holds would take more memory than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooHeavy;

impl Authentic<'_> {
    /// Turns every element into records, and what cannot be read into bodies for quarantine.
    pub fn read(&self, rules: &ReadRules<'_>) -> Reading {
        self.read_within(rules, usize::MAX).unwrap_or_default()
    }

    /// The same, unless that takes more memory than so many bytes. What would is never made.
    pub fn read_within(
        &self,
        rules: &ReadRules<'_>,
        bytes_max: usize,
    ) -> Result<Reading, TooHeavy> {
        let (mut reading, whole_above) = (Reading::default(), WholeAbove::of(self.bytes()));
        for (element, date_push_s) in self.elements() {
            let pushed_at = stands_for(date_push_s, rules);
            reading.pushed_at = reading.pushed_at.max(Some(pushed_at));
            let push = Push { element, date_push_s, rules };
            match push.read(&mut reading, whole_above, bytes_max) {
                Ok(()) => (),
                Err(Stop::TooHeavy) => return Err(TooHeavy),
                Err(Stop::Fault(fault)) => {
                    let body = push.kept_whole();
                    reading.bytes += RECORD_BYTES + body.len();
                    let pushed_at = (fault.reason == HeldReason::DateOld).then_some(pushed_at);
                    reading.unread.push(Unread { pushed_at, ..fault.of(body) });
                }
            }
        }
        Ok(reading)
    }
}

const _: () = assert!(RECORD_BYTES > size_of::<NewRecord>() + size_of::<Unread>());

/// Why an element is not read to its end.
pub(super) enum Stop {
    /// Something in it cannot be read.
    Fault(Fault),
    /// See [`TooHeavy`].
    TooHeavy,
}

/// One element of a body.
pub(super) struct Push<'a> {
    pub(super) element: Value<'a>,
    /// [`NO_DATE_PUSH_S`] for history that came without one.
    pub(super) date_push_s: i64,
    pub(super) rules: &'a ReadRules<'a>,
}

impl<'a> Push<'a> {
    pub(super) fn read(
        &self,
        reading: &mut Reading,
        whole_above: WholeAbove,
        bytes_max: usize,
    ) -> Result<(), Stop> {
        self.check_age()?;
        let date = self.rules.age.map(|_| stands_for(self.date_push_s, self.rules));
        reading.accepted_date = reading.accepted_date.max(date);
        let Some((name, container)) = self.container() else {
            reading.take(RECORD_BYTES + self.element.source().len(), bytes_max)?;
            reading.records.push(self.record(self.element, None)?);
            return Ok(());
        };
        let others = self.element.source().len() - container.source().len();
        let beside = self.beside(name, others)?;
        let (count, copies) = copied(beside.as_deref(), container);
        let own = count.saturating_mul(RECORD_BYTES).saturating_add(container.source().len());
        let bytes = own.saturating_add(copies);
        let is_copied_too_much = reading.copies.saturating_add(copies) > whole_above.copies;
        if is_copied_too_much || reading.bytes.saturating_add(bytes) > whole_above.reading {
            let field = (others > RECORD_BYTES && count > 1).then_some("_push");
            return Err(Fault { reason: HeldReason::Unreadable, field }.into());
        }
        reading.copies += copies;
        reading.take(bytes, bytes_max)?;
        reading.records.reserve(count);
        let single = (container.what() == What::Object).then_some(container);
        for record in single.into_iter().chain(container.elements()) {
            match self.record(record, beside.as_deref()) {
                Ok(read) => reading.records.push(read),
                Err(fault) => {
                    reading.unread.push(fault.of(self.kept_with_only(name, record, others)));
                }
            }
        }
        Ok(())
    }

    fn check_age(&self) -> Result<(), Fault> {
        if self.rules.retracted.is_some_and(|(all, source)| all.has(self.date_push_s, source)) {
            return Err(HeldReason::DateRetracted.into());
        }
        let Some(age) = self.rules.age else { return Ok(()) };
        let pushed = stands_for(self.date_push_s, self.rules);
        if pushed < self.rules.now.minus(age.max_age) {
            Err(HeldReason::DateOld.into())
        } else if pushed > self.rules.now.plus(age.max_ahead) {
            Err(HeldReason::DateAhead.into())
        } else {
            Ok(())
        }
    }

    /// The one member that holds the records, where the element is not a record itself.
    pub(super) fn container(&self) -> Option<(Value<'a>, Value<'a>)> {
        let mut found = None;
        let mut others = 0;
        for (key, value) in self.element.members() {
            match &*key.unescaped() {
                b"giccid" => return None,
                DATE_PUSH | SIGNATURE => (),
                _ if holds_records(value) => {
                    if found.replace((key, value)).is_some() {
                        return None;
                    }
                }
                _ => others += 1,
            }
        }
        let is_typed = matches!(self.rules.kind.as_str(), DATA_USAGE | MO_SMS);
        found.filter(|(_, value)| {
            let is_list = value.what() == What::Array;
            let is_empty = is_list && value.elements().next().is_none();
            // An empty list takes nothing along, so that nothing may stand beside it: whatever does
            // would be acknowledged and kept nowhere.
            if is_empty { others == 0 } else { is_typed || is_list }
        })
    }

    /// What stands beside the container, as a JSON object; it is kept with each record.
    /// It is no longer than `others`.
    fn beside(&self, container: Value<'a>, others: usize) -> Result<Option<Vec<u8>>, Fault> {
        let is_container = |key: &[u8]| key == &*container.unescaped();
        if self.element.members_by_name().is_none() {
            return Err(HeldReason::RepeatedKey.into());
        }
        let mut count = 0;
        for (key, value) in self.element.members() {
            if key.flaws().any() {
                return Err(HeldReason::Unreadable.into());
            }
            let name = key.unescaped();
            if matches!(&*name, DATE_PUSH | SIGNATURE) || is_container(&name) {
                continue;
            }
            if value.flaws().any() {
                return Err(HeldReason::Unreadable.into());
            }
            check_keys(value)?;
            count += 1;
        }
        Ok((count > 0).then(|| {
            // What grows by doubling takes three times as much while it is copied.
            let mut beside = Vec::with_capacity(others);
            let left_out = |key: &[u8]| matches!(key, DATE_PUSH | SIGNATURE) || is_container(key);
            write_without(&mut beside, self.element, left_out);
            beside
        }))
    }

    pub(super) fn record(
        &self,
        record: Value<'a>,
        beside: Option<&[u8]>,
    ) -> Result<NewRecord, Fault> {
        let read = self.content(record, beside)?;
        let date_counts = match &read {
            Record::Notification(notification) => notification.event_ms.is_none(),
            _ => self.rules.identity == IdentityRule::ContentAndDate,
        };
        let date_push_s = self.date_push_s;
        if date_counts && date_push_s == NO_DATE_PUSH_S {
            return Err(Fault::missing("datePush"));
        }
        let kind = self.rules.kind.as_str();
        let identity = identity(kind, record, date_counts.then_some(date_push_s))?;
        self.storable(NewRecord { record: read, identity, date_push_s })
    }

    /// The record, unless the store would refuse it. It is told here, before anything is written,
    /// so that it lies aside alone and fails nobody's commit.
    pub(super) fn storable(&self, new: NewRecord) -> Result<NewRecord, Fault> {
        let is_refused = self.rules.refused.is_some_and(|refused| refused.contains(&new.key()));
        if is_refused || self.rules.kept_from.refuses(&new) {
            return Err(HeldReason::StoreRefused.into());
        }
        Ok(new)
    }

    /// What a record says, whatever makes it this record.
    pub(super) fn content(
        &self,
        record: Value<'a>,
        beside: Option<&[u8]>,
    ) -> Result<Record, Fault> {
        if record.flaws().any() {
            return Err(HeldReason::Unreadable.into());
        }
        Ok(match self.rules.kind.as_str() {
            DATA_USAGE => Record::Usage(usage(record, beside, self.rules.now)?),
            MO_SMS => Record::Sms(sms(record, beside, self.rules.now)?),
            _ => Record::Notification(notification(record, beside, self.rules)?),
        })
    }

    /// The whole element for quarantine.
    fn kept_whole(&self) -> Vec<u8> {
        let mut kept = Vec::with_capacity(self.element.source().len());
        write_without(&mut kept, self.element, |key| key == SIGNATURE);
        kept
    }

    /// The element for quarantine, as if its container held nothing but this record.
    fn kept_with_only(&self, container: Value<'_>, record: Value<'_>, others: usize) -> Vec<u8> {
        self.with_records(container, record.source(), others)
    }

    /// The element without its signature, as if its container held these records.
    pub(super) fn with_records(
        &self,
        container: Value<'_>,
        records: &[u8],
        others: usize,
    ) -> Vec<u8> {
        let mut kept = Vec::with_capacity(others + records.len() + 8);
        let name = container.unescaped();
        write_without(&mut kept, self.element, |key| key == SIGNATURE || key == &*name);
        kept.pop();
        let separator: &[u8] = if kept.len() > 1 { b"," } else { b"" };
        for part in [separator, container.source(), b":[", records, b"]}"] {
            kept.extend_from_slice(part);
        }
        kept
    }
}

/// How many records a container has, and how many bytes of what stands beside it they have in all.
fn copied(beside: Option<&[u8]>, container: Value<'_>) -> (usize, usize) {
    let count = match container.what() {
        What::Array => container.elements().count(),
        _ => 1,
    };
    (count, count.saturating_mul(beside.map_or(0, <[u8]>::len)))
}

/// The moment that a `datePush` stands for.
fn stands_for(date_push_s: i64, rules: &ReadRules<'_>) -> Timestamp {
    Timestamp::from_unix_ms((date_push_s + rules.date_shift_s) * 1000)
}

fn holds_records(value: Value<'_>) -> bool {
    match value.what() {
        What::Object => true,
        What::Array => value.elements().all(|element| element.what() == What::Object),
        _ => false,
    }
}

impl Fault {
    pub(super) fn missing(field: &'static str) -> Self {
        Self { reason: HeldReason::FieldMissing, field: Some(field) }
    }

    fn of(self, body: Vec<u8>) -> Unread {
        Unread { reason: self.reason, field: self.field, body, pushed_at: None }
    }
}

impl Reading {
    /// Counts memory that is about to be taken.
    fn take(&mut self, bytes: usize, bytes_max: usize) -> Result<(), Stop> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > bytes_max { Err(Stop::TooHeavy) } else { Ok(()) }
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<HeldReason> for Fault {
    fn from(reason: HeldReason) -> Self {
        Self { reason, field: None }
    }
}

impl From<RepeatedKey> for Fault {
    fn from(RepeatedKey: RepeatedKey) -> Self {
        HeldReason::RepeatedKey.into()
    }
}
