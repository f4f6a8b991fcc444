//! What is too large, too slow, too often, or has no room.
use futures_util::future::join_all;
use serde_json::json;
use std::time::{Duration, Instant};

use crate::server::{Simdeck, Wire, counts, now_s, proof, signed, usage};

const SIM: &str = "8944501503181377993";
const SMALLEST: (&str, &str) = ("SIMDECK_PUBLIC_MAX_BODY", "64KiB");

#[tokio::test]
async fn a_body_as_large_as_allowed_is_taken_and_one_byte_more_is_413() {
    let simdeck = Simdeck::start(&[SMALLEST]);
    let of_size = |bytes: usize, giccid: &str| {
        let mut body = signed(&usage(giccid));
        body.push_str(&" ".repeat(bytes - body.len()));
        body
    };
    assert_eq!(simdeck.push("data-usage", of_size(65_536, SIM)).await, (1, 0, 0));
    let answer = simdeck.post("data-usage", of_size(65_537, "8944501503181377994")).await;
    assert_eq!(answer.status, 413);
    let problem = json!({"type": "about:blank", "title": "Payload Too Large", "status": 413});
    assert_eq!((answer.json(), answer.header("connection")), (problem, "close"));

    let chunked = of_size(65_536, "8944501503181377995");
    let mut wire = simdeck.connect().await;
    wire.send("POST /v1/data-usage HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    for piece in chunked.as_bytes().chunks(10_000) {
        wire.send([format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()).await;
    }
    wire.send("0\r\n\r\n").await;
    let (head, answer) = wire.answer().await;
    assert!(head.contains(" 200 ok"), "{head}");
    assert_eq!(counts(&serde_json::from_str(&answer).unwrap()), (1, 0, 0));
    assert_eq!(simdeck.rows("/v1/data-usage").await.len(), 2);
    simdeck.end();
}

#[tokio::test]
async fn a_body_that_is_too_large_is_answered_before_it_has_come() {
    let simdeck = Simdeck::start(&[SMALLEST]);
    let mut declared = simdeck.connect().await;
    declared.send("POST /v1/data-usage HTTP/1.1\r\nhost: x\r\ncontent-length: 65537\r\n\r\n").await;
    let mut absurd = simdeck.connect().await;
    let length = i64::MAX;
    absurd
        .send(format!(
            "POST /v1/data-usage HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n"
        ))
        .await;
    let mut expecting = simdeck.connect().await;
    expecting
        .send("POST /v1/data-usage HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 65537\r\n\r\n")
        .await;
    let mut chunked = simdeck.connect().await;
    chunked
        .send("POST /v1/data-usage HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    // One more piece is announced than is sent.
    chunked.send(format!("10001\r\n{}\r\n1", " ".repeat(65_537))).await;
    for wire in [&mut declared, &mut absurd, &mut expecting, &mut chunked] {
        let (head, _) = wire.answer().await;
        assert!(head.contains(" 413 payload too large"), "{head}");
        assert!(head.contains("connection: close"), "{head}");
        assert!(wire.rest().await.is_empty());
    }
    assert_eq!(simdeck.get("/v1/held").await, json!([]));
    simdeck.end();
}

#[tokio::test]
async fn a_content_encoding_is_415_whatever_the_body() {
    let simdeck = Simdeck::start(&[]);
    let body = signed(&usage(SIM));
    for encoding in ["gzip", "br", "deflate", "identity, gzip", "aws-chunked", "gzip, "] {
        let headers = [("Content-Encoding", encoding)];
        let answer = simdeck.post_with("data-usage", body.clone(), &headers).await;
        assert_eq!(answer.status, 415, "{encoding}");
        assert_eq!(answer.json()["title"], "Unsupported Media Type");
    }
    // Told from the head: the body need not come.
    let mut wire = simdeck.connect().await;
    wire.send("POST /v1/data-usage HTTP/1.1\r\nhost: x\r\ncontent-encoding: gzip\r\ncontent-length: 9\r\n\r\n")
        .await;
    assert!(wire.answer().await.0.contains(" 415 "));
    assert_eq!(simdeck.get("/v1/held").await, json!([]));
    for (encoding, stored) in [("Identity", (1, 0, 0)), ("", (0, 1, 0))] {
        let headers = [("Content-Encoding", encoding)];
        let answer = simdeck.post_with("data-usage", body.clone(), &headers).await;
        assert_eq!(counts(&answer.json()), stored, "{encoding:?} says that there is none");
    }
    simdeck.end();
}

#[tokio::test]
async fn a_body_that_is_not_there_after_ten_seconds_is_408() {
    let simdeck = Simdeck::start(&[]);
    let body = signed(&usage(SIM));
    let head = format!(
        "POST /v1/data-usage HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let began = Instant::now();
    let silent = async {
        let mut wire = simdeck.connect().await;
        wire.send(format!("{head}{}", &body[..20])).await;
        wire
    };
    // Each byte is early; the whole is late.
    let dribbling = async {
        let mut wire = simdeck.connect().await;
        wire.send(&head).await;
        let mut tick = tokio::time::interval(Duration::from_millis(500));
        for byte in body.bytes() {
            tick.tick().await;
            if began.elapsed() > Duration::from_secs(9) {
                break;
            }
            wire.send([byte]).await;
        }
        wire
    };
    let chunked = async {
        let mut wire = simdeck.connect().await;
        wire.send(
            "POST /v1/data-usage HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{\"",
        )
        .await;
        wire
    };
    let (silent, dribbling, chunked) = tokio::join!(silent, dribbling, chunked);
    let answered = |mut wire: Wire| async move {
        let (head, problem) = wire.answer().await;
        assert!(head.contains(" 408 request timeout"), "{head}");
        assert!(problem.contains(r#""title":"Request Timeout""#), "{problem}");
        assert!(wire.rest().await.is_empty(), "and closed");
        Instant::now()
    };
    for answered in join_all([silent, dribbling, chunked].map(answered)).await {
        let took = answered - began;
        assert!((9..15).contains(&took.as_secs()), "{took:?}");
    }
    assert_eq!(simdeck.get("/v1/data-usage").await, json!([]));
    assert_eq!(simdeck.get("/v1/held").await, json!([]));
    simdeck.end();
}

#[tokio::test]
async fn a_body_that_breaks_off_is_not_judged() {
    let simdeck = Simdeck::start(&[]);
    let body = signed(&usage(SIM));
    let length = body.len() + 10;
    let mut wire = simdeck.connect().await;
    wire.send(format!(
        "POST /v1/data-usage HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}"
    ))
    .await;
    wire.finish().await;
    let answer = String::from_utf8(wire.rest().await).unwrap();
    assert!(!answer.contains(" 200 "), "{answer}");
    let mut wire = simdeck.connect().await;
    wire.send(format!(
        "POST /v1/data-usage HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\nzz\r\n",
        body.len()
    ))
    .await;
    let answer = String::from_utf8(wire.rest().await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(simdeck.get("/v1/data-usage").await, json!([]));
    assert_eq!(simdeck.get("/v1/held").await, json!([]), "we have not seen what it was");
    simdeck.end();
}

#[tokio::test]
async fn after_twenty_failures_a_source_is_told_to_wait_and_a_verified_push_never_is() {
    let simdeck = Simdeck::start(&[]);
    let flood = async |from: &str, nth: usize| {
        // 401 and 400 count together.
        let body = match nth % 2 {
            0 => format!(r#"{{"datePush":{nth}}}"#),
            _ => format!("no json {nth}"),
        };
        simdeck.post_with("data-usage", body, &[("X-Forwarded-For", from)]).await
    };
    let (mut refused, mut told) = (0, 0);
    for nth in 0..30 {
        let answer = flood("203.0.113.1", nth).await;
        match answer.status {
            400 | 401 => refused += 1,
            429 => {
                told += 1;
                let wait: u64 = answer.header("retry-after").parse().unwrap();
                assert!((1..=60).contains(&wait), "{wait}");
                assert_eq!(answer.json()["title"], "Too many failures");
            }
            other => panic!("{other}"),
        }
        if nth < 20 {
            assert_eq!(told, 0, "the first twenty are told what is wrong");
        }
    }
    // One more is forgiven every three seconds.
    assert!(told >= 5, "{told}");
    let good = signed(&usage(SIM));
    for _ in 0..3 {
        let from = [("X-Forwarded-For", "203.0.113.1")];
        let answer = simdeck.post_with("data-usage", good.clone(), &from).await;
        assert_eq!(answer.status, 200, "never a verified push");
    }
    assert_eq!(flood("203.0.113.2", 99).await.status, 400, "another source");
    // Those that were told to wait, and were no push that only our key refuses, are counted.
    simdeck.held(refused + 1).await;
    // All of a /64 is one source.
    let mut answers = Vec::new();
    for nth in 0..40 {
        answers.push(flood(&format!("2001:db8::{nth}:1"), nth).await.status);
    }
    assert!(!answers[..20].contains(&429) && answers.contains(&429), "{answers:?}");
    assert_ne!(flood("2001:db8:0:1::1", 1).await.status, 429, "the next /64");
    simdeck.end();
}

#[tokio::test]
async fn without_room_on_the_disk_every_push_is_503() {
    let mut simdeck = Simdeck::start(&[("SIMDECK_DISK_RESERVE", "1000TiB")]);
    simdeck.says("Pushes cannot be stored");
    for body in [signed(&usage(SIM)), signed(r#""giccid":"1""#)] {
        let answer = simdeck.post("data-usage", body).await;
        assert_eq!(answer.status, 503);
        let wait: u64 = answer.header("retry-after").parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
        assert_eq!(answer.json()["title"], "Service Unavailable");
    }
    assert_eq!(simdeck.post("data-usage", "{}").await.status, 401, "whose it is comes first");
    let (status, problem) = simdeck.ask(reqwest::Method::GET, "/readyz").await;
    assert_eq!(status, 503);
    assert!(problem["detail"].as_str().unwrap().contains("SIMDECK_DISK_RESERVE"), "{problem}");
    let status = simdeck.get("/v1/status").await;
    assert_eq!(status["ready"], false);
    let alive = simdeck.ask_public(reqwest::Method::GET, "/healthz", vec![], &[]).await;
    assert_eq!(alive.status, 200);
    let simdeck = simdeck.restart(&[]);
    assert_eq!(simdeck.get("/v1/data-usage").await, json!([]));
    assert_eq!(simdeck.push("data-usage", signed(&usage(SIM))).await, (1, 0, 0));
    simdeck.end();
}

#[tokio::test]
async fn a_full_quarantine_refuses_what_would_go_there_and_nothing_else() {
    let simdeck = Simdeck::start(&[("SIMDECK_QUARANTINE_MAX", "1MiB")]);
    let unreadable =
        |nth: usize| signed(&format!(r#""giccid":"1","n":{nth},"x":"{}""#, "x".repeat(600_000)));
    assert_eq!(simdeck.push("data-usage", unreadable(1)).await, (0, 0, 1));
    let answer = simdeck.post("data-usage", unreadable(2)).await;
    assert_eq!(answer.status, 503);
    assert!(answer.header("retry-after").parse::<u64>().is_ok());
    // All or nothing: a good neighbour of what has no room is not acknowledged either.
    let both = format!("[{},{}]", signed(&usage(SIM)), unreadable(3));
    assert_eq!(simdeck.post("data-usage", both).await.status, 503);
    assert_eq!(simdeck.get("/v1/data-usage").await, json!([]));
    let refused = simdeck.rows("/v1/pushes?outcome=unavailable").await;
    let reasons: Vec<_> = refused.iter().map(|row| row["reason"].as_str()).collect();
    assert_eq!(reasons, [Some("no_room"); 2]);
    let (_, metrics) = simdeck.ask_text(reqwest::Method::GET, "/metrics").await;
    for (reason, count) in [("no_room", 2), ("busy", 0)] {
        let line = format!(r#"simdeck_refusals_total{{reason="{reason}"}} {count}"#);
        assert!(metrics.lines().any(|it| it == line), "{line}: {metrics}");
    }
    assert_eq!(simdeck.push("data-usage", signed(&usage(SIM))).await, (1, 0, 0));
    // Room again, and it is taken.
    let id = simdeck.rows("/v1/held").await[0]["id"].clone();
    let (status, _) = simdeck.ask(reqwest::Method::DELETE, &format!("/v1/held/{id}")).await;
    assert_eq!(status, 204);
    assert_eq!(simdeck.push("data-usage", unreadable(2)).await, (0, 0, 1));
    let log = simdeck.end();
    assert!(
        log.contains("Answered pushes with 503") && log.contains("quarantine is full"),
        "{log}"
    );
}

#[tokio::test]
async fn the_same_push_again_has_room_in_a_full_quarantine() {
    let simdeck = Simdeck::start(&[("SIMDECK_QUARANTINE_MAX", "1MiB")]);
    let body = format!(r#"{{{},"giccid":"1","x":"{}"}}"#, proof(now_s()), "x".repeat(600_000));
    for count in 1..=2 {
        assert_eq!(simdeck.push("data-usage", body.clone()).await, (0, 0, 1));
        assert_eq!(simdeck.held(1).await[0]["count"], count);
    }
    let log = simdeck.end();
    assert!(!log.contains("Answered pushes with 503"), "{log}");
}

#[tokio::test]
async fn a_retry_without_room_in_quarantine_loses_nothing() {
    let simdeck =
        Simdeck::start(&[("SIMDECK_QUARANTINE_MAX", "1MiB"), ("SIMDECK_PUSH_KEY", "another-key")]);
    let large = |nth: usize| format!(r#""giccid":"1","n":{nth},"x":"{}""#, "x".repeat(600_000));
    assert_eq!(simdeck.post("data-usage", signed(&large(1))).await.status, 401);
    simdeck.held(1).await;
    let simdeck = simdeck.restart(&[("SIMDECK_QUARANTINE_MAX", "1MiB")]);
    assert_eq!(simdeck.push("data-usage", signed(&large(2))).await, (0, 0, 1));
    let refused = simdeck.rows("/v1/held?class=refused").await.remove(0);
    let path = format!("/v1/held/{}/retry", refused["id"]);
    let (status, problem) = simdeck.ask(reqwest::Method::POST, &path).await;
    let detail = problem["detail"].as_str().unwrap();
    assert!(status == 503 && detail.contains("SIMDECK_QUARANTINE_MAX"), "{status}: {detail}");
    assert_eq!(simdeck.rows("/v1/held?class=refused").await, [refused], "it is still there");
    simdeck.end();
}
