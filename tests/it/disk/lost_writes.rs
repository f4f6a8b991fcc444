//! A disk that forgets, reorders and tears all that came after the last sync.
use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use rustix::process::{Signal, kill_process};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use super::{Disk, Number, crash::CrashDisk, journal::Journal};
use crate::{
    kill::{open, read, rolled_up, sum},
    program::{Line, Program, ack_before_commit, now_s, proof},
    trials::{tell, trials},
};

/// How many crashes; the long run sets `SIMDECK_TEST_CRASHES`.
const CRASHES: usize = 60;
const CONNECTIONS: usize = 8;
const PUSHES: usize = 1_600;
/// Every so manyth push brings many records, so that the log is reset and the mark moves in bulk.
const LARGE_EVERY: usize = 40;
const LARGE_RECORDS: usize = 1_000;
const SUMS_EVERY: usize = 8;
const FIRST_MS: i64 = 1_713_888_842_473;

/// A push that was acknowledged: its records, and how much the disk had been told by then.
struct Acknowledged {
    records: std::ops::Range<usize>,
    position: u64,
}

/// Own time and volume of a record.
pub(crate) fn record(nth: usize) -> (i64, i64) {
    let nth = i64::try_from(nth).unwrap();
    (FIRST_MS + nth * 977, 1 + nth * 7 % 100_003)
}

/// A push of these records.
pub(crate) fn body(proof: &str, records: &std::ops::Range<usize>) -> String {
    let records: Vec<_> = records
        .clone()
        .map(|nth| {
            let (start_ms, data_usage) = record(nth);
            let sim = nth * 31 % 5_003;
            format!(
                r#"{{"giccid":"89860012345678{sim:06}","data_usage":{data_usage},"start_time":{start_ms}}}"#
            )
        })
        .collect();
    format!(r#"{{{proof},"records":[{}]}}"#, records.join(","))
}

/// Pushes until all of these are answered; a push that is not answered 200 is not counted.
fn load(program: &Program, disk: &Disk, pushes: std::ops::Range<usize>) -> Vec<Acknowledged> {
    let (next, acknowledged) = (AtomicUsize::new(pushes.start), Mutex::new(Vec::new()));
    let proof = proof(now_s());
    thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let mut line = Line::to(program.public).unwrap();
                loop {
                    let nth = next.fetch_add(1, Ordering::Relaxed);
                    if nth >= pushes.end {
                        return;
                    }
                    let first = nth * LARGE_RECORDS;
                    let many = if nth % LARGE_EVERY == 0 { LARGE_RECORDS } else { 1 };
                    let records = first..first + many;
                    let body = body(&proof, &records);
                    let answer = line.push("data-usage", Ipv4Addr::LOCALHOST, body.as_bytes());
                    assert_eq!(answer.unwrap().status, 200);
                    let position = disk.position();
                    acknowledged.lock().unwrap().push(Acknowledged { records, position });
                }
            });
        }
    });
    acknowledged.into_inner().unwrap()
}

/// A server that is stopped, started and killed; gives what it acknowledged.
fn live(program: &Program, disk: &Disk) -> Vec<Acknowledged> {
    let first = disk.start(program);
    let mut acknowledged = load(program, disk, 0..PUSHES / 2);
    first.end();
    let second = disk.start(program);
    acknowledged.extend(load(program, disk, PUSHES / 2..PUSHES));
    kill_process(second.pid(), Signal::KILL).unwrap();
    acknowledged
}

/// Where to crash: anywhere, where a push has just been acknowledged, and about what is not a mere
/// append to the log.
fn crash_points(
    journal: &Journal,
    acknowledged: &[Acknowledged],
    count: usize,
    rng: &mut StdRng,
) -> Vec<u64> {
    let special: Vec<usize> = (0..journal.events.len())
        .filter(|nth| !journal.events[*nth].name.ends_with("-wal"))
        .collect();
    let mut points: Vec<u64> = (0..count)
        .map(|nth| match nth % 3 {
            0 => journal.events[rng.random_range(0..journal.events.len())].end,
            1 => acknowledged.choose(rng).unwrap().position,
            _ => {
                let near = special.choose(rng).unwrap() + rng.random_range(0..4);
                journal.events[near.min(journal.events.len() - 1)].end
            }
        })
        .collect();
    points.sort_unstable();
    points
}

/// What a crash has left: own times and volumes.
async fn left(database: &Path) -> Result<Vec<(i64, i64)>, sqlx::Error> {
    let mut connection =
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(database)).await?;
    sqlx::query_as("select start_ms, data_usage from usage").fetch_all(&mut connection).await
}

/// How many records of those that were acknowledged before a crash are not there.
fn lost(stored: &BTreeMap<i64, i64>, acknowledged: &[Acknowledged], position: u64) -> usize {
    let promised = acknowledged.iter().filter(|push| push.position <= position);
    promised
        .flat_map(|push| push.records.clone())
        .map(record)
        .filter(|(start_ms, volume)| stored.get(start_ms) != Some(volume))
        .count()
}

/// Opens what a crash has left as simdeck does. All that was acknowledged is there, once, and all
/// sums are of it, which takes longer than all the rest and is looked at now and then.
async fn must_be_whole(
    folder: &Path,
    acknowledged: &[Acknowledged],
    position: u64,
    with_sums: bool,
) {
    let database = folder.join("simdeck.db");
    let sums = if with_sums { rolled_up(&database).await } else { Vec::new() };
    drop(open(&database).await);
    let mut connection = read(&database).await;
    let intact: String =
        sqlx::query_scalar("pragma integrity_check").fetch_one(&mut connection).await.unwrap();
    assert_eq!(intact, "ok", "at {position}");
    let rows = left(&database).await.unwrap();
    let stored: BTreeMap<_, _> = rows.iter().copied().collect();
    assert_eq!(stored.len(), rows.len(), "at {position} a record is there twice");
    assert_eq!(lost(&stored, acknowledged, position), 0, "are lost at {position}");
    let whole = sum(stored.values().map(|volume| (*volume, 1)));
    for rollup in sums {
        assert_eq!(rollup, whole, "at {position}");
    }
}

/// Calls `look` for each of so many crashes, with the folder that it left and where it was.
async fn crashes(
    disk: &Disk,
    acknowledged: &[Acknowledged],
    count: usize,
    mut look: impl AsyncFnMut(&Path, u64),
) {
    let journal = Journal::read(&disk.journal());
    let mut rng = StdRng::seed_from_u64(20_240_905);
    let mut disk = CrashDisk::new(&journal);
    for point in crash_points(&journal, acknowledged, count, &mut rng) {
        disk.advance(point);
        let folder = TempDir::new().unwrap();
        disk.crash(folder.path(), &mut rng);
        look(folder.path(), point).await;
    }
}

#[tokio::test]
async fn a_disk_that_loses_all_after_the_last_sync_loses_nothing_acknowledged() {
    let (program, disk) = (Program::new(), Disk::new());
    let acknowledged = live(&program, &disk);
    let count = trials("SIMDECK_TEST_CRASHES", CRASHES);
    let mut crash = 0;
    crashes(&disk, &acknowledged, count, async |folder, position| {
        crash += 1;
        must_be_whole(folder, &acknowledged, position, crash % SUMS_EVERY == 0).await;
    })
    .await;
    tell(&format!(
        "crashes of a disk that forgets, reorders and tears: {count} trials, 0 failures"
    ));
}

/// How many of some crashes lose something of this program, and can be read so far as to tell.
async fn losses(program: &Program, syncs_lie: bool) -> usize {
    let disk = Disk::new();
    let server = disk.start(program);
    disk.set(Number::SyncsLie, i64::from(syncs_lie));
    let acknowledged = load(program, &disk, 0..PUSHES / 4);
    drop(server);
    let mut losses = 0;
    crashes(&disk, &acknowledged, 20, async |folder, position| {
        if let Ok(rows) = left(&folder.join("simdeck.db")).await {
            let stored = rows.into_iter().collect();
            losses += usize::from(lost(&stored, &acknowledged, position) > 0);
        }
    })
    .await;
    losses
}

#[tokio::test]
async fn the_same_crashes_find_what_is_lost_without_syncs() {
    // What the disk is told is then what `synchronous=OFF` tells it.
    assert!(losses(&Program::new(), true).await > 0, "the crashes are too weak to tell");
}

#[tokio::test]
async fn the_same_crashes_find_what_is_lost_when_the_answer_comes_before_the_sync() {
    let early = Program::of(ack_before_commit());
    assert!(losses(&early, false).await > 0, "the crashes are too weak to tell");
}
