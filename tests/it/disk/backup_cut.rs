//! What a backup leaves alone as soon as it can, and how it ends with the server.
use std::{
    fs::{self, File},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::{
    fs::{CWD, FileType, Mode, OFlags, mknodat, open},
    io::Errno,
};
use tempfile::TempDir;

use super::{Disk, Number};
use crate::server::{Simdeck, signed};

const GUARD: Duration = Duration::from_secs(120);

/// What takes a mebibyte.
fn large(nth: usize) -> String {
    signed(&format!(r#""nth":{nth},"text":"{}""#, "x".repeat(1 << 20)))
}

async fn push(simdeck: &Simdeck, mib: usize) {
    for nth in 0..mib {
        assert_eq!(simdeck.push("sim-status", large(nth)).await, (1, 0, 0));
    }
}

/// Waits until somebody wants to read what nobody writes, and lets it wait for more.
fn reader_of(pipe: &Path) -> File {
    let began = Instant::now();
    loop {
        match open(pipe, OFlags::WRONLY | OFlags::NONBLOCK, Mode::empty()) {
            Ok(pipe) => return pipe.into(),
            Err(error) => assert_eq!(error, Errno::NXIO),
        }
        assert!(began.elapsed() < GUARD, "nobody reads it");
    }
}

#[tokio::test]
async fn the_log_of_the_database_shrinks_again_while_the_copy_is_finished() {
    let folder = Arc::new(TempDir::new().unwrap());
    let copies = folder.path().join("copies");
    fs::create_dir(&copies).unwrap();
    // The list is read when the copy is whole.
    let list = copies.join("simdeck.erased");
    mknodat(CWD, &list, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let settings = [("SIMDECK_BACKUP_DIR", copies.to_str().unwrap())];
    let simdeck = Simdeck::start_in(Arc::clone(&folder), &settings);
    simdeck.begin("/v1/backup", "").await;
    let waits = reader_of(&list);
    push(&simdeck, 60).await;
    let bytes = fs::metadata(folder.path().join("data/simdeck.db-wal")).unwrap().len();
    assert!(bytes < 20 << 20, "the log has grown to {bytes} bytes");
    assert!(has_copy(&copies, |name, _| name.ends_with(".partial")), "it is finished");
    // It cannot be asked to end: the copy would have to be ready.
    drop((simdeck, waits));
}

#[tokio::test]
async fn a_scheduled_backup_that_a_stop_cuts_short_is_told_as_no_error() {
    let (disk, folder) = (Disk::new(), Arc::new(TempDir::new().unwrap()));
    let simdeck = Simdeck::start_in(Arc::clone(&folder), &[]);
    push(&simdeck, 60).await;
    simdeck.end();
    let copies = folder.path().join("copies");
    let environment = disk.without_journal(&copies);
    let mut settings: Vec<(&str, &str)> =
        environment.iter().map(|(name, value)| (*name, value.to_str().unwrap())).collect();
    settings.push(("SIMDECK_BACKUP_DIR", copies.to_str().unwrap()));
    settings.push(("SIMDECK_BACKUP_EVERY", "1d"));
    let began = Instant::now();
    loop {
        let mut simdeck = Simdeck::start_in(Arc::clone(&folder), &settings);
        // One that is too fast for us is whole by then.
        while !has_copy(&copies, |name, bytes| name.ends_with(".db") || bytes > 4 << 20) {
            assert!(began.elapsed() < GUARD, "no copy is begun");
        }
        // What is written of it stays in memory, until it is synced.
        disk.set(Number::Hangs, 2);
        simdeck.signal_term();
        simdeck.says("Stopping");
        disk.set(Number::Hangs, 0);
        let log = simdeck.ended();
        assert!(!log.contains("ERROR"), "{log}");
        if !log.contains("Made a backup") {
            break;
        }
        fs::remove_dir_all(&copies).unwrap();
        assert!(began.elapsed() < GUARD, "it is never cut short");
    }
}

/// Whether a copy, or a part of one, has this name and size.
fn has_copy(copies: &Path, is_meant: impl Fn(&str, u64) -> bool) -> bool {
    let names = fs::read_dir(copies).into_iter().flatten().flatten();
    names.into_iter().any(|name| {
        let bytes = name.metadata().map_or(0, |file| file.len());
        is_meant(&name.file_name().to_string_lossy(), bytes)
    })
}
