//! Names that others choose and that must not be taken for ours.
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Simdeck, now_s, signed};

#[tokio::test]
async fn a_pushed_kind_is_never_taken_for_a_row_of_our_own() {
    let simdeck = Simdeck::start(&[]);
    let ours = ["erased", "device", "tick", "gap"];
    for kind in ours {
        let members = format!(r#""giccid_sha256":"x","sn":"RB1","pushed":"{kind}""#);
        assert_eq!(simdeck.push(kind, signed(&members)).await, (1, 0, 0), "{kind}");
    }
    assert_eq!(simdeck.push("devices", signed("")).await, (1, 0, 0));
    let rows = simdeck.rows("/v1/notifications").await;
    let kinds: Vec<_> = rows.iter().map(|row| (&row["kind"], &row["pushed_as"])).collect();
    let other = json!("other");
    let pushed = ours.map(Value::from);
    let mut expected: Vec<_> = pushed.iter().map(|pushed| (&other, pushed)).collect();
    let own = json!("devices");
    expected.push((&own, &Value::Null));
    assert_eq!(kinds, expected);
    // Followers tell rows by their kind.
    for kind in ["erased", "device"] {
        let (status, changes) = simdeck.ask(Method::GET, &format!("/v1/changes?kind={kind}")).await;
        assert_eq!((status, changes), (200, json!([])), "{kind}");
    }
    let changes = simdeck.get("/v1/changes?kind=other").await;
    assert_eq!(changes.as_array().unwrap().len(), ours.len());
    // The very same is the same, whatever it is kept as.
    let again = signed(r#""event_time":1711889742473"#);
    assert_eq!(simdeck.push("erased", again.clone()).await, (1, 0, 0));
    assert_eq!(simdeck.push("erased", again).await, (0, 1, 0));
    simdeck.end();
}

#[tokio::test]
async fn every_reason_for_which_a_request_is_sent_away_is_counted() {
    let simdeck = Simdeck::start(&[]);
    let mut wire = simdeck.connect().await;
    wire.send("POST /v1/data-usage HTTP/1.1\r\nhost: a\r\nhost: b\r\ncontent-length: 0\r\n\r\n")
        .await;
    let (head, _) = wire.answer().await;
    assert!(head.starts_with("http/1.1 400"), "{head}");
    let mut wire = simdeck.connect().await;
    wire.send("POST /v1/data-usage HTTP/1.1\r\ncontent-length: 0\r\n\r\n").await;
    wire.answer().await;
    let compressed = [("content-encoding", "gzip")];
    assert_eq!(simdeck.post_with("data-usage", "x", &compressed).await.status, 415);
    let (_, metrics) = simdeck.ask_text(Method::GET, "/metrics").await;
    for reason in ["ambiguous", "no_host", "encoded"] {
        let sample = format!("simdeck_refusals_total{{reason=\"{reason}\"}} 1\n");
        assert!(metrics.contains(&sample), "{reason}\n{metrics}");
    }
    // Whatever is refused in the list of requests is counted under its word.
    for row in simdeck.rows("/v1/pushes").await {
        let sample = format!("reason=\"{}\"", row["reason"].as_str().unwrap());
        assert!(metrics.contains(&sample), "{row}");
    }
    simdeck.end();
}

#[tokio::test]
async fn a_time_of_ten_digits_is_in_seconds() {
    let simdeck = Simdeck::start(&[]);
    let members = r#""giccid":"8944501503181377993","data_usage":7,"start_time":1725499848000"#;
    assert_eq!(simdeck.push("data-usage", signed(members)).await, (1, 0, 0));
    for (query, rows) in [
        ("from=1725499848", 1),
        ("from=1725499849", 0),
        ("to=1725499848", 0),
        ("to=1725499849", 1),
        ("from=1725499848000&to=1725499848001", 1),
        ("from=2024-09-05T01:30:48Z", 1),
        ("from=-1725499848", 1),
        ("received_from=1725499848", 1),
        ("received_to=1725499849", 0),
        ("received_to=9999999999", 1),
    ] {
        assert_eq!(simdeck.rows(&format!("/v1/data-usage?{query}")).await.len(), rows, "{query}");
    }
    let sum = "/v1/data-usage/aggregate?interval=1h&from=1725499848&to=1725499849";
    assert_eq!(simdeck.get(sum).await[0]["data_usage"], 7);
    let exported = simdeck.run(&["export", "data-usage", "--from", "1725499849"]);
    assert!(!String::from_utf8(exported.stdout).unwrap().contains("8944501503181377993"));
    simdeck.end();
}

#[tokio::test]
async fn a_push_in_a_form_that_is_new_to_us_lies_among_those_that_may_be_true() {
    let simdeck = Simdeck::start(&[]);
    let (now, hex) = (now_s(), "a".repeat(64));
    let perhaps = [
        format!(r#"{{"datePush":"Thu Sep 05 2024","signature":"{hex}"}}"#),
        format!(r#"{{"date_push":{now},"signature":"{hex}"}}"#),
        format!(r#"{{"datePush":{now},"signature":"qrvM3Q=="}}"#),
        format!(r#"{{"datePush":{now},"sign":"{hex}"}}"#),
        format!(r#"{{"datePush":{now},"signature":"{hex}"}}"#),
    ];
    let hardly = ["{}", "no JSON", r#"{"datePush":1000000000}"#];
    for body in perhaps.iter().map(String::as_str).chain(hardly) {
        assert!([400, 401].contains(&simdeck.post("data-usage", body).await.status), "{body}");
    }
    simdeck.held(perhaps.len() + hardly.len()).await;
    let (_, metrics) = simdeck.ask_text(Method::GET, "/metrics").await;
    for (ring, pushes) in [("plausible", perhaps.len()), ("noise", hardly.len())] {
        let sample = format!("simdeck_held_pushes{{held=\"{ring}\"}} {pushes}\n");
        assert!(metrics.contains(&sample), "{ring}\n{metrics}");
    }
    // Nobody can know whose they are.
    for item in simdeck.get("/v1/attention").await.as_array().unwrap() {
        assert!(!item["sentence"].as_str().unwrap().contains("likely"), "{item}");
    }
    simdeck.end();
}
