//! Commands that root runs on the data directory of another user: what they make is that user's. Only root can
//! show it; elsewhere the line says so.
use std::{
    fs,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::process::geteuid;
use tempfile::TempDir;

use crate::{
    server::{Simdeck, run_with, signed, usage},
    trials::tell,
};

const SIM: &str = "8944501503181377993";
/// Nobody's, on most systems.
const USER: u32 = 65_534;

/// All that lies in a folder and is not the user's.
fn of_others(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let about = fs::symlink_metadata(&path).unwrap();
        if about.is_dir() {
            found.extend(of_others(&path));
        }
        if (about.uid(), about.gid()) != (USER, USER) {
            found.push(path);
        }
    }
    found
}

fn must_be_the_users(data: &Path, when: &str) {
    let others = of_others(data);
    assert!(others.is_empty(), "{when}: {others:?}");
}

#[tokio::test]
async fn what_root_makes_in_the_data_directory_of_another_user_belongs_to_that_user() {
    let folder = Arc::new(TempDir::new().unwrap());
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    if !geteuid().is_root() || chown(&data, Some(USER), Some(USER)).is_err() {
        tell("commands that root runs: 0 trials, since this is not root");
        return;
    }
    let simdeck = Simdeck::start_in(Arc::clone(&folder), &[]);
    assert_eq!(simdeck.push("data-usage", signed(&usage(SIM))).await, (1, 0, 0));
    must_be_the_users(&data, "while it runs");
    simdeck.end();
    let rows = folder.path().join("rows.ndjson");
    fs::write(&rows, format!("{{{}}}", usage("8944501503181377994"))).unwrap();
    let run = |args: &[&str]| {
        let done = run_with(folder.path(), &[], args);
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
        must_be_the_users(&data, args[0]);
    };
    run(&["import", "--kind", "data-usage", rows.to_str().unwrap()]);
    run(&["backup"]);
    run(&["erase", "--giccid", SIM, "--yes"]);
    run(&["prune"]);
    run(&["rebuild"]);
    let copies = fs::read_dir(data.join("backups")).unwrap().map(|entry| entry.unwrap().path());
    let copy = copies.into_iter().find(|path| path.extension().is_some_and(|it| it == "db"));
    run(&["restore", copy.unwrap().to_str().unwrap()]);
    assert!(data.join("simdeck.db.replaced").exists() && data.join("simdeck.db.erased").exists());
    Simdeck::start_in(Arc::clone(&folder), &[]).end();
    must_be_the_users(&data, "after the next start");
}
