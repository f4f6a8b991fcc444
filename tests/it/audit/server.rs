//! What the server itself records, and what becomes of the audit in copies.
use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::process::{Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    commands::stdout,
    server::{API_KEY, Simdeck, UNSET, signed, usage},
};

const GUARD: Duration = Duration::from_secs(120);
const SIM: &str = "8944501503181377993";

/// Rows of one action, the newest first, once there are so many.
async fn rows(simdeck: &Simdeck, action: &str, how_many: usize) -> Vec<Value> {
    let began = Instant::now();
    loop {
        let rows = simdeck.get(&format!("/v1/audit?action={action}")).await;
        let rows = rows.as_array().unwrap();
        if rows.len() >= how_many {
            return rows.clone();
        }
        assert!(began.elapsed() < GUARD, "{action}: {rows:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn starts_stops_and_changed_settings_are_on_record() {
    let simdeck = Simdeck::start(&[]);
    let started = rows(&simdeck, "start", 1).await.remove(0);
    assert_eq!(started["who"], "simdeck");
    assert_eq!(started["source"], Value::Null);
    assert!(started["subject"].as_str().unwrap().starts_with(env!("CARGO_PKG_VERSION")));
    let simdeck = simdeck.restart(&[("SIMDECK_API_FIRST_PAGE", "1")]);
    let started = rows(&simdeck, "start", 2).await.remove(0);
    assert_eq!(started["details"], "changed settings: api.first_page");
    assert_eq!(rows(&simdeck, "stop", 1).await.len(), 1);
    let simdeck = simdeck.restart(&[("SIMDECK_API_FIRST_PAGE", "1")]);
    let started = rows(&simdeck, "start", 3).await.remove(0);
    assert_eq!(started["details"], "");
}

#[tokio::test]
async fn a_reload_says_what_changed_and_never_the_secret() {
    let folder = Arc::new(TempDir::new().unwrap());
    let tokens = folder.path().join("tokens");
    fs::write(&tokens, "token-of-the-first-day\n").unwrap();
    let variables = [("SIMDECK_PUBLIC_PATH_TOKEN_FILE", tokens.to_str().unwrap())];
    let simdeck = Simdeck::start_in(folder.clone(), &variables);
    fs::write(&tokens, "token-of-the-first-day\ntoken-of-the-second-day\n").unwrap();
    kill_process(simdeck.pid(), Signal::HUP).unwrap();
    let row = rows(&simdeck, "reload", 1).await.remove(0);
    assert_eq!(row["details"], "path tokens: 1 added");
    assert_eq!((&row["who"], &row["outcome"]), (&"simdeck".into(), &"done".into()));
    // A change is also seen without being asked to look.
    fs::write(&tokens, "token-of-the-second-day\n").unwrap();
    let row = rows(&simdeck, "reload", 2).await.remove(0);
    assert_eq!(row["details"], "path tokens: 1 removed");
    let all = Value::from(simdeck.rows("/v1/audit").await).to_string();
    assert!(!all.contains("token-of"), "{all}");
}

#[tokio::test]
async fn a_start_with_other_secrets_says_so_and_never_the_secrets() {
    let folder = Arc::new(TempDir::new().unwrap());
    let tokens = folder.path().join("tokens");
    let (first, second) = ("token-of-the-first-day", "token-of-the-second-day");
    fs::write(&tokens, first).unwrap();
    let token = ("SIMDECK_PUBLIC_PATH_TOKEN_FILE", tokens.to_str().unwrap());
    let simdeck = Simdeck::start_in(folder.clone(), &[token]);
    assert_eq!(rows(&simdeck, "start", 1).await[0]["details"], "");
    // What was renewed while it ran is on record already.
    fs::write(&tokens, format!("{first}\n{second}")).unwrap();
    kill_process(simdeck.pid(), Signal::HUP).unwrap();
    assert_eq!(rows(&simdeck, "reload", 1).await[0]["details"], "path tokens: 1 added");
    let simdeck = simdeck.restart(&[token]);
    assert_eq!(rows(&simdeck, "start", 2).await[0]["details"], "");
    fs::write(&tokens, second).unwrap();
    let keys = ("SIMDECK_PUSH_KEY", "a-push-key-of-the-second-day,and-one-that-comes-beside-it");
    let rcms = [("SIMDECK_RCMS_CLIENT_ID", "id"), ("SIMDECK_RCMS_CLIENT_SECRET", "secret-of-rcms")];
    let others = [token, keys, rcms[0], rcms[1], ("SIMDECK_API_FIRST_PAGE", "1")];
    let simdeck = simdeck.restart(&others);
    let details = rows(&simdeck, "start", 3).await[0]["details"].as_str().unwrap().to_owned();
    for change in [
        "api.first_page",
        "path tokens: 1 removed",
        "push keys: 2 added, 1 removed",
        "RCMS client secret: 1 added",
    ] {
        assert!(details.contains(change), "{details}");
    }
    assert!(!details.contains("admin API key"), "{details}");
    let simdeck = simdeck.restart(&others);
    assert_eq!(rows(&simdeck, "start", 4).await[0]["details"], "");
    // Neither the store nor a copy of it tells a secret, and a copy not even whether one was guessed.
    let copy = stdout(&simdeck.run(&["backup", "--output", "json"]));
    let copy: Value = serde_json::from_str(&copy).unwrap();
    let folder = simdeck.folder();
    simdeck.end();
    let data = folder.path().join("data");
    let copy = folder.path().join(copy["path"].as_str().unwrap());
    for (file, digests) in [(data.join("simdeck.db"), true), (copy, false)] {
        let bytes = fs::read(&file).unwrap();
        let holds = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
        assert!(!holds(first) && !holds(second) && !holds("secret-of-rcms"), "{file:?}");
        assert_eq!(holds("RCMS client secret\":["), digests, "{file:?}");
    }
}

#[tokio::test]
async fn a_reload_takes_no_admin_key_that_a_start_would_refuse() {
    let folder = Arc::new(TempDir::new().unwrap());
    let file = folder.path().join("admin-key");
    fs::write(&file, format!("{API_KEY}\n")).unwrap();
    let variables = [("SIMDECK_API_KEY", UNSET), ("SIMDECK_API_KEY_FILE", file.to_str().unwrap())];
    let mut simdeck = Simdeck::start_in(folder.clone(), &variables);
    for short in ["a", "nineteen-characters"] {
        fs::write(&file, format!("{short}\n")).unwrap();
        kill_process(simdeck.pid(), Signal::HUP).unwrap();
        simdeck.wait_for("Kept the API key that was in force");
        assert_eq!(simdeck.status_with(short, "/v1/status").await, 401, "{short}");
        assert_eq!(simdeck.status_with(API_KEY, "/v1/status").await, 200, "{short}");
    }
    let row = rows(&simdeck, "reload", 2).await.remove(0);
    assert_eq!(row["outcome"], "failed");
    let long = "twenty-characters-or-more";
    fs::write(&file, format!("{long}\n")).unwrap();
    kill_process(simdeck.pid(), Signal::HUP).unwrap();
    simdeck.wait_for("Renewed the push keys");
    assert_eq!(simdeck.status_with(long, "/v1/status").await, 200);
    simdeck.end();
}

#[tokio::test]
async fn a_backup_brings_the_audit_and_a_restored_store_says_that_it_is_one() {
    let simdeck = Simdeck::start(&[]);
    simdeck.push("data-usage", signed(&usage(SIM))).await;
    let wanted = r#"{"label":"ops","scope":"read"}"#;
    simdeck.send_json(reqwest::Method::POST, "/v1/keys", wanted).await;
    let made = simdeck.run(&["backup", "--output", "json"]);
    let made: Value = serde_json::from_str(&stdout(&made)).unwrap();
    let file = made["path"].as_str().unwrap().to_owned();
    let folder = simdeck.folder();
    simdeck.end();
    let file = folder.path().join(file);
    let restored = crate::server::run(
        folder.path(),
        "127.0.0.1:0",
        "127.0.0.1:0",
        &["restore", file.to_str().unwrap()],
    );
    stdout(&restored);
    let rebuilt = crate::server::run(folder.path(), "127.0.0.1:0", "127.0.0.1:0", &["rebuild"]);
    stdout(&rebuilt);
    let simdeck = Simdeck::start_in(folder, &[]);
    assert_eq!(rows(&simdeck, "key.create", 1).await.len(), 1);
    let row = rows(&simdeck, "restore", 1).await.remove(0);
    assert_eq!(row["who"], "command line");
    assert_eq!(row["subject"].as_str().unwrap(), file.file_name().unwrap().to_str().unwrap());
    assert!(row["details"].as_str().unwrap().starts_with("1 record, as of 20"), "{row}");
    let row = rows(&simdeck, "rebuild", 1).await.remove(0);
    assert_eq!((&row["who"], &row["subject"]), (&"command line".into(), &"UTC".into()));
}

#[tokio::test]
async fn the_command_shows_the_audit_as_a_table_and_as_json() {
    let simdeck = Simdeck::start(&[]);
    let wanted = r#"{"label":"ops","scope":"read"}"#;
    simdeck.send_json(reqwest::Method::POST, "/v1/keys", wanted).await;
    let args = ["audit", "--action", "key.create", "--output"];
    let table = stdout(&simdeck.run(&[args.as_slice(), &["table"]].concat()));
    assert!(table.contains("ACTION") || table.contains("action"), "{table}");
    assert!(table.contains("key.create") && table.contains("127.0.0.1"), "{table}");
    assert!(!table.contains("start") && !table.contains(API_KEY), "{table}");
    let json = stdout(&simdeck.run(&[args.as_slice(), &["json"]].concat()));
    let rows: Vec<Value> = serde_json::from_str(&json).unwrap();
    assert_eq!((rows.len(), &rows[0]["subject"]), (1, &"ops".into()));
    let args = ["audit", "--who", "nobody", "--output", "json"];
    assert_eq!(stdout(&simdeck.run(&args)).trim(), "[]");
    let args = ["audit", "--outcome", "failed", "--output", "json"];
    assert_eq!(stdout(&simdeck.run(&args)).trim(), "[]");
}

#[tokio::test]
async fn the_table_fits_a_hundred_columns_and_loses_nothing() {
    let simdeck = Simdeck::start(&[]);
    simdeck.push("data-usage", signed(&usage(SIM))).await;
    let label = "a-label-as-long-as-one-of-a-key-may-be-and-then-some";
    let wanted = format!(r#"{{"label":"{label}","scope":"read"}}"#);
    simdeck.send_json(reqwest::Method::POST, "/v1/keys", &wanted).await;
    let wanted = format!(r#"{{"giccid":"{SIM}"}}"#);
    simdeck.send_json(reqwest::Method::POST, "/v1/erase", &wanted).await;
    let mac = simdeck.rows("/v1/audit?action=erase").await[0]["subject"].clone();
    let table = stdout(&simdeck.run(&["audit", "--output", "table"]));
    for line in table.lines() {
        assert!(line.chars().count() <= 100, "{}: {line}", line.chars().count());
    }
    // A cell that is too long goes on below itself.
    let letters = |text: &str| text.chars().filter(|it| it.is_ascii_hexdigit()).count();
    assert!(letters(&table) > letters(mac.as_str().unwrap()) + letters(label), "{table}");
    assert!(table.contains("sign_in") || table.contains("key.create"), "{table}");
}

#[tokio::test]
async fn an_action_or_outcome_that_does_not_exist_is_refused_with_those_that_do() {
    let simdeck = Simdeck::start(&[]);
    for (flag, given, meant, other) in [
        ("--action", "key.creat", "key.create", "sign_in.failed"),
        ("--outcome", "refusd", "refused", "begun"),
    ] {
        let output = simdeck.run(&["audit", flag, given]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{told}");
        assert!(told.contains(&format!("did you mean `{meant}`?")), "{told}");
        assert!(told.contains(other) && !told.trim_end().ends_with("?."), "{told}");
    }
}
