//! The checks of the public listener, cheapest first: a request that violates two neighbours has
//! the answer of the earlier one.
use super::{
    certificate::{Files, Pair},
    line::Line,
};
use crate::server::{Simdeck, now_s, signed, usage};
use std::sync::Arc;
use tempfile::TempDir;

const HOST: &str = "Host: x\r\n";
/// From where pushes are not taken.
const ELSEWHERE: &str = "X-Forwarded-For: 198.51.100.1\r\n";
const ENCODED: &str = "Content-Encoding: gzip\r\n";
const TOO_LARGE: &str = "Content-Length: 70000\r\n";
const BROKEN: &str = "Transfer-Encoding: chunked\r\n";

/// The status of what is answered to a request whose body may never come.
async fn status(simdeck: &Simdeck, request: &str) -> u16 {
    let mut line = Line::to(simdeck.public()).await.unwrap();
    line.send(request).await.unwrap();
    line.answer().await.unwrap().status
}

fn start() -> Simdeck {
    Simdeck::start(&[
        ("SIMDECK_PUBLIC_MAX_BODY", "64KiB"),
        ("SIMDECK_PUBLIC_ALLOW_SOURCES", "127.0.0.0/8"),
        ("SIMDECK_PUBLIC_ALLOW_MODE", "enforce"),
    ])
}

#[tokio::test]
async fn of_two_violations_in_a_head_the_cheaper_check_answers() {
    let simdeck = start();
    let usage_at = "POST /v1/data-usage HTTP/1.1\r\n";
    let long = format!("X: {}\r\n", "x".repeat(20_000));
    let two_hosts = "Host: x\r\nHost: y\r\n";
    for (what, request, wanted) in [
        ("header, host", format!("{usage_at}{long}\r\n"), 431),
        ("host, path", "POST /nowhere HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("two hosts, path", format!("POST /nowhere HTTP/1.1\r\n{two_hosts}\r\n"), 400),
        (
            "framing, path",
            format!("POST /nowhere HTTP/1.1\r\n{HOST}Transfer-Encoding: gzip, chunked\r\n\r\n"),
            400,
        ),
        ("path, method", format!("PUT /nowhere HTTP/1.1\r\n{HOST}\r\n"), 404),
        ("path, source", format!("POST /nowhere HTTP/1.1\r\n{HOST}{ELSEWHERE}\r\n"), 404),
        ("method, source", format!("PUT /v1/data-usage HTTP/1.1\r\n{HOST}{ELSEWHERE}\r\n"), 405),
        ("source, encoding", format!("{usage_at}{HOST}{ELSEWHERE}{ENCODED}\r\n"), 403),
        ("encoding, size", format!("{usage_at}{HOST}{ENCODED}{TOO_LARGE}\r\n"), 415),
        ("size, body", format!("{usage_at}{HOST}{TOO_LARGE}\r\n"), 413),
        ("size, json", format!("{usage_at}{HOST}{TOO_LARGE}\r\nno json"), 413),
        ("body, json", format!("{usage_at}{HOST}{BROKEN}\r\nzz\r\nno json"), 400),
    ] {
        assert_eq!(status(&simdeck, &request).await, wanted, "{what}");
    }
    // None of them came as far as its body, so none is held.
    assert_eq!(simdeck.get("/v1/held").await, serde_json::json!([]));
    simdeck.end();
}

#[tokio::test]
async fn of_two_violations_in_a_body_the_cheaper_check_answers() {
    let simdeck = Simdeck::start(&[
        ("SIMDECK_PUBLIC_MAX_BODY", "64KiB"),
        ("SIMDECK_DISK_RESERVE", "1000TiB"),
    ]);
    let (now, unknown) = (now_s(), [("Simdeck-Test", "no-such-nonce")]);
    let forged = format!(r#"{{"datePush":{now},"signature":"{}"}}"#, "0".repeat(64));
    let too_long = " ".repeat(70_000);
    let chunked = format!(
        "POST /v1/data-usage HTTP/1.1\r\n{HOST}{BROKEN}\r\n{:x}\r\n{too_long}\r\n0\r\n\r\n",
        too_long.len()
    );
    assert_eq!(status(&simdeck, &chunked).await, 413, "size of the body, JSON");
    let answer = simdeck.post_with("data-usage", "no json", &unknown).await;
    assert_eq!(answer.status, 400, "JSON, signature and nonce");
    assert_eq!(answer.json()["detail"], "Body should be a JSON object");
    let answer = simdeck.post_with("data-usage", forged.clone(), &unknown).await;
    assert_eq!(answer.status, 401, "signature, nonce");
    assert_eq!(simdeck.post("data-usage", forged).await.status, 401, "signature, queue");
    let authentic = signed(&usage("8944501503181377993"));
    let answer = simdeck.post_with("data-usage", authentic.clone(), &unknown).await;
    assert_eq!(answer.status, 409, "nonce, queue");
    assert_eq!(simdeck.post("data-usage", authentic).await.status, 503, "queue");
    simdeck.end();
}

#[tokio::test]
async fn a_source_with_its_share_of_connections_is_closed_before_tls_and_tls_comes_before_http() {
    let files = Files::of(&Pair::new());
    let settings = files.settings();
    let both = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
    // With 256 descriptors there are 96 connections, half of them for one source.
    let few = ["prlimit", "--nofile=256"];
    let simdeck = Simdeck::start_under(&few, Arc::new(TempDir::new().unwrap()), &both);
    let clear = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut first = Line::from(2, simdeck.public()).await.unwrap();
    first.send(clear).await.unwrap();
    let alert = first.rest().await;
    assert!(!alert.is_empty() && !alert.contains("HTTP"), "not what TLS says: {alert:?}");
    let mut held = Vec::new();
    for _ in 0..48 {
        held.push(Line::from(2, simdeck.public()).await.unwrap());
    }
    let mut one_more = Line::from(2, simdeck.public()).await.unwrap();
    drop(one_more.send(clear).await);
    assert_eq!(one_more.rest().await, "", "it was listened to");
    drop(held);
    simdeck.end();
}
