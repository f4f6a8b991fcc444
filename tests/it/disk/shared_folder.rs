//! A backup folder that two servers have, or that has lost its disk.
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;

use crate::server::{Simdeck, run_with, signed, usage};

const SIM: &str = "8944501503181377993";
const GUARD: Duration = Duration::from_secs(30);

/// The copies that lie in a folder, by name.
fn copies(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "db"));
    paths.sort();
    paths
}

async fn back_up(simdeck: &Simdeck) -> PathBuf {
    let (status, made) = simdeck.ask(Method::POST, "/v1/backup").await;
    assert_eq!(status, 200, "{made}");
    made["path"].as_str().unwrap().into()
}

/// All that the doctor finds of backups in this folder.
fn doctor(simdeck: &Simdeck, folder: &Path) -> Vec<Value> {
    let folder = folder.to_str().unwrap();
    let said = simdeck.run(&["doctor", "--output", "json", "--backup-dir", folder]);
    let report: Value = serde_json::from_slice(&said.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap();
    findings.iter().filter(|it| it["check"] == "backup").cloned().collect()
}

fn says(findings: &[Value], part: &str) -> bool {
    findings.iter().any(|it| it["finding"].as_str().unwrap().contains(part))
}

#[tokio::test]
async fn two_servers_with_one_backup_folder_leave_the_copies_of_each_other() {
    let shared = TempDir::new().unwrap();
    let folder = shared.path().to_str().unwrap();
    let settings = [("SIMDECK_BACKUP_DIR", folder), ("SIMDECK_BACKUP_KEEP", "2")];
    let (one, other) = (Simdeck::start(&settings), Simdeck::start(&settings));
    assert_eq!(other.push("data-usage", signed(&usage(SIM))).await, (1, 0, 0));
    let of_other = back_up(&other).await;
    // It grows, as far as anybody can tell.
    let growing = shared.path().join("simdeck-20240905T013048000Z-9.0123456789abcdef.partial");
    fs::write(&growing, "half").unwrap();
    let mut of_one = Vec::new();
    for _ in 0..3 {
        of_one.push(back_up(&one).await);
    }
    assert!(of_other.exists() && growing.exists(), "{:?}", copies(shared.path()));
    assert!(!of_one[0].exists() && of_one[1].exists() && of_one[2].exists());
    let status = other.get("/v1/status").await;
    assert_eq!(status["backup"]["bytes"], fs::metadata(&of_other).unwrap().len(), "{status}");
    let found = doctor(&other, shared.path());
    assert!(says(&found, of_other.to_str().unwrap()), "{found:?}");
    assert!(says(&found, "2 copies are there of another store"), "{found:?}");
    fs::remove_file(of_other).unwrap();
    let none = doctor(&other, shared.path());
    assert_ne!(none[0]["state"], "ok", "the copies of others are none of ours: {none:?}");
    one.end();
    other.end();
}

/// Makes two copies, restores the second in place, be the database gone or not, and makes a third: of those
/// two stay.
async fn restored_in_place(is_gone: bool) -> (Arc<TempDir>, String) {
    let simdeck = Simdeck::start(&[]);
    let (first, second) = (back_up(&simdeck).await, back_up(&simdeck).await);
    let folder = simdeck.folder();
    simdeck.end();
    if is_gone {
        fs::remove_file(folder.path().join("data/simdeck.db")).unwrap();
    }
    let path = |copy: &Path| folder.path().join(copy).to_str().unwrap().to_owned();
    let restored = run_with(folder.path(), &[], &["restore", &path(&second)]);
    assert!(restored.status.success(), "{restored:?}");
    let simdeck = Simdeck::start_in(Arc::clone(&folder), &[("SIMDECK_BACKUP_KEEP", "2")]);
    let found = doctor(&simdeck, &folder.path().join("data/backups"));
    assert!(!says(&found, "another store"), "{found:?}");
    let third = back_up(&simdeck).await;
    let there = [&first, &second, &third].map(|copy| Path::new(&path(copy)).exists());
    assert_eq!(there, [false, true, true]);
    simdeck.end();
    let third = path(&third);
    (folder, third)
}

#[tokio::test]
async fn after_a_restore_in_place_the_older_copies_are_still_rotated_and_elsewhere_they_stay() {
    let _gone = restored_in_place(true).await;
    let (folder, third) = restored_in_place(false).await;
    let copies_there = folder.path().join("data/backups");

    // A drill in another place with the same folder leaves what the store that is at work there has made.
    let drill = Arc::new(TempDir::new().unwrap());
    let settings = [
        ("SIMDECK_BACKUP_DIR", copies_there.to_str().unwrap()),
        ("SIMDECK_BACKUP_KEEP", "1"),
        ("SIMDECK_PUSH_KEY", "UzE4MDkxNDA2MTE1M"),
    ];
    let restored = run_with(drill.path(), &settings, &["restore", &third]);
    assert!(restored.status.success(), "{restored:?}");
    let simdeck = Simdeck::start_in(drill, &settings);
    let fourth = back_up(&simdeck).await;
    assert_eq!(copies(&copies_there).len(), 3);
    let found = doctor(&simdeck, &copies_there);
    assert!(fourth.exists() && says(&found, "2 copies are there of another store"), "{found:?}");
    simdeck.end();
}

/// What `/v1/status` says of backups that fail, once it says anything or nothing.
async fn condition(simdeck: &Simdeck, is_on: bool) -> Value {
    let began = Instant::now();
    loop {
        let status = simdeck.get("/v1/status").await;
        let conditions = status["conditions"].as_array().unwrap();
        let found = conditions.iter().find(|it| it["name"] == "backup_failing").unwrap();
        if found["on"] == is_on {
            return found.clone();
        }
        assert!(began.elapsed() < GUARD, "{status}");
    }
}

#[tokio::test]
async fn a_backup_folder_that_has_lost_its_disk_is_told_though_new_copies_can_be_made() {
    let place = TempDir::new().unwrap();
    let (folder, away) = (place.path().join("copies"), place.path().join("away"));
    fs::create_dir(&folder).unwrap();
    let settings = [("SIMDECK_BACKUP_DIR", folder.to_str().unwrap()), ("SIMDECK_BACKUP_KEEP", "3")];
    let simdeck = Simdeck::start(&settings);
    for _ in 0..4 {
        back_up(&simdeck).await;
    }
    assert!(!says(&doctor(&simdeck, &folder), "has lost"), "what it rotated is not lost");
    let newest = copies(&folder).pop().unwrap();
    // As a disk that is not mounted leaves it.
    fs::rename(&folder, &away).unwrap();
    fs::create_dir(&folder).unwrap();
    back_up(&simdeck).await;
    let lost = condition(&simdeck, true).await;
    for part in ["has lost its copies", newest.to_str().unwrap()] {
        assert!(lost["sentence"].as_str().unwrap().contains(part), "{lost}");
    }
    let simdeck = simdeck.restart(&settings);
    condition(&simdeck, true).await;
    let found = doctor(&simdeck, &folder);
    assert!(says(&found, "is its disk mounted?"), "{found:?}");
    // The disk comes back.
    fs::remove_dir_all(&folder).unwrap();
    fs::rename(&away, &folder).unwrap();
    back_up(&simdeck).await;
    condition(&simdeck, false).await;

    // Somebody has taken one away for good: it would have gone by now.
    fs::remove_file(copies(&folder).pop().unwrap()).unwrap();
    condition(&simdeck, true).await;
    for _ in 0..3 {
        back_up(&simdeck).await;
    }
    condition(&simdeck, false).await;
    simdeck.end();
}
