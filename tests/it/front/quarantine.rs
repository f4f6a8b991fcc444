//! Authentic, and yet not to be read: kept whole, and no neighbour suffers.
use serde_json::json;

use crate::server::{Simdeck, now_s, proof, signed, signed_at, usage};

const SIM: &str = "8944501503181377993";

/// One record that cannot be kept: its kind, its members, the reason, the field.
type Case = (&'static str, Vec<u8>, &'static str, Option<&'static str>);

/// Pushes each case between two good records, in a container and in an array at the top, and
/// checks that those are stored and that it is held.
async fn each_is_quarantined_alone(cases: Vec<Case>) {
    let simdeck = Simdeck::start(&[]);
    for (nth, (kind, members, reason, field)) in cases.iter().enumerate() {
        let told = String::from_utf8_lossy(members).into_owned();
        let good = |place: usize| {
            let sim = format!("8944501503{nth:04}{place:05}");
            let record = match *kind {
                "mo-sms" => format!(r#""giccid":"{sim}","event_time":{}000"#, now_s()),
                _ => usage(&sim),
            };
            record.into_bytes()
        };
        let (now, source) = (now_s(), format!("198.18.0.{nth}"));
        let post = async |body: Vec<u8>| {
            let from = [("X-Forwarded-For", source.as_str())];
            simdeck.post_with(kind, body, &from).await.json()
        };
        let wanted = json!({"stored": 2, "duplicates": 0, "quarantined": 1});
        let mut container = format!("{{{},\"batch\":{nth},\"records\":[", proof(now)).into_bytes();
        for record in [&good(0), members, &good(1)] {
            container.extend([b"{", record.as_slice(), b"},"].concat());
        }
        container.pop();
        container.extend(b"]}");
        assert_eq!(post(container).await, wanted, "{told}");
        let mut array = b"[".to_vec();
        for record in [&good(2), members, &good(3)] {
            let proof = proof(now).into_bytes();
            array.extend([b"{", proof.as_slice(), b",", record.as_slice(), b"},"].concat());
        }
        array.pop();
        array.push(b']');
        assert_eq!(post(array).await, wanted, "{told}");

        let rows = simdeck.rows("/v1/held").await;
        for row in &rows[rows.len() - 2..] {
            assert_eq!(row["class"], "quarantined", "{told}");
            assert_eq!(row["reason"], *reason, "{told}");
            assert_eq!(row["field"], json!(field), "{told}");
            assert_eq!(row["kind"], *kind, "{told}");
            assert_eq!(row["source"], source, "{told}");
            assert_eq!(row["count"], 1, "{told}");
        }
        let of_container = simdeck.get(&format!("/v1/held/{}", rows[rows.len() - 2]["id"])).await;
        if of_container["body_encoding"] == "utf-8" {
            let body = format!(r#"{{"datePush":{now},"batch":{nth},"records":[{{{told}}}]}}"#);
            assert_eq!(of_container["body"], body, "no signature, no neighbour");
            assert_eq!(of_container["bytes"], body.len(), "{told}");
        }
    }
    simdeck.end();
}

fn text(members: String) -> Vec<u8> {
    members.into_bytes()
}

#[tokio::test]
async fn a_record_without_a_required_field_is_quarantined_alone() {
    let now = now_s();
    each_is_quarantined_alone(vec![
        (
            "data-usage",
            text(format!(r#""data_usage":1,"start_time":{now}000"#)),
            "field_missing",
            Some("giccid"),
        ),
        (
            "data-usage",
            text(format!(r#""giccid":null,"data_usage":1,"start_time":{now}000"#)),
            "field_missing",
            Some("giccid"),
        ),
        (
            "data-usage",
            text(format!(r#""giccid":"{SIM}","start_time":{now}000"#)),
            "field_missing",
            Some("data_usage"),
        ),
        (
            "data-usage",
            text(format!(r#""giccid":"{SIM}","data_usage":1"#)),
            "field_missing",
            Some("start_time"),
        ),
        (
            "data-usage",
            text(format!(r#""giccid":"{SIM}","data_usage":1,"Start_Time":{now}000"#)),
            "field_missing",
            Some("start_time"),
        ),
        ("mo-sms", text(format!(r#""event_time":{now}000"#)), "field_missing", Some("giccid")),
        ("mo-sms", text(format!(r#""giccid":"{SIM}""#)), "field_missing", Some("event_time")),
    ])
    .await;
}

#[tokio::test]
async fn a_record_with_a_field_out_of_bounds_is_quarantined_alone() {
    let mut cases = Vec::new();
    let whole = [
        ("giccid", format!("\"{SIM}\"")),
        ("data_usage", "1".to_owned()),
        ("start_time", format!("{}000", now_s())),
    ];
    let late = (now_s() + 2 * 86_400 + 600) * 1000;
    let long = format!("\"{}é\"", "x".repeat(255));
    let wrong: [(&'static str, &[&str]); 7] = [
        (
            "giccid",
            &[
                "\"89445015031813779\"",
                "\"89445015031813779930123\"",
                "\"894450150318137799-\"",
                "\"89445015031813779é\"",
                "\"\"",
                "89445015031813779",
                "-894450150318137799",
                "8.9445015031813779e18",
                "true",
                "[]",
                "{}",
            ],
        ),
        (
            "data_usage",
            &[
                "1000000000000001",
                "\"1000000000000001\"",
                "-1",
                "1.0",
                "1e3",
                "\"1.0\"",
                "\"\"",
                "\" 1\"",
                "\"0x1\"",
                "99999999999999999999999",
                "true",
            ],
        ),
        (
            "start_time",
            &["946684799999", "0", "-1", "1700000000", "\"2024-09-05T01:30:48Z\"", "1.7e12"],
        ),
        ("duration", &["1000000000000001", "-1", "0.5", "\"\"", "[]"]),
        ("apn", &["1.5", "true", "{}", "[\"apn\"]"]),
        ("imsi", &["-1", "1e14", "false"]),
        ("sim_group", &["{\"name\":\"g\"}"]),
    ];
    for (field, values) in wrong {
        for value in values {
            cases.push(with(&whole, field, value));
        }
    }
    cases.push(with(&whole, "start_time", &late.to_string()));
    for field in ["mcc", "mnc", "country_code", "apn", "imsi", "sim_group"] {
        cases.push(with(&whole, field, &long));
    }
    each_is_quarantined_alone(cases).await;
}

#[tokio::test]
async fn a_message_with_a_field_out_of_bounds_is_quarantined_alone() {
    let whole = [("giccid", format!("\"{SIM}\"")), ("event_time", format!("{}000", now_s()))];
    let long = format!("\"{}\"", "x".repeat(257));
    let mut cases = Vec::new();
    for (field, value) in [
        ("giccid", "\"1\""),
        ("event_time", "946684799999"),
        ("from_msisdn", "1.5"),
        ("from_msisdn", long.as_str()),
        ("to_msisdn", "[]"),
        ("to_msisdn", long.as_str()),
        ("imsi", long.as_str()),
        ("sim_group", long.as_str()),
    ] {
        let (_, members, reason, field) = with(&whole, field, value);
        cases.push(("mo-sms", members, reason, field));
    }
    each_is_quarantined_alone(cases).await;
}

#[tokio::test]
async fn a_record_with_a_repeated_key_is_quarantined_alone() {
    let whole = usage(SIM);
    each_is_quarantined_alone(vec![
        ("data-usage", text(format!(r#"{whole},"data_usage":1302"#)), "repeated_key", None),
        ("data-usage", text(format!(r#"{whole},"giccid":"{SIM}""#)), "repeated_key", None),
        ("data-usage", text(format!(r#"{whole},"x":1,"x":1"#)), "repeated_key", None),
        ("data-usage", text(format!(r#"{whole},"x":1,"\u0078":2"#)), "repeated_key", None),
        ("data-usage", text(format!(r#"{whole},"o":{{"x":1,"x":1}}"#)), "repeated_key", None),
        (
            "data-usage",
            text(format!(r#"{whole},"o":[{{"a":[{{"x":1,"x":2}}]}}]"#)),
            "repeated_key",
            None,
        ),
        (
            "mo-sms",
            text(format!(r#""giccid":"{SIM}","event_time":{}000,"t":"a","t":"b""#, now_s())),
            "repeated_key",
            None,
        ),
        (
            "sim-status",
            text(r#""status":"ACTIVE","status":"SUSPENDED""#.to_owned()),
            "repeated_key",
            None,
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_record_that_cannot_be_kept_exactly_is_quarantined_alone() {
    let whole = usage(SIM);
    let deep =
        |levels: usize| format!(r#"{whole},"x":{}{}"#, "[".repeat(levels), "]".repeat(levels));
    let bytes = |broken: &[u8]| [whole.as_bytes(), b",\"x\":\"", broken, b"\""].concat();
    let key = |broken: &[u8]| [whole.as_bytes(), b",\"", broken, b"\":1"].concat();
    let case = |members| ("data-usage", members, "unreadable", None);
    each_is_quarantined_alone(vec![
        case(text(format!(r#"{whole},"x":"\u0000""#))),
        case(text(format!(r#"{whole},"\u0000":1"#))),
        case(text(format!(r#"{whole},"x":"\ud800""#))),
        case(text(format!(r#"{whole},"x":"\udc00\ud800""#))),
        case(text(format!(r#"{whole},"x":"\ud83d\u0041""#))),
        case(bytes(b"\xff")),
        case(bytes(b"\xc3")),
        case(bytes(b"\xed\xa0\x80")),
        case(bytes(b"\xf5\x80\x80\x80")),
        case(bytes(b"\xc0\x80")),
        case(key(b"\xff")),
        case(text(format!(r#"{whole},"x":1e999"#))),
        case(text(format!(r#"{whole},"x":-1E400"#))),
        case(text(format!(r#"{whole},"x":{}"#, "9".repeat(400)))),
        case(text(deep(64))),
        case(text(deep(10_000))),
        (
            "mo-sms",
            text(format!(r#""giccid":"{SIM}","event_time":{}000,"t":"\u0000""#, now_s())),
            "unreadable",
            None,
        ),
        ("sim-status", text(r#""status":"\ud800""#.to_owned()), "unreadable", None),
    ])
    .await;
}

#[tokio::test]
async fn nesting_of_64_is_kept_and_of_65_quarantined() {
    let simdeck = Simdeck::start(&[]);
    // The object itself is the first level.
    let deep = |levels: usize, giccid: &str| {
        signed(&format!(
            r#"{},"x":{}{}"#,
            usage(giccid),
            "[".repeat(levels - 1),
            "]".repeat(levels - 1)
        ))
    };
    assert_eq!(simdeck.push("data-usage", deep(64, SIM)).await, (1, 0, 0));
    assert_eq!(simdeck.push("data-usage", deep(65, "8944501503181377994")).await, (0, 0, 1));
    assert_eq!(simdeck.held(1).await[0]["reason"], "unreadable");
    simdeck.end();
}

#[tokio::test]
async fn a_body_that_is_no_text_is_held_byte_for_byte() {
    let simdeck = Simdeck::start(&[]);
    let second = now_s();
    let members = [usage(SIM).as_bytes(), b",\"x\":\"\xff\xfe\""].concat();
    let proof = proof(second);
    let body = [b"{", proof.as_bytes(), b",", members.as_slice(), b"}"].concat();
    assert_eq!(simdeck.push("data-usage", body).await, (0, 0, 1));
    let row = simdeck.held(1).await.remove(0);
    assert_eq!(row["body_encoding"], "base64");
    let kept = [format!(r#"{{"datePush":{second},"#).as_bytes(), &members, b"}"].concat();
    let decoded = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        row["body"].as_str().unwrap(),
    );
    assert_eq!(decoded.unwrap(), kept);
    simdeck.end();
}

#[tokio::test]
async fn what_is_broken_beside_a_container_takes_the_whole_element_aside() {
    let simdeck = Simdeck::start(&[]);
    for (members, reason) in [
        (r#""note":"\u0000""#, "unreadable"),
        (r#""note":1,"note":2"#, "repeated_key"),
        (r#""note":[{"a":1,"a":2},3]"#, "repeated_key"),
    ] {
        let body = signed(&format!(r#"{members},"records":[{{{}}}]"#, usage(SIM)));
        assert_eq!(simdeck.push("data-usage", body).await, (0, 0, 1), "{members}");
        let row = simdeck.rows("/v1/held").await.pop().unwrap();
        assert_eq!(row["reason"], reason, "{members}");
        let whole = simdeck.get(&format!("/v1/held/{}", row["id"])).await;
        assert!(whole["body"].as_str().unwrap().contains(SIM), "its records are kept: {whole}");
    }
    simdeck.end();
}

#[tokio::test]
async fn date_push_too_old_or_too_far_ahead_is_quarantined() {
    let simdeck =
        Simdeck::start(&[("SIMDECK_PUSH_MAX_AGE", "1h"), ("SIMDECK_PUSH_MAX_AHEAD", "10m")]);
    let now = now_s();
    for (second, wanted) in [
        (now - 3600 + 30, (1, 0, 0)),
        (now - 3600 - 1, (0, 0, 1)),
        (now + 600 - 1, (1, 0, 0)),
        (now + 600 + 30, (0, 0, 1)),
    ] {
        let body = signed_at(second, r#""status":"ACTIVE""#);
        assert_eq!(simdeck.push("sim-status", body).await, wanted, "{}", second - now);
    }
    let held = simdeck.held(2).await;
    let told = |row: &serde_json::Value| (row["reason"].clone(), row["field"].clone());
    assert_eq!(told(&held[0]), (json!("date_old"), json!(null)));
    assert_eq!(told(&held[1]), (json!("date_ahead"), json!(null)));
    // Each element of an array has its own age.
    let old = signed_at(now - 7200, &usage(SIM));
    let body = format!("[{old},{}]", signed(&usage("8944501503181377994")));
    assert_eq!(simdeck.push("data-usage", body).await, (1, 0, 1));
    simdeck.end();
}

#[tokio::test]
async fn the_very_same_quarantined_again_raises_its_count() {
    let simdeck = Simdeck::start(&[]);
    let second = now_s();
    let body = signed_at(second, r#""giccid":"1""#);
    for _ in 0..3 {
        assert_eq!(simdeck.push("data-usage", body.clone()).await, (0, 0, 1));
    }
    let row = simdeck.held(1).await.remove(0);
    assert_eq!(row["count"], 3);
    assert_eq!(simdeck.get("/v1/status").await["held"]["quarantined"]["pushes"], 1);
    assert_eq!(simdeck.push("mo-sms", body).await, (0, 0, 1));
    assert_eq!(simdeck.held(2).await[1]["kind"], "mo-sms", "another kind is another push");
    simdeck.end();
}

/// A record whose one field is wrong.
fn with(whole: &[(&'static str, String)], field: &'static str, value: &str) -> Case {
    let mut members: Vec<String> = whole
        .iter()
        .filter(|(name, _)| *name != field)
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    members.push(format!("\"{field}\":{value}"));
    ("data-usage", text(members.join(",")), "field_invalid", Some(field))
}
