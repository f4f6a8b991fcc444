//! How it starts, ends, and starts again.
use std::{fs, os::unix::fs::PermissionsExt};

use futures_util::future::join_all;
use serde_json::json;
use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use crate::server::{
    Simdeck, UNSET, counts, now_s, proof, refused_start, signature, signed, signed_at, usage,
};

const SIM: &str = "8944501503181377993";

#[tokio::test]
async fn told_to_end_it_answers_what_is_in_flight_and_stores_it() {
    let mut simdeck = Simdeck::start(&[]);
    let body = signed(&usage(SIM));
    let (first, second) = body.split_at(40);
    let length = body.len();
    let mut wire = simdeck.connect().await;
    wire.send(format!(
        "POST /v1/data-usage HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
    ))
    .await;
    // The server asks for the body: the request is in flight.
    wire.expect_continue().await;
    wire.send(first).await;
    let mut resting = simdeck.connect().await;
    simdeck.signal_term();
    simdeck.wait_for("Stopping");
    assert!(resting.rest().await.is_empty(), "a connection at rest is closed");
    wire.send(second).await;
    let (head, answer) = wire.answer().await;
    assert!(head.starts_with("http/1.1 200 ok"), "{head}");
    assert_eq!(counts(&serde_json::from_str(&answer).unwrap()), (1, 0, 0));
    assert!(wire.rest().await.is_empty());
    let folder = simdeck.folder();
    let log = simdeck.ended();
    assert!(log.contains("Stopped"), "{log}");
    // The log has been brought back into the database.
    let wal = folder.path().join("data/simdeck.db-wal");
    assert!(fs::metadata(wal).map_or(true, |wal| wal.len() == 0));
    let simdeck = Simdeck::start_in(folder, &[]);
    assert_eq!(simdeck.rows("/v1/data-usage").await[0]["giccid"], SIM);
    simdeck.end();
}

#[tokio::test]
async fn a_client_that_goes_away_takes_nothing_back() {
    let simdeck = Simdeck::start(&[]);
    let body = signed(&usage(SIM));
    let length = body.len();
    let mut wire = simdeck.connect().await;
    wire.send(format!(
        "POST /v1/data-usage HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}"
    ))
    .await;
    drop(wire);
    // Whether or not its answer could be delivered, the next attempt finds one record.
    let (stored, duplicates, _) = simdeck.push("data-usage", body).await;
    assert_eq!(stored + duplicates, 1);
    assert_eq!(simdeck.rows("/v1/data-usage").await.len(), 1);
    simdeck.end();
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let simdeck = Simdeck::start(&[]);
    assert_eq!(simdeck.push("data-usage", signed(&usage(SIM))).await, (1, 0, 0));
    let sms = format!(r#""giccid":"{SIM}","event_time":{}000,"text":"hi""#, now_s());
    assert_eq!(simdeck.push("mo-sms", signed(&sms)).await, (1, 0, 0));
    assert_eq!(simdeck.push("sim-status", signed(r#""a":1"#)).await, (1, 0, 0));
    assert_eq!(simdeck.push("data-usage", signed(r#""giccid":"1""#)).await, (0, 0, 1));
    assert_eq!(simdeck.post("data-usage", "{}").await.status, 401);
    simdeck.held(2).await;
    let lists = ["/v1/data-usage", "/v1/mo-sms", "/v1/notifications", "/v1/held"];
    let mut before = Vec::new();
    for list in lists {
        before.push(without_urls(simdeck.rows(list).await));
    }
    let status = simdeck.get("/v1/status").await;
    let simdeck = simdeck.restart(&[]);
    for (list, before) in lists.iter().zip(before) {
        assert_eq!(without_urls(simdeck.rows(list).await), before, "{list}");
    }
    let after = simdeck.get("/v1/status").await;
    assert_eq!((&after["pushes"], &after["held"]), (&status["pushes"], &status["held"]));
    simdeck.end();
}

#[tokio::test]
async fn a_first_start_makes_everything_for_its_own_eyes_only() {
    let simdeck = Simdeck::start(&[("SIMDECK_PUSH_KEY", UNSET), ("SIMDECK_API_KEY", UNSET)]);
    let data = simdeck.folder().path().join("data");
    let made = fs::read_to_string(data.join("push-key")).unwrap();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    let mut names = Vec::new();
    for entry in fs::read_dir(&data).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
    }
    for name in ["api-key", "push-key", "simdeck.db", "simdeck.db-wal", "simdeck.lock"] {
        assert!(names.iter().any(|made| made == name), "{name} of {names:?}");
    }
    let key = made.trim_end();
    let second = now_s();
    let body = format!(
        r#"{{"datePush":{second},"signature":"{}",{}}}"#,
        signature(key, second),
        usage(SIM)
    );
    assert_eq!(simdeck.push("data-usage", body).await, (1, 0, 0));
    let api_key = fs::read_to_string(data.join("api-key")).unwrap();
    let log = simdeck.end();
    assert!(log.contains("simdeck welcome"), "{log}");
    assert!(!log.contains(key) && !log.contains(api_key.trim_end()), "secrets are in the log");
}

#[tokio::test]
async fn a_store_that_has_taken_pushes_is_not_given_a_new_key() {
    let simdeck = Simdeck::start(&[]);
    assert_eq!(simdeck.push("sim-status", signed("")).await, (1, 0, 0));
    let folder = simdeck.folder();
    simdeck.end();
    let said = refused_start(folder.path(), &[("SIMDECK_PUSH_KEY", UNSET)]);
    assert!(said.contains("SIMDECK_PUSH_KEY"), "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{said}");
    assert!(!folder.path().join("data/push-key").exists(), "none was made");
    Simdeck::start_in(folder, &[]).end();
}

#[tokio::test]
async fn a_quarantined_push_is_reason_enough_not_to_make_a_key() {
    let simdeck = Simdeck::start(&[]);
    let body = signed_at(now_s() - 30 * 86_400, r#""a":1"#);
    assert_eq!(simdeck.push("sim-status", body).await, (0, 0, 1));
    let folder = simdeck.folder();
    simdeck.end();
    let said = refused_start(folder.path(), &[("SIMDECK_PUSH_KEY", UNSET)]);
    assert!(said.contains("SIMDECK_PUSH_KEY"), "{said}");
}

#[tokio::test]
async fn a_second_instance_on_the_same_data_is_refused() {
    let simdeck = Simdeck::start(&[]);
    let said = refused_start(simdeck.folder().path(), &[]);
    let sentence = format!(
        "error: another simdeck is running on the data directory data (process {} on {}); stop it, or \
         choose another directory with SIMDECK_DATA_DIR\n",
        simdeck.pid().as_raw_nonzero(),
        rustix::system::uname().nodename().to_string_lossy(),
    );
    assert_eq!(said, sentence);
    assert_eq!(simdeck.push("sim-status", signed("")).await, (1, 0, 0), "the first goes on");
    simdeck.end();
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let simdeck = Simdeck::start(&[]);
    let folder = simdeck.folder();
    simdeck.end();
    let database = folder.path().join("data/simdeck.db");
    let mut connection = SqliteConnectOptions::new().filename(database).connect().await.unwrap();
    let newer = "
        insert into _sqlx_migrations (version, description, success, checksum, execution_time)
        values (9999, 'from the future', true, x'00', 0)";
    sqlx::query(newer).execute(&mut connection).await.unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    let said = refused_start(folder.path(), &[]);
    assert!(said.starts_with("error: the database data/simdeck.db was written by a newer simdeck"));
    assert!(said.contains("9999") && said.lines().count() == 1, "{said}");
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_used_is_told_in_a_sentence() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let said = refused_start(folder.path(), &[("SIMDECK_DATA_DIR", "file/data")]);
    assert!(said.starts_with("error: cannot make the data directory file/data; "), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    // Root may write everywhere; here not even root can.
    fs::create_dir_all(folder.path().join("data/simdeck.lock")).unwrap();
    let said = refused_start(folder.path(), &[]);
    assert!(said.starts_with("error: cannot write to the data directory data; "), "{said}");
    assert!(!said.contains("chown") && said.lines().count() == 1, "{said}");
}

#[tokio::test]
async fn what_is_no_database_is_told_in_a_sentence() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/simdeck.db"), "no database ".repeat(1000)).unwrap();
    let said = refused_start(folder.path(), &[]);
    assert!(said.starts_with("error: cannot open the database data/simdeck.db"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    let kept = fs::read_to_string(folder.path().join("data/simdeck.db")).unwrap();
    assert!(kept.starts_with("no database"), "it is left alone");
}

#[tokio::test]
async fn pushes_of_one_second_share_a_signature_and_are_all_kept() {
    let simdeck = Simdeck::start(&[]);
    let second = now_s();
    let body = |nth: usize| {
        format!("{{{},{}}}", proof(second), usage(&format!("89445015031813779{nth:02}")))
    };
    let pushes = (0..64).map(|nth| simdeck.push("data-usage", body(nth)));
    assert_eq!(join_all(pushes).await, [(1, 0, 0); 64]);
    assert_eq!(simdeck.rows("/v1/data-usage").await.len(), 64);
    let tally = simdeck.get("/v1/status").await["pushes"]["data-usage"].clone();
    assert_eq!(tally["data_usage"], json!(64 * 1302));
    simdeck.end();
}

/// The port in a link is another after a restart.
fn without_urls(mut rows: Vec<serde_json::Value>) -> Vec<serde_json::Value> {
    for row in &mut rows {
        row.as_object_mut().unwrap().remove("url");
    }
    rows
}
