//! What takes rows away is owned until it is done: no lock, no kill and no failing work beside it drops
//! it, and its row in the audit says how far it came.
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::task::JoinHandle;

use super::{
    retract::{FORGER, SIM, TRUE_SENDER, usage},
    rezone::{SHANGHAI, sql},
};
use crate::server::{API_KEY, Simdeck, now_s};

/// What takes so long will not happen.
const GUARD: Duration = Duration::from_secs(120);
pub(super) const RECORDS: i64 = 12_000;
pub(super) const TRIED_AGAIN: &str = "is tried again until it is done";

/// Another process that works on the same file, and has it locked while it holds this.
pub(super) struct Lock(SqliteConnection);

impl Lock {
    pub(super) async fn take(simdeck: &Simdeck) -> Self {
        let file = simdeck.folder().path().join("data/simdeck.db");
        let options = SqliteConnectOptions::new().filename(file).busy_timeout(GUARD);
        let mut other = options.connect().await.unwrap();
        sqlx::raw_sql("begin immediate").execute(&mut other).await.unwrap();
        Self(other)
    }

    pub(super) async fn release(mut self) {
        sqlx::raw_sql("rollback").execute(&mut self.0).await.unwrap();
        self.0.close().await.unwrap();
    }
}

pub(super) async fn filled() -> (Simdeck, i64) {
    let simdeck = Simdeck::start(&[]);
    let second = now_s();
    let many: Vec<String> =
        (0..RECORDS).map(|nth| usage(SIM, second * 1000 - nth, 1, "US")).collect();
    for part in many.chunks(6_000) {
        let answer = simdeck.push_as(FORGER, "data-usage", second, &part.join(",")).await;
        assert_eq!(answer["stored"], part.len());
    }
    (simdeck, second)
}

pub(super) fn ask_beside(simdeck: &Simdeck, path: &str, body: &Value) -> JoinHandle<(u16, Value)> {
    let url = format!("{}{path}", simdeck.internal_url());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(url).header("X-API-Key", API_KEY).body(body.to_string());
    tokio::spawn(async move {
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    })
}

/// The newest row of the audit of one action, once there is one.
pub(super) async fn audited(simdeck: &Simdeck, action: &str) -> Value {
    let began = Instant::now();
    loop {
        let rows = simdeck.get(&format!("/v1/audit?action={action}")).await;
        if let Some(row) = rows.as_array().unwrap().first() {
            return row.clone();
        }
        assert!(began.elapsed() < GUARD, "no row says {action}");
        tokio::task::yield_now().await;
    }
}

/// Takes `path` away from a database that another process locks in the middle of it.
async fn is_done_though_locked(path: &str, list: &str, action: &str, body: impl Fn(i64) -> Value) {
    let (mut simdeck, second) = filled().await;
    let asked = ask_beside(&simdeck, path, &body(second));
    assert_eq!(audited(&simdeck, action).await["outcome"], "begun");
    let lock = Lock::take(&simdeck).await;
    let row = simdeck.get(list).await[0].clone();
    assert_eq!(row["is_pending"], true, "{row}");
    assert!(row["data_usage"].as_i64().unwrap() < RECORDS, "it ended too soon: {row}");
    simdeck.says(TRIED_AGAIN);
    assert_eq!(audited(&simdeck, action).await["outcome"], "begun");
    assert!(!asked.is_finished());
    lock.release().await;

    let (status, answer) = asked.await.unwrap();
    assert_eq!((status, &answer["data_usage"]), (200, &json!(RECORDS)), "{answer}");
    let row = audited(&simdeck, action).await;
    assert_eq!(row["outcome"], "done", "{row}");
    let told = row["details"].as_str().unwrap();
    assert!(told.starts_with(&format!("{RECORDS} usage records, 0 messages")), "{row}");
    let row = simdeck.get(list).await[0].clone();
    assert_eq!((&row["data_usage"], &row["is_pending"]), (&json!(RECORDS), &json!(false)), "{row}");
    assert_eq!(simdeck.rows("/v1/data-usage").await, [] as [Value; 0]);
    simdeck.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retraction_that_meets_a_locked_database_goes_on_when_the_lock_is_gone() {
    let body = |second| json!({"datePush": second});
    is_done_though_locked("/v1/retract", "/v1/retractions", "retract", body).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_meets_a_locked_database_goes_on_when_the_lock_is_gone() {
    let body = |_| json!({"giccid": SIM});
    is_done_though_locked("/v1/erase", "/v1/erasures", "erase", body).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn removals_that_cannot_begin_for_a_lock_begin_when_it_is_gone() {
    let mut simdeck = Simdeck::start(&[]);
    let second = now_s();
    for (second, sim) in [(second, SIM), (second - 1, "8944501503181377001")] {
        let record = usage(sim, second * 1000, 7, "CN");
        simdeck.push_as(TRUE_SENDER, "data-usage", second, &record).await;
    }
    let lock = Lock::take(&simdeck).await;
    let retraction = ask_beside(&simdeck, "/v1/retract", &json!({"datePush": second - 1}));
    let erasure = ask_beside(&simdeck, "/v1/erase", &json!({"giccid": SIM}));
    for _ in 0..2 {
        simdeck.wait_for(TRIED_AGAIN);
    }
    lock.release().await;
    for asked in [retraction, erasure] {
        let (status, answer) = asked.await.unwrap();
        assert_eq!((status, &answer["data_usage"]), (200, &json!(1)), "{answer}");
    }
    for action in ["retract", "erase"] {
        assert_eq!(audited(&simdeck, action).await["outcome"], "done");
    }
    assert_eq!(simdeck.rows("/v1/data-usage").await, [] as [Value; 0]);
    simdeck.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asked_for_an_erasure_may_go_and_all_of_it_is_done() {
    let (simdeck, _) = filled().await;
    let asked = ask_beside(&simdeck, "/v1/erase", &json!({"giccid": SIM}));
    assert_eq!(audited(&simdeck, "erase").await["outcome"], "begun");
    asked.abort();
    let began = Instant::now();
    while audited(&simdeck, "erase").await["outcome"] != "done" {
        assert!(began.elapsed() < GUARD, "it does not end");
    }
    let (status, _) = simdeck.ask(Method::GET, &format!("/v1/sims/{SIM}")).await;
    assert_eq!(status, 404);
    simdeck.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prune_does_not_wait_for_a_change_of_time_zone_that_cannot_go_on() {
    let simdeck = Simdeck::start(&[]);
    let second = now_s();
    let old = second - 10 * 86_400;
    let records: Vec<String> = (0..600)
        .map(|nth| usage(SIM, (if nth < 300 { old } else { second }) * 1000 + nth, 1, "US"))
        .collect();
    simdeck.push_as(TRUE_SENDER, "data-usage", second, &records.join(",")).await;
    let folder = simdeck.folder();
    simdeck.end();
    sql(
        folder.path(),
        "create trigger ends before insert on meta when new.name = 'rebuild'
            and new.value ->> 'id' >= 100 begin select raise(abort, 'ended'); end",
    )
    .await;
    let settings = [SHANGHAI[0], ("SIMDECK_RETENTION_RECORDS", "5d")];
    let mut simdeck = Simdeck::start_in(folder.clone(), &settings);
    simdeck.wait_for("is tried again");
    let (status, pruned) = simdeck.send_json(Method::POST, "/v1/prune", "").await;
    assert_eq!((status, &pruned["data_usage"]), (200, &json!(300)), "{pruned}");

    sql(folder.path(), "drop trigger ends").await;
    simdeck.says("Sums by day now go by the new time zone");
    simdeck.end();
    // The sums of what was pruned stay.
    let options = SqliteConnectOptions::new().filename(folder.path().join("data/simdeck.db"));
    let mut raw = options.connect().await.unwrap();
    let sums = sqlx::query_scalar("select sum(records) from usage_sim_day");
    let sums: i64 = sums.fetch_one(&mut raw).await.unwrap();
    assert_eq!(sums, 600);
}
