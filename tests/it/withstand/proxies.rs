//! Good pushes behind a proxy that shares its connections to us between them and strangers, whose
//! requests are refused in every way there is.
use std::{
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use tokio_rustls::{
    TlsConnector,
    rustls::pki_types::{CertificateDer, pem::PemObject},
};

use super::{
    fronts::Front,
    line::{Line, connector},
    say, trials,
};
use crate::{
    caddy::start_caddy,
    process::free_port,
    server::{Simdeck, now_s, proof},
};

const STRANGERS: usize = 8;
const SENDERS: usize = 4;
/// How long a stranger's body is behind its head.
const LATE: Duration = Duration::from_millis(20);

/// A front, and how it is reached.
#[derive(Clone)]
struct Way {
    address: String,
    tls: Option<TlsConnector>,
}

/// What came of it all.
#[derive(Default)]
struct Tally {
    sent: AtomicUsize,
    refused: AtomicUsize,
    lost: Mutex<Vec<String>>,
    is_over: AtomicBool,
}

impl Way {
    async fn line(&self) -> std::io::Result<Line> {
        match &self.tls {
            None => Line::to(&self.address).await,
            Some(tls) => Line::encrypted_to("localhost", &self.address, tls).await,
        }
    }

    /// Pushes on one connection as long as it is kept, then on another.
    async fn push_on(self, tally: Arc<Tally>) {
        while !tally.is_over.load(Ordering::Relaxed) {
            let mut line = self.line().await.unwrap();
            loop {
                let nth = tally.sent.fetch_add(1, Ordering::Relaxed);
                let start_ms = 1_713_888_842_473 + nth;
                let usage = format!(
                    r#""giccid":"8944501503181377993","data_usage":1,"start_time":{start_ms}"#
                );
                let body = format!("{{{},{usage}}}", proof(now_s()));
                line.send(post("/v1/data-usage", "", body.len(), &body)).await.unwrap();
                let lost = match line.answer().await {
                    Ok(answer) if answer.status == 200 && !answer.closes() => None,
                    Ok(answer) if answer.status == 200 => break,
                    Ok(answer) => Some(answer.head),
                    Err(error) => Some(error.to_string()),
                };
                if let Some(lost) = lost {
                    tally.lost.lock().unwrap().push(lost);
                    break;
                }
                if tally.is_over.load(Ordering::Relaxed) {
                    return;
                }
            }
        }
    }

    /// Requests that are refused, one after another, each on a connection of its own.
    async fn be_strange(self, stranger: usize, tally: Arc<Tally>) {
        let mut late = interval(LATE);
        late.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut nth = stranger;
        while !tally.is_over.load(Ordering::Relaxed) {
            nth += 1;
            let Ok(mut line) = self.line().await else { continue };
            let (head, rest, waits) = strange(nth);
            if line.send(head).await.is_err() {
                continue;
            }
            late.tick().await;
            late.tick().await;
            drop(line.send(rest).await);
            if waits && line.answer().await.is_ok_and(|answer| answer.status >= 400) {
                tally.refused.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

fn post(path: &str, headers: &str, length: usize, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    )
}

/// The head, what comes after it, and whether an answer is waited for.
fn strange(nth: usize) -> (String, String, bool) {
    let body = |length: usize| "x".repeat(length);
    match nth % 9 {
        0 => (post("/no/where/v1/at-all", "", 2, ""), "{}".into(), true),
        1 => (post("/no/where/v1/at-all", "", 40_000, ""), body(40_000), true),
        2 => (post("/v1/data-usage", "", 2, "").replace("POST", "DELETE"), "{}".into(), true),
        3 => (post("/v1/data-usage", "Content-Encoding: gzip\r\n", 2, ""), "{}".into(), true),
        4 => (post("/v1/data-usage", "", 4_500_000, ""), body(100_000), false),
        5 => (post("/healthz", "", 2, ""), "{}".into(), true),
        // Gone in the middle of it.
        6 => (post("/v1/data-usage", "", 2, ""), "{".into(), false),
        7 => (post("/v1/data-usage", "", 2, ""), "{}".into(), true),
        _ => {
            let head = "POST /no/where/v1/at-all HTTP/1.1\r\nHost: localhost\r\n\
                        Transfer-Encoding: chunked\r\n\r\n2\r\n{";
            (head.into(), "}\r\n0\r\n\r\n".into(), true)
        }
    }
}

async fn no_good_push_is_lost(way: Way) {
    // The whole promise is a minute of it: SIMDECK_PROXY_SECONDS=60.
    let lasting = Duration::from_secs(trials("SIMDECK_PROXY_SECONDS", 3) as u64);
    let (tally, mut clients) = (Arc::new(Tally::default()), JoinSet::new());
    for nth in 0..STRANGERS {
        clients.spawn(way.clone().be_strange(nth, Arc::clone(&tally)));
    }
    for _ in 0..SENDERS {
        clients.spawn(way.clone().push_on(Arc::clone(&tally)));
    }
    let began = Instant::now();
    let mut tick = interval(LATE);
    while began.elapsed() < lasting {
        tick.tick().await;
    }
    tally.is_over.store(true, Ordering::Relaxed);
    clients.join_all().await;
    let (sent, refused) =
        (tally.sent.load(Ordering::Relaxed), tally.refused.load(Ordering::Relaxed));
    let lost = tally.lost.lock().unwrap();
    assert!(sent >= 50, "only {sent} pushes: the test is too slow to tell");
    assert!(refused >= 20, "only {refused} refusals: the test is too slow to tell");
    assert!(lost.is_empty(), "{} of {sent} lost: {:?}", lost.len(), lost.first());
    say(&format!("{sent} trials beside {refused} refusals, 0 failures"));
}

async fn none_is_lost_behind(front: impl Fn(&str) -> Front) {
    let simdeck = Simdeck::start(&[]);
    let front = front(simdeck.public());
    front.listens().await;
    no_good_push_is_lost(Way { address: front.address.clone(), tls: None }).await;
    drop(front);
    simdeck.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_nginx_no_good_push_is_lost_beside_strangers() {
    none_is_lost_behind(Front::nginx).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_haproxy_no_good_push_is_lost_beside_strangers() {
    none_is_lost_behind(Front::haproxy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_apache_no_good_push_is_lost_beside_strangers() {
    none_is_lost_behind(Front::apache).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_the_shipped_caddyfile_no_good_push_is_lost_beside_strangers() {
    let simdeck = Simdeck::start(&[]);
    let (folder, https) = (TempDir::new().unwrap(), free_port());
    let caddy = start_caddy(folder.path(), simdeck.public(), https, free_port());
    let authority = fs::read(folder.path().join("caddy/pki/authorities/local/root.crt")).unwrap();
    let authority = CertificateDer::from_pem_slice(&authority).unwrap();
    let tls = Some(connector(&[authority]));
    no_good_push_is_lost(Way { address: format!("127.0.0.1:{https}"), tls }).await;
    drop(caddy);
    simdeck.end();
}
