use std::{
    collections::BTreeMap,
    io::{self, Read},
};

use serde_json::value::RawValue;

use super::Failure;
use crate::{domain::Timestamp, smarthub::signature};

/// The two fields that prove where a push comes from, as they go into its body.
pub(super) struct Proof {
    /// `"datePush":"…","signature":"…"`
    members: String,
}

impl Proof {
    /// For a `datePush` of this text, which is hashed as this second.
    pub(super) fn new(key: &str, date_push: &str, hashed_s: i64) -> Self {
        let signature = signature::sign(key, hashed_s);
        let date_push = serde_json::Value::from(date_push);
        Self { members: format!("\"datePush\":{date_push},\"signature\":\"{signature}\"") }
    }

    /// For this moment, written the way SmartHub most likely does. `date_shift_s` is what the
    /// receiver adds to `datePush` before it hashes it.
    pub(super) fn at(key: &str, now: Timestamp, date_shift_s: i64) -> Self {
        let hashed_s = now.unix_seconds();
        Self::new(key, &date_text(hashed_s.saturating_sub(date_shift_s)), hashed_s)
    }

    /// An object with the proof before its own members, which may be none.
    pub(super) fn object(&self, members: &str) -> String {
        let separator = if members.is_empty() { "" } else { "," };
        format!("{{{}{separator}{members}}}", self.members)
    }
}

/// A body to be signed: an object, or an array of objects that are signed one by one.
pub(super) struct Unsigned {
    /// The members of each object as they stand in the source.
    objects: Vec<String>,
    is_array: bool,
}

impl Unsigned {
    /// Reads a body and takes out the proof that it may have already.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = || Failure::new("the body must be a JSON object, or an array of objects");
        let text = text.trim_start_matches('\u{FEFF}').trim();
        let is_array = text.starts_with('[');
        let objects: Vec<&RawValue> = if is_array {
            serde_json::from_str(text).map_err(|_| wrong())?
        } else {
            vec![serde_json::from_str(text).map_err(|_| wrong())?]
        };
        let objects = objects.into_iter().map(|object| members_of(object.get()).ok_or_else(wrong));
        Ok(Self { objects: objects.collect::<Result<_, _>>()?, is_array })
    }

    /// The body with a proof in each object.
    pub(super) fn with(&self, proof: &Proof) -> String {
        let objects: Vec<String> =
            self.objects.iter().map(|members| proof.object(members)).collect();
        match self.is_array {
            true => format!("[{}]", objects.join(",")),
            false => objects.concat(),
        }
    }
}

/// `2024-09-05T01:30:48+0000`
pub(super) fn date_text(seconds: i64) -> String {
    match jiff::Timestamp::from_second(seconds) {
        Ok(moment) => moment.strftime("%Y-%m-%dT%H:%M:%S+0000").to_string(),
        Err(_) => seconds.to_string(),
    }
}

/// A file, or standard input for `-`.
pub(super) fn read_body(path: &str) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    let read = match path {
        "-" => io::stdin().lock().read_to_end(&mut body).map(drop),
        path => std::fs::read(path).map(|bytes| body = bytes),
    };
    read.map_err(Failure::because(format!("{path} cannot be read")))?;
    Ok(body)
}

/// The same, for what must be text.
pub(super) fn read_text(path: &str) -> Result<String, Failure> {
    String::from_utf8(read_body(path)?)
        .map_err(|_| Failure::new(format!("{path} is not text in UTF-8")))
}

/// What stands between the braces, byte for byte unless an old proof has to go.
fn members_of(object: &str) -> Option<String> {
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(object).ok()?;
    let is_proof = |name: &String| name == "datePush" || name == "signature";
    if !members.keys().any(is_proof) {
        let inside = object.strip_prefix('{')?.strip_suffix('}')?;
        return Some(inside.trim().to_owned());
    }
    let kept = members.iter().filter(|(name, _)| !is_proof(name));
    let kept: Vec<String> = kept
        .map(|(name, value)| format!("{}:{}", serde_json::Value::from(name.as_str()), value.get()))
        .collect();
    Some(kept.join(","))
}
