//! What would make a signature that fails hold: another reading of `datePush`, another way to hash,
//! a key that was pasted with something around it.
//!
//! It tries some hundred hashes for each key, so it is for people who ask and for a look now and
//! then, never for each push.
use std::collections::BTreeMap;

use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::{
    body::without_mark,
    date_push::{self, Reading},
    signature::{PushKey, Verifier, decode},
};

const QUARTER_S: i64 = 15 * 60;
/// Clocks on Earth differ from UTC by at most 14 hours.
const QUARTERS_MAX: i64 = 14 * 4;

/// Something that would make a body valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What to call the key, without showing it.
    pub key: String,
    /// What matches and what to do, in a sentence without its full stop.
    pub says: String,
    /// The value of SIMDECK_PUSH_DATE_SHIFT that does it, where that does.
    pub date_shift_s: Option<i64>,
}

/// One object of a pushed body, as far as its proof goes.
struct Element {
    /// `datePush` without its quotes.
    date_push: String,
    signature: [u8; 32],
}

/// One way in which a sender may have hashed.
struct Trial {
    hashed: String,
    means: Means,
}

enum Means {
    /// Moved by so many seconds, which a setting can undo.
    Shift(i64),
    /// Something that no setting of ours covers.
    Other(&'static str),
}

impl Element {
    /// What the receiver takes `datePush` for.
    fn seconds(&self) -> Option<i64> {
        self.reading().map(|reading| reading.seconds)
    }

    fn reading(&self) -> Option<Reading> {
        date_push::read_text(&self.date_push)
    }
}

/// What to call a key without showing it.
pub fn name_of(keys: &[PushKey], nth: usize) -> String {
    match keys.get(nth).and_then(|key| key.label.as_deref()) {
        Some(label) => format!("key `{label}`"),
        None if keys.len() == 1 => "the key".to_owned(),
        None => format!("key number {} of {}", nth + 1, keys.len()),
    }
}

/// What the first `datePush` of a body is read as, where it can be read.
pub fn first_reading(body: &[u8]) -> Option<Reading> {
    elements(body).first().and_then(Element::reading)
}

/// The objects of a body that have both fields in a readable form.
fn elements(body: &[u8]) -> Vec<Element> {
    let body = without_mark(body);
    let objects: Vec<BTreeMap<String, &RawValue>> = match serde_json::from_slice(body) {
        Ok(object) => vec![object],
        Err(_) => serde_json::from_slice(body).unwrap_or_default(),
    };
    let element = |object: &BTreeMap<String, &RawValue>| {
        let text = |name: &str| {
            let raw = object.get(name)?.get();
            Some(serde_json::from_str(raw).unwrap_or_else(|_| raw.to_owned()))
        };
        let signature = decode(text("signature")?.as_bytes())?;
        Some(Element { date_push: text("datePush")?, signature })
    };
    objects.iter().filter_map(element).collect()
}

/// What would make the first element that fails valid: a sentence each, with the setting that
/// does it where there is one.
pub fn explain(body: &[u8], verifier: &Verifier) -> Vec<Finding> {
    let keys = verifier.keys();
    let fails = |element: &Element| {
        !element.seconds().is_some_and(|seconds| verifier.verify(seconds, &element.signature))
    };
    let elements = elements(body);
    let Some(element) = elements.iter().find(|element| fails(element)) else { return Vec::new() };
    let trials = trials(element);
    let mut findings = Vec::new();
    for (nth, key) in keys.iter().enumerate() {
        let name = name_of(keys, nth);
        for (text, change) in variants(key.key.expose()) {
            let hits = trials.iter().filter(|trial| {
                digest(&[text, &trial.hashed]) == element.signature
                    || digest(&[&trial.hashed, text]) == element.signature
            });
            for trial in hits {
                let order = digest(&[text, &trial.hashed]) != element.signature;
                findings.push(finding(&name, change, order, &trial.means));
            }
        }
    }
    findings
}

fn finding(key: &str, change: Option<&str>, swapped: bool, means: &Means) -> Finding {
    let mut conditions: Vec<String> =
        change.map(|change| format!("{key} {change}")).into_iter().collect();
    if swapped {
        conditions.push("the key is hashed after datePush".to_owned());
    }
    let mut advice = String::new();
    let mut date_shift_s = None;
    match means {
        Means::Shift(0) => (),
        Means::Shift(shift_s) => {
            let zone = zone_text(-shift_s);
            let way = if shift_s.is_negative() { "ahead" } else { "behind" };
            conditions.push(format!("datePush is read as {zone}"));
            advice = format!(
                ": all pushes are {} {way}; set SIMDECK_PUSH_DATE_SHIFT={shift_s}",
                hours_text(shift_s.abs())
            );
            date_shift_s = Some(*shift_s);
        }
        Means::Other(words) => conditions.push((*words).to_owned()),
    }
    if conditions.is_empty() {
        // Only a shift that is set and should not be leaves nothing to change but itself.
        conditions.push("datePush is taken as it is".to_owned());
        advice = ": set SIMDECK_PUSH_DATE_SHIFT=0".to_owned();
        date_shift_s = Some(0);
    } else if change.is_some() {
        advice += "; correct the key";
    } else if date_shift_s.is_none() {
        advice += "; no setting covers that, so please report it";
    }
    let says = format!("matches {key} if {}{advice}", conditions.join(" and "));
    Finding { key: key.to_owned(), says, date_shift_s }
}

/// The key itself, and what is left of it without what may have been pasted along.
fn variants(key: &str) -> Vec<(&str, Option<&'static str>)> {
    let mut variants = vec![(key, None)];
    let trimmed = key.trim();
    if trimmed != key {
        variants.push((trimmed, Some("loses the blanks around it")));
    }
    let unquoted = trimmed.trim_matches(['"', '\'']);
    if unquoted != trimmed {
        variants.push((unquoted, Some("loses the quotes around it")));
    }
    variants
}

/// Everything that may have been hashed, the likeliest first.
fn trials(element: &Element) -> Vec<Trial> {
    let mut trials = Vec::new();
    let mut add = |hashed: String, means| trials.push(Trial { hashed, means });
    let text = element.date_push.as_str();
    if let Some(seconds) = element.seconds() {
        for quarters in by_distance() {
            let shift_s = quarters * QUARTER_S;
            add((seconds + shift_s).to_string(), Means::Shift(shift_s));
        }
        for near in [seconds + 1, seconds - 1, seconds + 2, seconds - 2] {
            add(near.to_string(), Means::Other("datePush is off by a second or two"));
        }
        add((seconds * 1000).to_string(), Means::Other("whole seconds are hashed as milliseconds"));
        for quarters in by_distance().filter(|quarters| *quarters != 0) {
            let ms = (seconds + quarters * QUARTER_S) * 1000;
            add(ms.to_string(), Means::Other("milliseconds of another time zone are hashed"));
        }
    }
    if let Some(ms) = milliseconds(text) {
        add(ms.to_string(), Means::Other("the exact milliseconds are hashed"));
    }
    add(text.to_owned(), Means::Other("datePush is hashed as the text that it is"));
    trials
}

/// 0, 1, -1, 2, -2, … quarters of an hour.
fn by_distance() -> impl Iterator<Item = i64> {
    std::iter::once(0).chain((1..=QUARTERS_MAX).flat_map(|quarters| [quarters, -quarters]))
}

/// A time with its fraction, or digits that are milliseconds already.
fn milliseconds(text: &str) -> Option<i64> {
    if text.len() == 13 {
        return text.parse().ok();
    }
    let (_, fraction) = text.split_once(['.', ','])?;
    let digits: String = fraction.chars().take_while(char::is_ascii_digit).take(3).collect();
    let part: i64 = format!("{digits:0<3}").parse().ok()?;
    Some(date_push::parse_text(text)? * 1000 + part)
}

fn digest(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// `UTC+8`, `UTC-3:30`
fn zone_text(offset_s: i64) -> String {
    let sign = if offset_s.is_negative() { '-' } else { '+' };
    let minutes = offset_s.abs() / 60;
    match minutes % 60 {
        0 => format!("UTC{sign}{}", minutes / 60),
        rest => format!("UTC{sign}{}:{rest:02}", minutes / 60),
    }
}

/// `8 h 00 m`, `3 h 30 m`
fn hours_text(seconds: i64) -> String {
    let minutes = seconds / 60;
    format!("{} h {:02} m", minutes / 60, minutes % 60)
}
