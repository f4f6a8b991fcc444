//! The last requests to the public listener, and the push that simdeck sends itself.
use std::time::Instant;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use simdeck::http::{ApiSettings, TestAnswer, TestPusher};

use crate::{
    api_harness::{ADMIN_KEY, Api, Given},
    server::{Simdeck, now_s, proof, signed, usage},
};

const SIM: &str = "8944501503181377993";

/// Outcome, status, reason and kind of a row.
fn told(row: &Value) -> Value {
    json!([row["outcome"], row["status"], row["reason"], row["kind"]])
}

impl Simdeck {
    async fn pushes(&self, query: &str) -> Vec<Value> {
        let rows = self.get(&format!("/v1/pushes{query}")).await;
        rows.as_array().unwrap().clone()
    }
}

#[tokio::test]
async fn each_request_is_told_with_what_became_of_it() {
    let max_body = [("SIMDECK_PUBLIC_MAX_BODY", "64KiB")];
    let simdeck = Simdeck::start(&max_body);
    simdeck.push("data-usage", signed(&usage(SIM))).await;
    simdeck.push("data-usage", signed(&usage(SIM))).await;
    let half = format!(r#""cdrs":[{{{}}},{{"giccid":"{SIM}"}}]"#, usage(SIM).replace("1302", "7"));
    simdeck.push("data-usage", signed(&half)).await;
    let wrong = format!(r#"{{"datePush":{},"signature":"{}"}}"#, now_s(), "0".repeat(64));
    simdeck.post("imei-change", wrong).await;
    simdeck.post("imei-change", "{").await;
    simdeck.post("imei-change", "x".repeat(70_000)).await;
    let encoded = [("Content-Encoding", "gzip")];
    simdeck.post_with("mo-sms", signed(&usage(SIM)), &encoded).await;
    let nonce = [("Simdeck-Test", "made-up")];
    simdeck
        .post_with(
            "mo-sms",
            signed(r#""giccid":"8944501503181377993","event_time":1713888842473"#),
            &nonce,
        )
        .await;
    for (method, path) in [
        (Method::GET, "/v1/mo-sms"),
        (Method::POST, "/v1/No"),
        (Method::GET, "/healthz"),
        (Method::POST, "/healthz"),
    ] {
        simdeck.ask_public(method, path, Vec::new(), &[]).await;
    }
    let rows = simdeck.pushes("").await;
    let mut all: Vec<Value> = rows.iter().map(told).collect();
    all.reverse();
    let wanted = [
        json!(["stored", 200, null, "data-usage"]),
        json!(["duplicate", 200, null, "data-usage"]),
        json!(["quarantined", 200, "field_missing", "data-usage"]),
        json!(["refused", 401, "signature_wrong", "imei-change"]),
        json!(["refused", 400, "not_json", "imei-change"]),
        json!(["rejected", 413, "too_large", "imei-change"]),
        json!(["rejected", 415, "encoded", "mo-sms"]),
        json!(["rejected", 409, "unknown_nonce", "mo-sms"]),
        json!(["rejected", 405, "method_not_allowed", "mo-sms"]),
        json!(["rejected", 404, "not_found", null]),
    ];
    assert_eq!(all, wanted, "and nothing of those who ask whether we are well");
    let ids: Vec<u64> = rows.iter().map(|row| row["id"].as_u64().unwrap()).collect();
    assert!(ids.into_iter().eq((1..=10).rev()), "numbered in order, the newest first");
    assert_eq!(rows[7]["records"], json!({"stored": 1, "duplicates": 0, "quarantined": 1}));
    assert_eq!(rows[6]["records"], Value::Null);
    assert_eq!(rows[4]["bytes"], 70_000);
    assert!(rows.iter().all(|row| row["test"] == false));

    assert_eq!(simdeck.pushes("?size=3").await, rows[..3]);
    assert_eq!(simdeck.pushes("?outcome=refused").await, rows[5..7]);
    let two = simdeck.pushes("?outcome=refused,rejected&kind=imei-change").await;
    assert_eq!(two, rows[4..7]);
    assert_eq!(simdeck.pushes("?kind=package-expiry").await, Vec::<Value>::new());
    for (query, field) in [("outcome=lost", "outcome"), ("size=0", "size"), ("page=0", "page")] {
        let (status, problem) = simdeck.ask(Method::GET, &format!("/v1/pushes?{query}")).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!(field)));
    }
}

#[tokio::test]
async fn a_push_that_cannot_be_stored_or_comes_from_elsewhere_is_told_too() {
    let simdeck = Simdeck::start(&[("SIMDECK_DISK_RESERVE", "1024TiB")]);
    while simdeck.ask(Method::GET, "/readyz").await.0 == 200 {}
    assert_eq!(simdeck.post("data-usage", signed(&usage(SIM))).await.status, 503);
    let row = &simdeck.pushes("").await[0];
    assert_eq!(told(row), json!(["unavailable", 503, "busy", "data-usage"]));
    simdeck.end();

    let simdeck = Simdeck::start(&[
        ("SIMDECK_PUBLIC_ALLOW_SOURCES", "203.0.113.0/24"),
        ("SIMDECK_PUBLIC_ALLOW_MODE", "enforce"),
        ("SIMDECK_PUSH_PROBE", "ok"),
    ]);
    let from = |source| [("X-Forwarded-For", source)];
    let body = || signed(&usage(SIM));
    assert_eq!(simdeck.post_with("data-usage", body(), &from("203.0.114.9")).await.status, 403);
    assert_eq!(simdeck.post_with("data-usage", body(), &from("203.0.113.9")).await.status, 200);
    simdeck.ask_public(Method::HEAD, "/v1/mo-sms", Vec::new(), &from("203.0.113.8")).await;
    let rows = simdeck.pushes("").await;
    let sources: Vec<&Value> = rows.iter().map(|row| &row["source"]).collect();
    assert_eq!(sources, ["203.0.113.8", "203.0.113.9", "203.0.114.9"]);
    assert_eq!(told(&rows[0]), json!(["probe", 200, null, "mo-sms"]));
    assert_eq!(told(&rows[2]), json!(["rejected", 403, "source_not_allowed", "data-usage"]));
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_is_told_of() {
    let simdeck = Simdeck::start(&[]);
    let mut wire = simdeck.connect().await;
    let head = "POST /v1/mo-sms HTTP/1.1\r\nHost: here\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n";
    wire.send(head).await;
    wire.expect_continue().await;
    drop(wire);
    let began = Instant::now();
    let row = loop {
        if let Some(row) = simdeck.pushes("").await.pop() {
            break row;
        }
        assert!(began.elapsed().as_secs() < 5, "it is not told");
    };
    // It depends on who hears of it first.
    let cut_short = json!(["rejected", 400, "cut_short", "mo-sms"]);
    let unanswered = json!(["unanswered", null, null, "mo-sms"]);
    assert!([cut_short, unanswered].contains(&told(&row)), "{row}");
}

#[tokio::test]
async fn bodies_are_for_admins_and_show_no_signature() {
    let simdeck = Simdeck::start(&[]);
    let second = now_s();
    let members = usage(SIM);
    simdeck.push("data-usage", format!("{{{},{members}}}", proof(second))).await;
    let rows = simdeck.pushes("").await;
    let masked = format!(r#"{{"datePush":{second},"signature":"{}",{members}}}"#, "*".repeat(64));
    assert_eq!(rows[0]["body"], masked);
    assert_eq!((&rows[0]["body_encoding"], &rows[0]["body_cut"]), (&json!("utf-8"), &json!(false)));

    let made = r#"{"label":"reader","scope":"read"}"#;
    let (status, key) = simdeck.send_json(Method::POST, "/v1/keys", made).await;
    assert_eq!(status, 201);
    let shown = simdeck.get_with(key["key"].as_str().unwrap(), "/v1/pushes").await;
    let mut without_body = rows[0].as_object().unwrap().clone();
    without_body.retain(|name, _| !name.starts_with("body"));
    assert_eq!(shown, json!([without_body]));

    // A long body is cut in the middle of its signature, of which then no part is shown.
    let filling = "y".repeat(4_096 - 40);
    let long = format!(r#"{{"f":"{filling}","signature":"{}"}}"#, "ab".repeat(32));
    simdeck.post("data-usage", long.clone()).await;
    let row = &simdeck.pushes("?size=1").await[0];
    let shown = row["body"].as_str().unwrap();
    assert_eq!((&row["body_cut"], &row["bytes"]), (&json!(true), &json!(long.len())));
    let masked = format!(r#","signature":"{}"#, "*".repeat(19));
    assert!(shown.len() == 4_096 && shown.ends_with(&masked), "{}", &shown[4_040..]);
}

#[tokio::test]
async fn a_thousand_requests_are_remembered() {
    let simdeck = Simdeck::start(&[]);
    simdeck.ask_public(Method::GET, "/v1/mo-sms", Vec::new(), &[]).await;
    assert_eq!(simdeck.pushes("?kind=mo-sms").await.len(), 1);
    for _ in 0..1_000 {
        simdeck.ask_public(Method::POST, "/nowhere", Vec::new(), &[]).await;
    }
    let rows = simdeck.pushes("?size=1000").await;
    assert_eq!((rows.len(), &rows[999]["id"]), (1_000, &json!(2)));
    assert_eq!(simdeck.pushes("?kind=mo-sms").await, Vec::<Value>::new());
    assert_eq!(simdeck.pushes("").await.len(), 100);
}

#[tokio::test]
async fn a_test_push_goes_through_the_front_door_and_is_in_no_total() {
    let mut simdeck =
        Simdeck::start(&[("SIMDECK_PUBLIC_PATH_TOKEN", "a-long-secret-path-token-1")]);
    simdeck.prefix = "/a-long-secret-path-token-1".to_owned();
    let (status, answer) = simdeck.ask(Method::POST, "/v1/test-push").await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["status"], 200);
    assert_eq!(answer["answer"], json!({"stored": 1, "duplicates": 0, "quarantined": 0}));
    assert!(answer["took_ms"].as_f64().unwrap() > 0.0);
    let url = answer["url"].as_str().unwrap();
    assert!(url.starts_with("http://127.0.0.1:") && url.ends_with("/v1/data-usage"), "{url}");
    assert!(!url.contains("secret"));

    let row = &simdeck.pushes("").await[0];
    assert_eq!(
        (told(row), &row["test"]),
        (json!(["stored", 200, null, "data-usage"]), &json!(true))
    );
    assert_eq!(simdeck.rows("/v1/data-usage").await, Vec::<Value>::new());
    let status = simdeck.get("/v1/status").await;
    assert_eq!(status["pushes"], json!({}));
    // Nobody else becomes a test by it: the word was good for one.
    simdeck.push("data-usage", signed(&usage(SIM))).await;
    assert_eq!(simdeck.pushes("").await[0]["test"], false);
    assert_eq!(simdeck.rows("/v1/data-usage").await.len(), 1);
}

#[tokio::test]
async fn a_front_door_that_does_not_answer_is_a_bad_gateway_and_none_a_conflict() {
    let silent = || {
        TestPusher::new("http://here/v1/data-usage".to_owned(), |_| {
            Box::pin(async { Err("nobody answers".into()) })
        })
    };
    let teapot = || {
        TestPusher::new("http://here/v1/data-usage".to_owned(), |_| {
            Box::pin(async { Ok(TestAnswer { status: 418, body: "no JSON".to_owned() }) })
        })
    };
    let none = Api::new(ApiSettings::default()).await;
    let silent = Api::given(Given { test_pusher: Some(silent()), ..Given::default() }).await;
    let teapot = Api::given(Given { test_pusher: Some(teapot()), ..Given::default() }).await;
    let status = async |api: &Api| {
        let answer = api.send(Method::POST, "/v1/test-push", Some(ADMIN_KEY)).await;
        (answer.status(), answer.json::<Value>().await.unwrap())
    };
    assert_eq!(status(&none).await.0, StatusCode::CONFLICT);
    let (code, problem) = status(&silent).await;
    assert_eq!(code, StatusCode::BAD_GATEWAY);
    assert!(!problem.to_string().contains("nobody answers"), "{problem}");
    let (code, answer) = status(&teapot).await;
    assert_eq!((code, &answer["status"]), (StatusCode::OK, &json!(418)));
    assert_eq!(answer["answer"], "no JSON");

    let reader = teapot.post("/v1/keys", ADMIN_KEY, r#"{"label":"r","scope":"read"}"#).await;
    let reader: Value = reader.json().await.unwrap();
    let refused = teapot.post("/v1/test-push", reader["key"].as_str().unwrap(), "").await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
}
