use std::collections::BTreeMap;

use serde_json::{Value, json, value::RawValue};
use sha2::{Digest, Sha256};

use crate::{
    cli::keys,
    smarthub::{
        date_push,
        signature::{PushKey, Verifier, decode},
    },
};

const QUARTER_S: i64 = 15 * 60;
/// Clocks on Earth differ from UTC by at most 14 hours.
const QUARTERS_MAX: i64 = 14 * 4;

/// One object of a pushed body, as far as its proof goes.
pub(super) struct Element {
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
    pub(super) fn seconds(&self) -> Option<i64> {
        date_push::parse_text(&self.date_push)
    }
}

/// The objects of a body that have both fields in a readable form.
pub(super) fn elements(body: &[u8]) -> Vec<Element> {
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
pub(super) fn explain(body: &[u8], keys: &[PushKey], shift_s: i64) -> Vec<Value> {
    let verifier = Verifier::new(keys, shift_s);
    let fails = |element: &Element| {
        !element.seconds().is_some_and(|seconds| verifier.verify(seconds, &element.signature))
    };
    let elements = elements(body);
    let Some(element) = elements.iter().find(|element| fails(element)) else { return Vec::new() };
    let trials = trials(element);
    let mut findings = Vec::new();
    for (nth, key) in keys.iter().enumerate() {
        let name = keys::name_of(keys, nth);
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

fn finding(key: &str, change: Option<&str>, swapped: bool, means: &Means) -> Value {
    let mut conditions: Vec<String> =
        change.map(|change| format!("{key} {change}")).into_iter().collect();
    if swapped {
        conditions.push("the key is hashed after datePush".to_owned());
    }
    let mut advice = String::new();
    let mut setting = Value::Null;
    match means {
        Means::Shift(0) => (),
        Means::Shift(shift_s) => {
            let zone = zone_text(-shift_s);
            let way = if *shift_s < 0 { "ahead" } else { "behind" };
            conditions.push(format!("datePush is read as {zone}"));
            advice = format!(
                ": all pushes are {} {way}; set SIMDECK_PUSH_DATE_SHIFT={shift_s}",
                hours_text(shift_s.abs())
            );
            setting = json!({"SIMDECK_PUSH_DATE_SHIFT": shift_s});
        }
        Means::Other(words) => conditions.push((*words).to_owned()),
    }
    if conditions.is_empty() {
        // Only a shift that is set and should not be leaves nothing to change but itself.
        conditions.push("datePush is taken as it is".to_owned());
        advice = ": set SIMDECK_PUSH_DATE_SHIFT=0".to_owned();
        setting = json!({"SIMDECK_PUSH_DATE_SHIFT": 0});
    } else if change.is_some() {
        advice += "; correct the key";
    } else if setting.is_null() {
        advice += "; no setting covers that, so please report it";
    }
    let says = format!("matches {key} if {}{advice}", conditions.join(" and "));
    json!({"key": key, "says": says, "setting": setting})
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
        for near in [1, -1, 2, -2] {
            add((seconds + near).to_string(), Means::Other("datePush is off by a second or two"));
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
    let (_, fraction) = text.split_once('.')?;
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
    let sign = if offset_s < 0 { '-' } else { '+' };
    let minutes = offset_s.abs() / 60;
    match minutes % 60 {
        0 => format!("UTC{sign}{}", minutes / 60),
        rest => format!("UTC{sign}{}:{rest:02}", minutes / 60),
    }
}

/// `8 h`, `3 h 30 min`
fn hours_text(seconds: i64) -> String {
    let minutes = seconds / 60;
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}
