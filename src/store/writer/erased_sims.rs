//! SIMs that were erased: what still comes of them is not kept, and what comes of others beside them
//! is. Held by `tests/it/store_contract/keep/beside.rs`.
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashSet},
    mem,
    ops::Deref,
    sync::Arc,
};

use sqlx::SqliteConnection;

use super::{Submission, Writer};
use crate::{
    domain::{
        NewHeld, NewRecord, Notification, Record,
        mention::{self, mentions},
    },
    store::{
        StoreError,
        erasures::{Secrets, hashed},
    },
};

/// The erased SIMs, by what is kept of their numbers.
#[derive(Clone, Debug, Default)]
pub struct ErasedNumbers {
    hashes: HashSet<String>,
    /// Those whose hash is not known, by their name in the list beside the database.
    listed: HashSet<String>,
    secrets: Arc<Secrets>,
}

/// The same, and what came of them.
#[derive(Debug, Default)]
pub(in crate::store) struct ErasedSims {
    numbers: Arc<ErasedNumbers>,
    /// What came of them and is not yet counted in the database, by hash or name.
    came_again: BTreeMap<String, i64>,
}

impl Writer {
    /// The SIMs that are erased now, for whoever shows a text.
    pub fn erased_numbers(&self) -> Arc<ErasedNumbers> {
        Arc::clone(&self.erased_sims.numbers)
    }
}

impl Deref for ErasedSims {
    type Target = ErasedNumbers;

    fn deref(&self) -> &ErasedNumbers {
        &self.numbers
    }
}

/// What is left of a submission.
pub(super) struct Left<'s> {
    pub(super) submission: Cow<'s, Submission>,
    /// How many of its records and held bodies are all about erased SIMs.
    pub(super) erased: u64,
    /// What came of them, by hash or name. It counts if what is left is stored.
    pub(super) came: BTreeMap<String, i64>,
}

impl ErasedSims {
    pub(super) async fn load(connection: &mut SqliteConnection) -> Result<Self, StoreError> {
        const HASHES: &str = "
            select giccid_sha256 from erased
            where lifted_ms is null and giccid_sha256 is not null";
        const LISTED: &str = "
            select listed_as from erased where lifted_ms is null and listed_as is not null";
        let hashes: Vec<String> = sqlx::query_scalar(HASHES).fetch_all(&mut *connection).await?;
        let listed: Vec<String> = sqlx::query_scalar(LISTED).fetch_all(&mut *connection).await?;
        let numbers = ErasedNumbers {
            hashes: hashes.into_iter().collect(),
            listed: listed.into_iter().collect(),
            secrets: Arc::new(Secrets::load(connection).await?),
        };
        Ok(Self { numbers: Arc::new(numbers), came_again: BTreeMap::new() })
    }

    pub(super) fn add(&mut self, hash: String) {
        Arc::make_mut(&mut self.numbers).hashes.insert(hash);
    }

    pub(super) fn add_listed(&mut self, name: String) {
        Arc::make_mut(&mut self.numbers).listed.insert(name);
    }

    /// Forgets a SIM, by its hash or its name in the list.
    pub(super) fn remove(&mut self, key: &str) {
        if self.hashes.contains(key) || self.listed.contains(key) {
            let numbers = Arc::make_mut(&mut self.numbers);
            numbers.hashes.remove(key);
            numbers.listed.remove(key);
        }
    }

    /// A submission without what is of erased SIMs. Most often that is all of it, as it is.
    pub(super) fn left_of<'s>(&mut self, submission: &'s Submission) -> Left<'s> {
        let untouched =
            Left { submission: Cow::Borrowed(submission), erased: 0, came: BTreeMap::new() };
        if self.is_empty() {
            return untouched;
        }
        let earlier = mem::take(&mut self.came_again);
        let records: Vec<_> = submission.records.iter().map(|new| self.record(new)).collect();
        let quarantine: Vec<_> = submission.quarantine.iter().map(|one| self.held(one)).collect();
        let came = mem::replace(&mut self.came_again, earlier);
        let is_whole = records.iter().all(|it| matches!(it, Some(Cow::Borrowed(_))))
            && quarantine.iter().all(|it| matches!(it, Some(Cow::Borrowed(_))));
        if is_whole {
            return untouched;
        }
        let gone = records.iter().filter(|it| it.is_none()).count()
            + quarantine.iter().filter(|it| it.is_none()).count();
        let submission = Submission {
            records: records.into_iter().flatten().map(Cow::into_owned).collect(),
            quarantine: quarantine.into_iter().flatten().map(Cow::into_owned).collect(),
            also_from: submission.also_from.clone(),
            ..*submission
        };
        Left { submission: Cow::Owned(submission), erased: gone as u64, came }
    }

    /// Counts what came with a submission that is stored.
    pub(super) fn add_counts(&mut self, came: &BTreeMap<String, i64>) {
        for (key, count) in came {
            *self.came_again.entry(key.clone()).or_default() += count;
        }
    }

    /// What is left of a held push; nothing if all of it is about erased SIMs.
    pub(super) fn held<'h>(&mut self, held: &'h NewHeld) -> Option<Cow<'h, NewHeld>> {
        let named = self.named_in(&held.body);
        if named.is_empty() {
            return Some(Cow::Borrowed(held));
        }
        named.iter().for_each(|giccid| self.count(giccid));
        let (body, signatures) =
            cut_held(&held.body, held.signatures.as_deref(), |number| named.contains(number))?;
        let (body, signatures) = (body.into(), signatures.map(Into::into));
        Some(Cow::Owned(NewHeld { body, signatures, ..held.clone() }))
    }

    /// What has come since this was asked last, by hash or name.
    pub(super) fn counted(&mut self) -> BTreeMap<String, i64> {
        mem::take(&mut self.came_again)
    }

    fn record<'r>(&mut self, new: &'r NewRecord) -> Option<Cow<'r, NewRecord>> {
        let (giccid, text) = match &new.record {
            Record::Usage(usage) => (Some(&usage.giccid), usage.extra.as_deref()),
            Record::Sms(sms) => (Some(&sms.giccid), sms.extra.as_deref()),
            Record::Notification(other) => (other.giccid.as_ref(), Some(&*other.payload)),
        };
        if let Some(giccid) = giccid.filter(|giccid| self.has(giccid.as_str())) {
            self.count(giccid.as_str());
            return None;
        }
        let named = self.named_in(text.unwrap_or_default().as_bytes());
        if named.is_empty() {
            return Some(Cow::Borrowed(new));
        }
        named.iter().for_each(|giccid| self.count(giccid));
        let record = cut_record(&new.record, |number| named.contains(number))?;
        Some(Cow::Owned(NewRecord { record, ..*new }))
    }

    /// What was not asked for yet.
    pub(super) fn not_yet_counted(&self) -> &BTreeMap<String, i64> {
        &self.came_again
    }

    /// Takes back what was asked for and could not be written.
    pub(super) fn count_again(&mut self, came_again: BTreeMap<String, i64>) {
        self.came_again = came_again;
    }

    fn count(&mut self, giccid: &str) {
        if let Some(key) = self.key_of(giccid) {
            *self.came_again.entry(key).or_default() += 1;
        }
    }
}

impl ErasedNumbers {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty() && self.listed.is_empty()
    }

    /// Whether a text names an erased SIM.
    pub fn are_in(&self, text: &[u8]) -> bool {
        !self.is_empty() && mentions(text, |number| self.has(number))
    }

    pub(super) fn secrets(&self) -> &Arc<Secrets> {
        &self.secrets
    }

    /// Whether a SIM was erased. Most often none was, and then nothing is hashed.
    pub(super) fn has(&self, giccid: &str) -> bool {
        !self.is_empty() && self.key_of(giccid).is_some()
    }

    /// The hash of an erased SIM, or its name in the list, whichever is known.
    fn key_of(&self, giccid: &str) -> Option<String> {
        let hash = hashed(giccid);
        if self.hashes.contains(&hash) {
            return Some(hash);
        }
        if self.listed.is_empty() {
            return None;
        }
        self.secrets.names(&hash).into_iter().find(|name| self.listed.contains(name))
    }

    /// What may be written of a text: an erased SIM stands in it without its number.
    pub(in crate::store) fn shown(&self, text: &str) -> String {
        let mut shown = text.to_owned();
        for giccid in self.named_in(text.as_bytes()) {
            shown = mention::replaced(&shown, &giccid, &self.secrets.keyed(&giccid));
        }
        shown
    }

    /// The numbers of erased SIMs in a text, each once.
    pub(super) fn named_in(&self, text: &[u8]) -> BTreeSet<String> {
        let (mut seen, mut named) = (HashSet::new(), BTreeSet::new());
        if self.is_empty() || text.is_empty() {
            return named;
        }
        mentions(text, |number| {
            if !seen.contains(number) {
                seen.insert(number.to_owned());
                if self.has(number) {
                    named.insert(number.to_owned());
                }
            }
            false
        });
        named
    }
}

/// What is left of a record whose own SIM stays, or that names none.
fn cut_record(record: &Record, is_gone: impl Fn(&str) -> bool) -> Option<Record> {
    // What cannot be taken out goes with all that was sent beside the record.
    let others = |text: &str| {
        let left = mention::without_in_record_of_other(text.as_bytes(), &is_gone);
        left.and_then(|left| String::from_utf8(left).ok())
    };
    Some(match record.clone() {
        Record::Usage(mut usage) => {
            usage.extra = usage.extra.and_then(|extra| others(&extra)).map(Into::into);
            Record::Usage(usage)
        }
        Record::Sms(mut sms) => {
            sms.extra = sms.extra.and_then(|extra| others(&extra)).map(Into::into);
            Record::Sms(sms)
        }
        Record::Notification(other) => {
            let payload = cut_payload(&other.payload, other.giccid.is_some(), &is_gone)?;
            Record::Notification(Notification { payload: payload.into(), ..other })
        }
    })
}

/// What is left of the payload of a notification that names a SIM that stays, or none.
pub(super) fn cut_payload(
    payload: &str,
    is_of_other: bool,
    is_gone: impl Fn(&str) -> bool,
) -> Option<String> {
    let text = payload.as_bytes();
    let left = match is_of_other {
        true => {
            Some(mention::without_in_record_of_other(text, is_gone).unwrap_or_else(|| b"{}".into()))
        }
        false => mention::without(text, is_gone).map(|left| left.text),
    };
    left.and_then(|left| String::from_utf8(left).ok())
}

/// What is left of a held body, and of the signature bytes of its elements.
pub(super) fn cut_held(
    body: &[u8],
    signatures: Option<&[u8]>,
    is_gone: impl Fn(&str) -> bool,
) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    let left = mention::without(body, is_gone)?;
    let signatures = signatures.map(|signatures| match &left.elements {
        None => signatures.to_vec(),
        Some(kept) => {
            let all: Vec<&[u8]> = signatures.chunks(32).collect();
            kept.iter().filter_map(|nth| all.get(*nth)).copied().collect::<Vec<_>>().concat()
        }
    });
    Some((left.text, signatures))
}
