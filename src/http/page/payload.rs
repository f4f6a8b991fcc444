//! What a notification says, as far as a line of a table has room for it.
use std::collections::BTreeMap;

use serde_json::Value;

/// A member of it.
#[derive(Debug, PartialEq)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) value: String,
}

/// What the page says anyway.
const SAID: [&str; 4] = ["giccid", "event_time", "imsi", "sim_group"];
const MEMBERS_MAX: usize = 20;
const CHARACTERS_MAX: usize = 200;

/// Texts, numbers and flags of a payload, under its own names: SmartHub documents none. What else is in
/// it, its record tells in the API.
pub(super) fn members(payload: &BTreeMap<String, Value>) -> Vec<Member> {
    let others = payload.iter().filter(|(name, _)| !SAID.contains(&name.as_str()));
    let member =
        |(name, value): (&String, _)| Some(Member { name: cut(name), value: scalar(value)? });
    others.filter_map(member).take(MEMBERS_MAX).collect()
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(cut(text)),
        Value::Number(number) => Some(cut(&number.to_string())),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_scalars_are_told_and_no_more_than_a_line_holds() {
        let long = Value::from("é".repeat(10_000));
        let of = |name: &str, value| (name.to_owned(), value);
        let payload = [
            of("giccid", json!("8")),
            of("a", Value::Null),
            of("b", json!([1])),
            of("c", json!({"d": 1})),
            of("e", long),
            of("f", json!(true)),
        ];
        let told = members(&payload.into());
        assert_eq!(told.len(), 2);
        assert_eq!(told[0].value.chars().count(), CHARACTERS_MAX + 1);
        assert_eq!((told[1].name.as_str(), told[1].value.as_str()), ("f", "true"));
        let many = (0..1_000).map(|nth| (format!("m{nth}"), Value::from(nth))).collect();
        assert_eq!(members(&many).len(), MEMBERS_MAX);
    }
}
