//! What was pushed after all that was accepted is no repeat of it, however old it is by our clock: it
//! lies where nothing is dropped.
use std::sync::Arc;

use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;

use super::{Disk, Number, retention_clock::start};
use crate::server::{PUSH_KEY, Simdeck, now_s, signature};

const DAY_S: i64 = 86_400;
const SIM: &str = "8944501503181377993";
/// One more than a source may have in a ring.
const MANY: usize = 2_501;

/// So many pushes in one body, with a record each that is not any other's.
fn pushes(second: i64, first: usize, count: usize) -> String {
    let proof = format!(r#""datePush":{second},"signature":"{}""#, signature(PUSH_KEY, second));
    let one = |nth| {
        let start_ms = (second - 3_600) * 1_000 + nth as i64;
        format!(r#"{{{proof},"giccid":"{SIM}","data_usage":1,"start_time":{start_ms}}}"#)
    };
    format!("[{}]", (first..first + count).map(one).collect::<Vec<_>>().join(","))
}

async fn held(simdeck: &Simdeck) -> [i64; 3] {
    let held = simdeck.get("/v1/status").await["held"].clone();
    let [quarantined, stale, dropped] =
        [&held["quarantined"]["pushes"], &held["stale"]["pushes"], &held["stale"]["dropped"]];
    [quarantined, stale, dropped].map(|count| count.as_i64().unwrap())
}

fn restart(simdeck: Simdeck, disk: &Disk) -> Simdeck {
    let folder = simdeck.folder();
    simdeck.end();
    start(disk, folder, &[])
}

#[tokio::test]
async fn new_pushes_under_a_clock_that_is_days_ahead_are_kept_however_many_they_are() {
    let disk = Disk::new();
    let simdeck = start(&disk, Arc::new(TempDir::new().unwrap()), &[]);
    let second = now_s();
    assert_eq!(simdeck.push("data-usage", pushes(second, 0, 1)).await, (1, 0, 0));
    disk.set(Number::ClockAheadS, 9 * DAY_S);
    let many = MANY as u64;
    // Two pushes may be of one second, and come in any order.
    assert_eq!(simdeck.push("data-usage", pushes(second + 2, 1, MANY)).await, (0, 0, many));
    assert_eq!(simdeck.push("data-usage", pushes(second + 1, 10_000, 3)).await, (0, 0, 3));
    assert_eq!(held(&simdeck).await, [MANY as i64 + 3, 0, 0]);
    // What was accepted may be sent again by anybody: no more of that than a ring holds.
    assert_eq!(simdeck.push("data-usage", pushes(second, 20_000, MANY)).await, (0, 0, many));
    assert_eq!(held(&simdeck).await, [MANY as i64 + 3, MANY as i64 - 1, 1]);
    let simdeck = restart(simdeck, &disk);
    assert_eq!(simdeck.push("data-usage", pushes(second + 3, 30_000, 2)).await, (0, 0, 2));
    assert_eq!(held(&simdeck).await, [MANY as i64 + 5, MANY as i64 - 1, 1]);
    let attention = simdeck.get("/v1/attention").await;
    let told = attention
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["kind"] == "pushes_quarantined")
        .unwrap();
    assert_eq!((&told["reason"], &told["count"]), (&json!("date_old"), &json!(MANY + 5)));
    assert!(
        told["sentence"].as_str().unwrap().contains("newer than all that was accepted"),
        "{told}"
    );
    disk.set(Number::ClockAheadS, 0);
    let (status, told) = simdeck.ask(Method::POST, "/v1/held/1/retry").await;
    assert_eq!((status, &told["stored"]), (200, &json!(1)), "{told}");
    simdeck.end();
}

#[tokio::test]
async fn where_quarantine_is_full_new_pushes_under_a_wrong_clock_are_not_acknowledged() {
    let disk = Disk::new();
    let small = [("SIMDECK_QUARANTINE_MAX", "1MiB")];
    let simdeck = start(&disk, Arc::new(TempDir::new().unwrap()), &small);
    let second = now_s();
    assert_eq!(simdeck.push("data-usage", pushes(second, 0, 1)).await, (1, 0, 0));
    disk.set(Number::ClockAheadS, 9 * DAY_S);
    let [first, next] = [1, 10_000].map(|nth| pushes(second + 1, nth, 6_000));
    assert_eq!(simdeck.push("data-usage", first).await, (0, 0, 6_000));
    assert_eq!(simdeck.post("data-usage", next.clone()).await.status, 503);
    assert_eq!(held(&simdeck).await, [6_000, 0, 0]);
    // Sent again, as SmartHub does.
    disk.set(Number::ClockAheadS, 0);
    assert_eq!(simdeck.push("data-usage", next).await, (6_000, 0, 0));
    simdeck.end();
}

#[tokio::test]
async fn what_waited_out_an_outage_of_ours_is_kept_before_and_after_the_first_new_push() {
    let disk = Disk::new();
    let (day, many) = (DAY_S, MANY as u64);
    let simdeck = start(&disk, Arc::new(TempDir::new().unwrap()), &[]);
    disk.set(Number::ClockAheadS, -30 * day);
    let now = now_s();
    assert_eq!(simdeck.push("data-usage", pushes(now - 30 * day, 0, 1)).await, (1, 0, 0));
    disk.set(Number::ClockAheadS, 0);
    assert_eq!(simdeck.push("data-usage", pushes(now - 20 * day, 1, MANY)).await, (0, 0, many));
    assert_eq!(simdeck.push("data-usage", pushes(now, 10_000, 1)).await, (1, 0, 0));
    let simdeck = restart(simdeck, &disk);
    assert_eq!(
        simdeck.push("data-usage", pushes(now - 15 * day, 20_000, MANY)).await,
        (0, 0, many)
    );
    assert_eq!(held(&simdeck).await, [2 * MANY as i64, 0, 0]);
    // What is from before it, and what came in time after it, may be a repeat.
    assert_eq!(simdeck.push("data-usage", pushes(now - 31 * day, 30_000, 1)).await, (0, 0, 1));
    assert_eq!(simdeck.push("data-usage", pushes(now - 3 * day, 40_000, 1)).await, (1, 0, 0));
    disk.set(Number::ClockAheadS, 5 * day);
    assert_eq!(simdeck.push("data-usage", pushes(now - 3 * day, 50_000, 1)).await, (0, 0, 1));
    assert_eq!(held(&simdeck).await, [2 * MANY as i64, 2, 0]);
    simdeck.end();
}

#[tokio::test]
async fn a_store_that_never_accepted_a_push_keeps_old_ones_in_their_ring() {
    let disk = Disk::new();
    let simdeck = start(&disk, Arc::new(TempDir::new().unwrap()), &[]);
    disk.set(Number::ClockAheadS, 9 * DAY_S);
    assert_eq!(simdeck.push("data-usage", pushes(now_s(), 0, 3)).await, (0, 0, 3));
    assert_eq!(held(&simdeck).await, [0, 3, 0]);
    simdeck.end();
}
