//! When it cannot store: 503, soon, and well again without a restart.
use futures_util::{StreamExt, stream::FuturesUnordered};
use reqwest::Method;
use sqlx::{ConnectOptions, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::server::{Simdeck, counts, signed, usage};

const SIM: &str = "8944501503181377993";

/// Another program that holds the database's write lock.
async fn lock(simdeck: &Simdeck) -> SqliteConnection {
    let database = simdeck.folder().path().join("data/simdeck.db");
    let mut other = SqliteConnectOptions::new().filename(database).connect().await.unwrap();
    sqlx::raw_sql("begin immediate").execute(&mut other).await.unwrap();
    other
}

async fn unlock(mut other: SqliteConnection) {
    sqlx::raw_sql("rollback").execute(&mut other).await.unwrap();
}

#[tokio::test]
async fn a_database_that_another_program_locks_is_503_and_heals_by_itself() {
    let mut simdeck = Simdeck::start(&[]);
    let other = lock(&simdeck).await;
    let answer = simdeck.post("data-usage", signed(&usage(SIM))).await;
    assert_eq!(answer.status, 503);
    assert!((2..=9).contains(&answer.header("retry-after").parse::<u64>().unwrap()));
    simdeck.says("Pushes cannot be stored");
    assert_eq!(simdeck.ask(Method::GET, "/readyz").await.0, 503);

    unlock(other).await;
    let (stored, duplicates, _) = simdeck.push("data-usage", signed(&usage(SIM))).await;
    // Answered 503, the first one may have been stored all the same.
    assert_eq!(stored + duplicates, 1);
    assert_eq!(simdeck.ask(Method::GET, "/readyz").await.0, 200);
    assert_eq!(simdeck.rows("/v1/data-usage").await.len(), 1);
    simdeck.end();
}

#[tokio::test]
async fn a_full_queue_is_503_at_once_and_loses_nothing_that_waits() {
    let simdeck = Simdeck::start(&[]);
    let body = |nth: i64| {
        let record = |number: i64| {
            let start_ms = 1_713_888_842_473 + nth * 10_000 + number;
            format!(r#"{{"giccid":"{SIM}","data_usage":1,"start_time":{start_ms}}}"#)
        };
        let records: Vec<_> = (0..10_000).map(record).collect();
        signed(&format!(r#""records":[{}]"#, records.join(",")))
    };
    let other = lock(&simdeck).await;
    // Room for five of these; nothing is written while the lock is held.
    let mut pushes: FuturesUnordered<_> =
        (0..6).map(|nth| simdeck.post("data-usage", body(nth))).collect();
    let first = pushes.next().await.unwrap();
    assert_eq!(first.status, 503, "the one without room is told first");
    unlock(other).await;
    let mut stored = 0;
    while let Some(answer) = pushes.next().await {
        assert_eq!(answer.status, 200, "{}", answer.body);
        stored += counts(&answer.json()).0;
    }
    drop(pushes);
    assert_eq!(stored, 50_000);
    let status = simdeck.get("/v1/status").await;
    assert_eq!(status["pushes"]["data-usage"]["records"], 50_000);
    simdeck.end();
}
