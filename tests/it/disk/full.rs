//! A disk that is full for a while, and a database that somebody else keeps locked.
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};

use super::{
    Disk, Number,
    sender::{Answer, Sender},
};
use crate::{
    program::{Line, Program},
    trials::{tell, trials},
};

const ENOSPC: i64 = 28;
const EDQUOT: i64 = 122;

/// How often it fills; the long run sets `SIMDECK_TEST_FULL`.
const TRIALS: usize = 12;

fn readiness(program: &Program) -> u16 {
    Line::to(program.internal).unwrap().get("/readyz").unwrap().status
}

#[tokio::test]
async fn a_full_disk_is_503_and_heals_without_a_restart_once_there_is_room() {
    heals_once_there_is_room(ENOSPC).await;
}

#[tokio::test]
async fn a_quota_that_is_used_up_is_as_a_full_disk() {
    heals_once_there_is_room(EDQUOT).await;
}

async fn heals_once_there_is_room(errno: i64) {
    let count = trials("SIMDECK_TEST_FULL", TRIALS);
    let (program, disk) = (Program::new(), Disk::new());
    disk.set(Number::Errno, errno);
    let mut sender = Sender::to(&program);
    let mut rng = StdRng::seed_from_u64(20_240_905);
    for _ in 0..count {
        // A log that has been written once needs no more room: each time it is a new one.
        let server = disk.start(&program);
        // Now at once, now in the middle of a transaction, now while the log goes into the table.
        let bits = rng.random_range(1..20);
        disk.set(Number::Room, rng.random_range(0..1 << bits));
        disk.set(Number::RoomIsSmall, 1);
        sender.until_busy();
        // What needs less room than the one that failed may still be stored.
        let mut last = Answer::Busy;
        for _ in 0..3 {
            last = sender.push();
            assert_ne!(last, Answer::Gone);
        }
        assert_eq!(readiness(&program), if last == Answer::Stored { 200 } else { 503 });
        disk.set(Number::RoomIsSmall, 0);
        sender.must_recover();
        assert_eq!(readiness(&program), 200);
        let log = server.end();
        sender.hang_up();
        assert!(!log.contains("panicked"), "{log}");
    }
    assert_eq!(sender.lost(&program.database()).await, 0);
    tell(&format!("a disk that fills and has room again: {count} trials, 0 failures"));
}

#[tokio::test]
async fn a_stop_without_room_is_a_good_one_and_loses_nothing() {
    for errno in [ENOSPC, EDQUOT] {
        let (program, disk) = (Program::new(), Disk::new());
        disk.set(Number::Errno, errno);
        let mut sender = Sender::to(&program);
        let server = disk.start(&program);
        for _ in 0..50 {
            assert_eq!(sender.push(), Answer::Stored);
        }
        disk.set(Number::Room, 0);
        disk.set(Number::RoomIsSmall, 1);
        let log = server.end();
        assert!(log.contains("Nothing is lost"), "{log}");
        disk.set(Number::RoomIsSmall, 0);
        disk.start(&program).end();
        assert_eq!(sender.lost(&program.database()).await, 0);
    }
}

/// For how long another process holds the lock; the long run sets `SIMDECK_TEST_LOCKED_S`.
const LOCKED_S: usize = 1;

#[tokio::test]
async fn a_lock_that_another_process_holds_is_503_and_heals_once_it_is_let_go() {
    let seconds = trials("SIMDECK_TEST_LOCKED_S", LOCKED_S);
    let program = Program::new();
    let server = program.start();
    let mut sender = Sender::to(&program);
    assert_eq!(sender.push(), Answer::Stored);
    let other = SqliteConnectOptions::new().filename(program.database());
    let mut other = other.connect().await.unwrap();
    sqlx::raw_sql("begin immediate").execute(&mut other).await.unwrap();

    let (began, mut pushes) = (Instant::now(), 0);
    while pushes < 3 || began.elapsed() < Duration::from_secs(seconds as u64) {
        let asked = Instant::now();
        assert_eq!(sender.push(), Answer::Busy);
        // Only those that come before it is known have to wait until it is.
        assert!(pushes < 2 || asked.elapsed() < Duration::from_secs(3), "503 comes too late");
        pushes += 1;
    }
    sqlx::raw_sql("rollback").execute(&mut other).await.unwrap();
    sender.must_recover();
    server.end();
    assert_eq!(sender.lost(&program.database()).await, 0);
    tell(&format!("a database that was locked for {seconds} s: {pushes} trials, 0 failures"));
}
