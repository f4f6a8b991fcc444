//! Answers that leave before the end of the request's body. What is sent on the connection after
//! one is either told beforehand to be lost (`Connection: close`) or is answered itself.
use super::line::{Line, request};
use crate::server::{API_KEY, Simdeck, now_s, proof};

/// A request that is refused by its head, its body of two bytes still to come.
struct Early {
    head: String,
    status: u16,
}

fn early(line: &str, headers: &str, status: u16) -> Early {
    let head = format!("{line} HTTP/1.1\r\nContent-Length: 2\r\n{headers}\r\n");
    Early { head, status }
}

const HOST: &str = "Host: 127.0.0.1\r\n";

fn at_the_public_listener() -> Vec<Early> {
    vec![
        early("POST /x", HOST, 404),
        early("GET /x", HOST, 404),
        early("DELETE /v1/data-usage", HOST, 405),
        early("GET /v1/data-usage", HOST, 405),
        early("HEAD /v1/data-usage", HOST, 405),
        early("GET /healthz", HOST, 200),
        early("POST /healthz", HOST, 405),
        early("POST /v1/data-usage", &format!("{HOST}Content-Encoding: gzip\r\n"), 415),
        early("POST /v1/data-usage", "", 400),
        early("POST /v1/data-usage", &format!("{HOST}Host: elsewhere\r\n"), 400),
    ]
}

fn at_the_internal_listener() -> Vec<Early> {
    let with_key = format!("{HOST}X-API-Key: {API_KEY}\r\n");
    let of_our_page = format!("{HOST}Origin: http://127.0.0.1\r\nContent-Type: text/plain\r\n");
    vec![
        early("GET /healthz", HOST, 200),
        early("POST /healthz", HOST, 405),
        early("POST /nowhere", HOST, 404),
        early("POST /v1/nowhere", &with_key, 404),
        early("PUT /v1/status", &with_key, 405),
        early("POST /v1/keys", HOST, 401),
        early("POST /v1/import", HOST, 401),
        early("POST /v1/keys", "Host: elsewhere.example\r\n", 421),
        early("POST /sign-in", HOST, 403),
        early("POST /sign-in", &of_our_page, 415),
    ]
}

/// How the rest of the request is sent.
#[derive(Clone, Copy, Debug)]
enum Rest {
    /// At once, in a packet of its own.
    AtOnce,
    /// After the answer.
    AfterAnswer,
    /// Never: the client asked whether it should, and was answered otherwise.
    Withheld,
}

/// Sends it, then a good request on the same connection. Gives what went wrong.
async fn attempt(address: &str, early: &Early, rest: Rest, good: &str) -> Result<(), String> {
    let mut line = Line::to(address).await.unwrap();
    let told = |what: &str| format!("{rest:?} {:?}: {what}", early.head);
    let head = match rest {
        Rest::Withheld => early.head.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n"),
        Rest::AtOnce | Rest::AfterAnswer => early.head.clone(),
    };
    line.send(head).await.unwrap();
    if matches!(rest, Rest::AtOnce) {
        line.send("{}").await.map_err(|error| told(&error.to_string()))?;
    }
    let is_head = early.head.starts_with("HEAD");
    let answer = if is_head { line.head().await } else { line.answer().await };
    let answer = answer.map_err(|error| told(&error.to_string()))?;
    if answer.status != early.status {
        return Err(told(&answer.head));
    }
    if answer.closes() {
        return match line.rest().await.as_str() {
            "" => Ok(()),
            more => Err(told(&format!("{more:?} after the last answer"))),
        };
    }
    let body = if matches!(rest, Rest::AfterAnswer) { "{}" } else { "" };
    drop(line.send(format!("{body}{good}")).await);
    match line.answer().await {
        Ok(answer) if answer.status == 200 => Ok(()),
        Ok(answer) => Err(told(&format!("the next was answered {}", answer.head))),
        Err(error) => Err(told(&format!("the next was not answered: {error}"))),
    }
}

async fn attempt_all(address: &str, cases: &[Early], good: impl Fn(usize) -> String) {
    let mut lost = Vec::new();
    let ways = [Rest::AtOnce, Rest::AfterAnswer, Rest::Withheld];
    for (nth, (early, rest)) in
        cases.iter().flat_map(|early| ways.map(|rest| (early, rest))).enumerate()
    {
        lost.extend(attempt(address, early, rest, &good(nth)).await.err());
    }
    assert!(lost.is_empty(), "{} lost:\n{}", lost.len(), lost.join("\n"));
}

fn push(nth: usize) -> String {
    let start_ms = 1_713_888_842_473 + nth;
    let usage = format!(r#""giccid":"8944501503181377993","data_usage":1,"start_time":{start_ms}"#);
    request("/v1/data-usage", &format!("{{{},{usage}}}", proof(now_s())))
}

#[tokio::test]
async fn after_an_early_answer_of_the_public_listener_the_next_push_is_not_lost() {
    let simdeck = Simdeck::start(&[]);
    attempt_all(simdeck.public(), &at_the_public_listener(), push).await;
    simdeck.end();
}

#[tokio::test]
async fn after_a_source_was_refused_the_next_push_is_not_lost() {
    let simdeck = Simdeck::start(&[
        ("SIMDECK_PUBLIC_ALLOW_SOURCES", "203.0.113.7"),
        ("SIMDECK_PUBLIC_ALLOW_MODE", "enforce"),
    ]);
    let refused =
        early("POST /v1/data-usage", &format!("{HOST}X-Forwarded-For: 192.0.2.1\r\n"), 403);
    let allowed = |nth| push(nth).replacen("\r\n", "\r\nX-Forwarded-For: 203.0.113.7\r\n", 1);
    attempt_all(simdeck.public(), &[refused], allowed).await;
    simdeck.end();
}

#[tokio::test]
async fn after_an_early_answer_of_the_internal_listener_the_next_question_is_not_lost() {
    let simdeck = Simdeck::start(&[]);
    let good = |_| "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".to_owned();
    attempt_all(simdeck.internal(), &at_the_internal_listener(), good).await;
    simdeck.end();
}

#[tokio::test]
async fn a_body_too_large_to_be_taken_out_of_the_way_ends_the_connection_and_says_so() {
    let simdeck = Simdeck::start(&[]);
    for (address, target, status) in [
        (simdeck.public(), "/x", 404),
        (simdeck.public(), "/v1/data-usage", 413),
        (simdeck.internal(), "/nowhere", 404),
        (simdeck.internal(), "/v1/keys", 401),
    ] {
        let mut line = Line::to(address).await.unwrap();
        line.send(format!("POST {target} HTTP/1.1\r\n{HOST}Content-Length: 5000000\r\n\r\n{{"))
            .await
            .unwrap();
        let answer = line.answer().await.unwrap();
        assert_eq!(answer.status, status, "{}", answer.head);
        assert!(answer.closes(), "{}", answer.head);
    }
    simdeck.end();
}

#[tokio::test]
async fn a_body_that_is_broken_ends_the_connection_and_says_so() {
    let simdeck = Simdeck::start(&[]);
    for target in ["/v1/data-usage", "/x"] {
        let mut line = Line::to(simdeck.public()).await.unwrap();
        let head = format!("POST {target} HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n");
        line.send(format!("{head}2\r\n{{}}\r\nno number\r\n\r\n")).await.unwrap();
        let answer = line.answer().await.unwrap();
        assert!([400, 404].contains(&answer.status), "{}", answer.head);
        assert!(answer.closes(), "{}", answer.head);
        assert_eq!(line.rest().await, "");
    }
    simdeck.end();
}

#[tokio::test]
async fn what_is_no_request_is_answered_as_the_last_on_its_connection() {
    let simdeck = Simdeck::start(&[]);
    for address in [simdeck.public(), simdeck.internal()] {
        for (sent, status) in [
            ("what is this?\r\n\r\n".to_owned(), 400),
            (format!("GET / HTTP/1.1\r\n{HOST}X: {}\r\n\r\n", "x".repeat(300_000)), 431),
        ] {
            let mut line = Line::to(address).await.unwrap();
            drop(line.send(sent).await);
            let answer = line.answer().await.unwrap();
            assert_eq!(answer.status, status, "{}", answer.head);
            assert!(answer.closes(), "{}", answer.head);
        }
    }
    simdeck.end();
}

#[tokio::test]
async fn a_client_of_http_1_0_is_answered_and_keeps_its_connection_where_it_asks_to() {
    let simdeck = Simdeck::start(&[]);
    let old = |nth, headers: &str| {
        push(nth).replacen("HTTP/1.1\r\nHost: push.test\r\n", &format!("HTTP/1.0\r\n{headers}"), 1)
    };
    let mut kept = Line::to(simdeck.public()).await.unwrap();
    for nth in 0..3 {
        kept.send(old(nth, "Host: push.test\r\nConnection: keep-alive\r\n")).await.unwrap();
        let answer = kept.answer().await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(answer.head.contains("connection: keep-alive"), "{}", answer.head);
    }
    let mut once = Line::to(simdeck.public()).await.unwrap();
    once.send(old(3, "Host: push.test\r\n")).await.unwrap();
    let answer = once.answer().await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(once.rest().await, "");
    simdeck.end();
}
