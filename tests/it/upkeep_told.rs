//! What upkeep says when it does less than a person may expect, and that it does no more.
use std::{fs, process::Output, sync::Arc};

use reqwest::Method;
use sqlx::{AssertSqlSafe, ConnectOptions, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use crate::server::{Simdeck, now_s, signed, usage};

const SIM: &str = "8944501503181377993";

fn unreadable(nth: usize) -> String {
    signed(&format!(r#""giccid":"x","n":{nth}"#))
}

fn said(output: &Output) -> String {
    let [out, err] =
        [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it).into_owned());
    out + &err
}

#[tokio::test]
async fn what_arrives_after_held_pushes_were_counted_is_neither_discarded_nor_retried() {
    let simdeck = Simdeck::start(&[]);
    for (nth, verb) in ["discard", "retry"].into_iter().enumerate() {
        for part in 0..2 {
            assert_eq!(simdeck.push("data-usage", unreadable(10 * nth + part)).await, (0, 0, 1));
        }
        let there = simdeck.rows("/v1/held").await.len();
        let path = format!("/v1/held/{verb}?class=quarantined");
        let (_, counted) = simdeck.ask(Method::POST, &format!("{path}&dry_run=true")).await;
        assert_eq!(counted["matched"], there, "{counted}");
        assert_eq!(simdeck.push("data-usage", unreadable(10 * nth + 2)).await, (0, 0, 1));
        let through = counted["through"].as_i64().unwrap();
        let (status, done) = simdeck.ask(Method::POST, &format!("{path}&through={through}")).await;
        assert_eq!((status, &done["matched"]), (200, &there.into()), "{done}");
    }
    // On record is what was asked for, and nothing that it was read as.
    for (action, asked) in [("held.discard", 2), ("held.retry", 3)] {
        let rows = simdeck.rows(&format!("/v1/audit?action={action}")).await;
        assert_eq!(rows[0]["subject"], format!("{asked} of class=quarantined"), "{rows:?}");
    }
    // Of the first three one is left; the other three were tried again and are still there.
    assert_eq!(simdeck.rows("/v1/held").await.len(), 4);
    let id = simdeck.rows("/v1/held").await[0]["id"].to_string();
    for (verb, done) in [("discard", "discarded"), ("retry", "retried")] {
        let told = simdeck.run(&["held", verb, &id, "--dry-run", "--output", "table"]);
        let told = (told.status.success(), said(&told));
        assert!(told.0 && told.1.contains(&format!("Held push {id} would be {done}")), "{told:?}");
        assert!(told.1.contains("Nothing is changed."), "{told:?}");
        let none = simdeck.run(&["held", verb, "4711", "--dry-run"]);
        assert!(!none.status.success());
    }
    assert_eq!(simdeck.rows("/v1/held").await.len(), 4);
    simdeck.end();
}

#[tokio::test]
async fn an_erased_sim_can_be_shown_and_says_when_it_was_erased_if_it_is_erased_again() {
    let simdeck = Simdeck::start(&[]);
    assert_eq!(simdeck.push("data-usage", signed(&usage(SIM))).await, (1, 0, 0));
    let show = || said(&simdeck.run(&["erase", "show", SIM, "--output", "table"]));
    let told = show();
    assert!(
        told.contains("1 usage record, 0 messages") && told.contains("It was not erased."),
        "{told}"
    );
    let erase = ["erase", "--giccid", SIM, "--yes", "--output", "table"];
    let first = simdeck.run(&erase);
    assert!(
        first.status.success() && said(&first).contains("Erased 1 usage record, 0 messages"),
        "{}",
        said(&first)
    );
    let second = simdeck.run(&erase);
    assert!(
        !second.status.success() && said(&second).contains("was already erased at"),
        "{}",
        said(&second)
    );
    assert_eq!(simdeck.push("data-usage", signed(&usage(SIM))).await, (0, 0, 0));
    let told = show();
    assert!(told.contains("It was erased at") && told.contains("not kept: 1 so far"), "{told}");
    assert!(simdeck.run(&["erase", "lift", "--giccid", SIM]).status.success());
    assert!(show().contains("what has come of it since"), "{}", show());
    let other = said(&simdeck.run(&["erase", "show", "8944501503181370000", "--output", "table"]));
    assert!(other.contains("It was not erased."), "{other}");
    simdeck.end();
}

#[tokio::test]
async fn a_backup_that_cannot_be_made_says_why_and_what_to_do() {
    let folder = Arc::new(TempDir::new().unwrap());
    let copies = folder.path().join("copies");
    fs::write(&copies, "a file in its place").unwrap();
    let simdeck = Simdeck::start_in(folder, &[("SIMDECK_BACKUP_DIR", copies.to_str().unwrap())]);
    let (status, problem) = simdeck.ask(Method::POST, "/v1/backup").await;
    let detail = problem["detail"].as_str().unwrap();
    assert_eq!(status, 409, "{problem}");
    for part in ["copies", "SIMDECK_BACKUP_DIR"] {
        assert!(detail.contains(part), "{detail}");
    }
    let told = simdeck.run(&["backup"]);
    assert!(
        !told.status.success() && said(&told).contains("SIMDECK_BACKUP_DIR"),
        "{}",
        said(&told)
    );
    simdeck.end();
}

#[tokio::test]
async fn authentic_pushes_that_their_ring_could_not_hold_need_a_person() {
    let simdeck = Simdeck::start(&[]);
    assert_eq!(simdeck.push("data-usage", signed(&usage(SIM))).await, (1, 0, 0));
    let folder = simdeck.folder();
    simdeck.end();
    let options = SqliteConnectOptions::new().filename(folder.path().join("data/simdeck.db"));
    let hour_ms = (now_s() / 3_600 - 1) * 3_600_000;
    let dropped = format!("insert into dropped_push values ({hour_ms}, 'stale', 'date_old', 3)");
    let mut raw = options.connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(dropped)).execute(&mut raw).await.unwrap();
    sqlx::Connection::close(raw).await.unwrap();
    let simdeck = Simdeck::start_in(folder, &[]);
    let attention = simdeck.get("/v1/attention").await;
    let told = attention.as_array().unwrap().iter().find(|item| item["kind"] == "pushes_dropped");
    let told = told.expect("it is told");
    assert_eq!((&told["count"], &told["severity"]), (&3.into(), &"critical".into()), "{told}");
    assert!(
        told["sentence"].as_str().unwrap().starts_with("3 authentic pushes were dropped"),
        "{told}"
    );
    simdeck.end();
}
