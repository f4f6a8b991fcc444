//! Pushes and health checks beside everything that may take long to answer.
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::{Client, Method};
use serde_json::json;
use tokio::task::JoinSet;

use super::{say, trials};
use crate::server::{API_KEY, Simdeck, now_s, proof, signed};

const RECORDS_A_PUSH: usize = 2_000;
const SIMS: usize = 1_000;
const KEYS: usize = 4;
/// Nobody waits longer than this; a platform that pushes gives up after 5 s.
const WAIT_MAX: Duration = Duration::from_secs(1);
const QUESTIONS: [&str; 12] = [
    "/v1/data-usage/aggregate?interval=15m&usual=true",
    "/v1/data-usage/aggregate?interval=1d&group_by=giccid&top=10",
    "/v1/data-usage/aggregate?interval=15m&group_by=sim_group,apn",
    "/v1/mo-sms/aggregate?interval=15m&usual=true",
    "/v1/data-usage?format=csv",
    "/v1/data-usage?format=ndjson",
    "/v1/sims?size=100&sort=data_usage&tz=Asia/Shanghai",
    "/v1/sims?q=77&silent_for=24h",
    "/v1/summary?from=0",
    "/v1/attention",
    "/v1/status",
    "/v1/search?q=0077",
];

fn giccid(sim: usize) -> String {
    format!("8986001234567890{sim:04}")
}

fn record(nth: usize, ago_ms: usize) -> String {
    let start_ms = now_s() * 1_000 - i64::try_from(ago_ms + nth).unwrap();
    let (giccid, group, apn) = (giccid(nth % SIMS), nth % 30, nth % 7);
    format!(
        r#""giccid":"{giccid}","data_usage":{nth},"start_time":{start_ms},"apn":"apn{apn}","sim_group":"group{group}""#
    )
}

/// Two weeks of records, and one of the year 2000.
async fn fill(simdeck: &Simdeck, pushes: usize) {
    for push in 0..pushes {
        let records: Vec<String> = (0..RECORDS_A_PUSH)
            .map(|nth| push * RECORDS_A_PUSH + nth)
            .map(|nth| format!("{{{}}}", record(nth, nth * 7 % (14 * 96) * 900_000)))
            .collect();
        let body = format!(r#"{{{},"cdrs":[{}]}}"#, proof(now_s()), records.join(","));
        assert_eq!(simdeck.push("data-usage", body).await.0, RECORDS_A_PUSH as u64);
    }
    let old = format!(r#""giccid":"{}","data_usage":1,"start_time":946684800000"#, giccid(0));
    assert_eq!(simdeck.push("data-usage", signed(&old)).await, (1, 0, 0));
}

/// How long pushes took, and how long health checks; the longest last.
struct Waits {
    pushes: Vec<Duration>,
    checks: Vec<Duration>,
}

impl Waits {
    async fn of(simdeck: &Simdeck, first: usize, lasting: Duration) -> Self {
        let mut waits = Self { pushes: Vec::new(), checks: Vec::new() };
        let began = Instant::now();
        while began.elapsed() < lasting {
            let nth = first + waits.pushes.len();
            let (body, sent) = (signed(&record(nth, 0)), Instant::now());
            assert_eq!(simdeck.push("data-usage", body).await, (1, 0, 0));
            waits.pushes.push(sent.elapsed());
            let sent = Instant::now();
            let answer = simdeck.ask_public(Method::GET, "/healthz", Vec::new(), &[]).await;
            assert_eq!(answer.status, 200);
            waits.checks.push(sent.elapsed());
        }
        waits.pushes.sort();
        waits.checks.sort();
        waits
    }

    /// 99 of 100 pushes, and of health checks, took no longer.
    fn p99(&self) -> [Duration; 2] {
        [&self.pushes, &self.checks].map(|waits| waits[(waits.len() - 1) * 99 / 100])
    }
}

/// Asks one thing after another with a key of its own, each time whole; counts the answers.
async fn ask(internal: String, key: String, from: usize, until: Instant, count: Arc<AtomicUsize>) {
    let client = Client::new();
    for path in QUESTIONS.iter().cycle().skip(from) {
        if Instant::now() >= until {
            return;
        }
        let asked = client.get(format!("http://{internal}{path}")).bearer_auth(&key).send().await;
        let answer = asked.unwrap();
        // Who asks too much waits for a turn, and is told so.
        assert!([200, 503].contains(&answer.status().as_u16()), "{path}: {}", answer.status());
        answer.bytes().await.unwrap();
        count.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pushes_and_health_checks_are_answered_at_once_beside_long_questions() {
    // The whole promise is ten minutes of it: SIMDECK_QUESTIONS_SECONDS=600.
    let seconds = trials("SIMDECK_QUESTIONS_SECONDS", 4);
    let lasting = Duration::from_secs(seconds as u64);
    let simdeck = Simdeck::start(&[]);
    fill(&simdeck, 10).await;
    let alone = Waits::of(&simdeck, 1_000_000, lasting / 4).await;
    let (count, until) = (Arc::new(AtomicUsize::new(0)), Instant::now() + lasting);
    let mut askers = JoinSet::new();
    for nth in 0..KEYS {
        let body = json!({"label": format!("asker {nth}"), "scope": "read"}).to_string();
        let (status, made) = simdeck.send_json(Method::POST, "/v1/keys", &body).await;
        assert!([200, 201].contains(&status), "{made}");
        let key = made["key"].as_str().unwrap_or(API_KEY).to_owned();
        let internal = simdeck.internal().to_owned();
        askers.spawn(ask(internal, key, nth * 3, until, Arc::clone(&count)));
    }
    let beside = Waits::of(&simdeck, 2_000_000, lasting).await;
    askers.join_all().await;
    let (alone, [push, check]) = (alone.p99(), beside.p99());
    say(&format!(
        "{} pushes beside {} questions: 99 of 100 within {push:?}, health checks within {check:?}; \
         alone {alone:?}",
        beside.pushes.len(),
        count.load(Ordering::Relaxed),
    ));
    assert!(count.load(Ordering::Relaxed) >= QUESTIONS.len(), "nobody asked");
    assert!(push <= WAIT_MAX.max(alone[0] * 10), "a push waits {push:?}, alone {:?}", alone[0]);
    assert!(check <= WAIT_MAX.max(alone[1] * 10), "a check waits {check:?}, alone {:?}", alone[1]);
    simdeck.end();
}
