//! What a notification says, as far as a line of a table has room for it.
use std::collections::BTreeMap;

use serde_json::Value;

/// A member of it, or two that tell of one thing before and after.
#[derive(Debug, PartialEq)]
pub(super) struct Member {
    pub(super) name: String,
    /// What it was before.
    pub(super) from: Option<String>,
    pub(super) value: String,
}

/// What the page says anyway.
const SAID: [&str; 4] = ["giccid", "event_time", "imsi", "sim_group"];
/// How names of what was and of what is begin. SmartHub documents none; these are the usual ones.
const TURNS: [(&str, &str); 4] =
    [("old", "new"), ("from", "to"), ("before", "after"), ("previous", "current")];
const MEMBERS_MAX: usize = 20;
const CHARACTERS_MAX: usize = 200;

/// Texts, numbers and flags of a payload; what else is in it, its record tells in the API.
pub(super) fn members(payload: &BTreeMap<String, Value>) -> Vec<Member> {
    let scalars = payload.iter().filter(|(name, _)| !SAID.contains(&name.as_str()));
    let scalars: BTreeMap<&str, String> =
        scalars.filter_map(|(name, value)| Some((name.as_str(), scalar(value)?))).collect();
    let turns: Vec<_> = scalars.keys().filter_map(|old| turn(old, &scalars)).collect();
    let member = |(name, value): (&&str, &String)| {
        if turns.iter().any(|(old, _)| old == name) {
            return None;
        }
        let (name, from) = match turns.iter().find(|(_, new)| new == name) {
            Some((old, new)) => (rest(new), scalars.get(old).cloned()),
            None => (*name, None),
        };
        Some(Member { name: cut(name), from, value: value.clone() })
    };
    scalars.iter().filter_map(member).take(MEMBERS_MAX).collect()
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(cut(text)),
        Value::Number(number) => Some(cut(&number.to_string())),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The names of what was and of what is, if this is the name of what was.
fn turn<'n>(old: &'n str, all: &BTreeMap<&'n str, String>) -> Option<(&'n str, &'n str)> {
    let of = |(before, after): (&str, &str)| {
        let what = begins(old, before)?;
        all.keys()
            .copied()
            .find(|new| begins(new, after).is_some_and(|other| other.eq_ignore_ascii_case(what)))
    };
    Some((old, TURNS.into_iter().find_map(of)?))
}

/// What is behind this beginning.
fn begins<'n>(name: &'n str, beginning: &str) -> Option<&'n str> {
    let head = name.get(..beginning.len())?;
    head.eq_ignore_ascii_case(beginning).then(|| &name[beginning.len()..])
}

/// What a name is about without its `new`.
fn rest(new: &str) -> &str {
    let found = TURNS.into_iter().find_map(|(_, after)| begins(new, after));
    found.unwrap_or(new).trim_start_matches(['_', '-'])
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

    fn told(payload: Value) -> Vec<(String, Option<String>, String)> {
        let payload = serde_json::from_value(payload).unwrap();
        members(&payload).into_iter().map(|it| (it.name, it.from, it.value)).collect()
    }

    #[test]
    fn what_was_and_what_is_are_one_member() {
        let payload = json!({"oldImei": "1", "newImei": "2", "from_state": "A", "to_state": "B"});
        let text = str::to_owned;
        let imei = (text("Imei"), Some(text("1")), text("2"));
        let state = (text("state"), Some(text("A")), text("B"));
        assert_eq!(told(payload), [imei, state]);
        // Alone, a beginning means nothing.
        let payload = json!({"total": 5, "newest": true, "old": "x"});
        let names: Vec<_> = told(payload).into_iter().map(|(name, _, _)| name).collect();
        assert_eq!(names, ["newest", "old", "total"]);
    }

    #[test]
    fn only_scalars_are_told_and_no_more_than_a_line_holds() {
        let payload =
            json!({"giccid": "8", "a": null, "b": [1], "c": {"d": 1}, "e": "é".repeat(10_000)});
        let told = told(payload);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].2.chars().count(), CHARACTERS_MAX + 1);
        let many = (0..1_000).map(|nth| (format!("m{nth}"), Value::from(nth))).collect();
        assert_eq!(members(&many).len(), MEMBERS_MAX);
    }
}
