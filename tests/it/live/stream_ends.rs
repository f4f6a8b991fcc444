//! How streams go on when nothing happens, and how they end.
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::Value;
use simdeck::http::{ApiSettings, StreamLimits};

use super::events::Events;
use crate::{
    api_harness::{ADMIN_KEY, Api, Given},
    server::{API_KEY, Simdeck, signed, usage},
};

#[tokio::test]
async fn a_stream_without_events_says_that_it_is_still_there() {
    let keep_alive = Duration::from_millis(100);
    let streams = StreamLimits { keep_alive, ..StreamLimits::default() };
    let api = Api::given(Given { streams, ..Given::default() }).await;
    let began = Instant::now();
    let mut stream = api.stream("", "").await;
    for _ in 0..3 {
        assert_eq!(stream.next_or_comment().await.unwrap().name, "");
    }
    assert!(began.elapsed() >= keep_alive * 3);
    assert_eq!(StreamLimits::default().keep_alive, Duration::from_secs(15));
}

#[tokio::test]
async fn there_are_so_many_streams_and_no_more_until_one_ends() {
    let streams = StreamLimits { streams_max: 2, ..StreamLimits::default() };
    let api = Api::given(Given { streams, ..Given::default() }).await;
    let (first, _second) = (api.stream("", "").await, api.stream("", "").await);
    let refused = api.get("/v1/stream").await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    let seconds: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=5).contains(&seconds), "{seconds}");
    drop(first);
    while api.get("/v1/stream").await.status() != StatusCode::OK {}
    assert_eq!(StreamLimits::default().streams_max, 64);
}

#[tokio::test]
async fn a_stream_ends_with_its_key() {
    let api = Api::new(ApiSettings::default()).await;
    let made = api.post("/v1/keys", ADMIN_KEY, r#"{"label":"page","scope":"read"}"#).await;
    let made: Value = made.json().await.unwrap();
    let key = made["key"].as_str().unwrap();
    let mut theirs = Events::open(&api.base, key, "/v1/stream", "").await;
    let mut ours = api.stream("", "").await;
    api.add_usage(1).await;
    assert_eq!(theirs.next().await.unwrap().id(), 1);
    let url = format!("/v1/keys/{}", made["id"]);
    let revoked = api.send(Method::DELETE, &url, Some(ADMIN_KEY)).await;
    assert_eq!(revoked.status(), StatusCode::NO_CONTENT);
    api.add_usage(1).await;
    assert_eq!(theirs.next().await, None, "what came after is not theirs");
    assert_eq!(ours.take(2).await[1].id(), 2);
}

#[tokio::test]
async fn a_stream_with_a_revoked_key_ends_though_nothing_is_stored() {
    let keep_alive = Duration::from_millis(50);
    let streams = StreamLimits { keep_alive, ..StreamLimits::default() };
    let api = Api::given(Given { streams, ..Given::default() }).await;
    let made = api.post("/v1/keys", ADMIN_KEY, r#"{"label":"page","scope":"read"}"#).await;
    let made: Value = made.json().await.unwrap();
    let mut theirs = Events::open(&api.base, made["key"].as_str().unwrap(), "/v1/stream", "").await;
    api.send(Method::DELETE, &format!("/v1/keys/{}", made["id"]), Some(ADMIN_KEY)).await;
    assert_eq!(theirs.next().await, None);
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_cut_off_and_holds_nobody_up() {
    let streams = StreamLimits { streams_max: 1, ..StreamLimits::default() };
    let write_time_max = Duration::from_millis(300);
    let api = Api::given(Given { streams, write_time_max, ..Given::default() }).await;
    let stalled = api.stream("?sample=false", "").await;
    // Far more than sockets hold.
    let filling = "x".repeat(2 << 20);
    let mut slowest = Duration::ZERO;
    for nth in 0..12 {
        let began = Instant::now();
        api.push("other-event", &format!(r#""number":{nth},"filling":"{filling}""#)).await;
        slowest = slowest.max(began.elapsed());
    }
    // Its place is free again once it is cut off.
    let mut next = loop {
        let next = Events::ask(&api.base, ADMIN_KEY, "/v1/stream", "").await;
        if next.head.starts_with("http/1.1 200") {
            break next;
        }
    };
    api.add_usage(1).await;
    assert_eq!(next.next().await.unwrap().id(), 13);
    assert!(slowest < Duration::from_secs(3), "a push took {slowest:?}");
    stalled.closed().await;
}

#[tokio::test]
async fn streams_end_whole_and_at_once_when_the_server_stops() {
    let simdeck = Simdeck::start(&[]);
    let mut streams = Vec::new();
    for path in ["/v1/stream", "/v1/stream?sample=false", "/v1/stream?kind=mo-sms"] {
        streams.push(Events::open(simdeck.internal(), API_KEY, path, "").await);
    }
    // One is at the end of what it may show in this second.
    let records: Vec<String> = (0..30)
        .map(|nth| {
            format!("{{{}}}", usage("8944501503181377993").replace("1302", &nth.to_string()))
        })
        .collect();
    let body = signed(&format!(r#""cdrs":[{}]"#, records.join(",")));
    simdeck.push("data-usage", body).await;
    assert_eq!(streams[0].take(20).await.len(), 20);
    assert_eq!(streams[1].take(30).await.len(), 30);
    let began = Instant::now();
    simdeck.signal_term();
    for mut stream in streams {
        assert_eq!(stream.next().await, None);
    }
    let log = simdeck.ended();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(!log.contains("Cut off"), "{log}");
}
