//! Whence each record came: what tells the records that somebody attached to a captured signature.
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Simdeck, now_s, proof};

const SIM: &str = "8944501503181377993";
const TRUE_SENDER: &str = "192.0.2.1";
const FORGER: &str = "2001:db8::7";
const KINDS: [&str; 3] = ["data-usage", "mo-sms", "sim-status"];

fn list_of(kind: &str) -> &str {
    if kind == "sim-status" { "notifications" } else { kind }
}

/// Three records of one kind, no two alike.
fn records(from: i64) -> String {
    let record = |nth: i64| {
        let ms = 1_713_888_842_000 + nth;
        format!(r#"{{"giccid":"{SIM}","data_usage":7,"start_time":{ms},"event_time":{ms}}}"#)
    };
    format!("[{},{},{}]", record(from), record(from + 1), record(from + 2))
}

impl Simdeck {
    async fn push_from(&self, source: &str, kind: &str, second: i64, from: i64) -> u64 {
        let body = format!(r#"{{{},"records":{}}}"#, proof(second), records(from));
        let answer = self.post_with(kind, body, &[("X-Forwarded-For", source)]).await;
        assert_eq!(answer.status, 200);
        answer.json()["stored"].as_u64().unwrap()
    }
}

fn ids(rows: &[Value]) -> Vec<i64> {
    rows.iter().map(|row| row["id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn records_under_a_captured_signature_are_told_by_their_push_and_source() {
    let simdeck = Simdeck::start(&[]);
    let second = now_s();
    for kind in KINDS {
        assert_eq!(simdeck.push_from(TRUE_SENDER, kind, second, 0).await, 3);
        assert_eq!(simdeck.push_from(FORGER, kind, second, 1).await, 1, "two are repeats");
        assert_eq!(simdeck.push_from(FORGER, kind, second, 1).await, 0);
        assert_eq!(simdeck.push_from(TRUE_SENDER, kind, second - 1, 10).await, 3);
    }
    for kind in KINDS {
        let list = list_of(kind);
        let path = |query: String| format!("/v1/{list}?{query}");
        let all = simdeck.rows(&path("from=0".to_owned())).await;
        assert_eq!(all.len(), 7, "{list}");
        let under = simdeck.rows(&path(format!("datePush={second}"))).await;
        assert_eq!(ids(&under), ids(&all[..4]), "{list}: the four under the captured second");
        let sources: Vec<&Value> = under.iter().map(|row| &row["source"]).collect();
        assert_eq!(json!(sources), json!([TRUE_SENDER, TRUE_SENDER, TRUE_SENDER, FORGER]));
        let in_words = under[0]["datePush"].as_str().unwrap();
        for same in [format!("{second}000"), in_words.to_owned()] {
            assert_eq!(simdeck.rows(&path(format!("datePush={same}"))).await, under, "{same}");
        }
        for (row, of_push) in [(&under[0], &under[..3]), (&under[3], &under[3..])] {
            let push = &row["push_id"];
            assert_eq!(simdeck.rows(&path(format!("push_id={push}"))).await, of_push, "{list}");
            let neither = path(format!("push_id={push}&datePush={}", second - 1));
            assert!(simdeck.rows(&neither).await.is_empty(), "{list}");
        }
        let both = path(format!("push_id={},{}", under[0]["push_id"], under[3]["push_id"]));
        assert_eq!(simdeck.rows(&both).await, under, "{list}");
        let of_other_second = simdeck.rows(&path(format!("datePush={}", second - 1))).await;
        assert_eq!(ids(&of_other_second), ids(&all[4..]), "{list}");
        let csv = path(format!("format=csv&datePush={second}"));
        let (_, table) = simdeck.ask_text(Method::GET, &csv).await;
        assert!(table.contains(",push_id,source,") && table.contains(FORGER), "{table}");
    }
    simdeck.end();
}

#[tokio::test]
async fn replays_of_an_old_signature_never_fill_quarantine() {
    let simdeck = Simdeck::start(&[("SIMDECK_QUARANTINE_MAX", "1MiB")]);
    let old = now_s() - 30 * 86_400;
    let pad = "x".repeat(100_000);
    let replay =
        |nth: i64| format!(r#"{{{},"pad":"{pad}","records":{}}}"#, proof(old), records(3 * nth));
    for nth in 0..20 {
        let source = format!("192.0.2.{nth}");
        let from = [("X-Forwarded-For", source.as_str())];
        let answer = simdeck.post_with("data-usage", replay(nth), &from).await;
        assert_eq!(answer.status, 200, "replay {nth}");
        assert_eq!(answer.json()["quarantined"], 1);
    }
    let held = &simdeck.get("/v1/status").await["held"];
    assert_eq!(held["quarantined"], json!({"pushes": 0, "bytes": 0}));
    assert_eq!((&held["stale"]["pushes"], &held["stale"]["dropped"]), (&json!(20), &json!(0)));
    assert!(held["stale"]["bytes"].as_i64().unwrap() > 1 << 20, "{held}");
    assert_eq!(simdeck.get("/v1/summary").await["records"]["stale"], 20, "as the list has them");
    let of_class = "/v1/held?class=stale&reason=date_old";
    let rows = simdeck.rows(of_class).await;
    assert_eq!(rows.len(), 20);
    // What cannot be read still has its place, and what is late is taken in by hand.
    let unreadable = format!(r#"{{{},"giccid":"1"}}"#, proof(now_s()));
    assert_eq!(simdeck.push("data-usage", unreadable).await, (0, 0, 1));
    let (status, answer) =
        simdeck.ask(Method::POST, &format!("/v1/held/{}/retry", rows[0]["id"])).await;
    assert_eq!((status, &answer["stored"]), (200, &json!(3)));
    let held = &simdeck.get("/v1/status").await["held"];
    assert_eq!((&held["stale"]["pushes"], &held["quarantined"]["pushes"]), (&json!(19), &json!(1)));
    let source = &simdeck.rows("/v1/data-usage").await[0]["source"];
    assert_eq!(source, &rows[0]["source"], "a retry keeps whence it came");
    let simdeck = simdeck.restart(&[]);
    let after = &simdeck.get("/v1/status").await["held"];
    assert_eq!(after["stale"], held["stale"]);
    simdeck.end();
}
