//! Somebody writes the database with SQLite's own means while the server runs: what it knew of it is not so
//! any more.
use std::net::Ipv4Addr;

use serde_json::Value;
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};

use super::sender::Sender;
use crate::program::{Line, Program, now_s, proof};

const GICCID: &str = "8944501503181377993";

fn an_hour_ago_ms() -> u64 {
    (now_s() - 3_600) * 1_000
}

/// How many were stored, and how many were there.
fn push(line: &mut Line, start_ms: u64) -> (u64, u64) {
    let proof = proof(now_s());
    let body = format!(r#"{{{proof},"giccid":"{GICCID}","data_usage":7,"start_time":{start_ms}}}"#);
    let answer = line.push("data-usage", Ipv4Addr::LOCALHOST, body.as_bytes()).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    (answer.count("stored"), answer.count("duplicates"))
}

#[tokio::test]
async fn what_others_change_in_the_database_is_seen_before_the_next_push_is_stored() {
    let program = Program::new();
    let server = program.start();
    let mut line = Line::to(program.public).unwrap();
    let first_ms = an_hour_ago_ms();
    for nth in 0..20 {
        assert_eq!(push(&mut line, first_ms + nth), (1, 0));
    }
    let outsider = SqliteConnectOptions::new().filename(program.database());
    let mut outsider = outsider.connect().await.unwrap();
    let gone = sqlx::query("delete from usage where start_ms >= $1")
        .bind(i64::try_from(first_ms + 10).unwrap())
        .execute(&mut outsider)
        .await
        .unwrap();
    assert_eq!(gone.rows_affected(), 10);
    outsider.close().await.unwrap();

    // What is there is a repeat; what is there no more is stored again, and once.
    assert_eq!(push(&mut line, first_ms), (0, 1));
    assert_eq!(push(&mut line, first_ms + 10), (1, 0));
    assert_eq!(push(&mut line, first_ms + 10), (0, 1));
    assert_eq!(push(&mut line, first_ms + 30), (1, 0));
    let rows = Line::to(program.internal).unwrap().get("/v1/data-usage?size=100").unwrap();
    let rows: Value = serde_json::from_slice(&rows.body).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 12, "{rows}");
    let log = server.end();
    let told = log.lines().filter(|line| line.contains("Another process has changed the database"));
    assert_eq!(told.count(), 1, "{log}");
}

#[test]
fn nobody_else_is_said_to_have_changed_a_database_that_is_only_ours() {
    let program = Program::new();
    let server = program.start();
    let mut sender = Sender::to(&program);
    let mut internal = Line::to(program.internal).unwrap();
    for path in ["/v1/backup", "/v1/prune", "/v1/backup"] {
        sender.must_recover();
        let answer = internal.post(path).unwrap();
        assert!((200..300).contains(&answer.status), "{}", answer.text());
    }
    push(&mut Line::to(program.public).unwrap(), an_hour_ago_ms());
    let erase = format!(r#"{{"giccid":"{GICCID}"}}"#);
    assert_eq!(internal.post_json("/v1/erase", &erase).unwrap().status, 200);
    sender.must_recover();
    let log = server.end();
    assert!(!log.contains("Another process"), "{log}");
}
