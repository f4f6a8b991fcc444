//! The machine's clock is set forward and back while pushes come in.
use std::sync::Arc;

use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;

use super::{Disk, Number};
use crate::{
    server::{Simdeck, now_s, signed},
    trials::{tell, trials},
};

/// How often each step is taken; the long run sets `SIMDECK_TEST_CLOCK`.
const ROUNDS: usize = 1;

const DAY_S: i64 = 86_400;
const STEPS_S: [i64; 8] = [1, 60, 299, 3_600, 6 * DAY_S, 30 * DAY_S, 365 * DAY_S, 3_652 * DAY_S];

/// What the server's clock, so many seconds ahead, makes of a push of now: older than 7 days or
/// more than 5 minutes ahead, it waits for a person.
fn judged(ahead_s: i64) -> (u64, u64, u64) {
    // The seconds that the push takes.
    let is_near = (-300..7 * DAY_S - 60).contains(&ahead_s);
    if is_near { (1, 0, 0) } else { (0, 0, 1) }
}

/// A record of an hour ago that is not any other.
fn fresh(number: &mut i64) -> String {
    *number += 1;
    let (sim, start_ms) = (*number % 97, (now_s() - 3_600) * 1_000 + *number);
    signed(&format!(r#""giccid":"89860012345678{sim:06}","data_usage":1,"start_time":{start_ms}"#))
}

async fn must_answer(simdeck: &Simdeck) {
    for path in ["/readyz", "/v1/status", "/v1/summary", "/v1/pushes", "/metrics"] {
        let (status, answer) = simdeck.ask(Method::GET, path).await;
        assert_eq!(status, 200, "{path}: {answer}");
    }
}

/// Takes every step forward and back, with and without a restart; gives how many.
async fn steps(
    simdeck: &mut Option<Simdeck>,
    disk: &Disk,
    variables: &[(&str, &str)],
    number: &mut i64,
) -> usize {
    let mut count = 0;
    for (nth, step_s) in STEPS_S.iter().flat_map(|step| [*step, -*step]).enumerate() {
        disk.set(Number::ClockAheadS, step_s);
        let mut server = simdeck.take().unwrap();
        if nth % 4 == 1 {
            server = server.restart(variables);
        }
        for _ in 0..3 {
            let pushed = server.push("data-usage", fresh(number)).await;
            assert_eq!(pushed, judged(step_s), "{step_s} s ahead");
        }
        must_answer(&server).await;
        disk.set(Number::ClockAheadS, 0);
        assert_eq!(server.push("data-usage", fresh(number)).await, (1, 0, 0), "after {step_s} s");
        *simdeck = Some(server);
        count += 2;
    }
    count
}

/// Reads all that waits for a person, as a person would have it read again.
async fn retry_all(simdeck: &Simdeck) {
    let held = simdeck.rows("/v1/held").await;
    assert!(!held.is_empty(), "no push was ever too old: the clock did not step");
    for row in held {
        let retry = format!("/v1/held/{}/retry", row["id"]);
        let (status, answer) = simdeck.ask(Method::POST, &retry).await;
        assert_eq!((status, &answer["stored"]), (200, &json!(1)), "{answer}");
    }
}

#[tokio::test]
async fn a_clock_that_is_set_by_a_second_or_ten_years_loses_nothing() {
    let (disk, folder) = (Disk::new(), Arc::new(TempDir::new().unwrap()));
    let environment = disk.environment(&folder.path().join("data"));
    let mut variables: Vec<_> =
        environment.iter().map(|(name, value)| (*name, value.to_str().unwrap())).collect();
    variables.push(("SIMDECK_PUSH_MAX_AGE", "7d"));
    let mut simdeck = Some(Simdeck::start_in(folder, &variables));
    let (mut number, mut count) = (0, 0);
    for _ in 0..trials("SIMDECK_TEST_CLOCK", ROUNDS) {
        count += steps(&mut simdeck, &disk, &variables, &mut number).await;
        retry_all(simdeck.as_ref().unwrap()).await;
    }
    let simdeck = simdeck.unwrap();
    let status = simdeck.get("/v1/status").await;
    assert_eq!(status["pushes"]["data-usage"]["records"], number);
    let log = simdeck.end();
    assert!(!log.contains("panicked"), "{log}");
    tell(&format!("steps of the clock by 1 s to 10 years: {count} trials, 0 failures"));
}
