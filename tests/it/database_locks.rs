//! SQLite's locks on the database of a running server stay, whatever the server does. POSIX drops
//! all locks that a process has on a file when the process closes any descriptor of it; then another
//! process that opens and closes the database takes itself for the last one and deletes the log, and
//! with it what was acknowledged since.
use std::{collections::BTreeSet, fs, os::unix::fs::MetadataExt, path::PathBuf};

use sha2::{Digest, Sha256};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::server::{Simdeck, now_s, signed};

/// A SIM that the pushes of [`push`] are not about.
const ERASED: &str = "89860012345678901234";

fn database(simdeck: &Simdeck) -> PathBuf {
    simdeck.folder().path().join("data/simdeck.db")
}

/// The locks that the server holds on its database for as long as it has it open: kind, file and
/// range. The first eight of the index of the log come and go with each read and write.
fn locks(simdeck: &Simdeck) -> BTreeSet<String> {
    let endings = ["", "-wal", "-shm"];
    let inode = |ending| fs::metadata(format!("{}{ending}", database(simdeck).display()));
    let inodes = endings.map(|ending| inode(ending).map_or(0, |file| file.ino()));
    let pid = simdeck.pid().as_raw_nonzero().to_string();
    let mut held = BTreeSet::new();
    for line in fs::read_to_string("/proc/locks").unwrap().lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, "POSIX", _, mode, owner, file, first, last] = fields[..] else { continue };
        let inode: u64 = file.rsplit(':').next().unwrap().parse().unwrap();
        let Some(nth) = inodes.iter().position(|known| *known == inode) else { continue };
        let comes_and_goes =
            endings[nth] == "-shm" && (120..128).contains(&first.parse::<u64>().unwrap());
        if owner == pid && !comes_and_goes {
            held.insert(format!("{mode} simdeck.db{} {first} {last}", endings[nth]));
        }
    }
    held
}

/// Does what `sqlite3 simdeck.db "select …"` does, and takes the log away where nothing keeps it.
async fn another_process_looks(simdeck: &Simdeck) {
    let options = SqliteConnectOptions::new().filename(database(simdeck));
    let mut other = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query("select count(*) from usage").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
}

/// Pushes records that nobody has pushed before.
async fn push(simdeck: &Simdeck, pushed: &mut usize) {
    for _ in 0..10 {
        *pushed += 1;
        let record = format!(
            r#""giccid":"89860012345678{:06}","data_usage":1,"start_time":{}"#,
            *pushed % 7,
            now_s() * 1_000 - i64::try_from(*pushed).unwrap()
        );
        assert_eq!(simdeck.push("data-usage", signed(&record)).await, (1, 0, 0));
    }
}

async fn push_of(simdeck: &Simdeck, giccid: &str) {
    let start_ms = now_s() * 1_000;
    let record = format!(r#""giccid":"{giccid}","data_usage":1,"start_time":{start_ms}"#);
    assert_eq!(simdeck.push("data-usage", signed(&record)).await, (1, 0, 0));
}

/// Kills the server as a power cut does, and gives what the next one has.
async fn kept_after_a_kill(simdeck: Simdeck) -> usize {
    let folder = simdeck.folder();
    drop(simdeck);
    let next = Simdeck::start_in(folder, &[]);
    let sums = next.get("/v1/data-usage/aggregate?interval=none").await;
    let records = sums[0]["records"].as_u64().unwrap();
    next.end();
    usize::try_from(records).unwrap()
}

#[tokio::test]
async fn no_maintenance_drops_the_locks_and_nothing_acknowledged_is_lost_to_another_process() {
    let simdeck = Simdeck::start(&[]);
    let mut pushed = 0;
    push(&simdeck, &mut pushed).await;
    push_of(&simdeck, ERASED).await;
    // The number of one that stays holds that of another which goes: the files are written anew.
    let (longer, within) = ("8986001234567890567", "898600123456789056");
    push_of(&simdeck, longer).await;
    push_of(&simdeck, within).await;
    let before = locks(&simdeck);
    assert!(before.iter().any(|lock| lock.starts_with("READ simdeck.db ")), "{before:?}");
    assert!(before.iter().any(|lock| lock.contains("-shm")), "{before:?}");

    let mut gone = 0;
    for args in [
        &["backup"][..],
        &["prune"],
        &["doctor"],
        &["doctor", "--thorough"],
        &["held", "list"],
        &["export", "data-usage", "--format", "csv"],
        &["erase", "--giccid", ERASED, "--yes"],
        &["erase", "--giccid", within, "--yes"],
        &["backup"],
    ] {
        let done = simdeck.run(args);
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
        gone += usize::from(args[0] == "erase");
        assert_eq!(locks(&simdeck), before, "after {args:?}");
        another_process_looks(&simdeck).await;
        push(&simdeck, &mut pushed).await;
        assert_eq!(locks(&simdeck), before, "after {args:?} and another process");
    }
    assert_eq!(kept_after_a_kill(simdeck).await, pushed + 3 - gone);
}

#[tokio::test]
async fn an_erasure_that_is_made_up_for_at_the_start_drops_no_lock() {
    let simdeck = Simdeck::start(&[]);
    let mut pushed = 0;
    push(&simdeck, &mut pushed).await;
    push_of(&simdeck, ERASED).await;
    let usual = locks(&simdeck);
    let folder = simdeck.folder();
    simdeck.end();
    // As a backup brings back what the list beside the database names.
    let list = folder.path().join("data/simdeck.db.erased");
    fs::write(list, format!("{} 1713888842000\n", hex::encode(Sha256::digest(ERASED)))).unwrap();

    let mut simdeck = Simdeck::start_in(folder, &[]);
    simdeck.says("Erased a SIM");
    assert_eq!(locks(&simdeck), usual);
    another_process_looks(&simdeck).await;
    push(&simdeck, &mut pushed).await;
    assert_eq!(kept_after_a_kill(simdeck).await, pushed);
}
