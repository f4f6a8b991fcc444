//! The public listener closes last: whatever is asked for inside when the server is told to stop, pushes
//! are taken until that has ended, and it ends soon.
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::task::spawn_blocking;

use crate::server::{API_KEY, Simdeck, Wire, now_s, signed, usage};

const SIM: &str = "8944501503181377993";
/// What is asked for inside ends within a second, and on a machine that has much else to do well before
/// an export ends that nobody cuts.
const INSIDE_ENDS_WITHIN: Duration = Duration::from_secs(10);
/// From the first push that finds nobody to the end of the process, on such a machine.
const REFUSED_FOR_MAX: Duration = Duration::from_secs(10);

/// Tells the server to stop, and pushes until nobody listens. All that were taken were acknowledged.
/// Gives how long pushes were taken, and how many.
async fn pushes_until_the_end(simdeck: Simdeck) -> (Duration, usize, String) {
    simdeck.signal_term();
    let (began, first_ms, mut stored) = (Instant::now(), now_s() * 1_000, 0);
    let taken = loop {
        let start_ms = first_ms - stored;
        let record =
            format!(r#""giccid":"8944501503181370000","data_usage":1,"start_time":{start_ms}"#);
        match simdeck.try_post("data-usage", signed(&record)).await {
            Ok(answer) => assert_eq!(answer.status, 200, "{}", answer.body),
            Err(_) => break began.elapsed(),
        }
        stored += 1;
        assert!(began.elapsed() < Duration::from_secs(30), "it does not end");
    };
    let log = spawn_blocking(move || simdeck.ended()).await.unwrap();
    let refused = began.elapsed() - taken;
    assert!(refused < REFUSED_FOR_MAX, "pushes were refused for {refused:?}");
    assert!(taken < INSIDE_ENDS_WITHIN, "it took {taken:?}");
    (taken, usize::try_from(stored).unwrap(), log)
}

async fn count(folder: &std::path::Path) -> i64 {
    let database = SqliteConnectOptions::new().filename(folder.join("data/simdeck.db"));
    let mut database: SqliteConnection = database.connect().await.unwrap();
    let sql = "select count(*) from usage";
    sqlx::query_scalar(sql).fetch_one(&mut database).await.unwrap()
}

#[tokio::test]
async fn pushes_are_taken_until_a_slow_export_is_cut() {
    const RECORDS: i64 = 60_000;
    let simdeck = Simdeck::start(&[]);
    for batch in 0..RECORDS / 10_000 {
        let record = |nth: i64| {
            let start_ms = 1_713_888_842_473 + batch * 10_000 + nth;
            format!(r#"{{"giccid":"{SIM}","data_usage":1,"start_time":{start_ms}}}"#)
        };
        let records: Vec<String> = (0..10_000).map(record).collect();
        let body = signed(&format!(r#""records":[{}]"#, records.join(",")));
        assert_eq!(simdeck.push("data-usage", body).await, (10_000, 0, 0));
    }
    // It has begun when its head has come. Nobody reads on, and all of it fits into no buffers.
    let mut export = Wire::to_with_little_room(simdeck.internal()).await;
    let question = format!(
        "GET /v1/data-usage?format=ndjson HTTP/1.1\r\nhost: x\r\nx-api-key: {API_KEY}\r\n\r\n"
    );
    export.send(question).await;
    let head = export.head().await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    let folder = simdeck.folder();
    let (taken, stored, _) = pushes_until_the_end(simdeck).await;
    assert!(stored > 0, "none was taken while the export had its second, in {taken:?}");
    let rest = export.rest().await;
    assert!(!rest.ends_with(b"\r\n0\r\n\r\n"), "it was cut, and must not look whole");
    assert_eq!(count(folder.path()).await, RECORDS + i64::try_from(stored).unwrap());
}

#[tokio::test]
async fn an_erasure_that_waits_ends_at_its_step_and_says_so_and_goes_on_after_the_next_start() {
    let mut simdeck = Simdeck::start(&[]);
    assert_eq!(simdeck.push("data-usage", signed(&usage(SIM))).await, (1, 0, 0));
    let folder = simdeck.folder();
    let database = folder.path().join("data/simdeck.db");
    let mut reader = SqliteConnectOptions::new().filename(database).connect().await.unwrap();
    sqlx::query("begin").execute(&mut reader).await.unwrap();
    sqlx::query("select count(*) from usage").fetch_one(&mut reader).await.unwrap();
    let mut erasing = Wire::to(simdeck.internal()).await;
    let question = json!({ "giccid": SIM }).to_string();
    erasing
        .send(format!(
            "POST /v1/erase HTTP/1.1\r\nhost: x\r\nx-api-key: {API_KEY}\r\ncontent-length: {}\r\n\r\n\
             {question}",
            question.len()
        ))
        .await;
    simdeck.wait_for("Somebody reads the database as it was");
    let told = async {
        let began = Instant::now();
        let (head, body) = erasing.answer().await;
        assert!(head.starts_with("http/1.1 503"), "{head}");
        assert!(body.contains("stopping"), "{body}");
        assert!(began.elapsed() < INSIDE_ENDS_WITHIN, "{:?}", began.elapsed());
    };
    let ((_, stored, log), ()) = tokio::join!(pushes_until_the_end(simdeck), told);
    assert!(log.contains("Work on the store stops here") && log.contains("erasure"), "{log}");
    reader.close().await.unwrap();

    let simdeck = Simdeck::start_in(folder, &[]);
    let began = Instant::now();
    while !simdeck.rows("/v1/audit?action=erase").await.iter().any(|row| row["outcome"] == "done") {
        assert!(began.elapsed() < Duration::from_secs(20), "it does not go on");
    }
    let (status, _) = simdeck.ask(Method::GET, &format!("/v1/sims/{SIM}")).await;
    assert_eq!(status, 404);
    let (folder, _) = (simdeck.folder(), simdeck.end());
    assert_eq!(count(folder.path()).await, i64::try_from(stored).unwrap());
}
