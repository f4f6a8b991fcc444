//! Clients that are slow on purpose, by the hundred, while others push.
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
    time::interval,
};

use super::{
    line::{Line, from, narrow_from, request},
    say, trials,
};
use crate::server::{Simdeck, signed};

/// How a client is slow.
#[derive(Clone, Copy)]
enum Slow {
    /// A byte of a header a second, and never its end.
    Header,
    /// A byte of a body a second.
    Body,
    /// Asks and asks, and never reads what comes.
    Reader,
    /// Says nothing at all.
    Silent,
    /// Asks for nothing three times a second, so that it never rests for long.
    Busy,
}

impl Slow {
    /// One connection until it is closed.
    async fn stay(self, source: u8, address: &str) -> std::io::Result<()> {
        let mut stream = match self {
            Self::Reader => narrow_from(source, address).await?,
            _ => from(source, address).await?,
        };
        let mut tick = interval(Duration::from_secs(1));
        let mut busy = interval(Duration::from_millis(333));
        let healthz = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".repeat(500);
        match self {
            Self::Header => stream.write_all(b"POST /v1/data-usage HTTP/1.1\r\nX: ").await?,
            Self::Body => {
                stream.write_all(&request("/v1/x", &"x".repeat(999)).as_bytes()[..99]).await?
            }
            Self::Silent => {
                stream.read_u8().await?;
            }
            Self::Busy => loop {
                stream.write_all(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n").await?;
                let mut answer = [0; 1_024];
                if stream.read(&mut answer).await? == 0 {
                    return Ok(());
                }
                busy.tick().await;
            },
            Self::Reader => loop {
                stream.write_all(healthz.as_bytes()).await?;
            },
        }
        let mut heard = [0; 512];
        loop {
            tokio::select! {
                _ = tick.tick() => stream.write_all(b"x").await?,
                read = stream.read(&mut heard) => if read? == 0 { return Ok(()) },
            }
        }
    }
}

/// What became of good pushes.
#[derive(Default)]
struct Good {
    sent: AtomicUsize,
    stored: AtomicUsize,
    slowest_ms: AtomicUsize,
    /// What became of the others.
    lost: Mutex<BTreeMap<String, usize>>,
}

impl Good {
    fn counts(&self) -> (usize, usize) {
        (self.sent.load(Ordering::Relaxed), self.stored.load(Ordering::Relaxed))
    }

    /// Pushes on a new connection every time, which is the hardest to get.
    async fn push(&self, nth: usize, address: &str) {
        let began = Instant::now();
        self.sent.fetch_add(1, Ordering::Relaxed);
        let body = signed(&format!(
            r#""giccid":"8944501503181377993","data_usage":1,"start_time":{}"#,
            1_713_888_842_473_i64 + i64::try_from(nth).unwrap()
        ));
        let answer = async { Line::to(address).await?.push("/v1/data-usage", &body).await };
        let lost = match answer.await {
            Ok(answer) if answer.status == 200 => None,
            Ok(answer) => Some(answer.status.to_string()),
            Err(error) => Some(error.to_string()),
        };
        match lost {
            None => drop(self.stored.fetch_add(1, Ordering::Relaxed)),
            Some(why) => *self.lost.lock().unwrap().entry(why).or_default() += 1,
        }
        let took = usize::try_from(began.elapsed().as_millis()).unwrap();
        self.slowest_ms.fetch_max(took, Ordering::Relaxed);
    }
}

/// Pushes at an even pace while so many slow clients stay, each coming again when it is closed.
async fn attack(
    simdeck: &Simdeck,
    slow: usize,
    pace: Duration,
    lasting: Duration,
    kinds: &[Slow],
) -> Arc<Good> {
    // From many addresses: one alone may not have so many.
    attack_from(100, simdeck, slow, pace, lasting, kinds).await
}

async fn attack_from(
    sources: usize,
    simdeck: &Simdeck,
    slow: usize,
    pace: Duration,
    lasting: Duration,
    kinds: &[Slow],
) -> Arc<Good> {
    let good = Arc::new(Good::default());
    let over = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for nth in 0..slow {
        let (address, over) = (simdeck.public().to_owned(), Arc::clone(&over));
        let source = 2 + u8::try_from(nth % sources).unwrap();
        let kind = kinds[nth % kinds.len()];
        clients.spawn(async move {
            while !over.load(Ordering::Relaxed) {
                drop(kind.stay(source, &address).await);
            }
        });
    }
    let began = Instant::now();
    let mut pace = interval(pace);
    let (mut nth, mut pushes) = (0, JoinSet::new());
    while began.elapsed() < lasting {
        pace.tick().await;
        let (good, address) = (Arc::clone(&good), simdeck.public().to_owned());
        pushes.spawn(async move { good.push(nth, &address).await });
        nth += 1;
    }
    pushes.join_all().await;
    over.store(true, Ordering::Relaxed);
    clients.shutdown().await;
    good
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_do_not_keep_good_pushes_from_being_stored() {
    // The whole promise is 2,000 clients: SIMDECK_SLOW_CLIENTS=2000 stay for a minute.
    let slow = trials("SIMDECK_SLOW_CLIENTS", 300);
    let lasting = Duration::from_secs(if slow < 2_000 { 8 } else { 60 });
    let simdeck = Simdeck::start(&[]);
    let kinds = [Slow::Header, Slow::Body, Slow::Reader, Slow::Silent];
    let good = attack(&simdeck, slow, Duration::from_millis(10), lasting, &kinds).await;
    let (sent, stored) = good.counts();
    assert!(sent >= 100, "only {sent} pushes: the test is too slow to tell");
    assert!(stored * 1_000 >= sent * 999, "{stored} of {sent}: {:?}", good.lost);
    assert_eq!(simdeck.get("/v1/status").await["pushes"]["data-usage"]["records"], stored);
    say(&format!("{sent} trials, {} failures; slowest {:?} ms", sent - stored, good.slowest_ms));
    simdeck.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_256_descriptors_and_400_hostile_connections_pushes_are_stored() {
    let few = ["prlimit", "--nofile=256"];
    let simdeck = Simdeck::start_under(&few, Arc::new(TempDir::new().unwrap()), &[]);
    let good = attack(
        &simdeck,
        400,
        Duration::from_millis(200),
        Duration::from_secs(8),
        &[Slow::Silent, Slow::Header],
    )
    .await;
    let (sent, stored) = good.counts();
    assert!(sent > 0 && stored == sent, "{stored} of {sent}: {:?}", good.lost);
    // When they are gone it is as before.
    let began = Instant::now();
    let body = signed(r#""giccid":"8944501503181377993","data_usage":1,"start_time":1"#);
    assert_eq!(simdeck.post("data-usage", body).await.status, 200);
    assert!(began.elapsed() < Duration::from_secs(10));
    say(&format!("{sent} trials, 0 failures; slowest {:?} ms", good.slowest_ms));
    let log = simdeck.end();
    assert!(!log.contains("Cannot accept connections"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sources_that_keep_many_connections_busy_leave_places_for_others() {
    let few = ["prlimit", "--nofile=256"];
    let simdeck = Simdeck::start_under(&few, Arc::new(TempDir::new().unwrap()), &[]);
    let (pace, lasting) = (Duration::from_millis(200), Duration::from_secs(4));
    // A few sources with many each, and many with a few.
    for (sources, kind) in [(2, Slow::Busy), (48, Slow::Busy), (2, Slow::Body), (48, Slow::Body)] {
        let good = attack_from(sources, &simdeck, 96, pace, lasting, &[kind]).await;
        let (sent, stored) = good.counts();
        assert!(sent > 0 && stored == sent, "{sources}: {stored} of {sent}: {:?}", good.lost);
        let slowest_ms = good.slowest_ms.load(Ordering::Relaxed);
        assert!(slowest_ms < 5_000, "{sources}: {slowest_ms} ms");
        say(&format!("{sent} trials, 0 failures; slowest {slowest_ms} ms"));
    }
    simdeck.end();
}
