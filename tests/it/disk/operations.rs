//! What people do to a server in years, in seconds: pruned, erased from, backed up, restored from,
//! reloaded, stopped, killed, its disk full, its files moved, its clock stepped, in any order and
//! under pushes all the while. What was acknowledged is there, once; no file is left that nobody
//! needs; and it takes no more memory.
//!
//! An hour of it: `SIMDECK_TEST_OPERATIONS_S=3600`. `SIMDECK_TEST_SEED` takes the steps of an
//! earlier run, which says its seed.
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs, io,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use rustix::process::{Signal, kill_process};
use serde_json::json;
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};

use super::{Disk, Number};
use crate::{
    process::{Process, WRONG_SETTINGS},
    program::{Answer, Line, Program, now_s, proof},
    trials::{tell, trials},
};

const SECONDS: usize = 15;
const MEMORY_KB_MAX: u64 = 128 << 10;
/// Whatever was done to it, it takes pushes again within this time, or has ended.
const SOON: Duration = Duration::from_secs(30);
/// The records that stay are of this SIM, an hour old and each of a millisecond of its own.
const STAYS: &str = "8944501503181377993";
const PUSHERS: usize = 3;
/// From one push to the next: an hour of it must fit on the disk.
const PACE: Duration = Duration::from_millis(5);
const DAY_S: i64 = 86_400;
/// What a data directory holds while nobody runs on it.
const FILES: [&str; 6] =
    ["backups", "server", "simdeck.db", "simdeck.db.erased", "simdeck.db.lock", "simdeck.lock"];

/// Who pushes without end, and what was acknowledged as new.
struct Load {
    port: u16,
    next_ms: AtomicI64,
    acknowledged: Mutex<BTreeSet<i64>>,
    is_over: AtomicBool,
}

impl Load {
    fn push_until_it_is_over(&self) {
        let mut line = None;
        while !self.is_over.load(Ordering::Relaxed) {
            let start_ms = self.next_ms.fetch_add(1, Ordering::Relaxed);
            match self.push(&mut line, STAYS, start_ms) {
                Ok(answer) if answer.status == 200 => {
                    assert_eq!(answer.count("stored"), 1, "{}", answer.text());
                    self.acknowledged().insert(start_ms);
                }
                Ok(answer) => assert_eq!(answer.status, 503, "{}", answer.text()),
                // It ends, or is being started again.
                Err(_) => line = None,
            }
            thread::park_timeout(PACE);
        }
    }

    fn push(&self, line: &mut Option<Line>, giccid: &str, start_ms: i64) -> io::Result<Answer> {
        let line = match line {
            Some(line) => line,
            None => line.insert(Line::to(self.port)?),
        };
        let body = format!(
            r#"{{{},"giccid":"{giccid}","data_usage":1,"start_time":{start_ms}}}"#,
            proof(now_s())
        );
        line.push("data-usage", Ipv4Addr::new(192, 0, 2, 1), body.as_bytes())
    }

    fn acknowledged(&self) -> MutexGuard<'_, BTreeSet<i64>> {
        self.acknowledged.lock().unwrap()
    }

    /// Waits until something more is acknowledged.
    fn goes_on(&self, step: Step) {
        let (before, began) = (self.acknowledged().len(), Instant::now());
        while self.acknowledged().len() <= before {
            assert!(began.elapsed() < SOON, "after {step:?} no push is taken any more");
            thread::park_timeout(PACE);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Prune,
    Erase,
    BackUp,
    Restore,
    Reload,
    Stop,
    Kill,
    FillDisk,
    MoveFiles,
    TurnClock,
}

const STEPS: [Step; 10] = [
    Step::Prune,
    Step::Erase,
    Step::BackUp,
    Step::Restore,
    Step::Reload,
    Step::Stop,
    Step::Kill,
    Step::FillDisk,
    Step::MoveFiles,
    Step::TurnClock,
];

/// A server, and what it stands on.
struct World {
    program: Program,
    disk: Disk,
    server: Option<Process>,
    load: Arc<Load>,
    rng: StdRng,
    most_memory_kb: u64,
    erased: i64,
}

impl World {
    fn new(seed: u64) -> Self {
        let (program, disk) = (Program::new(), Disk::new());
        let first_ms = (i64::try_from(now_s()).unwrap() - 3_600) * 1_000;
        let load = Arc::new(Load {
            port: program.public,
            next_ms: first_ms.into(),
            acknowledged: Mutex::default(),
            is_over: AtomicBool::new(false),
        });
        let rng = StdRng::seed_from_u64(seed);
        let mut world =
            Self { program, disk, server: None, load, rng, most_memory_kb: 0, erased: 0 };
        world.start();
        world
    }

    /// What the program is told; it keeps no journal of an hour.
    fn environment(&self) -> Vec<(&'static str, OsString)> {
        let mut given = self.disk.without_journal(&self.program.data());
        given.push(("SIMDECK_BACKUP_KEEP", "2".into()));
        given
    }

    fn start(&mut self) {
        let given = self.environment();
        let given: Vec<_> = given.iter().map(|(name, value)| (*name, value.as_os_str())).collect();
        let mut server = self.program.spawn(&given);
        server.wait_for(&["Ready"]);
        self.server = Some(server);
    }

    fn server(&self) -> &Process {
        self.server.as_ref().unwrap()
    }

    /// Ends it, and gives its log and how it ended.
    fn ended(&mut self) -> (Option<i32>, String) {
        let mut server = self.server.take().unwrap();
        let Err(ended) = server.comes_to("no line of the log says this") else { unreachable!() };
        assert!(!ended.1.contains("panicked"), "{}", ended.1);
        ended
    }

    fn post(&self, path: &str, body: &str) -> Answer {
        Line::to(self.program.internal).unwrap().post_json(path, body).unwrap()
    }

    fn look_at_memory(&mut self) {
        let status = format!("/proc/{}/status", self.server().pid().as_raw_nonzero());
        let status = fs::read_to_string(status).unwrap();
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let most: u64 = most.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(most <= MEMORY_KB_MAX, "it took {most} kB");
        self.most_memory_kb = self.most_memory_kb.max(most);
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Prune => assert_eq!(self.post("/v1/prune", "").status, 200),
            Step::Erase => self.erase(),
            Step::BackUp => assert!(self.back_up().is_some()),
            Step::Restore => self.restore().await,
            Step::Reload => kill_process(self.server().pid(), Signal::HUP).unwrap(),
            Step::Stop => {
                self.server().signal_term();
                let (code, log) = self.ended();
                assert_eq!(code, Some(0), "{log}");
                self.start();
            }
            Step::Kill => {
                kill_process(self.server().pid(), Signal::KILL).unwrap();
                self.ended();
                self.start();
            }
            Step::FillDisk => self.fill_disk(),
            Step::MoveFiles => self.move_files(),
            Step::TurnClock => {
                let days = self.rng.random_range(0..6);
                self.disk.set(Number::ClockAheadS, days * DAY_S);
            }
        }
    }

    /// A SIM that has come, and then never was.
    fn erase(&mut self) {
        self.erased += 1;
        let giccid = (8_944_501_500_000_000_000 + self.erased).to_string();
        let start_ms = self.load.next_ms.fetch_add(1, Ordering::Relaxed);
        let pushed = self.load.push(&mut None, &giccid, start_ms).unwrap();
        assert_eq!(pushed.status, 200, "{}", pushed.text());
        let erased = self.post("/v1/erase", &json!({"giccid": giccid}).to_string());
        assert_eq!(erased.status, 200, "{}", erased.text());
        assert_eq!(erased.count("data_usage"), 1, "{}", erased.text());
    }

    /// Where a copy lies; none where the disk has no room for it.
    fn back_up(&self) -> Option<PathBuf> {
        let made = self.post("/v1/backup", "");
        if made.status == 507 {
            return None;
        }
        assert!((200..300).contains(&made.status), "{} {}", made.status, made.text());
        let made: serde_json::Value = serde_json::from_slice(&made.body).unwrap();
        Some(self.program.data().parent().unwrap().join(made["path"].as_str().unwrap()))
    }

    /// What was acknowledged before a copy was made is in what comes of it in another folder.
    async fn restore(&self) {
        let before = self.load.acknowledged().clone();
        let copy = self.back_up().unwrap();
        let folder = self.program.data().with_file_name("restored");
        let restored = Command::new(Program::binary())
            .arg("restore")
            .arg(&copy)
            .env("SIMDECK_DATA_DIR", &folder)
            .env("SIMDECK_PUSH_KEY", crate::program::PUSH_KEY)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&restored.stderr);
        assert!(restored.status.success(), "{}: {said}", copy.display());
        let there = read(&folder.join("simdeck.db")).await;
        assert_all(&before, &there);
        fs::remove_dir_all(&folder).unwrap();
    }

    /// Nobody is answered 2xx who is not stored, and all goes on once there is room.
    fn fill_disk(&mut self) {
        let bits = self.rng.random_range(1..20);
        let room = self.rng.random_range(0..1 << bits);
        self.disk.set(Number::Room, room);
        self.disk.set(Number::RoomIsSmall, 1);
        for path in ["/v1/prune", "/v1/backup"] {
            let status = self.post(path, "").status;
            let is_told = (200..300).contains(&status) || [409, 503, 507].contains(&status);
            assert!(is_told, "{path} on a full disk: {status}");
        }
        self.disk.set(Number::RoomIsSmall, 0);
    }

    /// It ends by itself and says why; with the files where they were, all is there.
    fn move_files(&mut self) {
        let (data, moved) = (self.program.data(), self.program.data().with_file_name("moved"));
        fs::rename(&data, &moved).unwrap();
        let (code, log) = self.ended();
        assert_eq!(code, Some(WRONG_SETTINGS), "{log}");
        let is_left = data.exists();
        assert!(!is_left, "it made another one: {log}");
        fs::rename(&moved, &data).unwrap();
        self.start();
    }

    /// What is left once it has stopped.
    async fn end(mut self) -> (usize, u64) {
        self.load.is_over.store(true, Ordering::Relaxed);
        self.server().signal_term();
        let (code, log) = self.ended();
        assert_eq!(code, Some(0), "{log}");
        let left = names(&self.program.data());
        let unknown: Vec<_> = left.iter().filter(|name| !FILES.contains(&name.as_str())).collect();
        assert!(unknown.is_empty(), "left behind: {unknown:?}");
        let copies = names(&self.program.data().join("backups"));
        let is_copy = |name: &String| name.ends_with(".db") || name == "simdeck.erased";
        assert!(copies.iter().all(is_copy) && copies.len() <= 3, "{copies:?}");
        let acknowledged = self.load.acknowledged().clone();
        assert_all(&acknowledged, &read(&self.program.database()).await);
        (acknowledged.len(), self.most_memory_kb)
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// How often each record of the SIM that stays is there.
async fn read(database: &Path) -> BTreeMap<i64, u64> {
    let mut there = SqliteConnectOptions::new().filename(database).connect().await.unwrap();
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "select start_ms, count(*) from usage where sim_id in (
            select sim.id from sim join card on card.id = sim.card_id
            where card.giccid_reversed = $1) group by start_ms",
    )
    .bind(STAYS.chars().rev().collect::<String>())
    .fetch_all(&mut there)
    .await
    .unwrap();
    there.close().await.unwrap();
    rows.into_iter().map(|(start_ms, count)| (start_ms, count.unsigned_abs())).collect()
}

/// What was pushed and not acknowledged may be there, too.
fn assert_all(acknowledged: &BTreeSet<i64>, there: &BTreeMap<i64, u64>) {
    let lost = acknowledged.iter().filter(|start_ms| !there.contains_key(*start_ms)).count();
    let double = there.values().filter(|count| **count > 1).count();
    assert_eq!((lost, double), (0, 0), "of {} acknowledged", acknowledged.len());
}

#[tokio::test]
async fn whatever_is_done_to_a_server_what_was_acknowledged_is_there_once_and_nothing_else_is_left()
{
    let seconds = trials("SIMDECK_TEST_OPERATIONS_S", SECONDS);
    let seed = trials("SIMDECK_TEST_SEED", usize::try_from(now_s()).unwrap()) as u64;
    tell(&format!("operations with SIMDECK_TEST_SEED={seed}"));
    let mut world = World::new(seed);
    let pushers: Vec<_> = (0..PUSHERS)
        .map(|_| {
            let load = Arc::clone(&world.load);
            thread::spawn(move || load.push_until_it_is_over())
        })
        .collect();
    let (began, mut steps) = (Instant::now(), 0);
    // Each once, then any.
    while steps < STEPS.len() || began.elapsed() < Duration::from_secs(seconds as u64) {
        let any = world.rng.random_range(0..STEPS.len());
        let step = STEPS[if steps < STEPS.len() { steps } else { any }];
        world.take(step).await;
        world.load.goes_on(step);
        world.look_at_memory();
        steps += 1;
    }
    let (records, memory_kb) = world.end().await;
    for pusher in pushers {
        pusher.join().unwrap();
    }
    assert!(records > steps, "{records} records");
    tell(&format!(
        "operations: {steps} steps, {records} records, {memory_kb} kB, 0 lost or double"
    ));
}
