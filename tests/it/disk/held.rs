//! One database has one server, whatever data directory it is started with, and whatever name it has
//! there.
use std::{fs, os::unix::fs::symlink, sync::Arc};

use tempfile::TempDir;

use crate::server::{Simdeck, refused_start, run_with, signed, usage};

const SIM: &str = "8944501503181377993";
const DATA: (&str, &str) = ("SIMDECK_DATA_DIR", "first");
const STORE: (&str, &str) = ("SIMDECK_DATABASE_URL", "sqlite://store/simdeck.db");
const OTHER_DATA: (&str, &str) = ("SIMDECK_DATA_DIR", "second");

/// A server with its database in the folder `store`.
fn start(folder: &Arc<TempDir>) -> Simdeck {
    Simdeck::start_in(Arc::clone(folder), &[DATA, STORE])
}

fn made() -> Arc<TempDir> {
    let folder = Arc::new(TempDir::new().unwrap());
    fs::create_dir(folder.path().join("store")).unwrap();
    folder
}

fn must_name(said: &str, database: &str, simdeck: &Simdeck) {
    assert!(said.contains(&format!("another simdeck has the database {database} open")), "{said}");
    let pid = simdeck.pid().as_raw_nonzero();
    assert!(said.contains(&format!("(process {pid} on ")), "{said}");
}

#[tokio::test]
async fn a_database_that_a_server_has_is_refused_to_another_data_directory_by_any_of_its_names() {
    let folder = made();
    let simdeck = start(&folder);
    assert_eq!(simdeck.push("data-usage", signed(&usage(SIM))).await, (1, 0, 0));
    let at = |name: &str| folder.path().join(name);
    symlink("store", at("linked")).unwrap();
    symlink("store/simdeck.db", at("link.db")).unwrap();
    for database in ["store/simdeck.db", "linked/simdeck.db", "link.db"] {
        let url = format!("sqlite://{database}");
        let said = refused_start(folder.path(), &[OTHER_DATA, ("SIMDECK_DATABASE_URL", &url)]);
        must_name(&said, database, &simdeck);
    }
    fs::create_dir(at("elsewhere")).unwrap();
    fs::hard_link(at("store/simdeck.db"), at("elsewhere/other.db")).unwrap();
    let url = "sqlite://elsewhere/other.db";
    let said = refused_start(folder.path(), &[OTHER_DATA, ("SIMDECK_DATABASE_URL", url)]);
    assert!(said.contains("another simdeck has the database elsewhere/other.db open"), "{said}");
    let url = "sqlite://elsewhere/new.db";
    let said = refused_start(folder.path(), &[DATA, ("SIMDECK_DATABASE_URL", url)]);
    assert!(said.contains("is running on the data directory first"), "{said}");
    assert!(!at("elsewhere/new.db").exists());

    let sim = usage("8944501503181377994");
    assert_eq!(simdeck.push("data-usage", signed(&sim)).await, (1, 0, 0), "it goes on");
    simdeck.end();
    let simdeck = start(&folder);
    assert_eq!(simdeck.rows("/v1/data-usage").await.len(), 2);
    simdeck.end();
}

#[tokio::test]
async fn no_command_opens_a_database_for_writing_that_a_server_has_with_another_data_directory() {
    let folder = made();
    let simdeck = start(&folder);
    assert_eq!(simdeck.push("data-usage", signed(&usage(SIM))).await, (1, 0, 0));
    let backup: serde_json::Value = {
        let args = ["backup", "--output", "json"];
        let made = run_with(folder.path(), &[DATA, STORE], &args);
        serde_json::from_slice(&made.stdout).unwrap()
    };
    let backup = backup["path"].as_str().unwrap();
    for args in [
        &["restore", backup][..],
        &["rebuild"],
        &["prune"],
        &["erase", "--giccid", SIM, "--yes"],
        &["backup"],
        &["key", "list"],
        &["held", "list"],
    ] {
        let done = run_with(folder.path(), &[OTHER_DATA, STORE], args);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(!done.status.success(), "{args:?}: {said}");
        must_name(&said, "store/simdeck.db", &simdeck);
        assert_eq!(said.lines().count(), 1, "{args:?}: {said}");
    }
    assert_eq!(simdeck.rows("/v1/data-usage").await.len(), 1);
    simdeck.end();
}

#[test]
fn a_folder_of_the_database_that_is_not_there_is_told_in_a_sentence() {
    let folder = TempDir::new().unwrap();
    let url = ("SIMDECK_DATABASE_URL", "sqlite://nowhere/simdeck.db");
    let said = refused_start(folder.path(), &[url]);
    assert!(
        said.starts_with("error: cannot write beside the database nowhere/simdeck.db; "),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(!folder.path().join("nowhere").exists());
}

#[test]
fn the_log_of_a_database_that_a_link_leads_to_is_counted_too() {
    let folder = made();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("store/simdeck.db"), "a database").unwrap();
    fs::write(at("store/simdeck.db-wal"), "its log").unwrap();
    symlink("store/simdeck.db", at("link.db")).unwrap();
    for name in ["store/simdeck.db", "link.db"] {
        let both = "a database".len() + "its log".len();
        assert_eq!(simdeck::store::database_bytes(&at(name)), both as u64, "{name}");
    }
}
