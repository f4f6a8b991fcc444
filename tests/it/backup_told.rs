//! How backups fare, as `/v1/status`, `/metrics` and the doctor tell it.
use std::{
    fs::{self, OpenOptions, Permissions},
    io::{Seek, SeekFrom, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::Method;
use rustix::process::geteuid;
use serde_json::Value;
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use crate::program::Program;
use crate::server::{Simdeck, now_s, signed, usage};

const SIM: &str = "8944501503181377993";
const GUARD: Duration = Duration::from_secs(120);

async fn told(simdeck: &Simdeck) -> Value {
    simdeck.get("/v1/status").await["backup"].take()
}

async fn metric(simdeck: &Simdeck, name: &str) -> Option<f64> {
    let (_, text) = simdeck.ask_text(Method::GET, "/metrics").await;
    let line = text.lines().find(|line| line.starts_with(&format!("{name} ")))?;
    line.rsplit_once(' ').unwrap().1.parse().ok()
}

/// What the doctor says of backups.
fn doctor(simdeck: &Simdeck, args: &[&str]) -> Value {
    let output = simdeck.run(&[&["doctor", "--output", "json"], args].concat());
    let mut report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = report["findings"].as_array_mut().unwrap();
    let at = findings.iter().position(|it| it["check"] == "backup").expect("it looks at backups");
    findings.swap_remove(at)
}

fn copies(folder: &Path) -> Vec<PathBuf> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|name| !name.ends_with("simdeck.erased"));
    names.sort();
    names
}

#[tokio::test]
async fn the_newest_backup_is_told_also_after_a_restart_and_by_metrics() {
    let folder = Arc::new(TempDir::new().unwrap());
    let settings = [("SIMDECK_BACKUP_EVERY", "1d")];
    let simdeck = Simdeck::start_in(Arc::clone(&folder), &settings);
    assert_eq!(simdeck.push("data-usage", signed(&usage(SIM))).await, (1, 0, 0));
    let began = Instant::now();
    let made = loop {
        let made = told(&simdeck).await;
        if made["last_success_at"].is_string() {
            break made;
        }
        assert!(began.elapsed() < GUARD, "{made}");
    };
    let [copy] = &copies(&folder.path().join("data/backups"))[..] else { panic!("one copy") };
    let bytes = fs::metadata(copy).unwrap().len();
    assert_eq!((&made["bytes"], &made["failures"]), (&bytes.into(), &0.into()), "{made}");
    assert_eq!((&made["every_s"], &made["error"]), (&86_400.into(), &Value::Null), "{made}");
    assert!(made["took_s"].as_f64().unwrap() > 0.0, "{made}");

    let simdeck = simdeck.restart(&settings);
    let began = Instant::now();
    let after = loop {
        let after = told(&simdeck).await;
        if after["last_success_at"].is_string() {
            break after;
        }
        assert!(began.elapsed() < GUARD, "{after}");
    };
    assert_eq!((&after["bytes"], &after["took_s"]), (&made["bytes"], &Value::Null), "{after}");
    for (name, is_right) in [
        ("simdeck_backup_bytes", &(|it| it > 4096.0) as &dyn Fn(f64) -> bool),
        ("simdeck_backup_age_seconds", &|it| (0.0..60.0).contains(&it)),
        ("simdeck_backup_every_seconds", &|it| it > 86_399.0),
        ("simdeck_backup_failures_total", &|it| it < 1.0),
        ("simdeck_backup_last_success_timestamp_seconds", &|it| it > now_s() as f64 - 60.0),
    ] {
        let value = metric(&simdeck, name).await;
        assert!(value.is_some_and(is_right), "{name}: {value:?}");
    }
    simdeck.end();
}

#[tokio::test]
async fn a_backup_that_fails_is_counted_and_told_until_one_is_made() {
    let folder = Arc::new(TempDir::new().unwrap());
    let place = folder.path().join("copies");
    fs::write(&place, "a file in its place").unwrap();
    let simdeck = Simdeck::start_in(folder, &[("SIMDECK_BACKUP_DIR", place.to_str().unwrap())]);
    for _ in 0..2 {
        assert_eq!(simdeck.ask(Method::POST, "/v1/backup").await.0, 409);
    }
    let failed = told(&simdeck).await;
    assert_eq!(failed["failures"], 2, "{failed}");
    assert!(failed["failing_since"].is_string(), "{failed}");
    assert!(failed["error"].as_str().unwrap().contains("copies"), "{failed}");
    assert_eq!(metric(&simdeck, "simdeck_backup_failures_total").await, Some(2.0));
    assert_eq!(metric(&simdeck, "simdeck_backup_age_seconds").await, None);
    fs::remove_file(&place).unwrap();
    assert_eq!(simdeck.ask(Method::POST, "/v1/backup").await.0, 200);
    let made = told(&simdeck).await;
    assert_eq!((&made["failures"], &made["error"]), (&2.into(), &Value::Null), "{made}");
    assert!(metric(&simdeck, "simdeck_backup_duration_seconds").await.unwrap() > 0.0);
    simdeck.end();
}

#[tokio::test]
async fn a_backup_that_somebody_has_taken_away_is_told_no_longer() {
    let simdeck = Simdeck::start(&[]);
    for _ in 0..2 {
        assert_eq!(simdeck.ask(Method::POST, "/v1/backup").await.0, 200);
    }
    let newest = told(&simdeck).await;
    assert!(newest["took_s"].is_number(), "{newest}");
    for copy in copies(&simdeck.folder().path().join("data/backups")).iter().rev() {
        let before = told(&simdeck).await["last_success_at"].take();
        fs::remove_file(copy).unwrap();
        let began = Instant::now();
        let mut after = told(&simdeck).await;
        while after["last_success_at"] == before {
            assert!(began.elapsed() < GUARD, "{after}");
            after = told(&simdeck).await;
        }
        assert_eq!(after["took_s"], Value::Null, "{after}");
    }
    let none = told(&simdeck).await;
    assert_eq!((&none["last_success_at"], &none["bytes"]), (&Value::Null, &Value::Null), "{none}");
    assert_eq!(metric(&simdeck, "simdeck_backup_age_seconds").await, None);
    simdeck.end();
}

async fn pages_of_records(database: &Path) -> Vec<u64> {
    let mut copy = SqliteConnectOptions::new().filename(database).connect().await.unwrap();
    let pages: Vec<i64> = sqlx::query_scalar("select pageno from dbstat where name = 'usage'")
        .fetch_all(&mut copy)
        .await
        .unwrap();
    copy.close().await.unwrap();
    assert!(pages.len() > 2, "{pages:?}");
    pages.into_iter().map(i64::unsigned_abs).collect()
}

#[tokio::test]
async fn the_doctor_opens_the_newest_backup_and_looks_at_its_age() {
    let simdeck = Simdeck::start(&[]);
    assert!(simdeck.run(&["push", "--real", "--count", "60", "--records", "50"]).status.success());
    let none = doctor(&simdeck, &[]);
    assert_eq!(none["state"], "skipped", "{none}");
    assert!(none["todo"].as_str().unwrap().contains("SIMDECK_BACKUP_EVERY"), "{none}");
    let none = doctor(&simdeck, &["--backup-every", "1d"]);
    assert_eq!(none["state"], "problem", "{none}");

    assert_eq!(simdeck.ask(Method::POST, "/v1/backup").await.0, 200);
    let folder = simdeck.folder().path().join("data/backups");
    let there = copies(&folder);
    let good = doctor(&simdeck, &["--backup-every", "1d"]);
    assert_eq!(good["state"], "ok", "{good}");
    assert_eq!(copies(&folder), there, "it only looks");

    let old = folder.join("simdeck-20240905T013048000Z-1.db");
    fs::rename(&there[0], &old).unwrap();
    let late = doctor(&simdeck, &["--backup-every", "1d"]);
    assert_eq!(late["state"], "problem", "{late}");
    assert!(late["finding"].as_str().unwrap().contains("2024-09-05"), "{late}");
    assert_eq!(doctor(&simdeck, &[])["state"], "ok", "nobody says how old it may be");

    let whole = fs::read(&old).unwrap();
    OpenOptions::new().write(true).open(&old).unwrap().set_len(whole.len() as u64 / 2).unwrap();
    let cut = doctor(&simdeck, &[]);
    assert_eq!(cut["state"], "problem", "{cut}");
    fs::write(&old, &whole).unwrap();
    let mut file = OpenOptions::new().write(true).open(&old).unwrap();
    // Nothing that is read to open it.
    for page in pages_of_records(&old).await {
        file.seek(SeekFrom::Start((page - 1) * 4096)).unwrap();
        file.write_all(&[0xA5; 4096]).unwrap();
    }
    assert_eq!(doctor(&simdeck, &[])["state"], "ok", "not all of a large copy is read each time");
    let broken = doctor(&simdeck, &["--thorough"]);
    assert_eq!(broken["state"], "problem", "{broken}");
    assert!(broken["todo"].as_str().unwrap().contains("simdeck backup"), "{broken}");
    simdeck.end();
}

#[tokio::test]
async fn the_doctor_takes_no_folder_that_it_may_not_read_for_one_without_backups() {
    // Without what lets root read all files.
    let wrapper: &[&str] = match geteuid().is_root() {
        true => &["setpriv", "--bounding-set", "-dac_override,-dac_read_search"],
        false => &[],
    };
    let simdeck = Simdeck::start_under(wrapper, Arc::new(TempDir::new().unwrap()), &[]);
    assert_eq!(simdeck.ask(Method::POST, "/v1/backup").await.0, 200);
    let folder = simdeck.folder().path().join("data/backups");
    fs::set_permissions(&folder, Permissions::from_mode(0o000)).unwrap();
    let said = Command::new(wrapper.first().unwrap_or(&"env"))
        .args(wrapper.iter().skip(1))
        .arg(Program::binary())
        .args(["doctor", "--output", "json"])
        .env("SIMDECK_DATA_DIR", simdeck.folder().path().join("data"))
        .output()
        .unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o700)).unwrap();
    let report: Value = serde_json::from_slice(&said.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let backup = findings.iter().find(|it| it["check"] == "backup").unwrap();
    assert_eq!(backup["state"], "problem", "{backup}");
    assert!(backup["finding"].as_str().unwrap().contains("cannot be looked at"), "{backup}");
    simdeck.end();
}

/// As one that reads its folder from a file server that is gone.
#[tokio::test]
async fn the_doctor_waits_for_no_backup_whose_folder_does_not_answer() {
    const WAITS: Duration = Duration::from_secs(60);
    let simdeck = Simdeck::start(&[]);
    let copies = simdeck.folder().path().join("copies");
    fs::create_dir(&copies).unwrap();
    // Whoever opens a pipe that nobody writes to waits.
    let pipe = copies.join("simdeck-20240905T013048000Z-1.db");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let began = Instant::now();
    let told = doctor(&simdeck, &["--backup-dir", copies.to_str().unwrap()]);
    assert!(began.elapsed() < WAITS, "{:?}", began.elapsed());
    assert_eq!(told["state"], "problem", "{told}");
    simdeck.end();
}
