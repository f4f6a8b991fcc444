//! Until when the disk lasts, and whether it has room: one judgement for the server and the doctor.
use std::{
    fs,
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::Value;
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use super::{
    Disk, Number,
    mounted::Mounted,
    sender::{Answer, Sender},
};
use crate::{
    program::{API_KEY, Program},
    server::{Simdeck, now_s, signed_at},
    trials::tell,
};

const GUARD: Duration = Duration::from_secs(120);
const HOUR_S: i64 = 3_600;

fn start(disk: &Disk, folder: &Arc<TempDir>) -> Simdeck {
    let environment = disk.environment(&folder.path().join("data"));
    let settings: Vec<(&str, &str)> =
        environment.iter().map(|(name, value)| (*name, value.to_str().unwrap())).collect();
    Simdeck::start_in(Arc::clone(folder), &settings)
}

/// Asks until the answer is meant.
async fn status(simdeck: &Simdeck, is_meant: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let status = simdeck.get("/v1/status").await;
        if is_meant(&status) {
            return status;
        }
        assert!(began.elapsed() < GUARD, "{status}");
    }
}

/// What the store has noted of its size so far.
async fn notes(folder: &Path) -> Vec<String> {
    let options = SqliteConnectOptions::new().filename(folder.join("data/simdeck.db"));
    let mut database = options.read_only(true).connect().await.unwrap();
    let told: Option<String> =
        sqlx::query_scalar("select value from meta where name = 'room_notes'")
            .fetch_optional(&mut database)
            .await
            .unwrap();
    database.close().await.unwrap();
    told.unwrap_or_default().split(' ').map(ToOwned::to_owned).collect()
}

async fn until_noted(folder: &Path, count: usize) {
    let began = Instant::now();
    loop {
        let notes = notes(folder).await;
        if notes.len() >= count && !notes[0].is_empty() {
            return;
        }
        assert!(began.elapsed() < GUARD, "{notes:?}");
        tokio::task::yield_now().await;
    }
}

/// None where it is not told.
async fn told_full_in_s(simdeck: &Simdeck) -> Option<f64> {
    let (_, text) = simdeck.ask_text(Method::GET, "/metrics").await;
    let line = text.lines().find(|line| line.starts_with("simdeck_disk_full_in_seconds "));
    line.map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
}

async fn full_in_s(simdeck: &Simdeck) -> f64 {
    told_full_in_s(simdeck).await.expect("it is told")
}

#[tokio::test]
async fn until_when_the_disk_lasts_is_not_told_before_it_is_known_and_without_end_where_nothing_grows()
 {
    let (disk, folder) = (Disk::new(), Arc::new(TempDir::new().unwrap()));
    let simdeck = start(&disk, &folder);
    until_noted(folder.path(), 1).await;
    assert_eq!(told_full_in_s(&simdeck).await, None, "an alert would take it for a long time");
    disk.set(Number::ClockAheadS, HOUR_S);
    until_noted(folder.path(), 2).await;
    // What the notes themselves take is next to nothing.
    assert!(full_in_s(&simdeck).await > 1e6);
    simdeck.end();
}

#[tokio::test]
async fn a_copy_is_no_growth_and_what_is_pushed_is_also_after_a_restart() {
    let (disk, folder) = (Disk::new(), Arc::new(TempDir::new().unwrap()));
    let simdeck = start(&disk, &folder);
    let body = |ahead_s: i64, nth: usize| {
        let text = "x".repeat(1 << 20);
        signed_at(now_s() + ahead_s, &format!(r#""nth":{nth},"text":"{text}""#))
    };
    for nth in 0..10 {
        assert_eq!(simdeck.push("sim-status", body(0, nth)).await, (1, 0, 0));
    }
    // The first note is of the start, when hardly anything was there.
    disk.set(Number::ClockAheadS, HOUR_S);
    until_noted(folder.path(), 2).await;
    let folder_of_copies = folder.path().join("data/backups");
    for _ in 0..3 {
        assert_eq!(simdeck.ask(Method::POST, "/v1/backup").await.0, 200);
    }
    let copies: u64 = fs::read_dir(&folder_of_copies)
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(copies > 30 << 20, "{copies}");
    let told = status(&simdeck, |status| status["disk"]["full_at"].is_string()).await;
    let free = told["disk"]["free_bytes"].as_u64().unwrap() as f64;
    let grown = told["disk"]["database_bytes"].as_u64().unwrap() as f64;
    // By all that was ever pushed in at least an hour, and not by the copies.
    let lasts_s = full_in_s(&simdeck).await;
    assert!(lasts_s > free / grown * 0.8 * HOUR_S as f64, "{lasts_s} with {free} and {grown}");

    let simdeck = simdeck.restart(&[]);
    simdeck.end();
    let simdeck = start(&disk, &folder);
    let told = status(&simdeck, |status| status["disk"]["full_at"].is_string()).await;
    let after_s = full_in_s(&simdeck).await;
    assert!((after_s / lasts_s - 1.0).abs() < 0.2, "{lasts_s}, {after_s}: {told}");
    // Where nothing more comes, it lasts ever longer.
    disk.set(Number::ClockAheadS, 3 * HOUR_S);
    until_noted(folder.path(), 3).await;
    let later_s = full_in_s(&simdeck).await;
    assert!(later_s > 2.0 * lasts_s, "{lasts_s}, {later_s}");
    simdeck.end();
}

const TMPFS: &str = r#"mount -t tmpfs -o size=96m simdeck "$1""#;
const MIB: u64 = 1 << 20;
const RESERVE: u64 = 16 * MIB;
/// In which the server has looked at its disk.
const LOOKS_WITHIN: Duration = Duration::from_secs(20);

/// What the doctor says of the disk.
fn doctor(program: &Program, disk: &Mounted, reserve: &str) -> Value {
    let output = Command::new(&disk.within[0])
        .args(&disk.within[1..])
        .arg(Program::binary())
        .args(["doctor", "--output", "json"])
        .env("SIMDECK_DATA_DIR", program.data())
        .env("SIMDECK_INTERNAL_LISTEN", format!("127.0.0.1:{}", program.internal))
        .env("SIMDECK_DISK_RESERVE", reserve)
        .env("SIMDECK_API_KEY", API_KEY)
        .output()
        .unwrap();
    let mut report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = report["findings"].as_array_mut().unwrap();
    let at = findings.iter().position(|it| it["check"] == "disk").unwrap();
    findings.swap_remove(at)
}

#[tokio::test]
async fn the_doctor_judges_the_disk_as_the_server_does_whether_that_runs_or_not() {
    let program = Program::new();
    let Some(disk) = Mounted::new(&program, Path::new(""), TMPFS) else {
        tell("the doctor's look at a disk: 0 trials, since nothing can be mounted here");
        return;
    };
    let start = || {
        let mut server =
            program.spawn_within(&disk.within, &[("SIMDECK_DISK_RESERVE", "16MiB".as_ref())]);
        server.wait_for(&["Ready"]);
        server
    };
    start().end();
    // Room within the database, as a prune leaves it.
    let elsewhere = TempDir::new().unwrap();
    let copy = elsewhere.path().join("simdeck.db");
    fs::copy(disk.file("simdeck.db"), &copy).unwrap();
    let mut raw = SqliteConnectOptions::new().filename(&copy).connect().await.unwrap();
    for sql in [
        "create table padding (x)",
        "insert into padding values (zeroblob(24000000))",
        "drop table padding",
    ] {
        sqlx::raw_sql(sql).execute(&mut raw).await.unwrap();
    }
    raw.close().await.unwrap();
    fs::copy(&copy, disk.file("simdeck.db")).unwrap();

    let server = start();
    disk.leave(RESERVE / 2);
    let mut sender = Sender::to(&program);
    sender.must_recover();
    // Whatever reserve is set where the doctor runs.
    for reserve in ["16MiB", "1TiB"] {
        let finding = doctor(&program, &disk, reserve);
        assert_eq!(finding["state"], "ok", "{finding}");
    }
    fs::write(disk.file("simdeck.db.replaced"), [1; 4096]).unwrap();
    disk.leave(RESERVE / 8);
    sender.until_busy();
    assert_eq!(sender.push(), Answer::Busy);
    // The server looks each second; what made it busy may have been the disk itself.
    let began = Instant::now();
    let finding = loop {
        let finding = doctor(&program, &disk, "0");
        if finding["state"] == "problem" {
            break finding;
        }
        assert!(began.elapsed() < LOOKS_WITHIN, "{finding}");
    };
    assert!(finding["todo"].as_str().unwrap().contains("simdeck.db.replaced"), "{finding}");
    server.end();

    for (left, state) in [(RESERVE / 2, "ok"), (RESERVE / 8, "problem")] {
        disk.leave(left);
        let finding = doctor(&program, &disk, "16MiB");
        assert_eq!(finding["state"], state, "{finding}");
    }
}
