//! A source that fills its share of a ring loses only what is its own.
use serde_json::{Value, json};

use super::retract::{FORGER, SIM, TRUE_SENDER};
use crate::server::{Simdeck, now_s, proof, usage};

const DAY_S: i64 = 24 * 60 * 60;
/// What one source may have in a ring.
const SHARE: usize = 2_500;

/// Old pushes in one body, each unlike all others.
fn flood(second: i64, pushes: usize) -> String {
    let of = |nth| format!(r#"{{{},"giccid":"{SIM}","n":{nth}}}"#, proof(second));
    format!("[{}]", (0..pushes).map(of).collect::<Vec<_>>().join(","))
}

async fn from(simdeck: &Simdeck, source: &str, body: String) -> Value {
    let answer = simdeck.post_with("data-usage", body, &[("X-Forwarded-For", source)]).await;
    assert_eq!(answer.status, 200);
    answer.json()
}

#[tokio::test]
async fn a_source_that_fills_its_share_loses_its_part_of_a_push_that_another_one_sent_too() {
    let simdeck = Simdeck::start(&[]);
    let second = now_s() - 8 * DAY_S;
    let of_both = format!("{{{},{}}}", proof(second), usage(SIM));
    let senders = [FORGER, FORGER, TRUE_SENDER, FORGER, TRUE_SENDER, "192.0.2.77"];
    simdeck.send_from_each(&of_both, &senders).await;
    assert_eq!(simdeck.held(1).await[0]["count"], 6);
    from(&simdeck, FORGER, flood(second - 5, SHARE)).await;
    let mine = simdeck.rows(&format!("/v1/held?source={TRUE_SENDER}")).await;
    assert_eq!(mine.len(), 1);
    let counts = [mine[0]["count"].clone(), json!(simdeck.held_from(FORGER).await)];
    assert_eq!(counts, [json!(3), json!(SHARE)]);
    let stale = simdeck.get("/v1/status").await["held"]["stale"].clone();
    assert_eq!((&stale["pushes"], &stale["dropped"]), (&json!(SHARE + 3), &json!(3)), "{stale}");
    // It is in the share of those who are left, and goes with theirs.
    let simdeck = simdeck.restart(&[]);
    for source in ["192.0.2.77", TRUE_SENDER] {
        from(&simdeck, source, flood(second - 7 - source.len() as i64, SHARE)).await;
    }
    let stale = simdeck.get("/v1/status").await["held"]["stale"].clone();
    assert_eq!((&stale["pushes"], &stale["dropped"]), (&json!(3 * SHARE), &json!(6)), "{stale}");
    simdeck.end();
}

#[tokio::test]
async fn what_one_source_sent_of_a_held_push_goes_with_its_count() {
    let simdeck = Simdeck::start(&[]);
    let body = format!("{{{},{}}}", proof(now_s() - 8 * DAY_S), usage(SIM));
    let mut senders = vec![FORGER; 5];
    senders.extend([TRUE_SENDER; 2]);
    let many: Vec<String> = (0..20).map(|nth| format!("192.0.2.{nth}")).collect();
    senders.extend(many.iter().map(String::as_str));
    senders.extend(many.iter().map(String::as_str));
    simdeck.send_from_each(&body, &senders).await;
    assert_eq!(simdeck.held(1).await[0]["count"], 47);
    for (source, left) in [(TRUE_SENDER, 45), (FORGER, 40), ("192.0.2.3", 38)] {
        simdeck.decide(&format!("/v1/held/discard?source={source}"), "").await;
        assert_eq!(simdeck.held(1).await[0]["count"], left, "{source}");
    }
    simdeck.end();
}
