//! What lies aside has all of the sources that sent it, as records have.
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::retract::{FORGER, SIM, TRUE_SENDER};
use crate::server::{Simdeck, now_s, proof, signature, usage};

const DAY_S: i64 = 24 * 60 * 60;

impl Simdeck {
    /// Pushes the very same from each of these.
    pub(super) async fn send_from_each(&self, body: &str, sources: &[&str]) {
        for source in sources {
            let from = [("X-Forwarded-For", *source)];
            self.post_with("data-usage", body.to_owned(), &from).await;
        }
    }

    pub(super) async fn decide(&self, path: &str, body: &str) -> Value {
        let (status, answer) = self.send_json(Method::POST, path, body).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// So many held pushes, once each of them has come so often: refused ones are written a few at a time.
    async fn held_often(&self, how_many: usize, times: i64) -> Vec<Value> {
        let began = Instant::now();
        loop {
            let held = self.held(how_many).await;
            if held.iter().all(|row| row["count"] == times) {
                return held;
            }
            assert!(began.elapsed() < Duration::from_secs(30), "{held:?}");
        }
    }

    pub(super) async fn held_from(&self, source: &str) -> usize {
        self.rows(&format!("/v1/held?source={source}")).await.len()
    }

    pub(super) async fn retract_from(&self, second: i64, source: &str) -> Value {
        let question = json!({"datePush": second, "source": source});
        self.decide("/v1/retract", &question.to_string()).await
    }
}

/// One body for each class of held pushes.
fn one_of_each(second: i64) -> [String; 3] {
    let wrong = signature("another-key-of-some-length", second);
    [
        format!(r#"{{{},"giccid":"1"}}"#, proof(second)),
        format!("{{{},{}}}", proof(second - 8 * DAY_S), usage(SIM)),
        format!(r#"{{"datePush":{second},"signature":"{wrong}",{}}}"#, usage(SIM)),
    ]
}

#[tokio::test]
async fn discarding_what_one_source_sent_leaves_what_another_one_sent_too() {
    let simdeck = Simdeck::start(&[]);
    for body in one_of_each(now_s()) {
        simdeck.send_from_each(&body, &[FORGER, TRUE_SENDER, FORGER]).await;
    }
    let held = simdeck.held_often(3, 3).await;
    for row in &held {
        let sources = (&row["source"], &row["other_sources"]);
        assert_eq!(sources, (&json!(FORGER), &json!([TRUE_SENDER])), "{row}");
    }
    let told = simdeck.decide(&format!("/v1/held/discard?source={FORGER}"), "").await;
    assert_eq!((&told["matched"], &told["discarded"]), (&json!(3), &json!(0)), "{told}");
    let simdeck = simdeck.restart(&[]);
    assert_eq!([simdeck.held_from(FORGER).await, simdeck.held_from(TRUE_SENDER).await], [0, 3]);
    let told = simdeck.decide(&format!("/v1/held/discard?source={TRUE_SENDER}"), "").await;
    assert_eq!((&told["matched"], &told["discarded"]), (&json!(3), &json!(3)), "{told}");
    simdeck.held(0).await;
    simdeck.end();
}

#[tokio::test]
async fn a_record_that_is_read_from_what_two_sent_stays_when_one_of_them_is_retracted() {
    let simdeck = Simdeck::start(&[]);
    let second = now_s() - 8 * DAY_S;
    let body = format!("{{{},{}}}", proof(second), usage(SIM));
    simdeck.send_from_each(&body, &[FORGER, TRUE_SENDER]).await;
    let id = simdeck.held(1).await[0]["id"].clone();
    let told = simdeck.decide(&format!("/v1/held/{id}/retry"), "").await;
    assert_eq!(told, json!({"stored": 1, "duplicates": 0, "quarantined": 0}));
    simdeck.held(0).await;
    assert_eq!(simdeck.retract_from(second, FORGER).await["kept"], 1);
    assert_eq!(simdeck.rows("/v1/data-usage").await.len(), 1);
    let status = &simdeck.get("/v1/status").await["pushes"]["data-usage"];
    assert_eq!(status["records"], 1, "{status}");
    assert_eq!(simdeck.retract_from(second, TRUE_SENDER).await["data_usage"], 1);
    assert_eq!(simdeck.rows("/v1/data-usage").await.len(), 0);
    let status = &simdeck.get("/v1/status").await["pushes"]["data-usage"];
    assert_eq!((&status["records"], &status["data_usage"]), (&json!(0), &json!(0)), "{status}");
    simdeck.end();
}

#[tokio::test]
async fn what_a_retracted_source_sent_stays_aside_and_what_another_one_sent_is_stored() {
    let simdeck = Simdeck::start(&[]);
    let second = now_s() - 8 * DAY_S;
    let body = format!("{{{},{}}}", proof(second), usage(SIM));
    simdeck.send_from_each(&body, &[FORGER, TRUE_SENDER]).await;
    simdeck.retract_from(second, FORGER).await;
    let told = simdeck.decide("/v1/held/retry?class=stale", "").await;
    assert_eq!((&told["stored"], &told["quarantined"]), (&json!(1), &json!(1)), "{told}");
    let left = simdeck.held(1).await;
    let sources = (&left[0]["source"], &left[0]["other_sources"]);
    assert_eq!(sources, (&json!(FORGER), &json!([])), "{left:?}");
    assert_eq!(left[0]["reason"], "date_retracted");
    simdeck.end();
}

#[tokio::test]
async fn what_two_sources_sent_is_stored_by_a_second_retry_where_both_are_retracted() {
    let simdeck = Simdeck::start(&[]);
    let second = now_s() - 8 * DAY_S;
    let body = format!("{{{},{}}}", proof(second), usage(SIM));
    simdeck.send_from_each(&body, &[FORGER, TRUE_SENDER]).await;
    for source in [FORGER, TRUE_SENDER] {
        simdeck.retract_from(second, source).await;
    }
    // Only who names the reason has decided of it.
    for (stored, reason) in [(0, "date_old"), (1, "date_retracted")] {
        assert_eq!(simdeck.held(1).await[0]["reason"], reason);
        let told = simdeck.decide(&format!("/v1/held/retry?reason={reason}"), "").await;
        assert_eq!(told["stored"], stored, "{told}");
    }
    simdeck.held(0).await;
    simdeck.end();
}

#[tokio::test]
async fn of_many_sources_of_a_held_push_few_are_kept_and_the_push_stays() {
    let simdeck = Simdeck::start(&[]);
    let [body, ..] = one_of_each(now_s());
    let sources: Vec<String> = (0..40).map(|nth| format!("192.0.2.{nth}")).collect();
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    simdeck.send_from_each(&body, &sources).await;
    let held = simdeck.held(1).await;
    let others = held[0]["other_sources"].as_array().unwrap();
    assert_eq!((others.len(), &others[0]), (17, &Value::Null), "{held:?}");
    let all = sources.join(",");
    let told = simdeck.decide(&format!("/v1/held/discard?source={all}"), "").await;
    assert_eq!(told["discarded"], 0, "{told}");
    let told = simdeck.decide("/v1/held/discard?class=quarantined", "").await;
    assert_eq!(told["discarded"], 1, "{told}");
    simdeck.end();
}

/// A record that can be read and one that cannot, six minutes ahead: all of it lies aside.
fn ahead(with: &str) -> String {
    let bad = format!(r#"{{"giccid":"1","x":"{}"}}"#, "x".repeat(600_000));
    format!(r#"{{{},"by":"{with}","cdrs":[{{{}}},{bad}]}}"#, proof(now_s() + 360), usage(SIM))
}

#[tokio::test]
async fn what_a_retry_has_no_room_for_stays_as_it_is_for_all_that_sent_it() {
    let simdeck = Simdeck::start(&[("SIMDECK_QUARANTINE_MAX", "1MiB")]);
    let second = now_s() - 8 * DAY_S;
    let bad = format!(r#"{{"giccid":"1","x":"{}"}}"#, "x".repeat(600_000));
    let old = format!(r#"{{{},"cdrs":[{{{}}},{bad}]}}"#, proof(second), usage(SIM));
    simdeck.send_from_each(&old, &[FORGER, TRUE_SENDER]).await;
    let before = simdeck.rows("/v1/held").await;
    simdeck.retract_from(second, FORGER).await;
    let filler = format!(r#"{{{},"giccid":"2","x":"{}"}}"#, proof(now_s()), "y".repeat(600_000));
    simdeck.send_from_each(&filler, &[TRUE_SENDER]).await;
    for path in ["/v1/held/retry?class=stale", "/v1/held/1/retry"] {
        let (status, problem) = simdeck.ask(Method::POST, path).await;
        let detail = problem["detail"].as_str().unwrap();
        assert!(status == 503 && detail.contains("SIMDECK_QUARANTINE_MAX"), "{path}: {detail}");
        let ids = |rows: &[Value]| rows.iter().map(|row| row["id"].clone()).collect::<Vec<_>>();
        let after = simdeck.rows("/v1/held?class=stale").await;
        assert_eq!(ids(&after), ids(&before), "{path}");
        for name in ["reason", "source", "other_sources", "count"] {
            assert_eq!(after[0][name], before[0][name], "{path}: {name}");
        }
        assert_eq!(simdeck.rows("/v1/data-usage").await.len(), 0);
    }
    simdeck.decide("/v1/held/discard?class=quarantined", "").await;
    let told = simdeck.decide("/v1/held/retry?reason=date_old", "").await;
    let counts = json!([told["stored"], told["duplicates"], told["quarantined"]]);
    assert_eq!(counts, json!([1, 0, 1]), "{told}");
    let left = simdeck.rows("/v1/held?reason=date_retracted").await;
    assert_eq!((left.len(), &left[0]["source"]), (1, &json!(FORGER)), "{left:?}");
    simdeck.end();
}

#[tokio::test]
async fn of_many_that_are_retried_what_was_stored_before_one_had_no_room_is_said() {
    let full = [("SIMDECK_QUARANTINE_MAX", "1MiB"), ("SIMDECK_PUSH_KEY", "another-key-of-length")];
    let simdeck = Simdeck::start(&full);
    let large = |with: char| format!(r#""giccid":"1","x":"{}""#, with.to_string().repeat(600_000));
    let push = |members: &str| format!("{{{},{members}}}", proof(now_s()));
    simdeck.send_from_each(&push(&usage(SIM)), &[TRUE_SENDER]).await;
    simdeck.held(1).await;
    simdeck.send_from_each(&push(&large('a')), &[TRUE_SENDER]).await;
    simdeck.held(2).await;
    let simdeck = simdeck.restart(&full[..1]);
    assert_eq!(simdeck.push("data-usage", push(&large('b'))).await, (0, 0, 1));
    let (status, problem) = simdeck.ask(Method::POST, "/v1/held/retry?class=refused").await;
    let detail = problem["detail"].as_str().unwrap();
    let said = "So far: 1 stored, 0 duplicates, 0 quarantined. Quarantine has no room";
    assert!(status == 503 && detail.starts_with(said), "{status}: {detail}");
    assert_eq!(simdeck.rows("/v1/data-usage").await.len(), 1);
    simdeck.end();
}

#[tokio::test]
async fn what_was_there_before_a_retry_is_one_repeat_whoever_sent_it() {
    let simdeck = Simdeck::start(&[]);
    let second = now_s() - 8 * DAY_S;
    let at = |second| format!("{{{},{}}}", proof(second), usage(SIM));
    let of_three = ["192.0.2.77", TRUE_SENDER, FORGER];
    simdeck.push("data-usage", at(now_s())).await;
    for (retracted, quarantined) in [(None, 0), (Some(FORGER), 1), (Some("192.0.2.77"), 1)] {
        let second = second - i64::from(quarantined) - i64::from(retracted == Some(FORGER));
        simdeck.send_from_each(&at(second), &of_three).await;
        if let Some(source) = retracted {
            simdeck.retract_from(second, source).await;
        }
        let told = simdeck.decide("/v1/held/retry?reason=date_old", "").await;
        let counts = json!([told["stored"], told["duplicates"], told["quarantined"]]);
        assert_eq!(counts, json!([0, 1, quarantined]), "{retracted:?}: {told}");
    }
    simdeck.end();
}

#[tokio::test]
async fn a_source_that_is_not_known_has_no_address_and_the_table_has_the_others() {
    let simdeck = Simdeck::start(&[]);
    let sources: Vec<String> = (0..40).map(|nth| format!("192.0.2.{nth}")).collect();
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    simdeck.send_from_each(&ahead("many"), &sources).await;
    let told = simdeck.decide("/v1/held/retry?reason=date_ahead", "").await;
    let counts = json!([told["stored"], told["duplicates"], told["quarantined"]]);
    assert_eq!(counts, json!([1, 0, 1]), "{told}");
    let held = simdeck.held(1).await.remove(0);
    let others = held["other_sources"].as_array().unwrap();
    let unknown = others.iter().filter(|source| source.is_null()).count();
    assert_eq!((&held["source"], unknown), (&json!("192.0.2.0"), 1), "{held}");
    let is_text = |it: &Value| it.is_null() || it.as_str().unwrap().starts_with("192.0.2.");
    assert!(others.iter().all(is_text), "{held}");
    // Whoever is named goes; the one that nobody can name stays, without an address.
    simdeck.decide(&format!("/v1/held/discard?source={}", sources.join(",")), "").await;
    let left = simdeck.held(1).await.remove(0);
    assert_eq!((&left["source"], &left["other_sources"]), (&Value::Null, &json!([])), "{left}");

    let body = one_of_each(now_s())[0].clone();
    simdeck.send_from_each(&body, &[FORGER, TRUE_SENDER]).await;
    let (_, table) = simdeck.ask_text(Method::GET, "/v1/held?format=csv").await;
    let row = table.lines().find(|line| line.contains(FORGER)).unwrap();
    assert!(table.starts_with("id,class,reason,field,kind,source,other_sources,"), "{table}");
    assert!(row.contains(&format!(r#",{FORGER},"[""{TRUE_SENDER}""]","#)), "{row}");
    simdeck.end();
}
