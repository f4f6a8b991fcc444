//! The room that older copies make for a new one: no more of them go than help. Where nothing can be
//! mounted, the line says so.
use std::fs::{self, File};

use super::{
    Disk,
    copy_room::{MIB, RESERVE, back_up, mounted, push, start},
    journal::{Journal, Told},
    migration::made_by_version,
    mounted::Mounted,
};
use crate::program::Program;

/// So many backups of a store of so many mebibytes.
fn made(program: &Program, disk: &Mounted, count: usize, mib: usize) -> Vec<String> {
    push(program, mib);
    for _ in 0..count {
        disk.leave(RESERVE + (mib as u64 + 20) * MIB);
        let (status, made) = back_up(program);
        assert_eq!(status, 200, "{made}");
    }
    copies(disk)
}

fn copies(disk: &Mounted) -> Vec<String> {
    let mut names = disk.names("backups");
    names.retain(|name| name.ends_with(".db"));
    names.sort_by_key(|name| name.rsplit_once('-').map(|(_, last)| last.to_owned()));
    names
}

#[test]
fn where_removed_copies_make_no_room_as_with_snapshots_only_one_goes() {
    let program = Program::new();
    let Some(disk) = mounted(&program) else { return };
    let server = start(&program, &disk);
    let there = made(&program, &disk, 4, 12);
    // What somebody has open gives nothing back.
    let open: Vec<File> = there[..3]
        .iter()
        .map(|name| File::open(disk.file("backups").join(name)).unwrap())
        .collect();
    disk.leave(RESERVE + 2 * MIB);
    let (status, problem) = back_up(&program);
    assert_eq!(status, 507, "{problem}");
    assert_eq!(copies(&disk), there[1..], "only the oldest went");
    drop(open);
    disk.leave(RESERVE + 2 * MIB);
    let (status, made) = back_up(&program);
    assert_eq!(status, 200, "{made}");
    let now = copies(&disk);
    assert!(now.contains(&there[3]) && now.len() == 3, "one more went: {now:?}");
    let log = server.end();
    assert!(log.contains("made no room"), "{log}");
}

#[tokio::test]
async fn before_a_migration_the_older_copy_goes_only_when_the_new_one_is_whole() {
    let (program, disk) = (Program::new(), Disk::new());
    fs::create_dir(program.data()).unwrap();
    let old = made_by_version(&program.database(), "0006").await;
    sqlx::Connection::close(old).await.unwrap();
    let older = "simdeck.db.before-5";
    fs::write(program.data().join(older), "older").unwrap();
    disk.start(&program).end();
    let events = Journal::read(&disk.journal()).events;
    let named = events.iter().position(
        |event| matches!(&event.told, Told::Rename(to) if to.contains("simdeck.db.before-")),
    );
    let removed =
        events.iter().position(|event| event.name == older && matches!(event.told, Told::Unlink));
    assert!(named.is_some() && named < removed, "{named:?}, {removed:?}");
    assert!(!program.data().join(older).exists());
}
