//! Records that are not pushed but come from a file: as SmartHub writes them, or as we wrote them out.
use super::{
    ReadRules,
    body::{date_push, find_once, write_without},
    bounds::WholeAbove,
    identity::{DATE_PUSH, check_keys},
    json::{Tape, Value, What},
    kind,
    read::{Fault, Push, Reading, Stop},
};
use crate::domain::{HeldReason, NO_DATE_PUSH_S, NewRecord, Record};

/// One row of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryRow<'a> {
    /// A body as it was pushed, or could have been. Nobody checks its signature, and both fields may
    /// be missing.
    AsPushed(&'a [u8]),
    /// A record that a simdeck kept.
    Kept {
        /// Its fields, without ours.
        fields: &'a [u8],
        /// What makes it this record. It cannot always be told from the fields: a number that was
        /// sent as a text has become a number, and what was null is gone.
        identity: Option<i64>,
        /// The `datePush` it came under, whole seconds since 1970.
        date_push_s: Option<i64>,
    },
}

/// A record of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRecord {
    /// What it is stored as, with the same identity as if it were pushed.
    pub record: NewRecord,
    /// Where the row names its kind by a member that was left out, the same record with that member.
    /// SmartHub may have pushed it with it, and the row does not tell: if this is the one that is
    /// stored, the row repeats it.
    pub with_kind: Option<NewRecord>,
}

/// Why a row cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowFault {
    /// In which way.
    pub reason: HeldReason,
    /// At which field.
    pub field: Option<&'static str>,
}

impl HistoryRow<'_> {
    /// The records of the row.
    pub fn read(&self, rules: &ReadRules<'_>) -> Result<Vec<HistoryRecord>, RowFault> {
        let as_written = |record| HistoryRecord { record, with_kind: None };
        match *self {
            Self::AsPushed(text) => {
                let tape = scan(text)?;
                let element = root(&tape, text)?;
                let plain = without_kind(element, rules)?;
                let records = read_pushed(element, rules)?;
                let Some(plain) = plain else {
                    return Ok(records.into_iter().map(as_written).collect());
                };
                let tape = scan(&plain)?;
                let without = read_pushed(root(&tape, &plain)?, rules)?;
                // Without it a list may be all there is, and be taken for the list of records.
                if without.len() != records.len() {
                    return Ok(records.into_iter().map(as_written).collect());
                }
                let both = without.into_iter().zip(records).map(|(record, with_kind)| {
                    let with_kind = Some(with_kind).filter(|it| it.key() != record.key());
                    HistoryRecord { record, with_kind }
                });
                Ok(both.collect())
            }
            Self::Kept { fields, identity, date_push_s } => {
                let tape = scan(fields)?;
                let element = root(&tape, fields)?;
                read_kept(element, identity, date_push_s, rules)
                    .map(|record| vec![as_written(record)])
            }
        }
    }
}

fn scan(text: &[u8]) -> Result<Tape, RowFault> {
    Tape::scan(text).map_err(|_| Fault::from(HeldReason::NotJson).into())
}

/// The object that a row is.
fn root<'a>(tape: &'a Tape, text: &'a [u8]) -> Result<Value<'a>, RowFault> {
    let element = tape.root(text);
    if element.what() != What::Object {
        return Err(Fault::from(HeldReason::NotJson).into());
    }
    Ok(element)
}

/// The records of a row as they were pushed, or could have been.
fn read_pushed(element: Value<'_>, rules: &ReadRules<'_>) -> Result<Vec<NewRecord>, RowFault> {
    let date_push_s = match find_once(element, DATE_PUSH) {
        Err(HeldReason::DateMissing) => NO_DATE_PUSH_S,
        _ => date_push(element).map_err(|reason| RowFault { reason, field: Some("datePush") })?,
    };
    let mut reading = Reading::default();
    let push = Push { element, date_push_s, rules };
    match push.read(&mut reading, WholeAbove::of(element.source().len()), usize::MAX) {
        Err(Stop::Fault(fault)) => return Err(fault.into()),
        Ok(()) | Err(Stop::TooHeavy) => (),
    }
    match reading.unread.first() {
        None => Ok(reading.records),
        Some(unread) => Err(RowFault { reason: unread.reason, field: unread.field }),
    }
}

/// A record that a simdeck kept.
fn read_kept(
    element: Value<'_>,
    identity: Option<i64>,
    date_push_s: Option<i64>,
    rules: &ReadRules<'_>,
) -> Result<NewRecord, RowFault> {
    let push = |date_push_s: Option<i64>| {
        let date_push_s = date_push_s.unwrap_or(NO_DATE_PUSH_S);
        Push { element, date_push_s, rules }
    };
    let Some(identity) = identity else {
        return Ok(push(date_push_s).record(element, None)?);
    };
    check_keys(element).map_err(Fault::from)?;
    let record = push(date_push_s).content(element, None)?;
    // One without a time of its own is placed by when it was pushed.
    let has_time = !matches!(&record, Record::Notification(it) if it.event_ms.is_none());
    let date_push_s = match date_push_s {
        None if has_time => NO_DATE_PUSH_S,
        None => return Err(Fault::missing("datePush").into()),
        Some(date_push_s) => date_push_s,
    };
    Ok(push(None).storable(NewRecord { record, identity, date_push_s })?)
}

/// The member by which rows of ours name their kind, and by which whoever put a file together may.
const KIND: &[u8] = b"kind";

/// Whose kind a member of that name tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    /// That of the file.
    Same,
    /// Another one that SmartHub documents.
    Other,
    /// Nobody's: it is a field of the record.
    Nothing,
}

impl Named {
    /// What the members of an object name. Spelling is no matter: `DATA_USAGE`, `Data Usage`.
    fn by(object: Value<'_>, kind: &str) -> Self {
        let texts = object
            .members()
            .filter(|(key, value)| *key.unescaped() == *KIND && value.what() == What::Text);
        let mut named = Self::Nothing;
        for (_, text) in texts {
            let slug = String::from_utf8_lossy(&text.unescaped()).trim().to_ascii_lowercase();
            let slug = slug.replace(['_', ' '], "-");
            if slug == kind {
                named = Self::Same;
            } else if kind::is_known(&slug) {
                return Self::Other;
            }
        }
        named
    }
}

/// A pushed row without the members that only name the kind of its records; none if it has no such.
/// A row that names another kind would be stored as what it is not.
fn without_kind(element: Value<'_>, rules: &ReadRules<'_>) -> Result<Option<Vec<u8>>, RowFault> {
    let named = |object| Named::by(object, rules.kind.as_str());
    let push = Push { element, date_push_s: NO_DATE_PUSH_S, rules };
    let whole = named(element);
    if whole == Named::Other {
        return Err(names_another());
    }
    let Some((name, container)) = push.container() else {
        return Ok((whole == Named::Same).then(|| {
            let mut plain = Vec::with_capacity(element.source().len());
            write_without(&mut plain, element, |key| key == KIND);
            plain
        }));
    };
    // What stands beside the records is no part of what they are, and stays.
    let single = (container.what() == What::Object).then_some(container);
    let (mut plain, mut is_any_cut) = (Vec::new(), false);
    for record in single.into_iter().chain(container.elements()) {
        if !plain.is_empty() {
            plain.push(b',');
        }
        let is_cut = match named(record) {
            Named::Other => return Err(names_another()),
            named => named == Named::Same,
        };
        is_any_cut |= is_cut;
        write_without(&mut plain, record, |key| is_cut && key == KIND);
    }
    let others = element.source().len() - container.source().len();
    Ok(is_any_cut.then(|| push.with_records(name, &plain, others)))
}

fn names_another() -> RowFault {
    RowFault { reason: HeldReason::FieldInvalid, field: Some("kind") }
}

impl From<Fault> for RowFault {
    fn from(Fault { reason, field }: Fault) -> Self {
        Self { reason, field }
    }
}
