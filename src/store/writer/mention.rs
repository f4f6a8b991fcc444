//! SIMs that were erased: what still comes of them is not kept.
use std::{
    borrow::Cow,
    collections::{BTreeMap, HashSet},
};

use serde_json::value::RawValue;
use sqlx::SqliteConnection;

use crate::{
    domain::{NewHeld, Record},
    store::{StoreError, erasures::hashed},
};

/// The erased SIMs, by what is kept of their numbers.
#[derive(Debug, Default)]
pub(super) struct Banned {
    hashes: HashSet<String>,
    /// What came of them and is not yet counted in the database.
    came_again: BTreeMap<String, i64>,
}

impl Banned {
    pub(super) async fn load(connection: &mut SqliteConnection) -> Result<Self, StoreError> {
        let hashes: Vec<String> =
            sqlx::query_scalar("select giccid_sha256 from erased").fetch_all(connection).await?;
        Ok(Self { hashes: hashes.into_iter().collect(), came_again: BTreeMap::new() })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    pub(super) fn has_hash(&self, hash: &str) -> bool {
        self.hashes.contains(hash)
    }

    pub(super) fn add(&mut self, hash: String) {
        self.hashes.insert(hash);
    }

    /// Whether a SIM was erased. Most often none was, and then nothing is hashed.
    pub(super) fn has(&self, giccid: &str) -> bool {
        !self.is_empty() && self.hashes.contains(&hashed(giccid))
    }

    /// Whether a record is of an erased SIM; if so, it is counted.
    pub(super) fn takes(&mut self, record: &Record) -> bool {
        if self.is_empty() {
            return false;
        }
        let (giccid, text) = match record {
            Record::Usage(usage) => (Some(&usage.giccid), ""),
            Record::Sms(sms) => (Some(&sms.giccid), ""),
            Record::Notification(other) => (other.giccid.as_ref(), &*other.payload),
        };
        let named = giccid.map(|giccid| giccid.as_str()).filter(|giccid| self.has(giccid));
        let Some(named) =
            named.map(str::to_owned).or_else(|| self.mentioned(text.as_bytes()).next().map(own))
        else {
            return false;
        };
        self.count(&named);
        true
    }

    /// What is left of pushes that lie aside, without what is of erased SIMs.
    pub(super) fn leave<'h>(&mut self, held: &'h [NewHeld]) -> Cow<'h, [NewHeld]> {
        if self.is_empty() || held.iter().all(|one| self.mentioned(&one.body).next().is_none()) {
            return Cow::Borrowed(held);
        }
        let mut left = Vec::with_capacity(held.len());
        for one in held {
            let names: Vec<String> = self.mentioned(&one.body).map(own).collect();
            let mut body = Some(one.body.to_vec());
            for name in &names {
                self.count(name);
                body = body.and_then(|body| without(&body, name));
            }
            left.extend(body.map(|body| NewHeld { body: body.into(), ..one.clone() }));
        }
        Cow::Owned(left)
    }

    /// Whether a body mentions an erased SIM.
    pub(super) fn is_mentioned(&self, body: &[u8]) -> bool {
        !self.is_empty() && self.mentioned(body).next().is_some()
    }

    /// What has come since this was asked last, by hash.
    pub(super) fn counted(&mut self) -> BTreeMap<String, i64> {
        std::mem::take(&mut self.came_again)
    }

    fn count(&mut self, giccid: &str) {
        *self.came_again.entry(hashed(giccid)).or_default() += 1;
    }

    /// The numbers of erased SIMs in a body.
    fn mentioned<'b>(&self, body: &'b [u8]) -> impl Iterator<Item = &'b str> {
        numbers_in(body).filter(|number| self.has(number))
    }
}

fn own(text: &str) -> String {
    text.to_owned()
}

/// Whatever in a body could be a SIM's number.
pub(super) fn numbers_in(body: &[u8]) -> impl Iterator<Item = &str> {
    body.split(|byte| !byte.is_ascii_digit())
        .filter(|digits| (18..=22).contains(&digits.len()))
        .filter_map(|digits| std::str::from_utf8(digits).ok())
}

/// A body without the elements of its arrays that mention this number; nothing where it cannot be
/// taken out by itself, or is all of it.
pub(super) fn without(body: &[u8], giccid: &str) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(body).ok()?;
    let left = if let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(text) {
        array_without(&elements, giccid)?
    } else {
        // The one member that mentions it, if that is an array: the rest of the push stays.
        let members: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(text).ok()?;
        let mut mentions = members.values().filter(|value| value.get().contains(giccid));
        let (container, None) = (mentions.next()?, mentions.next()) else { return None };
        let elements: Vec<&RawValue> = serde_json::from_str(container.get()).ok()?;
        text.replacen(container.get(), &array_without(&elements, giccid)?, 1)
    };
    (!left.contains(giccid)).then(|| left.into_bytes())
}

fn array_without(elements: &[&RawValue], giccid: &str) -> Option<String> {
    let left: Vec<&str> =
        elements.iter().map(|one| one.get()).filter(|one| !one.contains(giccid)).collect();
    (!left.is_empty()).then(|| format!("[{}]", left.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GONE: &str = "89860012345678900001";

    fn left(body: &str) -> Option<String> {
        without(body.as_bytes(), GONE).map(|left| String::from_utf8_lossy(&left).into_owned())
    }

    #[test]
    fn only_the_elements_that_mention_a_number_are_taken_out() {
        let other = r#"{"giccid":"89860012345678900002"}"#;
        let gone = format!(r#"{{"giccid":"{GONE}","a":[1]}}"#);
        assert_eq!(left(&format!("[{gone}, {other}]")), Some(format!("[{other}]")));
        let push = |inner: &str| format!(r#"{{"datePush":1,"list":{inner}}}"#);
        let both = push(&format!("[{gone},{other}]"));
        assert_eq!(left(&both), Some(push(&format!("[{other}]"))));
    }

    #[test]
    fn what_is_all_of_a_number_or_cannot_be_taken_apart_goes_whole() {
        for body in [
            format!(r#"{{"giccid":"{GONE}"}}"#),
            format!(r#"[{{"giccid":"{GONE}"}}]"#),
            format!("no json {GONE}"),
            format!(r#"{{"a":"{GONE}","b":["{GONE}",1]}}"#),
        ] {
            assert_eq!(left(&body), None, "{body}");
        }
    }
}
