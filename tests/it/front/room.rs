//! Room for bodies while they come, and what a body may cost before its signature holds.
use serde_json::{Value, json};
use std::time::{Duration, Instant};

use crate::server::{Simdeck, Wire, counts, now_s, proof, signature, signed, usage};

const SIM: &str = "8944501503181377993";
const MIB: usize = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(20);

/// Begins a push from this source.
async fn begin(simdeck: &Simdeck, source: &str, length: usize) -> Wire {
    let mut wire = simdeck.connect().await;
    wire.send(format!(
        "POST /v1/data-usage HTTP/1.1\r\nhost: x\r\nx-forwarded-for: {source}\r\n\
         content-length: {length}\r\n\r\n"
    ))
    .await;
    wire
}

/// The requests that had to make room, once there are some.
async fn made_room(simdeck: &Simdeck) -> Vec<Value> {
    let began = Instant::now();
    loop {
        let rows = simdeck.rows("/v1/pushes?outcome=unavailable").await;
        if !rows.is_empty() {
            return rows;
        }
        assert!(began.elapsed() < PATIENCE, "nobody made room");
    }
}

#[tokio::test]
async fn bodies_that_are_declared_and_do_not_come_take_no_room() {
    let simdeck = Simdeck::start(&[]);
    let mut silent = Vec::new();
    // More than the places that one source has.
    for _ in 0..520 {
        silent.push(begin(&simdeck, "203.0.113.1", 65_536).await);
    }
    let row = made_room(&simdeck).await.remove(0);
    assert_eq!(row["source"], "203.0.113.1");
    for nth in 0..20 {
        let source = if nth % 2 == 0 { "203.0.113.1" } else { "203.0.113.2" };
        let body = signed(&usage(&format!("89445015031813779{nth:02}")));
        let answer = simdeck.post_with("data-usage", body, &[("X-Forwarded-For", source)]).await;
        assert_eq!(answer.status, 200, "{source}: {}", answer.body);
    }
    drop(silent);
    simdeck.end();
}

#[tokio::test]
async fn the_slowest_body_makes_room_and_that_is_told_like_any_refusal() {
    let simdeck = Simdeck::start(&[]);
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut wire = begin(&simdeck, "203.0.113.1", 4 * MIB).await;
        wire.send(" ".repeat(4 * MIB - 1)).await;
        slow.push(wire);
    }
    // The quarter that one source has is taken, by bodies that stand still now.
    let body = format!("{}{}", signed(&usage(SIM)), " ".repeat(2 * MIB));
    let from = [("X-Forwarded-For", "203.0.113.1")];
    let began = Instant::now();
    let is_slow = |row: &Value| row["bytes"] == 4 * MIB;
    // As long as they might still be quick they stay; then the quick one has room at once.
    while !simdeck.rows("/v1/pushes?outcome=unavailable").await.iter().any(is_slow) {
        simdeck.post_with("data-usage", body.clone(), &from).await;
        assert!(began.elapsed() < PATIENCE, "nobody made room");
    }
    let answer = simdeck.post_with("data-usage", body, &from).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let rows = simdeck.rows("/v1/pushes?outcome=unavailable").await;
    let row = rows.iter().find(|row| is_slow(row)).unwrap();
    let said = json!([row["outcome"], row["reason"], row["source"], row["status"]]);
    assert_eq!(said, json!(["unavailable", "no_room", "203.0.113.1", 503]));
    let (head, _) = slow[0].answer().await;
    assert!(head.contains(" 503 ") && head.contains("connection: close"), "{head}");
    assert!(head.contains("retry-after: "), "{head}");

    let status = simdeck.get("/v1/status").await;
    let conditions = status["conditions"].as_array().unwrap();
    let told = conditions.iter().find(|it| it["name"] == "no_room").unwrap();
    assert!(told["sentence"].as_str().unwrap_or_default().contains("203.0.113.1"), "{told}");
    let (_, metrics) = simdeck.ask_text(reqwest::Method::GET, "/metrics").await;
    let counted = metrics.lines().find(|line| line.contains(r#"reason="no_room""#)).unwrap();
    assert!(!counted.ends_with(" 0"), "{counted}");
    drop(slow);
    let log = simdeck.end();
    assert!(log.contains("had to make room"), "{log}");
}

#[tokio::test]
async fn a_large_body_is_judged_as_a_small_one() {
    let simdeck = Simdeck::start(&[]);
    let now = now_s();
    let space = " ".repeat(70_000);
    let foreign = format!(r#""datePush":{now},"signature":"{}""#, signature("other", now));
    let good = signed(&usage(SIM));
    let cases = [
        (format!("{{{foreign}{space}}}"), 401, "signature_wrong"),
        (format!(r#"{{"datePush":{now}{space}}}"#), 401, "signature_missing"),
        (format!(r#"{{{},"date\u0050ush":{now}{space}}}"#, proof(now)), 401, "date_unreadable"),
        (format!("[{good},{{}}{space}]"), 401, "signature_missing"),
        (format!("[{good},1{space}]"), 400, "not_json"),
        (format!("{good}{space}}}"), 400, "not_json"),
        (format!("[0{}]", ",0".repeat(40_000)), 400, "not_json"),
        ("[".repeat(70_000), 400, "not_json"),
    ];
    for (nth, (body, status, _)) in cases.iter().enumerate() {
        let answer = simdeck.post(&format!("kind-{nth}"), body.clone()).await;
        assert_eq!(answer.status, *status, "{nth}");
    }
    let held = simdeck.held(cases.len()).await;
    for (row, (.., reason)) in held.iter().zip(&cases) {
        assert_eq!(row["reason"], *reason);
    }
    let deep = format!(
        r#"{{{},{},"deep":{}0{}}}"#,
        proof(now),
        usage(SIM),
        "[".repeat(70_000),
        "]".repeat(70_000)
    );
    assert_eq!(simdeck.push("data-usage", deep).await, (0, 0, 1), "authentic, and not to be kept");
    let answer = simdeck.post("data-usage", format!("[{good}{space}]")).await;
    assert_eq!(counts(&answer.json()), (1, 0, 0));
    simdeck.end();
}

#[tokio::test]
async fn much_beside_many_records_is_kept_once_and_little_with_each() {
    let simdeck = Simdeck::start(&[]);
    let records = |count: usize| {
        let record =
            |nth| format!(r#"{{"giccid":"{SIM}","data_usage":{nth},"start_time":1713888842473}}"#);
        (0..count).map(record).collect::<Vec<_>>().join(",")
    };
    let much = "x".repeat(MIB);
    let body = signed(&format!(r#""note":"{much}","records":[{}]"#, records(1_000)));
    assert_eq!(simdeck.push("data-usage", body).await, (0, 0, 1));
    let row = simdeck.rows("/v1/held").await.remove(0);
    assert_eq!((&row["reason"], &row["field"]), (&json!("unreadable"), &json!("_push")));
    // Nor in small portions: it is the push that counts.
    let element = |nth: usize| {
        signed(&format!(
            r#""part":{nth},"note":"{}","records":[{}]"#,
            &much[..20_000],
            records(400)
        ))
    };
    let body = format!("[{}]", (0..50).map(element).collect::<Vec<_>>().join(","));
    let (_, _, quarantined) = simdeck.push("data-usage", body).await;
    assert!(quarantined >= 40, "{quarantined}");
    let body = signed(&format!(r#""note":"{}","records":[{}]"#, &much[..1_000], records(1_000)));
    let (stored, duplicates, quarantined) = simdeck.push("data-usage", body).await;
    assert_eq!((stored + duplicates, quarantined), (1_000, 0));
    simdeck.end();
}

#[tokio::test]
async fn very_many_records_that_are_next_to_nothing_are_kept_whole() {
    let simdeck = Simdeck::start(&[]);
    // Read one by one, each would take a hundred times the memory that it has in the body.
    for (kind, record) in [("sim-status", "{}"), ("data-usage", "{}"), ("mo-sms", r#"{"a":0}"#)] {
        let body = signed(&format!(r#""records":[{}]"#, vec![record; 200_000].join(",")));
        assert_eq!(simdeck.push(kind, body).await, (0, 0, 1), "{kind}");
        let row = simdeck.rows("/v1/held").await.remove(0);
        assert_eq!((&row["reason"], &row["field"]), (&json!("unreadable"), &json!(null)), "{kind}");
    }
    simdeck.end();
}
