//! What is decided of held pushes by their reason is not of what another sender's push is held for.
use reqwest::Method;
use serde_json::{Value, json};

use super::retract::{FORGER, SIM, TRUE_SENDER};
use crate::server::{Simdeck, now_s, proof, usage};

const DAY_S: i64 = 24 * 60 * 60;

/// The same body from a source of which the second was retracted before, and from another.
async fn forged_and_true(forged_first: bool) -> (Simdeck, i64) {
    let simdeck = Simdeck::start(&[]);
    let second = now_s() - 8 * DAY_S;
    let forged = json!({"datePush": second, "source": FORGER, "force": true});
    simdeck.decide("/v1/retract", &forged.to_string()).await;
    let body = format!("{{{},{}}}", proof(second), usage(SIM));
    let mut senders = [FORGER, TRUE_SENDER, TRUE_SENDER];
    if !forged_first {
        senders.reverse();
    }
    simdeck.send_from_each(&body, &senders).await;
    (simdeck, second)
}

fn told(rows: &[Value]) -> Vec<(&str, &str, i64)> {
    let text = |value: &Value| -> &'static str {
        match value.as_str().unwrap() {
            FORGER => FORGER,
            TRUE_SENDER => TRUE_SENDER,
            "date_old" => "date_old",
            "date_retracted" => "date_retracted",
            other => panic!("{other}"),
        }
    };
    let mut told: Vec<_> = rows
        .iter()
        .map(|row| (text(&row["source"]), text(&row["reason"]), row["count"].as_i64().unwrap()))
        .collect();
    told.sort_unstable();
    told
}

#[tokio::test]
async fn what_is_thrown_away_as_retracted_leaves_what_another_sender_is_held_for_as_old() {
    for forged_first in [true, false] {
        let (simdeck, _) = forged_and_true(forged_first).await;
        let mut both = [(FORGER, "date_retracted", 1), (TRUE_SENDER, "date_old", 2)];
        both.sort_unstable();
        assert_eq!(told(&simdeck.held(2).await), both);
        // The true one is found by its own reason.
        let (_, tried) =
            simdeck.ask(Method::POST, "/v1/held/retry?reason=date_old&dry_run=true").await;
        assert_eq!(tried["matched"], 1, "{tried}");
        let gone = simdeck.decide("/v1/held/discard?reason=date_retracted", "").await;
        assert_eq!(gone["discarded"], 1, "{gone}");
        assert_eq!(told(&simdeck.held(1).await), [(TRUE_SENDER, "date_old", 2)]);
        let stored = simdeck.decide("/v1/held/retry?reason=date_old", "").await;
        assert_eq!(stored["stored"], 1, "{stored}");
        simdeck.held(0).await;
        simdeck.end();
    }
}

#[tokio::test]
async fn a_retry_under_which_a_push_is_retracted_joins_what_is_held_for_that_already() {
    let (simdeck, second) = forged_and_true(true).await;
    simdeck.retract_from(second, TRUE_SENDER).await;
    let tried = simdeck.decide("/v1/held/retry?reason=date_old", "").await;
    assert_eq!((&tried["stored"], &tried["quarantined"]), (&json!(0), &json!(1)), "{tried}");
    let rows = simdeck.held(1).await;
    let row = (&rows[0]["reason"], &rows[0]["source"], &rows[0]["other_sources"]);
    assert_eq!(row, (&json!("date_retracted"), &json!(FORGER), &json!([TRUE_SENDER])));
    simdeck.end();
}

#[tokio::test]
async fn an_erasure_that_makes_two_held_bodies_the_same_joins_them_only_for_the_same_reason() {
    let (simdeck, second) = forged_and_true(true).await;
    // Another SIM beside it, which is erased: what is left of each is what is held already.
    const GONE: &str = "8944501503181377000";
    let one = format!(r#"{{{},"cdrs":[{{{}}},{{{}}}]}}"#, proof(second), usage(SIM), usage(GONE));
    simdeck.send_from_each(&one, &[FORGER, TRUE_SENDER]).await;
    simdeck.held(4).await;
    let before = simdeck.rows("/v1/held").await;
    let (status, erased) = simdeck
        .send_json(Method::POST, "/v1/erase", &format!(r#"{{"giccid":"{GONE}","force":true}}"#))
        .await;
    assert_eq!(status, 200, "{erased}");
    let after = simdeck.rows("/v1/held").await;
    let reasons = |rows: &[Value]| {
        let mut reasons: Vec<_> =
            rows.iter().map(|row| (row["reason"].to_string(), row["source"].to_string())).collect();
        reasons.sort();
        reasons
    };
    assert_eq!(reasons(&after), reasons(&before));
    simdeck.end();
}
