//! TERM under load, with clients that rest, hang in a header and hang in a body.
use std::{
    collections::BTreeSet,
    fs, io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use tokio::{sync::Notify, task::JoinSet};

use super::{
    line::{Answer, Line, request},
    say, trials,
};
use crate::server::{Simdeck, signed};

const PUSHERS: usize = 8;
const END_TIME_MAX: Duration = Duration::from_secs(20);

/// Pushes, each unlike all others, and which of them were acknowledged.
#[derive(Default)]
struct Load {
    next_ms: AtomicI64,
    acknowledged: Mutex<BTreeSet<i64>>,
    count: AtomicUsize,
    enough: Notify,
}

impl Load {
    /// Pushes on one connection after another until nobody listens any more.
    async fn push_until_the_end(&self, address: &str, enough: usize) {
        while let Ok(mut line) = Line::to(address).await {
            loop {
                let start_ms = 1_713_888_842_473 + self.next_ms.fetch_add(1, Ordering::Relaxed);
                let body = signed(&format!(
                    r#""giccid":"8944501503181377993","data_usage":1,"start_time":{start_ms}"#
                ));
                match line.push("/v1/data-usage", &body).await {
                    Ok(Answer { status: 200, .. }) => self.acknowledge(start_ms, enough),
                    Ok(Answer { status: 503, .. }) => (),
                    Ok(other) => panic!("{other:?}"),
                    Err(_) => break,
                }
            }
        }
    }

    fn acknowledge(&self, start_ms: i64, enough: usize) {
        self.acknowledged.lock().unwrap().insert(start_ms);
        if self.count.fetch_add(1, Ordering::SeqCst) + 1 == enough {
            self.enough.notify_one();
        }
    }
}

/// Clients that are in the way of an end.
async fn hangers_on(address: &str) -> io::Result<Vec<Line>> {
    let mut lines = Vec::new();
    let whole = request("/v1/data-usage", &signed(r#""giccid":"8944501503181377993""#));
    let in_body = whole.len() - 20;
    for sent in [0, 10, whole.find("\r\n\r\n").unwrap() + 2, in_body] {
        for _ in 0..4 {
            let mut line = Line::to(address).await?;
            line.send(&whole[..sent]).await?;
            lines.push(line);
        }
    }
    let mut kept = Line::to(address).await?;
    kept.push("/v1/data-usage", "{}").await?;
    lines.push(kept);
    Ok(lines)
}

/// Starts, loads, ends; on the same store as the trial before.
async fn trial(folder: &Arc<TempDir>, load: &Arc<Load>, wrapper: &[&str]) -> Duration {
    let simdeck = Simdeck::start_under(wrapper, Arc::clone(folder), &[]);
    let address = simdeck.public().to_owned();
    let hanging = hangers_on(&address).await.unwrap();
    let enough = load.count.load(Ordering::SeqCst) + 300;
    let mut pushers = JoinSet::new();
    for _ in 0..PUSHERS {
        let (load, address) = (Arc::clone(load), address.clone());
        pushers.spawn(async move { load.push_until_the_end(&address, enough).await });
    }
    load.enough.notified().await;
    let began = Instant::now();
    kill_process(inmost(simdeck.pid(), wrapper), Signal::TERM).unwrap();
    // Checks the exit code, too.
    tokio::task::spawn_blocking(move || simdeck.ended()).await.unwrap();
    let took = began.elapsed();
    assert!(took <= END_TIME_MAX, "{took:?}");
    pushers.join_all().await;
    drop(hanging);
    took
}

/// The server itself: under a wrapper, the wrapper's child.
fn inmost(pid: Pid, wrapper: &[&str]) -> Pid {
    if wrapper.is_empty() {
        return pid;
    }
    let number = pid.as_raw_nonzero();
    let children = fs::read_to_string(format!("/proc/{number}/task/{number}/children")).unwrap();
    Pid::from_raw(children.trim().parse().unwrap()).unwrap()
}

async fn stored(folder: &TempDir) -> BTreeSet<i64> {
    let database = folder.path().join("data/simdeck.db");
    let options = SqliteConnectOptions::new().filename(database).read_only(true);
    let mut database = SqliteConnection::connect_with(&options).await.unwrap();
    let rows: Vec<i64> =
        sqlx::query_scalar("select start_ms from usage").fetch_all(&mut database).await.unwrap();
    let count = rows.len();
    let stored = BTreeSet::from_iter(rows);
    assert_eq!(stored.len(), count, "a record was stored twice");
    stored
}

async fn attack(count: usize, wrapper: &[&str]) {
    let folder = Arc::new(TempDir::new().unwrap());
    let load = Arc::new(Load::default());
    let mut longest = Duration::ZERO;
    for _ in 0..count {
        longest = longest.max(trial(&folder, &load, wrapper).await);
    }
    let stored = stored(&folder).await;
    let acknowledged = load.acknowledged.lock().unwrap();
    let lost = acknowledged.difference(&stored).count();
    assert_eq!(lost, 0, "of {}", acknowledged.len());
    say(&format!(
        "{count} trials, 0 failures: {} acknowledged, all stored; longest end {longest:?}",
        acknowledged.len()
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_end_under_load_it_ends_well_in_time_and_has_all_it_acknowledged() {
    // The whole promise is a hundred times: SIMDECK_TERMS=100.
    attack(trials("SIMDECK_TERMS", 1), &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_process_number_one_it_ends_as_well() {
    let first = ["unshare", "--pid", "--fork", "--mount-proc"];
    attack(trials("SIMDECK_TERMS", 1), &first).await;
}
