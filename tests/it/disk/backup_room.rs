//! What has to go on while a copy is being made.
use std::{fs, sync::Arc, time::Duration};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::server::{Simdeck, signed, usage};

#[tokio::test]
async fn room_is_sought_on_a_full_disk_while_a_scheduled_backup_is_being_made() {
    let folder = Arc::new(TempDir::new().unwrap());
    let simdeck = Simdeck::start_in(Arc::clone(&folder), &[]);
    // It is older than records are kept.
    assert_eq!(simdeck.push("data-usage", signed(&usage("8944501503181377993"))).await, (1, 0, 0));
    simdeck.end();
    // On another disk, where no reserve is kept.
    let elsewhere = TempDir::new_in("/dev/shm").unwrap();
    let copies = elsewhere.path().join("copies");
    fs::create_dir(&copies).unwrap();
    // Whoever opens this waits for what nobody writes: the copy is never ready.
    let list = copies.join("simdeck.erased");
    mknodat(CWD, &list, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let mut simdeck = Simdeck::start_in(
        folder,
        &[
            ("SIMDECK_BACKUP_EVERY", "1d"),
            ("SIMDECK_BACKUP_DIR", copies.to_str().unwrap()),
            ("SIMDECK_DISK_RESERVE", "1000TiB"),
        ],
    );
    simdeck.says("Pushes cannot be stored");
    let pruned = async {
        while !simdeck.rows("/v1/data-usage").await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(30), pruned).await.expect("what is too old goes for room");
    let made = fs::read_dir(&copies).unwrap().map(|it| it.unwrap().file_name());
    let made: Vec<_> = made.filter(|name| !name.to_string_lossy().contains("partial")).collect();
    assert_eq!(made, ["simdeck.erased"], "the copy is still on its way");
    // It cannot be asked to end: the copy would have to be ready.
    drop(simdeck);
}
