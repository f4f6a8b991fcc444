//! The commands that talk to a server, with one running and with none.
use std::{net::TcpListener, process::Output};

use serde_json::Value;

use crate::server::{Simdeck, run, signed, usage};

const GICCID: &str = "8944501503181377993";

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn push_sends_tests_that_enter_no_total_and_counts_what_became_of_them() {
    let simdeck = Simdeck::start(&[]);
    let sum = json(&simdeck.run(&["push", "--count", "200", "--concurrency", "8"]));
    assert_eq!((&sum["stored"], &sum["accepted"]), (&200.into(), &200.into()));
    assert!(sum["latency_ms"]["p99"].as_f64().unwrap() > 0.0);
    let status = simdeck.get("/v1/status").await;
    assert_eq!(
        (&status["tests"], &status["pushes"]),
        (&200.into(), &Value::Object([].into_iter().collect()))
    );
    simdeck.end();
}

#[tokio::test]
async fn real_pushes_are_stored_once_however_often_they_are_sent() {
    let simdeck = Simdeck::start(&[]);
    let args = ["push", "--real", "--seed", "7", "--count", "50", "--records", "4"];
    assert_eq!(json(&simdeck.run(&args))["stored"], 200);
    assert_eq!(json(&simdeck.run(&args))["duplicates"], 200);
    assert_eq!(simdeck.get("/v1/status").await["pushes"]["data-usage"]["records"], 200);
    simdeck.end();
}

#[tokio::test]
async fn a_push_that_is_refused_ends_with_a_failure() {
    let simdeck = Simdeck::start(&[]);
    let output = simdeck.run(&["push", "--real", "--key", "another"]);
    assert!(!output.status.success());
    let sum: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(sum["failed"]["401 Invalid signature"], 1, "{sum}");
    simdeck.end();
}

#[tokio::test]
async fn an_export_holds_every_row_of_the_list() {
    let simdeck = Simdeck::start(&[]);
    json(&simdeck.run(&["push", "--real", "--count", "18", "--records", "50"]));
    let rows = simdeck.get("/v1/data-usage?cursor=&size=1000").await;
    let rows = rows.as_array().unwrap();
    let ndjson = simdeck.run(&["export", "data-usage", "--format", "ndjson"]);
    assert!(ndjson.status.success());
    let exported: Vec<Value> =
        text(&ndjson.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(exported.len(), 900);
    let ids = |rows: &[Value]| rows.iter().map(|row| row["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&exported), ids(rows));

    let file = simdeck.folder().path().join("usage.csv");
    let csv = ["export", "data-usage", "--format", "csv", "--out", file.to_str().unwrap()];
    assert!(simdeck.run(&csv).status.success());
    let mut reader = csv::Reader::from_path(&file).unwrap();
    let column = reader.headers().unwrap().iter().position(|name| name == "data_usage").unwrap();
    let of_file: i64 =
        reader.records().map(|row| row.unwrap()[column].parse::<i64>().unwrap()).sum();
    let of_list: i64 = rows.iter().map(|row| row["data_usage"].as_i64().unwrap()).sum();
    assert_eq!(of_file, of_list);
    simdeck.end();
}

#[tokio::test]
async fn held_pushes_can_be_listed_shown_retried_and_discarded() {
    let simdeck = Simdeck::start(&[]);
    simdeck.push("data-usage", signed(r#""data_usage":1"#)).await;
    simdeck.push("sim-status", signed(r#""status":"\u0000""#)).await;
    let held = json(&simdeck.run(&["held", "list", "--class", "quarantined"]));
    let id = |nth: usize| held[nth]["id"].to_string();
    assert_eq!(
        (&held[0]["reason"], &held[1]["reason"]),
        (&"unreadable".into(), &"field_missing".into())
    );
    let shown = json(&simdeck.run(&["held", "show", &id(1)]));
    assert!(shown["body"].as_str().unwrap().contains("data_usage"), "{shown}");

    let retried = json(&simdeck.run(&["held", "retry", &id(1), "--as", "sim-status"]));
    assert_eq!(retried["stored"], 1);
    assert!(simdeck.run(&["held", "discard", &id(0)]).status.success());
    assert_eq!(json(&simdeck.run(&["held", "list"])), Value::Array(Vec::new()));
    assert_eq!(simdeck.rows("/v1/notifications").await.len(), 1);
    simdeck.end();
}

#[tokio::test]
async fn a_key_is_shown_once_works_and_ends_when_revoked() {
    let simdeck = Simdeck::start(&[]);
    let made = json(&simdeck.run(&["key", "create", "--label", "grafana", "--scope", "read"]));
    let (key, id) = (made["key"].as_str().unwrap().to_owned(), made["id"].to_string());
    let listed = simdeck.run(&["key", "list"]);
    assert!(text(&listed.stdout).contains("grafana") && !text(&listed.stdout).contains(&key));
    assert_eq!(simdeck.status_with(&key, "/v1/data-usage").await, 200);
    assert!(simdeck.run(&["key", "revoke", &id]).status.success());
    assert_eq!(simdeck.status_with(&key, "/v1/data-usage").await, 401);
    simdeck.end();
}

#[tokio::test]
async fn healthcheck_tells_whether_the_public_listener_lives() {
    let simdeck = Simdeck::start(&[]);
    assert!(simdeck.run(&["healthcheck"]).status.success());
    let folder = simdeck.folder();
    simdeck.end();
    assert!(
        !run(folder.path(), &free_address(), &free_address(), &["healthcheck"]).status.success()
    );
}

#[tokio::test]
async fn the_script_that_welcome_shows_stores_a_record() {
    let simdeck = Simdeck::start(&[]);
    let shown = json(&simdeck.run(&["welcome"]));
    let script = shown["example"].as_str().unwrap();
    let ran = std::process::Command::new("sh").args(["-c", script]).output().unwrap();
    assert_eq!(text(&ran.stdout).trim(), r#"{"stored":1,"duplicates":0,"quarantined":0}"#);
    assert_eq!(simdeck.rows("/v1/data-usage").await.len(), 1);
    simdeck.end();
}

#[tokio::test]
async fn with_no_server_running_the_commands_open_the_store_themselves() {
    let simdeck = Simdeck::start(&[]);
    simdeck.push("data-usage", signed(&usage(GICCID))).await;
    simdeck.push("data-usage", signed(r#""data_usage":1"#)).await;
    let folder = simdeck.folder();
    simdeck.end();

    let offline = |args: &[&str]| run(folder.path(), &free_address(), &free_address(), args);
    let exported = offline(&["export", "data-usage", "--format", "ndjson"]);
    assert!(text(&exported.stdout).contains(GICCID), "{}", text(&exported.stderr));
    let held = json(&offline(&["held", "list"]));
    assert!(offline(&["held", "discard", &held[0]["id"].to_string()]).status.success());
    assert!(offline(&["key", "create", "--label", "later", "--scope", "read"]).status.success());

    let simdeck = Simdeck::start_in(folder, &[]);
    assert_eq!(simdeck.get("/v1/held").await, Value::Array(Vec::new()));
    assert_eq!(simdeck.get("/v1/keys").await[0]["label"], "later");
    simdeck.end();
}

#[tokio::test]
async fn a_command_finds_the_server_of_its_data_directory_wherever_that_listens() {
    let simdeck = Simdeck::start(&[]);
    let output = run(simdeck.folder().path(), &free_address(), &free_address(), &["held", "list"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    simdeck.end();
}

/// An address where nobody listens.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}
