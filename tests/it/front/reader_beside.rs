//! Another process that reads the database, and does not end.
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
use tokio::time::timeout;

use super::retract::{OTHER_SIM, SIM, TRUE_SENDER, usage};
use crate::server::{Simdeck, now_s};

/// Much longer than other work takes.
const OTHER_WORK_TIME_MAX: Duration = Duration::from_secs(20);

#[tokio::test]
async fn an_erasure_that_waits_for_another_reader_holds_up_no_other_work() {
    let mut simdeck = Simdeck::start(&[]);
    let second = now_s();
    let records = [SIM, OTHER_SIM].map(|sim| usage(sim, second * 1000 - 60_000, 7, "CN"));
    simdeck.push_as(TRUE_SENDER, "data-usage", second, &records.join(",")).await;
    let database = simdeck.folder().path().join("data/simdeck.db");
    let mut reader = SqliteConnectOptions::new().filename(database).connect().await.unwrap();
    sqlx::query("begin").execute(&mut reader).await.unwrap();
    sqlx::query("select count(*) from usage").fetch_one(&mut reader).await.unwrap();

    let erase = json!({ "giccid": SIM }).to_string();
    let erasing = simdeck.send_json(Method::POST, "/v1/erase", &erase);
    let beside = async {
        let began = Instant::now();
        while simdeck.rows("/v1/data-usage").await.len() > 1 {
            assert!(began.elapsed() < OTHER_WORK_TIME_MAX, "nothing is erased");
        }
        let work = [("/v1/prune", json!({})), ("/v1/retract", json!({ "datePush": second }))];
        for (path, question) in work {
            let body = question.to_string();
            let done = simdeck.send_json(Method::POST, path, &body);
            let done = timeout(OTHER_WORK_TIME_MAX, done).await;
            let (status, answer) = done.unwrap_or_else(|_| panic!("{path} waits"));
            assert_eq!(status, 200, "{path}: {answer}");
        }
        reader.close().await.unwrap();
    };
    let ((status, answer), ()) = tokio::join!(erasing, beside);
    assert_eq!((status, &answer["data_usage"]), (200, &json!(1)), "{answer}");
    simdeck.wait_for("Somebody reads the database as it was");
    simdeck.end();
}
