//! SIMs that an older version erased, before an upgrade, on the way back and after the next upgrade. The
//! older version had no secret by which lists name SIMs.
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::Connection;
use tempfile::TempDir;

use super::retract::{FORGED_SIM, OTHER_SIM, SIM, TRUE_SENDER, usage};
use crate::{
    disk::migration::made_by_version,
    server::{Simdeck, now_s, refused_start, run},
};

/// The last number of the migrations that the older version knows.
const OLD: &str = "0009";
const ERASED_MS: i64 = 1_725_499_848_123;
/// What that of another store, or of a later erasure, says.
const OTHER_MS: i64 = ERASED_MS + 1;

fn hash(sim: &str) -> String {
    hex::encode(Sha256::digest(sim))
}

/// A folder with what the older version left when it had erased these SIMs, each at its time.
struct Old(Arc<TempDir>);

impl Old {
    async fn new(erased: &[(&str, i64)]) -> Self {
        let old = Self(Arc::new(TempDir::new().unwrap()));
        fs::create_dir(old.data()).unwrap();
        old.write(&old.database(), erased).await;
        old.run(erased);
        old
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn database(&self) -> PathBuf {
        self.data().join("simdeck.db")
    }

    fn list(&self) -> PathBuf {
        self.data().join("simdeck.db.erased")
    }

    async fn write(&self, database: &Path, erased: &[(&str, i64)]) {
        let mut raw = made_by_version(database, OLD).await;
        let facts = "insert into meta values ('epoch', '0123456789abcdef'), ('time_zone', 'UTC')";
        sqlx::raw_sql(facts).execute(&mut raw).await.unwrap();
        for (nth, (sim, at_ms)) in erased.iter().enumerate() {
            sqlx::query("insert into erased values ($1, $2, $3, 0, null)")
                .bind(i64::try_from(nth).unwrap() + 1)
                .bind(at_ms)
                .bind(hash(sim))
                .execute(&mut raw)
                .await
                .unwrap();
        }
        sqlx::raw_sql("update seq set last = 9").execute(&mut raw).await.unwrap();
        raw.close().await.unwrap();
    }

    /// What the older version does when it starts: it does not find its SIMs in the list, and adds them.
    fn run(&self, erased: &[(&str, i64)]) {
        let mut text = fs::read_to_string(self.list()).unwrap_or_default();
        for (sim, at_ms) in erased {
            if !text.contains(&hash(sim)) {
                text += &format!("\n{} {at_ms}\n", hash(sim));
            }
        }
        fs::write(self.list(), text).unwrap();
    }

    fn start(&self) -> Simdeck {
        Simdeck::start_in(Arc::clone(&self.0), &[])
    }

    /// Puts another database in the database's place, as a person does who goes back.
    fn put(&self, other: &Path) {
        let bytes = fs::read(other).unwrap();
        for ending in ["-wal", "-shm"] {
            let path = self.data().join(format!("simdeck.db{ending}"));
            assert!(!path.exists(), "{} is left of a good end", path.display());
        }
        fs::write(self.database(), bytes).unwrap();
    }

    /// The copy that an upgrade has kept.
    fn kept(&self) -> PathBuf {
        let is_kept = |path: &PathBuf| path.to_string_lossy().contains(".before-");
        let paths = fs::read_dir(self.data()).unwrap().map(|entry| entry.unwrap().path());
        paths.into_iter().find(is_kept).unwrap()
    }

    /// Whether the list names SIMs by their hashes.
    fn tells_hashes(&self, of: &[&str]) -> bool {
        let text = fs::read_to_string(self.list()).unwrap();
        of.iter().any(|sim| text.contains(&hash(sim)))
    }
}

/// How many records are stored when one of each of these SIMs comes.
async fn stored(simdeck: &Simdeck, sims: &[&str]) -> Value {
    // Of a time of its own: a copy may have what was stored in this second before.
    static PUSHES: AtomicI64 = AtomicI64::new(0);
    let second = now_s();
    let ms = second * 1000 - PUSHES.fetch_add(1, Ordering::Relaxed);
    let records: Vec<String> = sims.iter().map(|sim| usage(sim, ms, 7, "CN")).collect();
    let answer = simdeck.push_as(TRUE_SENDER, "data-usage", second, &records.join(",")).await;
    answer["stored"].clone()
}

/// The erased SIMs are dropped, others are stored, and there is a row for each erased one.
async fn honours(simdeck: Simdeck, erased: &[&str]) {
    assert_eq!(stored(&simdeck, erased).await, 0, "an erased SIM came back");
    assert_eq!(stored(&simdeck, &[FORGED_SIM]).await, 1);
    let rows = simdeck.get("/v1/erasures").await;
    assert_eq!(rows.as_array().unwrap().len(), erased.len(), "{rows}");
    simdeck.end();
}

#[tokio::test]
async fn a_sim_stays_erased_when_its_older_store_is_upgraded_taken_back_and_upgraded_again() {
    let erased = [(SIM, ERASED_MS)];
    let old = Old::new(&erased).await;
    old.start().end();
    assert!(!old.tells_hashes(&[SIM]), "the list still tells a hash");
    for _ in 0..2 {
        old.put(&old.kept());
        old.run(&erased);
        honours(old.start(), &[SIM]).await;
        assert!(!old.tells_hashes(&[SIM]), "the list tells a hash again");
    }
}

#[tokio::test]
async fn what_was_erased_after_the_upgrade_stays_so_when_its_copy_is_upgraded_again() {
    let erased = [(SIM, ERASED_MS)];
    let old = Old::new(&erased).await;
    let simdeck = old.start();
    // An erasure takes the copy away: somebody has put it elsewhere.
    let elsewhere = old.0.path().join("elsewhere.db");
    fs::copy(old.kept(), &elsewhere).unwrap();
    let args = ["erase", "--giccid", OTHER_SIM, "--yes", "--force"];
    assert!(simdeck.run(&args).status.success());
    simdeck.end();
    old.put(&elsewhere);
    old.run(&erased);
    honours(old.start(), &[SIM, OTHER_SIM]).await;
}

#[tokio::test]
async fn an_older_backup_beside_a_newer_list_is_known_by_the_times_of_its_erasures() {
    let erased = [(SIM, ERASED_MS), (OTHER_SIM, OTHER_MS)];
    let old = Old::new(&erased).await;
    let backup = old.0.path().join("backup.db");
    old.write(&backup, &erased).await;
    old.start().end();
    for _ in 0..2 {
        old.put(&backup);
        honours(old.start(), &[SIM, OTHER_SIM]).await;
    }
    // What goes with the copies names them by both secrets, and is no other store's either.
    let simdeck = old.start();
    let made = simdeck.run(&["--output", "json", "backup"]);
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    let folder = simdeck.folder();
    simdeck.end();
    let path = made["path"].as_str().unwrap();
    let nowhere = "127.0.0.1:0";
    let restored = run(folder.path(), nowhere, nowhere, &["restore", path]);
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    honours(old.start(), &[SIM, OTHER_SIM]).await;
}

#[tokio::test]
async fn an_older_store_that_lacks_one_erasure_of_a_newer_list_is_refused() {
    let all = [(SIM, ERASED_MS), (OTHER_SIM, OTHER_MS)];
    for known in [&all[..0], &all[..1], &[(SIM, ERASED_MS), (OTHER_SIM, OTHER_MS + 1)]] {
        let old = Old::new(&all).await;
        old.start().end();
        let backup = old.0.path().join("backup.db");
        old.write(&backup, known).await;
        old.put(&backup);
        old.run(known);
        let said = refused_start(old.0.path(), &[]);
        let names = if known.is_empty() { 2 } else { 1 };
        assert!(said.contains(&format!("names {names} erased SIM")), "{known:?}: {said}");
    }
}
