//! What is wrong with how data comes in: it shows when it begins, with what to do, and ends.
mod alerts;
mod learned;
mod noticed;

use serde_json::Value;

/// The states of this name that are on, out of what `/v1/status` says.
pub(crate) fn on(status: &Value, name: &str) -> Vec<Value> {
    let all = status["conditions"].as_array().unwrap().iter();
    let named: Vec<&Value> = all.filter(|condition| condition["name"] == name).collect();
    assert!(!named.is_empty(), "{name} is in the table whether it is on or not");
    named.into_iter().filter(|condition| condition["on"] == true).cloned().collect()
}

fn text<'v>(condition: &'v Value, member: &str) -> &'v str {
    condition[member].as_str().unwrap()
}
