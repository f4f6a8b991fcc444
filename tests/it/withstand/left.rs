//! Clients that leave when their push is whole: it goes its way, and every figure says the same.
use std::{fs, time::Instant};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::Value;
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::line::{from, request};
use crate::server::{Simdeck, now_s, signature, signed, usage};

/// Longer than anything takes here.
const GUARD_S: u64 = 60;

/// The value of a sample of `/metrics`.
fn sample(metrics: &str, name: &str) -> u64 {
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {name} in {metrics}")).parse().unwrap()
}

async fn metrics(simdeck: &Simdeck) -> String {
    simdeck.ask_text(Method::GET, "/metrics").await.1
}

async fn connections(simdeck: &Simdeck) -> u64 {
    sample(&metrics(simdeck).await, r#"simdeck_connections{listener="public"}"#)
}

/// Waits until the public listener has no more connections than these.
async fn all_left_but(others: u64, simdeck: &Simdeck) {
    let began = Instant::now();
    while connections(simdeck).await > others {
        assert!(began.elapsed().as_secs() < GUARD_S, "a connection stays");
    }
}

/// Whether the server has read all that was sent from this address.
fn is_read(stream: &TcpStream) -> bool {
    let of = |port: u16| format!(":{port:04X}");
    let (ours, theirs) = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
    let (ours, theirs) = (of(ours.port()), of(theirs.port()));
    let sockets = fs::read_to_string("/proc/net/tcp").unwrap();
    let queues = |local: &str, remote: &str| {
        let mut lines = sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let line = lines.find(|words| words[1].ends_with(local) && words[2].ends_with(remote));
        line.map(|words| words[4].to_owned())
    };
    // What is to be sent, and what has come and is not read.
    queues(&ours, &theirs).is_some_and(|queues| queues.starts_with("00000000:"))
        && queues(&theirs, &ours).is_some_and(|queues| queues.ends_with(":00000000"))
}

async fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
    drop(stream);
}

#[tokio::test]
async fn what_is_stored_after_its_sender_left_is_in_every_figure() {
    let simdeck = Simdeck::start(&[]);
    let sim = |nth: u64| format!("89445015031813{nth:05}");
    assert_eq!(simdeck.push("data-usage", signed(&usage(&sim(0)))).await, (1, 0, 0));
    let others = connections(&simdeck).await;
    let database = simdeck.folder().path().join("data/simdeck.db");
    let mut other = SqliteConnectOptions::new().filename(database).connect().await.unwrap();
    let lock = other.begin_with("begin immediate").await.unwrap();
    let (good, odd) = (20, 10);
    let mut streams = Vec::new();
    for nth in 0..good + odd {
        let body = match nth < good {
            true => signed(&usage(&sim(nth + 1))),
            false => signed(&format!(r#""giccid":"1","nth":{nth}"#)),
        };
        let mut stream = from(2, simdeck.public()).await.unwrap();
        stream.write_all(request("/v1/data-usage", &body).as_bytes()).await.unwrap();
        streams.push(stream);
    }
    let began = Instant::now();
    while simdeck.get("/v1/status").await["queue"]["records"] != good + odd {
        assert!(began.elapsed().as_secs() < 4, "they do not wait for the lock");
    }
    for stream in streams {
        reset(stream).await;
    }
    all_left_but(others, &simdeck).await;
    lock.rollback().await.unwrap();
    let began = Instant::now();
    loop {
        let metrics = metrics(&simdeck).await;
        let status = simdeck.get("/v1/status").await;
        let pushes = |outcome: &str| {
            sample(
                &metrics,
                &format!(r#"simdeck_pushes_total{{kind="data-usage",outcome="{outcome}"}}"#),
            )
        };
        let figures = [
            ("status", status["pushes"]["data-usage"]["records"].as_u64().unwrap()),
            ("stored records", sample(&metrics, r#"simdeck_records_total{kind="data-usage"}"#)),
            ("stored pushes", pushes("stored")),
        ];
        let of_odd = [
            ("status", status["held"]["quarantined"]["pushes"].as_u64().unwrap()),
            ("quarantined pushes", pushes("quarantined")),
        ];
        let is_all = figures.iter().all(|(_, count)| *count == good + 1)
            && of_odd.iter().all(|(_, count)| *count == odd);
        if is_all {
            assert_eq!(pushes("unanswered"), 0);
            break;
        }
        let waited = began.elapsed().as_secs();
        assert!(waited < 20, "{figures:?} {of_odd:?} {}", pushes("unanswered"));
    }
    let rows = simdeck.get("/v1/pushes?outcome=stored&size=1000").await;
    let unheard = rows.as_array().unwrap().iter().filter(|row| row["status"] == Value::Null);
    assert_eq!(unheard.count() as u64, good, "nobody waited for their answers");
    simdeck.end();
}

#[tokio::test]
async fn a_large_refused_push_whose_sender_left_is_held_or_counted_as_dropped() {
    let simdeck = Simdeck::start(&[]);
    let filler = "x".repeat(1 << 20);
    let sources = 8;
    let leaving = (0..sources).map(async |nth| {
        let proof =
            format!(r#""datePush":{0},"signature":"{1}""#, now_s(), signature("other", now_s()));
        let body = format!(r#"{{{proof},"nth":{nth},"filler":"{filler}"}}"#);
        let mut stream = from(2 + nth, simdeck.public()).await.unwrap();
        stream.write_all(request("/v1/data-usage", &body).as_bytes()).await.unwrap();
        let began = Instant::now();
        while !is_read(&stream) {
            assert!(began.elapsed().as_secs() < GUARD_S, "a body is not read");
            tokio::task::yield_now().await;
        }
        reset(stream).await;
    });
    join_all(leaving).await;
    let began = Instant::now();
    loop {
        let metrics = metrics(&simdeck).await;
        let ring = &simdeck.get("/v1/status").await["held"]["refused"]["plausible"];
        let accounted = ring["pushes"].as_u64().unwrap() + ring["dropped"].as_u64().unwrap();
        let refused =
            sample(&metrics, r#"simdeck_pushes_total{kind="data-usage",outcome="refused"}"#);
        if (accounted, refused) == (u64::from(sources), u64::from(sources)) {
            break;
        }
        assert!(began.elapsed().as_secs() < GUARD_S, "{ring} {refused}");
    }
    simdeck.end();
}
