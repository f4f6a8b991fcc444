//! A database that a link leads to: its copies lie beside the file, and the link stays one.
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::server::{Simdeck, run_with, signed, usage};

const DATA: (&str, &str) = ("SIMDECK_DATA_DIR", "data");
const LINK: (&str, &str) = ("SIMDECK_DATABASE_URL", "sqlite://links/link.db");

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).unwrap().is_symlink()
}

#[tokio::test]
async fn a_restore_puts_the_backup_in_the_place_of_the_file_that_a_link_leads_to() {
    let folder = Arc::new(TempDir::new().unwrap());
    let at = |name: &str| folder.path().join(name);
    for name in ["store", "links"] {
        fs::create_dir(at(name)).unwrap();
    }
    symlink("../store/simdeck.db", at("links/link.db")).unwrap();
    let simdeck = Simdeck::start_in(Arc::clone(&folder), &[DATA, LINK]);
    assert_eq!(simdeck.push("data-usage", signed(&usage("8944501503181377993"))).await, (1, 0, 0));
    let made = run_with(folder.path(), &[DATA, LINK], &["backup", "--output", "json"]);
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    let backup = PathBuf::from(made["path"].as_str().unwrap());
    assert_eq!(simdeck.push("data-usage", signed(&usage("8944501503181377994"))).await, (1, 0, 0));
    simdeck.end();

    let restored = run_with(folder.path(), &[DATA, LINK], &["restore", backup.to_str().unwrap()]);
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    assert!(is_link(&at("links/link.db")), "the link was replaced");
    assert!(at("store/simdeck.db.replaced").exists() && !at("links/link.db.replaced").exists());
    for left in ["store/simdeck.db.restoring", "store/simdeck.db.before-9.partial"] {
        fs::write(at(left), "half").unwrap();
    }
    let simdeck = Simdeck::start_in(Arc::clone(&folder), &[DATA, LINK]);
    assert_eq!(simdeck.rows("/v1/data-usage").await.len(), 1);
    assert!(!at("store/simdeck.db.restoring").exists());
    assert!(!at("store/simdeck.db.before-9.partial").exists());
    // What is kept beside the file goes with an erasure, as what earlier versions kept beside the link.
    fs::write(at("links/link.db.before-7"), "old").unwrap();
    let args = ["erase", "--giccid", "8944501503181377993", "--yes"];
    let erased = run_with(folder.path(), &[DATA, LINK], &args);
    assert!(erased.status.success(), "{}", String::from_utf8_lossy(&erased.stderr));
    assert!(!at("store/simdeck.db.replaced").exists() && !at("links/link.db.before-7").exists());
    simdeck.end();
}
