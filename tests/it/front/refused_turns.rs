//! Refused pushes on their way to the disk: each source has its turn, and a kill takes no count away.
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::server::{Simdeck, now_s, signature};

const FLOOD: &str = "203.0.113.1";
const SLOW: &str = "198.51.100.7";
const GUARD: Duration = Duration::from_secs(120);

/// A push under a key that is not ours, unlike all others.
fn foreign(source: &str, nth: usize) -> String {
    let now = now_s();
    let signature = signature("another key", now);
    format!(r#"{{"datePush":{now},"signature":"{signature}","from":"{source}","nth":{nth}}}"#)
}

async fn refused(simdeck: &Simdeck, source: &str, nth: usize) {
    let from = [("X-Forwarded-For", source)];
    let answer = simdeck.post_with("data-usage", foreign(source, nth), &from).await;
    assert!([401, 429].contains(&answer.status), "{}: {}", answer.status, answer.body);
}

/// Refused pushes that are held and that were dropped.
async fn figures(simdeck: &Simdeck) -> (u64, u64) {
    let rings = simdeck.get("/v1/status").await["held"]["refused"].clone();
    let sum = |name: &str| {
        rings.as_object().unwrap().values().map(|ring| ring[name].as_u64().unwrap()).sum()
    };
    (sum("pushes"), sum("dropped"))
}

/// Waits until so many are held or dropped; gives both.
async fn all_told(simdeck: &Simdeck, sent: u64) -> (u64, u64) {
    let began = Instant::now();
    loop {
        let (held, dropped) = figures(simdeck).await;
        if held + dropped == sent {
            return (held, dropped);
        }
        assert!(began.elapsed() < GUARD, "{held} held and {dropped} dropped of {sent}");
    }
}

/// How many of a source are held.
async fn held_of(simdeck: &Simdeck, source: &str) -> usize {
    let mut held = 0;
    for page in 0.. {
        let rows = simdeck.get(&format!("/v1/held?class=refused&size=100&page={page}")).await;
        let rows = rows.as_array().unwrap();
        held += rows.iter().filter(|row| row["source"] == source).count();
        if rows.len() < 100 {
            break;
        }
    }
    held
}

#[tokio::test]
async fn a_flood_from_one_source_costs_a_slow_one_no_refused_push() {
    const SLOW_PUSHES: usize = 40;
    let simdeck = Simdeck::start(&[]);
    let mut sent = 0;
    for nth in 0..SLOW_PUSHES {
        join_all((0..60).map(|of| refused(&simdeck, FLOOD, nth * 60 + of))).await;
        refused(&simdeck, SLOW, nth).await;
        sent += 61;
    }
    let (held, dropped) = all_told(&simdeck, sent).await;
    assert_eq!(held_of(&simdeck, SLOW).await, SLOW_PUSHES, "{held} held, {dropped} dropped");
    simdeck.end();
}

#[tokio::test]
async fn floods_from_many_sources_cost_a_slow_one_no_refused_push() {
    const SLOW_PUSHES: usize = 40;
    let simdeck = Simdeck::start(&[]);
    let mut sent = 0;
    for nth in 0..SLOW_PUSHES {
        let sources = (1..=6).map(|host| format!("203.0.113.{host}"));
        let sources: Vec<_> = sources.collect();
        join_all((0..60).map(|of| refused(&simdeck, &sources[of % 6], nth * 60 + of))).await;
        refused(&simdeck, SLOW, nth).await;
        sent += 61;
    }
    let (held, dropped) = all_told(&simdeck, sent).await;
    assert!(dropped > 0, "nothing was dropped of {held}: no flood");
    assert_eq!(held_of(&simdeck, SLOW).await, SLOW_PUSHES, "{held} held, {dropped} dropped");
    simdeck.end();
}

#[tokio::test]
async fn a_kill_takes_no_refused_push_out_of_the_figures_that_knew_it() {
    let simdeck = Simdeck::start(&[]);
    join_all((0..200).map(|nth| refused(&simdeck, FLOOD, nth))).await;
    let before = all_told(&simdeck, 200).await;
    let folder = simdeck.folder();
    drop(simdeck);
    let simdeck = Simdeck::start_in(folder, &[]);
    assert_eq!(figures(&simdeck).await, before);
    simdeck.end();
}

#[tokio::test]
async fn refused_pushes_that_wait_for_their_turn_are_counted_after_a_kill() {
    let simdeck = Simdeck::start(&[]);
    let sources: Vec<_> = (1..=3).map(|host| format!("203.0.113.{host}")).collect();
    join_all((0..600).map(|nth| refused(&simdeck, &sources[nth % 3], nth))).await;
    refused(&simdeck, SLOW, 0).await;
    // Its turn comes first; whatever was answered before it and is not held yet waits.
    let began = Instant::now();
    while held_of(&simdeck, SLOW).await == 0 {
        assert!(began.elapsed() < GUARD, "the slow one is not held");
    }
    let (held, _) = figures(&simdeck).await;
    let folder = simdeck.folder();
    drop(simdeck);
    let simdeck = Simdeck::start_in(folder.clone(), &[]);
    let (held_after, dropped) = figures(&simdeck).await;
    assert!(held_after >= held && held_after < 601, "{held} held, then {held_after}: none waited");
    assert_eq!(held_after + dropped, 601, "{held_after} held and {dropped} dropped");
    // And only once.
    drop(simdeck);
    let simdeck = Simdeck::start_in(folder, &[]);
    assert_eq!(figures(&simdeck).await, (held_after, dropped));
    let attention = simdeck.get("/v1/attention").await;
    let told = attention.as_array().unwrap().iter().find(|item| item["kind"] == "pushes_refused");
    assert_eq!(told.unwrap()["count"], 601, "{attention}");
    simdeck.end();
}

#[tokio::test]
async fn a_kill_amid_a_flood_loses_only_the_count_of_what_came_last() {
    // A quarter of a second and a commit; a busy machine may take longer.
    const LOST_MAX: Duration = Duration::from_secs(2);
    let simdeck = Simdeck::start(&[]);
    let mut answered = Vec::new();
    // For long enough that some were answered before those whose count may be lost.
    let began = Instant::now();
    while began.elapsed() < LOST_MAX + Duration::from_secs(1) {
        let round = answered.len();
        let sources: Vec<_> = (1..=5).map(|host| format!("203.0.113.{host}")).collect();
        join_all((0..50).map(|of| refused(&simdeck, &sources[of % 5], round * 50 + of))).await;
        answered.push(Instant::now());
    }
    let killed = Instant::now();
    let folder = simdeck.folder();
    drop(simdeck);
    let before = answered.iter().filter(|at| killed - **at > LOST_MAX).count() * 50;
    let pushes = answered.len() * 50;
    assert!(before > 0, "none of {pushes} was answered early enough to tell");
    let simdeck = Simdeck::start_in(folder, &[]);
    let (held, dropped) = figures(&simdeck).await;
    assert!(held + dropped >= before as u64, "{held} held and {dropped} dropped of {before}");
    assert!(held + dropped <= pushes as u64, "{held} held and {dropped} dropped of {pushes}");
    simdeck.end();
}
