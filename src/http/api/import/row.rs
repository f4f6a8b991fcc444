//! One row of a file, as SmartHub would push it or as an export has it.
use std::borrow::Cow;

use serde::{
    Deserialize,
    de::{Deserializer, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::Refused;
use crate::{
    domain::Kind,
    smarthub::{
        HistoryRow, date_push,
        kind::{DATA_USAGE, MO_SMS},
    },
};

/// What a row says, and as what.
pub(super) struct Row {
    /// As which kind it is to be read.
    pub(super) kind: Kind,
    fields: Vec<u8>,
    /// What only a row of ours has.
    kept: Option<Origin>,
}

/// What our rows tell of a record beside its fields.
#[derive(Default)]
struct Origin {
    identity: Option<i64>,
    date_push_s: Option<i64>,
}

/// The members of an object in their order, with their repeats.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// The members that we add to a record, whatever it is.
#[derive(Default)]
struct Ours<'a> {
    identity: Option<&'a RawValue>,
    date_push: Option<&'a RawValue>,
    kind: Option<&'a RawValue>,
    pushed_as: Option<&'a RawValue>,
    extra: Option<&'a RawValue>,
    payload: Option<&'a RawValue>,
}

impl Row {
    /// Takes a JSON text. `kind` is for rows that do not say theirs.
    pub(super) fn of(text: &[u8], kind: Option<&Kind>) -> Result<Self, Refused> {
        let members: Option<Members<'_>> = serde_json::from_slice(text).ok();
        match members.filter(Members::are_ours) {
            Some(members) => Self::of_ours(members, kind),
            // What is no JSON at all is told by whom it concerns.
            None => {
                let kind = kind.ok_or(Refused::field("kind", "field_missing"))?.clone();
                Ok(Self { kind, fields: text.to_owned(), kept: None })
            }
        }
    }

    /// The same for the reader of pushes.
    pub(super) fn history(&self) -> HistoryRow<'_> {
        let fields = &*self.fields;
        match self.kept {
            None => HistoryRow::AsPushed(fields),
            Some(Origin { identity, date_push_s }) => {
                HistoryRow::Kept { fields, identity, date_push_s }
            }
        }
    }

    fn of_ours(members: Members<'_>, given: Option<&Kind>) -> Result<Self, Refused> {
        let (ours, fields) = members.split()?;
        let kind = match ours.pushed_as.or(ours.kind) {
            Some(kind) => kind_of(kind).ok_or(Refused::field("kind", "field_invalid"))?,
            None => given.ok_or(Refused::field("kind", "field_missing"))?.clone(),
        };
        let is_typed = matches!(kind.as_str(), DATA_USAGE | MO_SMS);
        // A list of one sort is not to be taken for one of another.
        let is_other_sort = if is_typed { ours.payload.is_some() } else { ours.extra.is_some() };
        if is_other_sort {
            return Err(Refused::field("kind", "field_invalid"));
        }
        let identity = ours
            .identity
            .map(|value| identity_of(value).ok_or(Refused::field("identity", "field_invalid")));
        let date_push_s = ours
            .date_push
            .map(|value| date_push_of(value).ok_or(Refused::field("datePush", "field_invalid")));
        let origin =
            Origin { identity: identity.transpose()?, date_push_s: date_push_s.transpose()? };
        let fields = match ours.payload {
            Some(payload) => payload.get().as_bytes().to_owned(),
            None => object(&fields, ours.extra)?,
        };
        Ok(Self { kind, fields, kept: Some(origin) })
    }
}

impl<'a> Members<'a> {
    /// Whether a simdeck wrote the row: no push is likely to have both of a pair. Somebody may have
    /// taken a column out of the file, and as one of SmartHub's the record would be another one.
    fn are_ours(&self) -> bool {
        const PAIRS: [[&str; 2]; 4] = [
            ["id", "received_at"],
            ["received_at", "identity"],
            ["received_at", "push_id"],
            ["identity", "push_id"],
        ];
        PAIRS.iter().any(|pair| pair.iter().all(|name| self.has(name)))
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    /// Tells our members from those of the record. What is null was not sent, as far as we can tell.
    fn split(self) -> Result<(Ours<'a>, Self), Refused> {
        let is_whole = self.has("extra") || self.has("payload");
        let mut ours = Ours::default();
        let mut fields = Vec::with_capacity(self.0.len());
        for (name, value) in self.0 {
            let place = match &*name {
                "id" | "received_at" | "url" => continue,
                // Of the store that the row comes from.
                "push_id" | "source" if is_whole => continue,
                // Shown once more, out of `extra`.
                "text" if is_whole => continue,
                "test" if value.get() == "true" => return Err(Refused::row("test_record")),
                "identity" => &mut ours.identity,
                "datePush" => &mut ours.date_push,
                "kind" if is_whole => &mut ours.kind,
                "pushed_as" if is_whole => &mut ours.pushed_as,
                "extra" => &mut ours.extra,
                "payload" => &mut ours.payload,
                _ => {
                    fields.push((name, value));
                    continue;
                }
            };
            if value.get() != "null" && place.replace(value).is_some() {
                return Err(Refused::row("repeated_key"));
            }
        }
        fields.retain(|(_, value)| value.get() != "null");
        Ok((ours, Self(fields)))
    }
}

/// The fields and those that we do not know as one object, each as it was written.
fn object(fields: &Members<'_>, extra: Option<&RawValue>) -> Result<Vec<u8>, Refused> {
    let unknown = extra.map_or("{}", RawValue::get);
    let unknown = unknown.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let unknown = unknown.ok_or(Refused::field("extra", "field_invalid"))?.trim_ascii();
    let mut object = b"{".to_vec();
    for (name, value) in &fields.0 {
        separate(&mut object);
        // A text is always written.
        serde_json::to_writer(&mut object, name).map_err(|_| Refused::row("unreadable"))?;
        object.push(b':');
        object.extend(value.get().as_bytes());
    }
    if !unknown.is_empty() {
        separate(&mut object);
        object.extend(unknown.as_bytes());
    }
    object.push(b'}');
    Ok(object)
}

/// Puts a comma behind what stands there, unless it is the opening brace.
pub(super) fn separate(object: &mut Vec<u8>) {
    if object.len() > 1 {
        object.push(b',');
    }
}

fn text_of(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

fn kind_of(value: &RawValue) -> Option<Kind> {
    text_of(value)?.parse().ok()
}

fn identity_of(value: &RawValue) -> Option<i64> {
    const DIGITS: usize = 16;
    let text = text_of(value)?;
    let is_plain = text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bits = u64::from_str_radix(&text, 16).ok().filter(|_| is_plain)?;
    Some(bits.cast_signed())
}

fn date_push_of(value: &RawValue) -> Option<i64> {
    match text_of(value) {
        Some(text) => date_push::parse_text(&text),
        None => date_push::parse_number(value.get()),
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        #[derive(Deserialize)]
        struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::with_capacity(16);
                while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &RawValue>()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}
