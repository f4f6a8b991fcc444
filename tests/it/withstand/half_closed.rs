//! Clients that send all they have, say that no more will come, and read the answer.
use super::{
    certificate::{Files, Pair},
    line::{Line, connector, request},
};
use crate::server::{Simdeck, now_s, proof};

const PUSHES: usize = 100;

fn push(nth: usize) -> String {
    let start_ms = 1_713_888_842_473 + nth;
    let usage = format!(r#""giccid":"8944501503181377993","data_usage":1,"start_time":{start_ms}"#);
    request("/v1/data-usage", &format!("{{{},{usage}}}", proof(now_s())))
}

/// One push, after which nothing more is sent. Whether it was acknowledged.
async fn is_acknowledged(mut line: Line, nth: usize) -> bool {
    line.send(push(nth)).await.unwrap();
    line.finish().await.unwrap();
    let is_stored = line.answer().await.is_ok_and(|answer| answer.status == 200);
    if is_stored {
        assert_eq!(line.rest().await, "", "nothing was asked any more");
    }
    is_stored
}

#[tokio::test]
async fn a_push_after_which_nothing_more_is_sent_is_stored_and_answered() {
    let simdeck = Simdeck::start(&[]);
    let mut answered = 0;
    for nth in 0..PUSHES {
        let line = Line::to(simdeck.public()).await.unwrap();
        answered += usize::from(is_acknowledged(line, nth).await);
    }
    let stored = simdeck.get("/v1/status").await["pushes"]["data-usage"]["records"].clone();
    assert_eq!((answered, stored), (PUSHES, PUSHES.into()));
    simdeck.end();
}

#[tokio::test]
async fn so_it_is_over_tls() {
    let pair = Pair::new();
    let files = Files::of(&pair);
    let settings = files.settings();
    let simdeck = Simdeck::start(&settings.each_ref().map(|(name, value)| (*name, value.as_str())));
    let trusted = connector(std::slice::from_ref(&pair.der));
    let mut answered = 0;
    for nth in 0..PUSHES {
        let line = Line::encrypted(simdeck.public(), &trusted).await.unwrap();
        answered += usize::from(is_acknowledged(line, nth).await);
    }
    let stored = simdeck.get("/v1/status").await["pushes"]["data-usage"]["records"].clone();
    assert_eq!((answered, stored), (PUSHES, PUSHES.into()));
    simdeck.end();
}

#[tokio::test]
async fn all_that_was_asked_before_the_end_is_answered_and_what_is_cut_short_is_refused() {
    let simdeck = Simdeck::start(&[]);
    let mut pipelined = Line::to(simdeck.public()).await.unwrap();
    pipelined.send(format!("{}{}", push(1), push(2))).await.unwrap();
    pipelined.finish().await.unwrap();
    for _ in 0..2 {
        assert_eq!(pipelined.answer().await.unwrap().status, 200);
    }
    assert_eq!(pipelined.rest().await, "");
    let mut cut = Line::to(simdeck.public()).await.unwrap();
    let whole = push(3);
    cut.send(&whole[..whole.len() - 1]).await.unwrap();
    cut.finish().await.unwrap();
    assert_eq!(cut.answer().await.unwrap().status, 400);
    assert_eq!(cut.rest().await, "");
    assert_eq!(simdeck.rows("/v1/data-usage").await.len(), 2);
    simdeck.end();
}

#[tokio::test]
async fn a_question_after_which_nothing_more_is_sent_is_answered_inside_too() {
    let simdeck = Simdeck::start(&[]);
    for path in ["/readyz", "/v1/status", "/metrics"] {
        let mut line = Line::to(simdeck.internal()).await.unwrap();
        let key = crate::server::API_KEY;
        let asked = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: {key}\r\n\r\n");
        line.send(asked).await.unwrap();
        line.finish().await.unwrap();
        assert_eq!(line.answer().await.unwrap().status, 200, "{path}");
        assert_eq!(line.rest().await, "");
    }
    simdeck.end();
}
