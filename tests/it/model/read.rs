//! What the server says it holds, in the model's words.
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{
    record::{Kind, SIMS, Spec},
    world::{Held, HeldPart, Key},
};
use crate::server::Simdeck;

/// All rows of a list, by its cursor.
pub(super) async fn all_rows(server: &Simdeck, path: &str) -> Vec<Value> {
    let mut rows = Vec::new();
    let sign = if path.contains('?') { '&' } else { '?' };
    let mut next = Some(format!("{path}{sign}size=1000&cursor="));
    while let Some(path) = next {
        let (part, link) = page(server, &path).await;
        rows.extend(part);
        next = link;
    }
    rows
}

/// A page, and the address of the next one.
pub(super) async fn page(server: &Simdeck, path: &str) -> (Vec<Value>, Option<String>) {
    let answer = server.get_whole(path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    let link = answer.header("link");
    let next = link.split(',').find(|part| part.contains("rel=\"next\""));
    let next = next.and_then(|part| part.split_once('<')?.1.split_once('>'));
    let next = next.map(|(url, _)| url.splitn(4, '/').nth(3).unwrap_or_default());
    let rows = answer.json().as_array().unwrap().clone();
    (rows, next.map(|rest| format!("/{rest}")))
}

/// The record that a row of a list or of `/v1/changes` tells of.
pub(super) fn key_of(row: &Value) -> Key {
    let number = if let Some(volume) = row["data_usage"].as_i64() {
        volume
    } else if let Some(to) = row["to_msisdn"].as_str() {
        to.parse().unwrap()
    } else {
        row["payload"]["n"].as_i64().unwrap()
    };
    let spec = Spec::of_number(number).unwrap();
    let giccid = row["giccid"].as_str().or(row["payload"]["giccid"].as_str());
    assert_eq!(giccid, Some(spec.giccid()), "{row}");
    let second = || row["datePush"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    (spec, (spec.kind == Kind::Future).then(|| second().as_second()))
}

/// The rows of quarantine, each with its id.
pub(super) async fn quarantine(server: &Simdeck, began_ms: i64) -> Vec<(i64, Held)> {
    let mut held = Vec::new();
    for row in all_rows(server, "/v1/held?class=quarantined,stale").await {
        let whole = server.get(&format!("/v1/held/{}", row["id"])).await;
        held.extend(
            held_of(&whole, began_ms).into_iter().map(|it| (row["id"].as_i64().unwrap(), it)),
        );
    }
    held
}

/// What a held row tells of. What the store refused is told record by record, however it lies.
fn held_of(whole: &Value, began_ms: i64) -> Vec<Held> {
    let kind = whole["kind"].as_str().unwrap();
    let kind = Kind::ALL.into_iter().find(|it| it.slug() == kind).unwrap();
    let reasons = [
        "date_old",
        "date_ahead",
        "date_retracted",
        "field_missing",
        "repeated_key",
        "store_refused",
    ]
    .into_iter();
    let reason = reasons.clone().find(|it| whole["reason"] == *it);
    let reason = reason.unwrap_or_else(|| panic!("{whole}"));
    let body: Value = serde_json::from_str(whole["body"].as_str().unwrap()).unwrap();
    let elements = match body {
        Value::Array(elements) => elements,
        element => vec![element],
    };
    let mut all = Vec::new();
    for element in &elements {
        let element = element.as_object().unwrap();
        let second = element["datePush"].as_i64().unwrap();
        let records = match &element.get("cdrs") {
            Some(Value::Array(records)) => {
                records.iter().map(|it| it.as_object().unwrap()).collect()
            }
            _ => vec![element],
        };
        let mut parts: Vec<HeldPart> =
            records.into_iter().map(|it| part_of(kind, it, began_ms)).collect();
        if reason == "store_refused" {
            let each = parts.drain(..);
            all.extend(each.map(|part| Held { reason, kind, second, parts: vec![part] }));
        } else {
            all.push(Held { reason, kind, second, parts });
        }
    }
    all
}

fn part_of(kind: Kind, record: &Map<String, Value>, began_ms: i64) -> HeldPart {
    let number = match kind {
        Kind::Usage => record["data_usage"].as_i64(),
        Kind::Sms => record["to_msisdn"].as_str().and_then(|text| text.parse().ok()),
        Kind::Status | Kind::Future => record["n"].as_i64(),
    };
    let spec = number.and_then(Spec::of_number).unwrap_or_else(|| panic!("{record:?}"));
    let time = ["start_time", "event_time"].iter().find_map(|name| record.get(*name));
    let is_bad = match kind {
        Kind::Usage | Kind::Sms => time.is_none(),
        Kind::Status | Kind::Future => record.contains_key("twice"),
    };
    if let Some(time) = time {
        assert_eq!(time.as_i64(), Some(spec.own_ms(began_ms)), "{record:?}");
    }
    HeldPart { spec, is_bad }
}

/// The second that a row says it was pushed in; 0 where it says none.
pub(super) fn second_of(row: &Value) -> i64 {
    row["datePush"].as_str().map_or(0, |date| date.parse::<jiff::Timestamp>().unwrap().as_second())
}

/// What a follower of `/v1/changes` has, who takes away what the tombstones say.
#[derive(Default)]
pub(super) struct Follower {
    next: Option<String>,
    last_id: i64,
    /// Each with the second that it was pushed in.
    pub(super) seen: BTreeMap<Key, i64>,
    /// What stands for the numbers of the SIMs that were erased: one that is erased again is told again.
    pub(super) tombstones: BTreeSet<String>,
}

impl Follower {
    /// Reads what is new, until nothing is.
    pub(super) async fn follow(&mut self, server: &Simdeck) {
        loop {
            let path = self.next.clone().unwrap_or("/v1/changes?size=1000".to_owned());
            let (rows, next) = page(server, &path).await;
            self.next = next;
            if rows.is_empty() {
                return;
            }
            for row in rows {
                let id = row["id"].as_i64().unwrap();
                assert!(id > self.last_id, "out of order, or twice: {row}");
                self.last_id = id;
                if row["kind"] == "erased" {
                    self.tombstones.insert(row["giccid_hmac"].as_str().unwrap().to_owned());
                    let is_it =
                        |sim: &&str| row["giccid_sha256"] == hex::encode(Sha256::digest(sim));
                    let sim = SIMS.into_iter().find(is_it).unwrap();
                    self.seen.retain(|(spec, _), _| spec.giccid() != sim);
                } else if row["kind"] == "retracted" {
                    let second = second_of(&row);
                    self.seen.retain(|_, pushed| *pushed != second);
                } else {
                    let before = self.seen.insert(key_of(&row), second_of(&row));
                    assert_eq!(before, None, "stored twice: {row}");
                }
            }
        }
    }
}
