//! Nothing that is half made stays: neither after a failure nor after the start that follows a kill.
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::symlink,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::Method;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use crate::server::{Simdeck, run_with, signed, usage};

const SIM: &str = "8944501503181377993";
const SOON: Duration = Duration::from_secs(20);

/// All files below a folder, by their names from there.
fn listing(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        for entry in fs::read_dir(inner).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let name = path.strip_prefix(folder).unwrap();
                    found.insert(name.to_str().unwrap().to_owned());
                }
            }
        }
    }
    found
}

/// The look into the folder of backups is for what is older than the start.
fn make_old(file: &Path) {
    let past = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH + 10_000 * SOON);
    fs::File::options().write(true).open(file).unwrap().set_times(past).unwrap();
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < SOON, "{what}");
    }
}

#[tokio::test]
async fn the_start_takes_away_what_an_earlier_process_left_half_made_and_nothing_else() {
    let simdeck = Simdeck::start(&[]);
    assert_eq!(simdeck.push("data-usage", signed(&usage(SIM))).await, (1, 0, 0));
    assert!(simdeck.run(&["backup"]).status.success());
    let folder = simdeck.folder();
    simdeck.end();
    let data = folder.path().join("data");
    for kept in [
        "simdeck.db.before-7",
        "simdeck.db.replaced",
        "simdeck.db.replaced-2",
        "simdeck.db.restoring-notes",
        "simdeck.db.restoring.txt",
        "notes.partial",
        "backups/my.partial",
        "backups/simdeck-of-somebody.partial",
        "backups/simdeck-20240905.partial",
    ] {
        fs::write(data.join(kept), "mine").unwrap();
        if kept.ends_with(".partial") {
            make_old(&data.join(kept));
        }
    }
    let before = listing(&data);
    for left in [
        "simdeck.db.restoring",
        "simdeck.db.restoring-wal",
        "simdeck.db.restoring-shm",
        "simdeck.db.restoring-journal",
        "simdeck.db.restoring.before-9",
        "simdeck.db.before-9.partial",
        "simdeck.db.before-9.partial-journal",
        "simdeck.db.erased.new",
        "server.new",
        "push-key.new",
        "api-key.new",
        "backups/simdeck-20240905T013048000Z-3.partial",
        "backups/simdeck-20240905T013048000Z-4.partial-journal",
        "backups/simdeck.erased.new",
    ] {
        fs::write(data.join(left), "half").unwrap();
        make_old(&data.join(left));
    }
    let simdeck = Simdeck::start_in(Arc::clone(&folder), &[]);
    assert_eq!(simdeck.rows("/v1/data-usage").await.len(), 1);
    until("parts of backups stay", || {
        !listing(&data).iter().any(|name| name.contains("Z-") && name.contains(".partial"))
    });
    simdeck.end();
    assert_eq!(listing(&data), before);
}

#[tokio::test]
async fn a_backup_that_fails_or_is_killed_leaves_no_part_of_it() {
    let folder = Arc::new(TempDir::new().unwrap());
    let copies = folder.path().join("copies");
    fs::create_dir(&copies).unwrap();
    let settings = [("SIMDECK_BACKUP_DIR", copies.to_str().unwrap())];
    let simdeck = Simdeck::start_in(Arc::clone(&folder), &settings);
    assert_eq!(simdeck.push("data-usage", signed(&usage(SIM))).await, (1, 0, 0));
    // The list that goes with the copies cannot be read: the copy is whole by then.
    let list = copies.join("simdeck.erased");
    fs::create_dir(&list).unwrap();
    let (status, answer) = simdeck.ask(Method::POST, "/v1/backup").await;
    assert!(status >= 400, "{answer}");
    assert_eq!(listing(&copies), BTreeSet::new(), "after a failure");
    fs::remove_dir(&list).unwrap();

    // Whoever opens this waits for what nobody writes: the copy is never ready.
    mknodat(CWD, &list, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    simdeck.begin("/v1/backup", "").await;
    let has_part = || listing(&copies).iter().any(|name| name.contains(".partial"));
    until("no copy is begun", has_part);
    drop(simdeck);
    assert!(has_part(), "it was killed while it made the copy");
    fs::remove_file(&list).unwrap();
    // The look is for what is older than the start, in whole seconds.
    for part in listing(&copies) {
        make_old(&copies.join(part));
    }
    let simdeck = Simdeck::start_in(folder, &settings);
    until("the part of a killed copy stays", || !has_part());
    simdeck.end();
}

#[tokio::test]
async fn a_restore_that_is_refused_leaves_the_folder_as_it_was() {
    let simdeck = Simdeck::start(&[]);
    assert_eq!(simdeck.push("data-usage", signed(&usage(SIM))).await, (1, 0, 0));
    assert!(simdeck.run(&["backup"]).status.success());
    let folder = simdeck.folder();
    simdeck.end();
    let data = folder.path().join("data");
    let backup = listing(&data).into_iter().find(|name| name.starts_with("backups/simdeck-"));
    let backup = data.join(backup.unwrap());
    let whole = fs::read(&backup).unwrap();
    let bad = folder.path().join("bad.db");
    let mut damaged = whole.clone();
    let half = damaged.len() / 2;
    damaged[half..].fill(0x5a);
    let wrong: [(&str, &[u8]); 4] = [
        ("nothing", b""),
        ("no database", &[b'x'; 10_000]),
        ("half of it", &whole[..half]),
        ("damaged", &damaged),
    ];
    let before = listing(&data);
    let restore = |file: &Path| {
        let args = ["restore", "--verify", file.to_str().unwrap()];
        let done = run_with(folder.path(), &[], &args);
        (done.status.success(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    for (what, bytes) in wrong {
        fs::write(&bad, bytes).unwrap();
        let (is_done, said) = restore(&bad);
        assert!(!is_done, "{what}");
        assert_eq!(listing(&data), before, "{what}: {said}");
    }
    // Our own list names a SIM by the secret of another store.
    let list = data.join("simdeck.db.erased");
    fs::write(&list, format!("{0}:{0}{0}{0}{0} 1713888842000 - -\n", "0123456789abcdef")).unwrap();
    let before = listing(&data);
    let (is_done, said) = restore(&backup);
    assert!(!is_done, "{said}");
    assert_eq!(listing(&data), before, "foreign erasures: {said}");
    fs::remove_file(&list).unwrap();

    symlink("/nowhere/at/all", folder.path().join("gone.db")).unwrap();
    let before = listing(&data);
    assert!(!restore(&folder.path().join("gone.db")).0);
    assert_eq!(listing(&data), before);
    let (is_done, said) = restore(&backup);
    assert!(is_done, "{said}");
}
