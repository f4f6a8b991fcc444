//! Records that are not pushed but come from a file: as SmartHub writes them, or as we wrote them out.
use super::{
    ReadRules,
    body::{date_push, find_once},
    bounds::WholeAbove,
    identity::{DATE_PUSH, check_keys},
    json::{Tape, What},
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

/// Why a row cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowFault {
    /// In which way.
    pub reason: HeldReason,
    /// At which field.
    pub field: Option<&'static str>,
}

impl HistoryRow<'_> {
    /// The records of the row, with the same identity as if they were pushed.
    pub fn read(&self, rules: &ReadRules<'_>) -> Result<Vec<NewRecord>, RowFault> {
        let text = match self {
            Self::AsPushed(text) => text,
            Self::Kept { fields, .. } => fields,
        };
        let tape = Tape::scan(text).map_err(|_| Fault::from(HeldReason::NotJson))?;
        let element = tape.root(text);
        if element.what() != What::Object {
            return Err(Fault::from(HeldReason::NotJson).into());
        }
        let push = |date_push_s: Option<i64>| {
            let date_push_s = date_push_s.unwrap_or(NO_DATE_PUSH_S);
            Push { element, date_push_s, rules }
        };
        match *self {
            Self::AsPushed(_) => {
                let date = match find_once(element, DATE_PUSH) {
                    Err(HeldReason::DateMissing) => None,
                    _ => Some(
                        date_push(element)
                            .map_err(|reason| RowFault { reason, field: Some("datePush") })?,
                    ),
                };
                let mut reading = Reading::default();
                match push(date).read(&mut reading, WholeAbove::of(text.len()), usize::MAX) {
                    Err(Stop::Fault(fault)) => return Err(fault.into()),
                    Ok(()) | Err(Stop::TooHeavy) => (),
                }
                match reading.unread.first() {
                    None => Ok(reading.records),
                    Some(unread) => Err(RowFault { reason: unread.reason, field: unread.field }),
                }
            }
            Self::Kept { identity: None, date_push_s, .. } => {
                Ok(vec![push(date_push_s).record(element, None)?])
            }
            Self::Kept { identity: Some(identity), date_push_s, .. } => {
                check_keys(element).map_err(Fault::from)?;
                let record = push(date_push_s).content(element, None)?;
                // One without a time of its own is placed by when it was pushed.
                let has_time =
                    !matches!(&record, Record::Notification(it) if it.event_ms.is_none());
                let date_push_s = match date_push_s {
                    None if has_time => NO_DATE_PUSH_S,
                    None => return Err(Fault::missing("datePush").into()),
                    Some(date_push_s) => date_push_s,
                };
                Ok(vec![push(None).storable(NewRecord { record, identity, date_push_s })?])
            }
        }
    }
}

impl From<Fault> for RowFault {
    fn from(Fault { reason, field }: Fault) -> Self {
        Self { reason, field }
    }
}
