//! A server that is killed under load keeps what it acknowledged, and keeps it once.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    path::Path,
    sync::{
        Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Sender, channel},
    },
    thread,
};

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use rustix::process::{Pid, Signal, kill_process};
use simdeck::store::{self, Dimension, Limits, OpenOptions, Opened};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::{
    process::Process,
    program::{Line, Program, ack_before_commit, now_s, proof},
    trials::{tell, trials},
};

const CONNECTIONS: usize = 64;
/// Own times of the records; far from both ends of what is taken.
const FIRST_MS: i64 = 1_713_888_842_473;

/// One push: a record, and the second under which it is sent.
#[derive(Clone, Copy)]
struct Push {
    record: usize,
    /// How many seconds before now.
    age: usize,
}

/// Nine of ten pushes bring a record of their own; the tenth repeats one of them, every second of
/// these under another `datePush`. The order is mixed, so that a repeat may overtake its record.
fn pushes(count: usize) -> Vec<Push> {
    let mut rng = StdRng::seed_from_u64(20_240_905);
    let records = count / 10 * 9;
    let mut pushes: Vec<_> = (0..records).map(|record| Push { record, age: 0 }).collect();
    for repeat in 0..count - records {
        pushes.push(Push { record: rng.random_range(0..records), age: repeat % 2 });
    }
    pushes.shuffle(&mut rng);
    pushes
}

/// Pushes so many, of which nine of ten are records of their own, to a server that is killed
/// whenever so many of them have been acknowledged; gives the last server, and what
/// [`start_times`] tells is on it.
pub(crate) fn attack(program: &Program, pushes: usize, kills: Vec<usize>) -> Process {
    Attack::run(program, pushes, kills)
}

/// The own times of the records that an attack of so many pushes brings.
pub(crate) fn start_times(pushes: usize) -> impl Iterator<Item = i64> {
    (0..pushes / 10 * 9).map(|nth| record(nth).0)
}

/// Own time and volume of a record; no two share a time, so that each can be told in the table.
fn record(nth: usize) -> (i64, i64) {
    let nth = i64::try_from(nth).unwrap();
    (FIRST_MS + nth * 977, 1 + nth * 7 % 100_003)
}

/// Senders, and a server that one of them kills whenever so many pushes have been acknowledged.
struct Attack<'a> {
    program: &'a Program,
    pushes: Vec<Push>,
    /// The two fields of a push, by its age.
    proofs: [String; 2],
    next: AtomicUsize,
    acknowledged: AtomicUsize,
    /// Kill when this many pushes have been acknowledged.
    kills: Vec<usize>,
    server: Mutex<Server>,
    changed: Condvar,
}

/// Who runs now.
struct Server {
    pid: Pid,
    /// Counts the starts.
    life: usize,
    is_up: bool,
}

impl Attack<'_> {
    /// Sends every push until it is acknowledged, and never again; gives the last server.
    fn run(program: &Program, count: usize, kills: Vec<usize>) -> Process {
        let mut process = program.start();
        let now = now_s();
        let attack = Attack {
            program,
            pushes: pushes(count),
            proofs: [proof(now), proof(now - 1)],
            next: AtomicUsize::new(0),
            acknowledged: AtomicUsize::new(0),
            kills,
            server: Mutex::new(Server { pid: process.pid(), life: 0, is_up: true }),
            changed: Condvar::new(),
        };
        thread::scope(|scope| {
            let (killed, kills) = channel();
            for _ in 0..CONNECTIONS {
                let (attack, killed) = (&attack, killed.clone());
                scope.spawn(move || attack.send_all(&killed));
            }
            drop(killed);
            // Ends when all senders have.
            for () in kills {
                drop(process);
                process = program.start();
                attack.is_up_again(process.pid());
            }
            process
        })
    }

    fn send_all(&self, killed: &Sender<()>) {
        let mut line = None;
        loop {
            let nth = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(push) = self.pushes.get(nth) else { return };
            self.send(*push, &mut line);
            let acknowledged = 1 + self.acknowledged.fetch_add(1, Ordering::SeqCst);
            if self.kills.contains(&acknowledged) {
                self.kill();
                killed.send(()).unwrap();
            }
        }
    }

    /// Sends one push until it is acknowledged.
    fn send(&self, push: Push, line: &mut Option<(Line, usize)>) {
        let (start_ms, data_usage) = record(push.record);
        let body = format!(
            r#"{{{},"giccid":"89860012345678{:06}","data_usage":{data_usage},"start_time":{start_ms},"mcc":"460","mnc":"{}","country_code":"CN","apn":"iot","sim_group":"g{}"}}"#,
            self.proofs[push.age],
            push.record % 1_009,
            push.record % 3,
            push.record % 11,
        );
        loop {
            let (mut open, life) = line.take().unwrap_or_else(|| self.connect());
            match open.push("data-usage", Ipv4Addr::LOCALHOST, body.as_bytes()) {
                Ok(answer) if answer.status == 200 => {
                    assert_eq!(answer.count("stored") + answer.count("duplicates"), 1);
                    *line = Some((open, life));
                    return;
                }
                Ok(answer) if answer.status == 503 => *line = Some((open, life)),
                Ok(answer) => panic!("{}: {}", answer.status, answer.text()),
                Err(error) => self.must_have_been_killed(life, &error),
            }
        }
    }

    /// Waits until the server is up, and connects.
    fn connect(&self) -> (Line, usize) {
        loop {
            let server = self.server.lock().unwrap();
            let life = self.changed.wait_while(server, |server| !server.is_up).unwrap().life;
            match Line::to(self.program.public) {
                Ok(line) => return (line, life),
                Err(error) => self.must_have_been_killed(life, &error),
            }
        }
    }

    /// A connection breaks because of us or not at all.
    fn must_have_been_killed(&self, life: usize, error: &std::io::Error) {
        let server = self.server.lock().unwrap();
        let still_runs = server.is_up && server.life == life;
        assert!(!still_runs, "the server broke a connection by itself: {error}");
    }

    /// Right here, in the thread that holds a fresh acknowledgement.
    fn kill(&self) {
        let mut server = self.server.lock().unwrap();
        server.is_up = false;
        kill_process(server.pid, Signal::KILL).unwrap();
    }

    fn is_up_again(&self, pid: Pid) {
        let mut server = self.server.lock().unwrap();
        *server = Server { pid, life: server.life + 1, is_up: true };
        self.changed.notify_all();
    }
}

/// Own time and volume of every record that was pushed, and of every one in the table.
async fn wanted_and_stored(program: &Program, count: usize) -> [BTreeMap<i64, i64>; 2] {
    let mut database = read(&program.database()).await;
    let intact: String =
        sqlx::query_scalar("pragma integrity_check").fetch_one(&mut database).await.unwrap();
    assert_eq!(intact, "ok");
    let rows: Vec<(i64, i64)> = sqlx::query_as("select start_ms, data_usage from usage")
        .fetch_all(&mut database)
        .await
        .unwrap();
    let stored: BTreeMap<_, _> = rows.iter().copied().collect();
    assert_eq!(stored.len(), rows.len(), "a record was stored twice");
    [(0..count / 10 * 9).map(record).collect(), stored]
}

/// Opens a database to look into it.
pub(crate) async fn read(database: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(database).read_only(true);
    SqliteConnection::connect_with(&options).await.unwrap()
}

/// Volume and number of records by each kind of rollup, with what the mark has not passed.
pub(crate) async fn rolled_up(database: &Path) -> Vec<(i64, i64)> {
    let store = &open(database).await.store;
    let (from, to) = (0, i64::MAX);
    let mut sums = Vec::new();
    let quarters = store.quarter_hours(from, to).await.unwrap();
    sums.push(sum(quarters.iter().map(|row| (row.data_usage, row.records))));
    for dimension in [Dimension::SimGroup, Dimension::Network] {
        let hours = store.dimension_hours(dimension, from, to).await.unwrap();
        sums.push(sum(hours.iter().map(|row| (row.data_usage, row.records))));
    }
    let days = store.sim_days(from, to).await.unwrap();
    sums.push(sum(days.iter().map(|row| (row.data_usage, row.records))));
    sums
}

/// Opens a database as simdeck does.
pub(crate) async fn open(database: &Path) -> Opened {
    let limits = Limits::of_quarantine(0);
    let database = database.to_owned();
    store::open(&OpenOptions { database, time_zone: None, limits }).await.unwrap()
}

/// Adds volumes and numbers up.
pub(crate) fn sum(rows: impl Iterator<Item = (i64, i64)>) -> (i64, i64) {
    rows.fold((0, 0), |(volume, records), row| (volume + row.0, records + row.1))
}

/// How often a server is killed; the long run sets `SIMDECK_TEST_KILLS`.
const KILLS: usize = 100;

#[tokio::test]
async fn a_server_killed_again_and_again_under_load_has_every_acknowledged_push_exactly_once() {
    let kills = trials("SIMDECK_TEST_KILLS", KILLS);
    let pushes = (kills * 220).max(60_000);
    let program = Program::new();
    let at = (1..=kills).map(|nth| pushes / (kills + 1) * nth).collect();
    let server = Attack::run(&program, pushes, at);

    let status = &program.ask("/v1/status")["pushes"]["data-usage"];
    server.end();
    let [wanted, stored] = wanted_and_stored(&program, pushes).await;
    assert!(wanted == stored, "{} records, not {}", stored.len(), wanted.len());
    let (volume, records) = sum(wanted.values().map(|volume| (*volume, 1)));
    assert_eq!([&status["records"], &status["data_usage"]], [records, volume]);
    // What was stored and not acknowledged before a kill came again.
    let repeats = status["repeats"].as_i64().unwrap();
    assert!(records + repeats >= pushes as i64, "{repeats} repeats counted");
    assert!(status["repeats_redated"].as_i64().unwrap() > 0);
    for rollup in rolled_up(&program.database()).await {
        assert_eq!(rollup, (volume, records));
    }
    tell(&format!("kill -9 under load, {pushes} pushes acknowledged: {kills} trials, 0 failures"));
}

#[tokio::test]
async fn the_same_attack_finds_what_a_server_loses_that_acknowledges_before_the_commit() {
    const PUSHES: usize = 5_000;
    let kills: Vec<_> = (1..=9).map(|nth| PUSHES / 10 * nth).collect();
    let program = Program::of(ack_before_commit());
    Attack::run(&program, PUSHES, kills).end();

    let [wanted, stored] = wanted_and_stored(&program, PUSHES).await;
    let lost = wanted.keys().filter(|start_ms| !stored.contains_key(start_ms)).count();
    assert!(lost > 0, "the attack is too weak to tell");
}
