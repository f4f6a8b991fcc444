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
    let header = [("X-Forwarded-For", source)];
    for _ in 0..5 {
        let answer = simdeck.post_with("data-usage", body.clone(), &header).await;
        if answer.status != 503 {
            assert_eq!(answer.status, 200);
            return answer.json();
        }
    }
    panic!("a slow machine has to be asked again, but not so often");
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
    assert_eq!(mine[0]["count"], 3);
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
    let many: Vec<String> = (0..20).map(|nth| format!("198.51.100.{nth}")).collect();
    senders.extend(many.iter().map(String::as_str));
    senders.extend(many.iter().map(String::as_str));
    simdeck.send_from_each(&body, &senders).await;
    assert_eq!(simdeck.held(1).await[0]["count"], 47);
    for (source, left) in [(TRUE_SENDER, 45), (FORGER, 40), ("198.51.100.3", 38)] {
        simdeck.decide(&format!("/v1/held/discard?source={source}"), "").await;
        assert_eq!(simdeck.held(1).await[0]["count"], left, "{source}");
    }
    simdeck.end();
}

#[tokio::test]
async fn an_authentic_body_that_is_larger_than_a_share_lies_in_quarantine_or_is_not_acknowledged() {
    let variables = [("SIMDECK_PUBLIC_MAX_BODY", "40MiB"), ("SIMDECK_QUARANTINE_MAX", "30MiB")];
    let simdeck = Simdeck::start(&variables);
    let second = now_s() - 8 * DAY_S;
    let forged = json!({"datePush": second - 1, "source": FORGER, "force": true});
    simdeck.decide("/v1/retract", &forged.to_string()).await;
    let large = |second: i64, mib: usize| {
        let filler = "x".repeat(mib << 20);
        format!(r#"{{{},"filler":"{filler}",{}}}"#, proof(second), usage(SIM))
    };
    assert_eq!(from(&simdeck, TRUE_SENDER, large(second, 15)).await["quarantined"], 1);
    assert_eq!(from(&simdeck, TRUE_SENDER, large(second, 17)).await["quarantined"], 1);
    let told = |rows: Vec<Value>| -> Vec<(String, String)> {
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        rows.iter().map(|row| (word(&row["class"]), word(&row["reason"]))).collect()
    };
    let pair = |class: &str, reason: &str| (class.to_owned(), reason.to_owned());
    let mut held = told(simdeck.held(2).await);
    held.sort();
    assert_eq!(held, [pair("quarantined", "date_old"), pair("stale", "date_old")]);
    // There is no room for another one, of whatever reason.
    for (source, second) in [(TRUE_SENDER, second - 2), (FORGER, second - 1)] {
        let header = [("X-Forwarded-For", source)];
        let answer = simdeck.post_with("data-usage", large(second, 17), &header).await;
        assert_eq!(answer.status, 503, "{source}");
    }
    simdeck.decide("/v1/held/discard?class=quarantined", "").await;
    assert_eq!(from(&simdeck, FORGER, large(second - 1, 17)).await["quarantined"], 1);
    let mut held = told(simdeck.held(2).await);
    held.sort();
    assert_eq!(held, [pair("quarantined", "date_retracted"), pair("stale", "date_old")]);
    let status = simdeck.get("/v1/status").await;
    assert_eq!(status["held"]["stale"]["dropped"], 0, "{}", status["held"]);
    simdeck.end();
}
