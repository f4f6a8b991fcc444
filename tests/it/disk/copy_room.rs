//! What copies of the database take of a disk that pushes need, too. Where nothing can be mounted, the
//! line says so.
use std::{
    fs,
    net::Ipv4Addr,
    path::Path,
    process::{Command, Output},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Signal, kill_process};
use serde_json::Value;
use sqlx::{AssertSqlSafe, ConnectOptions, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use super::{
    migration::made_by_version,
    mounted::Mounted,
    sender::{Answer, Sender},
};
use crate::{
    process::Process,
    program::{API_KEY, Line, Program, now_s, proof},
    trials::tell,
    withstand::old_store::{OLD, rows},
};

const TMPFS: &str = r#"mount -t tmpfs -o size=256m simdeck "$1""#;
pub(super) const MIB: u64 = 1 << 20;
pub(super) const RESERVE: u64 = 16 * MIB;
/// Longer than any of it takes.
const GUARD: Duration = Duration::from_secs(120);

pub(super) fn mounted(program: &Program) -> Option<Mounted> {
    let disk = Mounted::new(program, Path::new(""), TMPFS);
    if disk.is_none() {
        tell("room for copies: 0 trials, since nothing can be mounted here");
    }
    disk
}

pub(super) fn start(program: &Program, disk: &Mounted) -> Process {
    let mut process = spawn(program, disk);
    process.wait_for(&["Ready"]);
    process
}

fn spawn(program: &Program, disk: &Mounted) -> Process {
    program.spawn_within(&disk.within, &[("SIMDECK_DISK_RESERVE", "16MiB".as_ref())])
}

/// Pushes what takes so much room, in rows of 32 KiB that never came before: a machine may do it twice in
/// one second, and such records are told apart by what they hold.
pub(super) fn push(program: &Program, mib: usize) {
    static PUSHED: AtomicUsize = AtomicUsize::new(0);
    let mut line = Line::to(program.public).unwrap();
    let text = "x".repeat(32 << 10);
    for _ in 0..mib {
        let (nth, proof) = (PUSHED.fetch_add(1, Ordering::Relaxed), proof(now_s()));
        let row = |part| format!(r#"{{{proof},"nth":{nth},"part":{part},"text":"{text}"}}"#);
        let body = format!("[{}]", (0..32).map(row).collect::<Vec<_>>().join(","));
        let answer = line.push("sim-status", Ipv4Addr::LOCALHOST, body.as_bytes()).unwrap();
        assert_eq!(answer.count("stored"), 32, "{}", answer.text());
    }
}

/// Puts a store of an older version onto the disk, of about so many bytes.
pub(super) async fn put_old_store(disk: &Mounted, bytes: usize) {
    let folder = TempDir::new().unwrap();
    let database = folder.path().join("simdeck.db");
    let mut old = made_by_version(&database, "0006").await;
    let padding = format!("insert into meta values ('padding', hex(zeroblob({})))", bytes / 2);
    sqlx::raw_sql(AssertSqlSafe(padding)).execute(&mut old).await.unwrap();
    sqlx::Connection::close(old).await.unwrap();
    fs::copy(database, disk.file("simdeck.db")).unwrap();
}

pub(super) fn back_up(program: &Program) -> (u16, Value) {
    let answer = Line::to(program.internal).unwrap().post("/v1/backup").unwrap();
    (answer.status, serde_json::from_slice(&answer.body).unwrap())
}

fn copy_bytes(disk: &Mounted) -> u64 {
    let names = disk.names("backups");
    let copy = names.iter().find(|name| name.ends_with(".db")).unwrap();
    fs::metadata(disk.file("backups").join(copy)).unwrap().len()
}

/// Waits for the look that follows.
fn must_be_ready(program: &Program, sender: &mut Sender) {
    sender.must_recover();
    let ready = Line::to(program.internal).unwrap().get("/readyz").unwrap();
    assert_eq!(ready.status, 200, "{}", ready.text());
}

fn says(problem: &Value, part: &str) {
    assert!(problem["detail"].as_str().unwrap().contains(part), "{problem}");
}

#[tokio::test]
async fn a_backup_takes_nothing_that_pushes_need_and_the_oldest_goes_where_that_is_enough() {
    let program = Program::new();
    let Some(disk) = mounted(&program) else { return };
    let server = start(&program, &disk);
    let mut sender = Sender::to(&program);
    push(&program, 12);

    disk.leave(RESERVE + 6 * MIB);
    let (status, problem) = back_up(&program);
    assert_eq!(status, 507, "{problem}");
    says(&problem, "have to stay free for pushes");
    must_be_ready(&program, &mut sender);
    assert!(disk.names("backups").is_empty(), "{:?}", disk.names("backups"));

    disk.leave(RESERVE + 40 * MIB);
    assert_eq!(back_up(&program).0, 200);
    let first = disk.names("backups");
    // The only copy does not go for one that may fail.
    disk.leave(RESERVE + 6 * MIB);
    let (status, problem) = back_up(&program);
    assert_eq!(status, 507, "{problem}");
    says(&problem, "1 backup in ");
    assert_eq!(disk.names("backups"), first);
    must_be_ready(&program, &mut sender);

    disk.leave(RESERVE + 40 * MIB);
    assert_eq!(back_up(&program).0, 200);
    let two = disk.names("backups");
    assert_eq!(two.len(), 2, "{two:?}");
    // Nor does any go where that would not be enough.
    disk.leave(RESERVE + 120 * MIB);
    must_be_ready(&program, &mut sender);
    push(&program, 30);
    disk.leave(RESERVE + 6 * MIB);
    assert_eq!(back_up(&program).0, 507);
    assert_eq!(disk.names("backups"), two);
    disk.leave(RESERVE + 36 * MIB);
    let (status, made) = back_up(&program);
    assert_eq!(status, 200, "{made}");
    let now = disk.names("backups");
    assert!(now.len() == 2 && !now.contains(&first[0]) && now.contains(&two[1]), "{now:?}");
    must_be_ready(&program, &mut sender);
    let log = server.end();
    assert!(log.contains("Removed an old backup before its time"), "{log}");
}

#[tokio::test]
async fn a_growing_backup_is_given_up_when_others_take_the_room_that_pushes_need() {
    let program = Program::new();
    let Some(disk) = mounted(&program) else { return };
    let server = start(&program, &disk);
    let mut sender = Sender::to(&program);
    push(&program, 40);
    let pid = server.pid();
    let began = Instant::now();
    // Now and then the copy is done before it is caught.
    let problem = loop {
        assert!(began.elapsed() < GUARD, "it is never caught");
        disk.leave(RESERVE + 60 * MIB);
        must_be_ready(&program, &mut sender);
        let port = program.internal;
        let asking = thread::spawn(move || {
            let answer = Line::to(port).unwrap().post("/v1/backup").unwrap();
            (answer.status, serde_json::from_slice::<Value>(&answer.body).unwrap())
        });
        while !asking.is_finished() {
            let growing = disk.names("backups").into_iter().find(|name| name.ends_with("partial"));
            let Some(growing) = growing else { continue };
            kill_process(pid, Signal::STOP).unwrap();
            let length =
                fs::metadata(disk.file("backups").join(&growing)).map_or(0, |file| file.len());
            if length < 20 * MIB {
                disk.leave(RESERVE / 2);
            }
            kill_process(pid, Signal::CONT).unwrap();
            break;
        }
        let (status, answer) = asking.join().unwrap();
        if status == 507 {
            break answer;
        }
        assert_eq!(status, 200, "{answer}");
    };
    says(&problem, "given up half way");
    assert!(!disk.names("backups").iter().any(|name| name.contains("partial")));
    disk.leave(RESERVE + 60 * MIB);
    must_be_ready(&program, &mut sender);
    assert_eq!(back_up(&program).0, 200);
    server.end();
}

/// Runs a command on the data directory, where the disk is.
fn run(disk: &Mounted, program: &Program, args: &[&str]) -> Output {
    Command::new(&disk.within[0])
        .args(&disk.within[1..])
        .arg(Program::binary())
        .args(args)
        .env("SIMDECK_DATA_DIR", program.data())
        .env("SIMDECK_DISK_RESERVE", "16MiB")
        .env("SIMDECK_API_KEY", API_KEY)
        .output()
        .unwrap()
}

#[tokio::test]
async fn a_restore_takes_nothing_that_pushes_will_need() {
    let program = Program::new();
    let Some(disk) = mounted(&program) else { return };
    let server = start(&program, &disk);
    push(&program, 12);
    assert_eq!(back_up(&program).0, 200);
    server.end();
    let copy = disk.names("backups").remove(0);
    let copy = program.data().join("backups").join(copy);
    let args = ["restore", copy.to_str().unwrap()];

    disk.leave(RESERVE + 6 * MIB);
    let before = disk.names("");
    let refused = run(&disk, &program, &args);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success(), "{said}");
    for part in ["have to stay free for pushes", "1 backup in "] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert_eq!(disk.names(""), before);
    disk.leave(RESERVE + 40 * MIB);
    let restored = run(&disk, &program, &args);
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    assert!(disk.names("").contains(&"simdeck.db.replaced".to_owned()));
}

#[tokio::test]
async fn a_start_that_has_no_room_for_a_copy_before_its_migration_leaves_all_as_it_is() {
    let program = Program::new();
    let Some(disk) = mounted(&program) else { return };
    let database = disk.file("simdeck.db");
    put_old_store(&disk, 12 << 20).await;

    disk.leave(RESERVE + 6 * MIB);
    let before = fs::read(&database).unwrap();
    let said = spawn(&program, &disk).refused();
    for part in ["needs a newer schema", "have to stay free for pushes", "make an empty file"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert!(fs::read(&database).unwrap().len() == before.len(), "it was changed");
    assert!(copy_free(&disk), "{:?}", disk.names(""));
    // An older copy goes for the new one, which takes its place in any case.
    fs::write(disk.file("simdeck.db.before-5"), vec![1; 12 << 20]).unwrap();
    disk.leave(RESERVE + 8 * MIB);
    let server = start(&program, &disk);
    server.end();
    let kept: Vec<_> =
        disk.names("").into_iter().filter(|name| name.contains(".before-")).collect();
    assert!(kept.len() == 1 && !kept[0].ends_with("-5"), "{kept:?}");
    assert!(!copy_free(&disk));
}

#[tokio::test]
async fn a_migration_that_would_take_what_pushes_need_is_taken_back() {
    let program = Program::new();
    let Some(disk) = mounted(&program) else { return };
    let folder = TempDir::new().unwrap();
    let made = folder.path().join("simdeck.db");
    let mut old = made_by_version(&made, OLD).await;
    sqlx::raw_sql(AssertSqlSafe(rows(300_000))).execute(&mut old).await.unwrap();
    sqlx::Connection::close(old).await.unwrap();
    let bytes = fs::metadata(&made).unwrap().len();
    fs::copy(&made, disk.file("simdeck.db")).unwrap();

    // The copy before it fits, and hardly anything else.
    disk.leave(RESERVE + bytes * 21 / 20 + 64 * 1_024);
    let said = spawn(&program, &disk).refused();
    for part in ["needs a newer schema", "more have to be free", "simdeck.db.before-"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert!(!disk.names("").contains(&"simdeck.db-wal".to_owned()), "{:?}", disk.names(""));
    fs::copy(disk.file("simdeck.db"), &made).unwrap();
    let mut left = SqliteConnectOptions::new().filename(&made).connect().await.unwrap();
    let last: i64 = sqlx::query_scalar("select max(version) from _sqlx_migrations")
        .fetch_one(&mut left)
        .await
        .unwrap();
    assert_eq!(last, OLD.parse::<i64>().unwrap());
    sqlx::Connection::close(left).await.unwrap();
    disk.leave(RESERVE + 100 * MIB);
    start(&program, &disk).end();
}

#[tokio::test]
async fn an_operator_who_has_a_copy_elsewhere_can_have_none_made_before_a_migration() {
    let program = Program::new();
    let Some(disk) = mounted(&program) else { return };
    put_old_store(&disk, 1 << 20).await;
    let said =
        program.spawn_within(&disk.within, &[("SIMDECK_DISK_RESERVE", "1TiB".as_ref())]).refused();
    let (_, path) = said.split_once("make an empty file ").unwrap();
    let path = path.split([':', '\n']).next().unwrap();
    let name = Path::new(path).file_name().unwrap().to_str().unwrap();
    fs::write(disk.file(name), "").unwrap();
    start(&program, &disk).end();
    assert_eq!(fs::metadata(disk.file(name)).unwrap().len(), 0);
}

/// Whether no copy lies beside the database, and no part of one.
fn copy_free(disk: &Mounted) -> bool {
    !disk.names("").iter().any(|name| name.contains(".before-"))
}

#[tokio::test]
async fn where_pushes_have_no_room_the_copies_of_ours_are_named_with_their_size() {
    let program = Program::new();
    let Some(disk) = mounted(&program) else { return };
    let server = start(&program, &disk);
    let mut sender = Sender::to(&program);
    push(&program, 3);
    assert_eq!(back_up(&program).0, 200);
    fs::write(disk.file("simdeck.db.replaced"), vec![1; 5 << 20]).unwrap();
    disk.leave(RESERVE / 2);
    sender.until_busy();
    let began = Instant::now();
    let todo = loop {
        let status = program.ask("/v1/status");
        let conditions = status["conditions"].as_array().unwrap();
        let low = conditions.iter().find(|it| it["name"] == "disk_low").unwrap();
        // On a busy machine the copies are named by a later look.
        let todo = low["todo"].as_str().unwrap_or_default();
        if low["on"] == true && todo.contains(" in ") {
            break todo.to_owned();
        }
        assert!(began.elapsed() < GUARD, "{status}");
    };
    let size = copy_bytes(&disk).div_ceil(MIB);
    for part in [
        &*format!("1 backup in {}", program.data().join("backups").display()),
        &format!("({size} MiB)"),
        "simdeck.db.replaced (5 MiB)",
    ] {
        assert!(todo.contains(part), "{part} is not in {todo}");
    }
    assert_eq!(sender.push(), Answer::Busy, "none of them goes by itself");
    assert!(disk.file("simdeck.db.replaced").exists());
    drop(server);
}
