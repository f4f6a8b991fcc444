//! Attacks on the internal listener by somebody who has no key, and connections without end on either.
use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use serde_json::Value;
use tempfile::TempDir;

use super::line::Line;
use crate::server::Simdeck;

const MEMORY_BYTES_MAX: u64 = 192 << 20;

fn sign_in(length: usize, body: &str) -> String {
    format!(
        "POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://127.0.0.1\r\n\
         Content-Length: {length}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}"
    )
}

async fn is_healthy(simdeck: &Simdeck) -> bool {
    let mut line = Line::to(simdeck.internal()).await.unwrap();
    line.send("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await.unwrap();
    line.answer().await.is_ok_and(|answer| answer.status == 200)
}

#[tokio::test]
async fn slow_sign_ins_of_one_source_leave_room_for_others_and_end() {
    let simdeck = Simdeck::start(&[]);
    let mut slow = Vec::new();
    for _ in 0..600 {
        let mut line = Line::from(2, simdeck.internal()).await.unwrap();
        // Those beyond its share are closed.
        if line.send(sign_in(100, "k")).await.is_ok() {
            slow.push(line);
        }
    }
    let began = Instant::now();
    assert!(is_healthy(&simdeck).await);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let answers = join_all(slow.iter_mut().map(Line::answer)).await;
    let too_slow = answers.iter().flatten().filter(|answer| answer.status == 408).count();
    assert!((100..500).contains(&too_slow), "{too_slow} of {}", answers.len());
    assert!(answers.iter().flatten().all(|answer| answer.status == 408 && answer.closes()));
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    simdeck.end();
}

#[tokio::test]
async fn large_sign_ins_take_no_memory() {
    let simdeck = Simdeck::start(&[]);
    let body = "k".repeat(2_000_000);
    let attempts = (0..500).map(async |nth: u32| {
        let source = 2 + u8::try_from(nth % 4).unwrap();
        let mut line = Line::from(source, simdeck.internal()).await?;
        drop(line.send(sign_in(body.len(), &body)).await);
        line.answer().await
    });
    let attempts = attempts.collect::<Vec<_>>();
    let answers = join_all(attempts).await;
    let refused = answers.iter().flatten().filter(|answer| answer.status == 413).count();
    assert!(refused >= 400, "{refused} were answered");
    assert!(answers.iter().flatten().all(|answer| answer.status == 413));
    let status = fs::read_to_string(format!("/proc/{}/status", simdeck.pid().as_raw_nonzero()));
    let status = status.unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let memory = line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024;
    assert!(memory <= MEMORY_BYTES_MAX, "{memory} bytes");
    simdeck.end();
}

#[tokio::test]
async fn a_form_of_another_page_is_refused_before_its_body() {
    let simdeck = Simdeck::start(&[]);
    let mut line = Line::to(simdeck.internal()).await.unwrap();
    let form = sign_in(100, "").replace("http://127.0.0.1", "https://evil.example");
    line.send(form).await.unwrap();
    let answer = line.answer().await.unwrap();
    assert_eq!(answer.status, 403, "{}", answer.head);
    simdeck.end();
}

/// The value of a sample of `/metrics`.
async fn sample(simdeck: &Simdeck, name: &str) -> u64 {
    let (_, text) = simdeck.ask_text(reqwest::Method::GET, "/metrics").await;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

async fn is_full(simdeck: &Simdeck) -> Option<Value> {
    let status = simdeck.get("/v1/status").await;
    let conditions = status["conditions"].as_array().unwrap();
    let found = conditions.iter().find(|it| it["name"] == "connections_full").unwrap();
    (found["on"] == true).then(|| found.clone())
}

#[tokio::test]
async fn that_a_source_has_its_share_of_connections_is_told_with_its_address() {
    let few = ["prlimit", "--nofile=256"];
    let mut simdeck = Simdeck::start_under(&few, Arc::new(TempDir::new().unwrap()), &[]);
    let head = "POST /v1/data-usage HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n";
    let push = format!("{head}{{}}");
    // Each is at a body, so that none can be closed to make room for the next.
    let mut begun = Vec::new();
    for _ in 0..48 {
        let mut line = Line::from(7, simdeck.public()).await.unwrap();
        line.send(head).await.unwrap();
        begun.push(line);
    }
    let share = r#"simdeck_connections{listener="public"}"#;
    let since = Instant::now();
    while sample(&simdeck, share).await < 48 {
        assert!(since.elapsed().as_secs() < 60, "they are not let in");
    }
    assert_eq!(is_full(&simdeck).await, None);
    let mut one_more = Line::from(7, simdeck.public()).await.unwrap();
    let is_sent = one_more.send(push.as_str()).await.is_ok();
    assert!(!is_sent || one_more.answer().await.is_err(), "it is closed without an answer");
    let told = is_full(&simdeck).await.unwrap();
    let sentence = told["sentence"].as_str().unwrap();
    let says = "The public listener closes further connections of 127.0.0.7 without an answer: it \
                has the 48 that one source may have.";
    assert_eq!(sentence, says);
    let todo = told["todo"].as_str().unwrap();
    assert!(todo.contains("add it to SIMDECK_PUBLIC_TRUSTED_PROXIES"), "{todo}");
    simdeck.wait_for("closes further connections of 127.0.0.7");
    drop(begun);
    simdeck.end();
}

#[tokio::test]
async fn that_every_place_is_taken_is_told() {
    let few = ["prlimit", "--nofile=256"];
    let mut simdeck = Simdeck::start_under(&few, Arc::new(TempDir::new().unwrap()), &[]);
    let places = sample(&simdeck, r#"simdeck_connections_max{listener="public"}"#).await;
    assert_eq!(places, 96, "three quarters of what is left of 256");
    assert_eq!(is_full(&simdeck).await, None);
    let mut resting = Vec::new();
    for nth in 0..places {
        let source = 2 + u8::try_from(nth % 4).unwrap();
        resting.push(Line::from(source, simdeck.public()).await.unwrap());
    }
    let mut newcomer = Line::from(9, simdeck.public()).await.unwrap();
    newcomer.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert_eq!(newcomer.answer().await.unwrap().status, 200, "the longest rest made room");
    assert_eq!(sample(&simdeck, r#"simdeck_connections{listener="public"}"#).await, places);
    let waited = sample(&simdeck, r#"simdeck_connections_waited_total{listener="public"}"#).await;
    assert!(waited >= 1, "{waited}");
    let room = r#"simdeck_connections_closed_total{listener="public",reason="made_room"}"#;
    assert!(sample(&simdeck, room).await >= 1);
    let told = is_full(&simdeck).await.unwrap();
    let sentence = told["sentence"].as_str().unwrap();
    assert!(sentence.contains("The public listener has all the 96 connections"), "{sentence}");
    assert!(told["todo"].as_str().unwrap().contains("LimitNOFILE"), "{told}");
    simdeck.wait_for("The public listener has all the 96 connections");
    simdeck.end();
}
