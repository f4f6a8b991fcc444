//! A folder for backups that does not answer, as one on a file server that is gone.
use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::timeout;

use super::{Disk, Number};
use crate::server::{Simdeck, signed, usage};

const SIM: &str = "8944501503181377993";
/// Longer than anything takes that does not wait for the folder.
const GUARD: Duration = Duration::from_secs(120);
/// Longer than a folder may be silent.
const SILENCE_S: i64 = 600;

/// A server whose backups go into a folder behind this disk.
fn start(disk: &Disk, folder: &Arc<TempDir>, every: &str) -> Simdeck {
    let copies = folder.path().join("copies");
    let environment = disk.without_journal(&copies);
    let mut settings: Vec<(&str, &str)> =
        environment.iter().map(|(name, value)| (*name, value.to_str().unwrap())).collect();
    settings.push(("SIMDECK_BACKUP_DIR", copies.to_str().unwrap()));
    settings.push(("SIMDECK_BACKUP_EVERY", every));
    Simdeck::start_in(Arc::clone(folder), &settings)
}

async fn must_take_pushes(simdeck: &Simdeck, nth: usize) {
    let record = usage(SIM).replace("1302", &format!("{}", 2_000 + nth));
    let pushed = simdeck.push("data-usage", signed(&record));
    assert_eq!(timeout(GUARD, pushed).await.expect("pushes wait for the folder"), (1, 0, 0));
    let asked = timeout(GUARD, simdeck.get("/v1/status")).await;
    assert_eq!(asked.expect("questions wait for the folder")["ready"], true);
}

async fn backup_failing(simdeck: &Simdeck) -> Value {
    let began = Instant::now();
    loop {
        let status = simdeck.get("/v1/status").await;
        let conditions = status["conditions"].as_array().unwrap();
        let failing = conditions.iter().find(|it| it["name"] == "backup_failing").unwrap();
        if failing["on"] == true {
            return failing.clone();
        }
        assert!(began.elapsed() < GUARD, "{status}");
    }
}

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).into_iter().flatten();
    names.map(|name| name.unwrap().file_name().into_string().unwrap()).collect()
}

/// How large the copy is that is being made.
fn growing(folder: &Path) -> u64 {
    let names = names(folder);
    let partial = names.iter().find(|name| name.ends_with(".partial"));
    partial.and_then(|name| fs::metadata(folder.join(name)).ok()).map_or(0, |file| file.len())
}

#[tokio::test]
async fn a_folder_that_never_answers_holds_up_nobody_and_is_told_of() {
    let (disk, folder) = (Disk::new(), Arc::new(TempDir::new().unwrap()));
    disk.set(Number::Hangs, 1);
    let simdeck = start(&disk, &folder, "1d");
    must_take_pushes(&simdeck, 0).await;
    let asking = async {
        let (status, problem) = simdeck.ask(Method::POST, "/v1/backup").await;
        assert_eq!(status, 409, "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        for part in ["copies does not answer", "SIMDECK_BACKUP_DIR"] {
            assert!(detail.contains(part), "{detail}");
        }
    };
    let looking = async {
        // So that it has begun.
        let began = Instant::now();
        while simdeck.rows("/v1/audit?action=backup").await.is_empty() {
            assert!(began.elapsed() < GUARD);
        }
        must_take_pushes(&simdeck, 1).await;
        disk.set(Number::UptimeAheadS, SILENCE_S);
        let failing = backup_failing(&simdeck).await;
        assert!(failing["sentence"].as_str().unwrap().contains("does not answer"), "{failing}");
        must_take_pushes(&simdeck, 2).await;
    };
    timeout(2 * GUARD, async { tokio::join!(asking, looking) }).await.expect("an answer");
    // Asked again, it says so at once.
    let (status, problem) = simdeck.ask(Method::POST, "/v1/backup").await;
    assert_eq!(status, 409, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("does not answer"), "{problem}");
    disk.set(Number::UptimeAheadS, 0);
    let began = Instant::now();
    let log = simdeck.end();
    assert!(began.elapsed() < GUARD && log.contains("Stopped"), "{log}");
}

#[tokio::test]
async fn a_folder_that_falls_silent_while_a_copy_grows_does_not_let_the_log_of_the_database_grow() {
    let (disk, folder) = (Disk::new(), Arc::new(TempDir::new().unwrap()));
    let simdeck = start(&disk, &folder, "365d");
    let body = |nth: usize| signed(&format!(r#""nth":{nth},"text":"{}""#, "x".repeat(1 << 20)));
    for nth in 0..60 {
        assert_eq!(simdeck.push("sim-status", body(nth)).await, (1, 0, 0));
    }
    let copies = folder.path().join("copies");
    let asking = simdeck.ask(Method::POST, "/v1/backup");
    let hanging = async {
        let began = Instant::now();
        while growing(&copies) < 4 << 20 {
            assert!(began.elapsed() < GUARD);
            tokio::task::yield_now().await;
        }
        // What is written stays in memory, until it is synced.
        disk.set(Number::Hangs, 2);
        must_take_pushes(&simdeck, 0).await;
        let mut ahead_s = 0;
        loop {
            // It may have come on once more meanwhile.
            ahead_s += SILENCE_S;
            disk.set(Number::UptimeAheadS, ahead_s);
            must_take_pushes(&simdeck, usize::try_from(ahead_s).unwrap()).await;
        }
    };
    let asked = async {
        tokio::select! {
            answer = asking => answer,
            () = hanging => unreachable!(),
        }
    };
    let (status, problem) = timeout(GUARD, asked).await.expect("it is not awaited for ever");
    assert_eq!(status, 409, "{problem}");
    for nth in 60..120 {
        assert_eq!(simdeck.push("sim-status", body(nth)).await, (1, 0, 0));
    }
    let log = folder.path().join("data/simdeck.db-wal");
    let bytes = fs::metadata(log).unwrap().len();
    assert!(bytes < 20 << 20, "the log has grown to {bytes} bytes");
    // Once the folder answers, the next copy is made, and nothing is left of the other.
    disk.set(Number::Hangs, 0);
    disk.set(Number::UptimeAheadS, 0);
    let began = Instant::now();
    while simdeck.ask(Method::POST, "/v1/backup").await.0 != 200 {
        assert!(began.elapsed() < GUARD, "no copy is made any more");
        tokio::task::yield_now().await;
    }
    let left = names(&copies);
    assert!(left.iter().all(|name| name.ends_with(".db") || name.ends_with(".erased")), "{left:?}");
    simdeck.end();
}
