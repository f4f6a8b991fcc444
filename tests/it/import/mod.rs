//! History read in, by the front door.
mod command;
mod own_kind;
mod refusals;
mod round_trip;
mod streams;
mod tables;

use reqwest::StatusCode;
use serde_json::Value;

use crate::api_harness::{ADMIN_KEY, Api};

pub(crate) const SIM: &str = "89860012345678901234";

/// Reads a file in, and gives what became of it.
pub(crate) async fn import(api: &Api, query: &str, file: &str) -> Value {
    let answer = api.post(&format!("/v1/import?{query}"), ADMIN_KEY, file).await;
    assert_eq!(answer.status(), StatusCode::OK, "{query}");
    answer.json().await.unwrap()
}

/// Stored, duplicates and refused lines.
pub(crate) fn counts(report: &Value) -> (u64, u64, u64) {
    let count = |name: &str| report[name].as_u64().unwrap();
    (count("stored"), count("duplicates"), count("refused_lines"))
}

/// What is exported, but for the order: what a line says of its record, as it is written.
pub(crate) async fn substance(api: &Api, list: &str) -> Vec<String> {
    let text = api.get(&format!("/v1/{list}?format=ndjson")).await.text().await.unwrap();
    let mut lines: Vec<String> = text.lines().map(substance_of).collect();
    lines.sort_unstable();
    lines
}

/// A line without `id`, `received_at`, `push_id`, `source` and `url`.
fn substance_of(line: &str) -> String {
    let (_, rest) = line.split_once(',').unwrap();
    let (fields, rest) = rest.split_once(r#","received_at":""#).unwrap();
    let (_, rest) = rest.split_once(r#"","identity""#).unwrap();
    let (rest, _) = rest.rsplit_once(r#","url":""#).unwrap();
    let (identity, rest) = rest.split_once(r#","push_id":"#).unwrap();
    let (_, rest) = rest.split_once(r#","source":"#).unwrap();
    let (_, rest) = rest.split_once(',').unwrap();
    format!("{fields} {identity},{rest}")
}

pub(crate) async fn export(api: &Api, list: &str, query: &str) -> String {
    api.get(&format!("/v1/{list}?{query}")).await.text().await.unwrap()
}
