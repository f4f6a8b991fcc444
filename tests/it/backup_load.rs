//! Copies that are made while pushes come. `SIMDECK_TEST_BACKUPS` says how many; a few in CI.
use std::{
    env,
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use reqwest::StatusCode;
use serde_json::Value;
use simdeck::{
    domain::Filter,
    http::ApiSettings,
    store::{self, Limits, OpenOptions},
};
use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use crate::{
    api_harness::{ADMIN_KEY, Api},
    trials::tell,
};

const BACKUPS: u64 = 3;
const RECORDS_PER_PUSH: usize = 40;

#[tokio::test]
async fn a_backup_under_load_is_complete_up_to_the_id_that_it_tells() {
    let backups = env::var("SIMDECK_TEST_BACKUPS").map_or(BACKUPS, |text| text.parse().unwrap());
    let api = Api::new(ApiSettings::default()).await;
    for _ in 0..25 {
        api.add_usage(400).await;
    }
    let (is_over, acknowledged) = (AtomicBool::new(false), AtomicU64::new(10_000));
    let pushing = async {
        let mut longest = Duration::ZERO;
        while !is_over.load(Ordering::Relaxed) {
            let began = Instant::now();
            api.add_usage(RECORDS_PER_PUSH).await;
            longest = longest.max(began.elapsed());
            acknowledged.fetch_add(RECORDS_PER_PUSH as u64, Ordering::Relaxed);
        }
        longest
    };
    let copying = async {
        let mut pushed_meanwhile = 0;
        for _ in 0..backups {
            let before = acknowledged.load(Ordering::Relaxed);
            let response = api.post("/v1/backup", ADMIN_KEY, "").await;
            assert_eq!(response.status(), StatusCode::OK);
            let backup: Value = response.json().await.unwrap();
            pushed_meanwhile += acknowledged.load(Ordering::Relaxed) - before;
            assert!(backup["records"].as_u64().unwrap() >= before, "{before}: {backup}");
            is_complete(&backup).await;
        }
        is_over.store(true, Ordering::Relaxed);
        pushed_meanwhile
    };
    let (longest, pushed_meanwhile) = tokio::join!(pushing, copying);
    assert!(pushed_meanwhile > 0, "no push came while a backup was made");
    tell(&format!("{backups} trials, 0 failures; the longest push took {longest:?}"));
}

/// Restores it elsewhere and compares it with the store that it was made of.
async fn is_complete(backup: &Value) {
    let path = PathBuf::from(backup["path"].as_str().unwrap());
    let database = path.parent().unwrap().parent().unwrap().join("simdeck.db");
    let mut raw =
        SqliteConnectOptions::new().filename(database).read_only(true).connect().await.unwrap();
    let sql = "select count(*), sum(data_usage) from usage where id <= $1";
    let (count, volume): (i64, i64) = sqlx::query_as(sql)
        .bind(backup["last_id"].as_i64().unwrap())
        .fetch_one(&mut raw)
        .await
        .unwrap();
    let elsewhere = TempDir::new().unwrap();
    let options = OpenOptions {
        database: elsewhere.path().join("simdeck.db"),
        time_zone: None,
        limits: Limits::of_quarantine(1 << 20),
    };
    let restored = store::restore(&path, &options, true).await.unwrap();
    assert_eq!(restored.records, count);
    let opened = store::open(&options).await.unwrap();
    let top = opened.store.top().await.unwrap();
    assert_eq!(Some(top), backup["last_id"].as_i64());
    let listed = opened.store.usage_count(&Filter::default(), top).await.unwrap();
    assert_eq!(i64::try_from(listed), Ok(count));
    let sums = opened.store.quarter_hours(0, i64::MAX).await.unwrap();
    assert_eq!(sums.iter().map(|row| row.data_usage).sum::<i64>(), volume);
    opened.store.close().await;
    opened.writer.close().await.unwrap();
}
