//! Old pushes that are sent again look like a clock that is ahead, until a new push tells them apart.
use std::sync::Arc;

use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;

use super::{
    Disk, Number,
    retention_clock::{prune, signed_at, start},
};
use crate::{
    conditions::on,
    server::{Simdeck, run},
};

const DAYS: i64 = 86_400;
/// Longer than a push that agrees with the clock outweighs those that do not.
const LATER_S: i64 = 11 * 60;

async fn is_told(simdeck: &Simdeck) -> bool {
    !on(&simdeck.get("/v1/status").await, "clock_wrong").is_empty()
}

/// A notification that was pushed so many seconds from now; whether it is told then that the clock is
/// wrong.
async fn told_after(simdeck: &Simdeck, nth: i64, ahead_s: i64, is_new: bool) -> bool {
    let body = signed_at(ahead_s, &format!(r#""nth":{nth}"#));
    let stored = simdeck.push("sim-status", body).await.0;
    assert_eq!(stored == 1, is_new, "{nth}");
    is_told(simdeck).await
}

#[tokio::test]
async fn a_new_store_that_is_fed_old_pushes_first_has_a_wrong_clock_only_until_a_new_one_comes() {
    let disk = Disk::new();
    let simdeck = start(&disk, Arc::new(TempDir::new().unwrap()), &[]);
    assert!(told_after(&simdeck, 1, -20 * DAYS, false).await, "nobody knows better yet");
    let [told] = on(&simdeck.get("/v1/status").await, "clock_wrong").try_into().unwrap();
    assert!(told["todo"].as_str().unwrap().contains("ends with the next new one"), "{told}");
    assert!(!told_after(&simdeck, 2, 0, true).await, "the next new one");
    // More of the old ones come beside the new ones.
    assert!(!told_after(&simdeck, 3, 100 - 20 * DAYS, false).await);
    assert!(!told_after(&simdeck, 4, 0, true).await);
    assert!(!told_after(&simdeck, 5, 900 - 20 * DAYS, false).await);
    // Retention waits for a day all the same, and no person may vouch for the clock meanwhile.
    assert!(prune(&simdeck, "").await["counted_from"].is_string());
    assert_eq!(simdeck.ask(Method::POST, "/v1/prune?by_clock=true").await.0, 409);
    let (folder, public, internal) =
        (simdeck.folder(), simdeck.public().to_owned(), simdeck.internal().to_owned());
    simdeck.end();
    let doctor = run(folder.path(), &public, &internal, &["doctor", "--output", "json"]);
    let found: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let clock =
        found["findings"].as_array().unwrap().iter().find(|finding| finding["check"] == "clock");
    assert_eq!(clock.unwrap()["state"], "ok", "{found}");
    let simdeck = start(&disk, folder, &[]);
    assert!(!is_told(&simdeck).await, "after a restart");
    // Where only old ones come from then on, the clock may have gone wrong meanwhile.
    disk.set(Number::ClockAheadS, LATER_S);
    assert!(told_after(&simdeck, 6, 2_000 - 20 * DAYS, false).await);
    assert!(!told_after(&simdeck, 7, LATER_S, true).await);
    simdeck.end();
}

#[tokio::test]
async fn a_push_that_a_wrong_clock_has_signed_silences_it_for_minutes_and_prunes_nothing() {
    let disk = Disk::new();
    let simdeck = start(&disk, Arc::new(TempDir::new().unwrap()), &[]);
    assert!(!told_after(&simdeck, 1, 0, true).await);
    disk.set(Number::ClockAheadS, 500 * DAYS);
    assert!(told_after(&simdeck, 2, 1, false).await);
    assert!(!told_after(&simdeck, 3, 500 * DAYS, true).await, "signed by that clock itself");
    assert_eq!(prune(&simdeck, "").await["notifications"], 0);
    assert_eq!(simdeck.ask(Method::POST, "/v1/prune?by_clock=true").await.0, 409);
    disk.set(Number::ClockAheadS, 500 * DAYS + LATER_S);
    assert!(told_after(&simdeck, 4, 2, false).await, "the next true one");
    assert_eq!(prune(&simdeck, "").await["notifications"], 0);
    // Put right, nothing is left of it.
    disk.set(Number::ClockAheadS, 0);
    assert!(!is_told(&simdeck).await);
    assert!(!told_after(&simdeck, 5, 3, true).await);
    simdeck.end();
}
