//! A database that was there and has gone: no start makes an empty one in its place, and what brings it
//! back is told.
use std::{fs, path::Path, sync::Arc};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    process::WRONG_SETTINGS,
    server::{Simdeck, refused_start_with, run_with, signed, usage},
};

const SIM: &str = "8944501503181377993";
const DATA: (&str, &str) = ("SIMDECK_DATA_DIR", "first");
const STORE: (&str, &str) = ("SIMDECK_DATABASE_URL", "sqlite://store/simdeck.db");

/// A folder with a store of one record that a server has left.
async fn left(settings: &[(&str, &str)]) -> Arc<TempDir> {
    let simdeck = Simdeck::start(settings);
    assert_eq!(simdeck.push("data-usage", signed(&usage(SIM))).await, (1, 0, 0));
    let folder = simdeck.folder();
    simdeck.end();
    folder
}

fn refused(folder: &Path, settings: &[(&str, &str)], parts: &[&str]) {
    let said = refused_start_with(WRONG_SETTINGS, folder, settings);
    assert_eq!(said.lines().count(), 1, "{said}");
    for part in parts {
        assert!(said.contains(part), "{part} is not in {said}");
    }
}

async fn has_its_record(folder: Arc<TempDir>, settings: &[(&str, &str)]) {
    let simdeck = Simdeck::start_in(folder, settings);
    assert_eq!(simdeck.rows("/v1/data-usage").await.len(), 1);
    simdeck.end();
}

#[tokio::test]
async fn a_start_makes_no_empty_database_where_one_was_and_takes_the_old_one_once_it_is_back() {
    let folder = left(&[]).await;
    let at = |name: &str| folder.path().join("data").join(name);
    fs::rename(at("simdeck.db"), at("moved")).unwrap();
    let told = ["data/simdeck.db is not there", "data/simdeck.db.lock says", "`simdeck restore`"];
    // As often as a container is started again.
    for _ in 0..2 {
        refused(folder.path(), &[], &told);
        assert!(!at("simdeck.db").exists());
    }
    for command in [&["backup"][..], &["key", "list"], &["key", "create", "--label", "x"]] {
        let done = run_with(folder.path(), &[], command);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(!done.status.success() && said.contains("is not there"), "{command:?}: {said}");
        assert!(!at("simdeck.db").exists(), "{command:?}");
    }
    let doctor = run_with(folder.path(), &[], &["doctor", "--output", "json"]);
    let report: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let database = findings.iter().find(|it| it["check"] == "database").unwrap();
    assert!(database["finding"].as_str().unwrap().contains("simdeck.db.lock"), "{database}");

    fs::write(at("simdeck.db"), "").unwrap();
    refused(folder.path(), &[], &["data/simdeck.db is empty"]);
    assert_eq!(fs::metadata(at("simdeck.db")).unwrap().len(), 0);
    fs::rename(at("moved"), at("simdeck.db")).unwrap();
    has_its_record(folder, &[]).await;
}

#[tokio::test]
async fn whoever_removes_what_is_named_has_a_new_store() {
    let folder = left(&[]).await;
    let at = |name: &str| folder.path().join("data").join(name);
    fs::remove_file(at("simdeck.db")).unwrap();
    // As of a version whose list named SIMs by hashes.
    fs::write(at("simdeck.db.erased"), format!("{} 1713888842000\n", "0".repeat(64))).unwrap();
    let both = "data/simdeck.db.erased and data/simdeck.db.lock say";
    refused(folder.path(), &[], &[both]);
    fs::remove_file(at("simdeck.db.lock")).unwrap();
    refused(folder.path(), &[], &["data/simdeck.db.erased says"]);
    fs::remove_file(at("simdeck.db.erased")).unwrap();
    let simdeck = Simdeck::start_in(folder, &[]);
    assert!(simdeck.rows("/v1/data-usage").await.is_empty());
    simdeck.end();
}

#[tokio::test]
async fn a_first_start_that_ended_before_it_made_a_database_keeps_no_other_out() {
    let folder = Arc::new(TempDir::new().unwrap());
    let failed = run_with(folder.path(), &[], &["restore", "nowhere.db"]);
    assert!(!failed.status.success());
    let at = |name: &str| folder.path().join("data").join(name);
    assert!(at("simdeck.db.lock").exists() && !at("simdeck.db").exists());
    let simdeck = Simdeck::start_in(Arc::clone(&folder), &[]);
    simdeck.end();
    // And one that ended just behind it.
    for name in ["simdeck.lock", "simdeck.db.lock"] {
        fs::write(at(name), "1 host\n").unwrap();
    }
    fs::write(at("simdeck.db"), "").unwrap();
    Simdeck::start_in(folder, &[]).end();
}

#[tokio::test]
async fn a_database_whose_disk_is_not_mounted_is_missed_by_the_data_directory() {
    let made = Arc::new(TempDir::new().unwrap());
    let at = |name: &str| made.path().join(name);
    fs::create_dir(at("store")).unwrap();
    let simdeck = Simdeck::start_in(Arc::clone(&made), &[DATA, STORE]);
    assert_eq!(simdeck.push("data-usage", signed(&usage(SIM))).await, (1, 0, 0));
    simdeck.end();
    fs::rename(at("store"), at("unmounted")).unwrap();
    fs::create_dir(at("store")).unwrap();
    refused(made.path(), &[DATA, STORE], &["store/simdeck.db is not there", "first/simdeck.lock"]);
    assert!(!at("store/simdeck.db").exists());
    // Another database is another matter.
    let other = ("SIMDECK_DATABASE_URL", "sqlite://other.db");
    Simdeck::start_in(Arc::clone(&made), &[("SIMDECK_DATA_DIR", "second"), other]).end();
    fs::remove_dir_all(at("store")).unwrap();
    fs::rename(at("unmounted"), at("store")).unwrap();
    has_its_record(made, &[DATA, STORE]).await;
}

#[tokio::test]
async fn the_log_of_a_database_that_is_gone_is_kept_and_poisons_no_backup_that_takes_its_place() {
    let simdeck = Simdeck::start(&[]);
    assert_eq!(simdeck.push("data-usage", signed(&usage(SIM))).await, (1, 0, 0));
    let made = simdeck.run(&["backup", "--output", "json"]);
    let backup: Value = serde_json::from_slice(&made.stdout).unwrap();
    let folder = simdeck.folder();
    let backup = folder.path().join(backup["path"].as_str().unwrap());
    for nth in 0..40 {
        let sim = usage(&format!("89445015031813780{nth:02}"));
        assert_eq!(simdeck.push("data-usage", signed(&sim)).await, (1, 0, 0));
    }
    // A kill, so that the log is not brought back.
    drop(simdeck);
    let at = |name: &str| folder.path().join("data").join(name);
    for name in ["simdeck.db", "simdeck.db.lock", "simdeck.lock"] {
        fs::remove_file(at(name)).unwrap();
    }
    let log = fs::read(at("simdeck.db-wal")).unwrap();
    refused(folder.path(), &[], &["data/simdeck.db-wal says"]);
    assert!(fs::read(at("simdeck.db-wal")).unwrap() == log);

    let restored = run_with(folder.path(), &[], &["restore", backup.to_str().unwrap()]);
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    assert!(fs::read(at("simdeck.db.replaced-wal")).unwrap() == log, "it may be wanted");
    let simdeck = Simdeck::start_in(Arc::clone(&folder), &[]);
    assert_eq!(simdeck.rows("/v1/data-usage").await.len(), 1);
    simdeck.end();
    fs::remove_file(at("simdeck.db")).unwrap();
    refused(folder.path(), &[], &["data/simdeck.db.lock says"]);
}
