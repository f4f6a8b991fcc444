//! What a restore finds beside a copy, and what it leaves beside the database.
use std::{
    fs,
    net::Ipv4Addr,
    path::Path,
    process::{Command, Output},
    thread,
    time::{Duration, Instant, SystemTime},
};

use rustix::process::{Signal, kill_process};
use serde_json::Value;
use sqlx::Connection;
use tempfile::TempDir;

use super::migration::made_by_version;
use crate::{
    program::{Line, PUSH_KEY, Program, now_s, proof},
    withstand::old_store::OLD,
};

const GICCID: &str = "8944501503181377993";
const GUARD: Duration = Duration::from_secs(120);

fn push(program: &Program, records: u64) {
    let mut line = Line::to(program.public).unwrap();
    for nth in 0..records {
        let (proof, start_ms) = (proof(now_s()), (now_s() - 3_600) * 1_000 + nth);
        let body =
            format!(r#"{{{proof},"giccid":"{GICCID}","data_usage":7,"start_time":{start_ms}}}"#);
        let answer = line.push("data-usage", Ipv4Addr::LOCALHOST, body.as_bytes()).unwrap();
        assert_eq!(answer.count("stored"), 1, "{}", answer.text());
    }
}

fn rows(program: &Program) -> usize {
    let answer = Line::to(program.internal).unwrap().get("/v1/data-usage?size=100").unwrap();
    serde_json::from_slice::<Value>(&answer.body).unwrap().as_array().unwrap().len()
}

fn restore(copy: &Path, to: &Program) -> Output {
    restore_as("table", copy, to)
}

fn restore_as(output: &str, copy: &Path, to: &Program) -> Output {
    Command::new(Program::binary())
        .args(["restore", "--output", output])
        .arg(copy)
        .env("SIMDECK_DATA_DIR", to.data())
        .env("SIMDECK_PUSH_KEY", PUSH_KEY)
        .output()
        .unwrap()
}

fn must_restore(copy: &Path, to: &Program) -> String {
    let restored = restore(copy, to);
    let said = String::from_utf8_lossy(&restored.stderr);
    assert!(restored.status.success(), "{said}");
    String::from_utf8(restored.stdout).unwrap()
}

#[test]
fn the_files_of_a_server_that_was_killed_are_restored_with_what_the_log_holds() {
    let killed = Program::new();
    let server = killed.start();
    push(&killed, 50);
    kill_process(server.pid(), Signal::KILL).unwrap();
    drop(server);
    let elsewhere = TempDir::new().unwrap();
    for name in ["simdeck.db", "simdeck.db-wal"] {
        fs::copy(killed.data().join(name), elsewhere.path().join(name)).unwrap();
    }
    let program = Program::new();
    must_restore(&elsewhere.path().join("simdeck.db"), &program);
    let server = program.start();
    assert_eq!(rows(&program), 50);
    server.end();
}

#[test]
fn whoever_was_erased_after_the_last_backup_is_not_back_where_all_else_is_lost() {
    let lost = Program::new();
    let server = lost.start();
    push(&lost, 3);
    let mut internal = Line::to(lost.internal).unwrap();
    assert!(internal.post("/v1/backup").unwrap().status < 300);
    let copies = lost.data().join("backups");
    let list = copies.join("simdeck.erased");
    let body = format!(r#"{{"giccid":"{GICCID}"}}"#);
    assert_eq!(internal.post_json("/v1/erase", &body).unwrap().status, 200);
    let began = Instant::now();
    while fs::metadata(&list).map_or(0, |list| list.len()) == 0 {
        assert!(began.elapsed() < GUARD, "no list lies beside the backup");
        thread::park_timeout(Duration::from_millis(10));
    }
    server.end();

    let copy = fs::read_dir(&copies).unwrap().map(|entry| entry.unwrap().path());
    let mut copies = copy.filter(|path| path.extension().is_some_and(|it| it == "db"));
    let copy = copies.next().unwrap();
    let program = Program::new();
    let said = must_restore(&copy, &program);
    assert!(!said.contains("No list of erased SIMs"), "{said}");
    let server = program.start();
    assert_eq!(rows(&program), 0);
    server.end();

    // The control: without the list nobody knows, and is told so.
    fs::remove_file(&list).unwrap();
    let program = Program::new();
    let said = must_restore(&copy, &program);
    assert!(said.contains("No list of erased SIMs lies beside the backup"), "{said}");
    let server = program.start();
    assert_eq!(rows(&program), 3);
    server.end();
}

#[test]
fn what_a_restore_replaces_is_kept_from_then_on_however_old_it_is() {
    let program = Program::new();
    let server = program.start();
    push(&program, 1);
    assert!(Line::to(program.internal).unwrap().post("/v1/backup").unwrap().status < 300);
    server.end();
    let touched =
        Command::new("touch").args(["-d", "40 days ago"]).arg(program.database()).status();
    assert!(touched.unwrap().success());
    let copies = fs::read_dir(program.data().join("backups")).unwrap();
    let copy = copies
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().ends_with(".db"));
    must_restore(&copy.unwrap(), &program);
    let replaced = fs::metadata(program.data().join("simdeck.db.replaced")).unwrap();
    let age = SystemTime::now().duration_since(replaced.modified().unwrap()).unwrap_or_default();
    assert!(age < Duration::from_secs(3_600), "{age:?}");
}

#[tokio::test]
async fn a_restore_says_that_the_copy_is_of_an_older_version_and_that_there_is_no_list() {
    let (program, folder) = (Program::new(), TempDir::new().unwrap());
    let copy = folder.path().join("old.db");
    made_by_version(&copy, OLD).await.close().await.unwrap();
    let said = must_restore(&copy, &program);
    assert!(
        said.contains("of an older version of simdeck: its schema was brought from 10 to"),
        "{said}"
    );
    for has_list in [false, true] {
        let program = Program::new();
        if has_list {
            fs::write(folder.path().join("simdeck.erased"), "").unwrap();
        }
        let restored = restore_as("json", &copy, &program);
        let said = String::from_utf8(restored.stderr).unwrap();
        assert!(said.contains("Migrating the database: "), "{said}");
        let told: Value = serde_json::from_slice(&restored.stdout).unwrap();
        assert_eq!(told["has_list_of_erased_sims"], has_list, "{told}");
        assert_eq!(told["schema_before_migration"], 10, "{told}");
        assert!(told["schema_after_migration"].as_i64().unwrap() > 10, "{told}");
    }
}

#[test]
fn what_is_no_copy_at_all_is_called_so() {
    let (program, folder) = (Program::new(), TempDir::new().unwrap());
    for (path, says) in [
        (folder.path().join("none.db"), "it is not there"),
        (folder.path().to_owned(), "it is a folder and no backup"),
    ] {
        let refused = restore(&path, &program);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && said.contains(says), "{said}");
    }
}
