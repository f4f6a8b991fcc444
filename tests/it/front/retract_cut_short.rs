//! Retractions and erasures that take many records, and such as a kill cuts short.
use std::{
    fs,
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
use tokio::task::JoinHandle;

use super::retract::{FORGER, SIM, TRUE_SENDER, usage};
use crate::server::{API_KEY, Simdeck, now_s};

/// What takes so long will not happen.
const GUARD: Duration = Duration::from_secs(120);
/// In another time zone, and without the limit that whoever asks again and again would meet.
const MOVED: [(&str, &str); 2] =
    [("SIMDECK_TIME_ZONE", "Asia/Shanghai"), ("SIMDECK_API_RATE_LIMIT", "0")];
/// The largest volume that a record may have.
const VOLUME_MAX: i64 = 1_000_000_000_000_000;

/// Asks without waiting; the server may be killed meanwhile.
fn ask_beside(simdeck: &Simdeck, path: &str, body: Value) -> JoinHandle<bool> {
    let url = format!("{}{path}", simdeck.internal_url());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(url).header("X-API-Key", API_KEY).body(body.to_string());
    tokio::spawn(async move { request.send().await.is_ok() })
}

/// Waits until a retraction or an erasure is among the changes.
pub(super) async fn begun(simdeck: &Simdeck, kind: &str) {
    let began = Instant::now();
    while simdeck.rows(&format!("/v1/changes?kind={kind}")).await.is_empty() {
        assert!(began.elapsed() < GUARD, "it does not begin");
        tokio::task::yield_now().await;
    }
}

/// Waits until the last one has ended.
async fn ended(simdeck: &Simdeck, list: &str) {
    let began = Instant::now();
    while simdeck.get(list).await[0]["is_pending"] == true {
        assert!(began.elapsed() < GUARD * 3, "it does not end");
        tokio::task::yield_now().await;
    }
}

/// What the server's threads have taken of the processors so far.
fn cpu_ticks(simdeck: &Simdeck) -> u64 {
    let stat = format!("/proc/{}/stat", simdeck.pid().as_raw_nonzero());
    let stat = fs::read_to_string(stat).unwrap();
    let (_, after_name) = stat.rsplit_once(')').unwrap();
    let words: Vec<&str> = after_name.split_whitespace().collect();
    words[11..13].iter().map(|word| word.parse::<u64>().unwrap()).sum()
}

pub(super) async fn push_many(simdeck: &Simdeck, source: &str, second: i64, records: i64) {
    let many: Vec<String> =
        (0..records).map(|nth| usage(SIM, second * 1000 - nth, nth, "US")).collect();
    for part in many.chunks(10_000) {
        let answer = simdeck.push_as(source, "data-usage", second, &part.join(",")).await;
        assert_eq!(answer["stored"], part.len());
    }
}

pub(super) async fn count(simdeck: &Simdeck, second: i64) -> String {
    let answer = simdeck.get_whole(&format!("/v1/data-usage?datePush={second}&size=1")).await;
    answer.header("x-total-count").to_owned()
}

/// The sums of all there is, added up in different ways.
pub(super) async fn sums(simdeck: &Simdeck) -> Vec<[i64; 2]> {
    let mut sums = Vec::new();
    for by in ["sim_group", "country_code", "giccid"] {
        let path = format!("/v1/data-usage/aggregate?interval=none&group_by={by}");
        let rows = simdeck.get(&path).await;
        let sum = |name: &str| {
            rows.as_array().unwrap().iter().map(|row| row[name].as_i64().unwrap()).sum::<i64>()
        };
        sums.push([sum("data_usage"), sum("records")]);
    }
    sums
}

/// Takes a path and a body that take away what was forged, and shows that there is room again for
/// what is true.
async fn makes_room(path: &str, body: impl Fn(i64) -> Value) {
    let simdeck = Simdeck::start(&[]);
    let second = now_s();
    let forged: Vec<String> =
        (0..9_223).map(|nth| usage(SIM, second * 1000 - nth, VOLUME_MAX, "US")).collect();
    simdeck.push_as(FORGER, "data-usage", second, &forged.join(",")).await;
    let full = usage("8944501503181377001", second * 1000, VOLUME_MAX, "CN");
    let answer = simdeck.push_as(TRUE_SENDER, "data-usage", second - 1, &full).await;
    assert_eq!(answer["quarantined"], 1, "the sums are full: {answer}");

    let (status, answer) = simdeck.send_json(Method::POST, path, &body(second).to_string()).await;
    assert_eq!((status, &answer["data_usage"]), (200, &json!(9_223)), "{answer}");
    let simdeck = simdeck.restart(&[]);
    let answer = simdeck.push_as(TRUE_SENDER, "data-usage", second - 1, &full).await;
    assert_eq!(answer["stored"], 1, "there is room again: {answer}");
    assert_eq!(simdeck.get("/v1/status").await["pushes"]["data-usage"]["data_usage"], VOLUME_MAX);
    assert_eq!(sums(&simdeck).await, [[VOLUME_MAX, 1]; 3]);
    simdeck.end();
}

#[tokio::test]
async fn forged_volumes_that_filled_the_sums_leave_room_when_they_are_retracted() {
    makes_room("/v1/retract", |second| json!({"datePush": second})).await;
}

#[tokio::test]
async fn forged_volumes_that_filled_the_sums_leave_room_when_their_sim_is_erased() {
    makes_room("/v1/erase", |_| json!({"giccid": SIM})).await;
}

#[tokio::test]
async fn a_retraction_that_was_killed_goes_on_at_the_next_start_whatever_the_time_zone() {
    let simdeck = Simdeck::start(&[]);
    let second = now_s();
    push_many(&simdeck, TRUE_SENDER, second - 1, 10).await;
    push_many(&simdeck, FORGER, second, 20_000).await;
    let asked = ask_beside(&simdeck, "/v1/retract", json!({"datePush": second}));
    begun(&simdeck, "retracted").await;
    let folder = simdeck.folder();
    drop(simdeck);
    assert!(!asked.await.unwrap(), "it had ended before it was killed");

    let simdeck = Simdeck::start_in(folder, &MOVED);
    ended(&simdeck, "/v1/retractions").await;
    assert_eq!(count(&simdeck, second).await, "0");
    assert_eq!(sums(&simdeck).await, [[45, 10]; 3]);
    let sim = simdeck.get(&format!("/v1/sims/{SIM}")).await;
    let last_seen: jiff::Timestamp = sim["last_seen"].as_str().unwrap().parse().unwrap();
    assert_eq!(last_seen.as_second(), second - 1, "{sim}");
    let rows = simdeck.get("/v1/retractions").await;
    assert_eq!(rows[0]["is_pending"], false, "{rows}");
    assert_eq!(rows[0]["data_usage"], 20_000, "also what went before the kill: {rows}");
    let row = simdeck.get("/v1/audit?action=retract").await[0].clone();
    let told = (&row["outcome"], &row["details"]);
    let counts = "20000 usage records, 0 messages, 0 notifications";
    assert_eq!(told, (&"done".into(), &counts.into()), "{row}");
    simdeck.end();
}

#[tokio::test]
async fn an_erasure_that_was_killed_goes_on_at_the_next_start_whatever_the_time_zone() {
    let simdeck = Simdeck::start(&[]);
    let second = now_s();
    push_many(&simdeck, TRUE_SENDER, second, 20_000).await;
    let other = usage("8944501503181377001", second * 1000, 7, "CN");
    simdeck.push_as(TRUE_SENDER, "data-usage", second, &other).await;
    let asked = ask_beside(&simdeck, "/v1/erase", json!({"giccid": SIM}));
    begun(&simdeck, "erased").await;
    // Once the first records are gone and the sums of the SIM are still there.
    let began = Instant::now();
    while count(&simdeck, second).await == "20001" {
        assert!(began.elapsed() < GUARD, "nothing goes");
    }
    let folder = simdeck.folder();
    drop(simdeck);
    assert!(!asked.await.unwrap(), "it had ended before it was killed");
    // As an upgrade keeps one, and a restore that was cut short leaves others.
    let copies = ["before-7", "restoring", "restoring-wal", "restoring.before-7"]
        .map(|ending| folder.path().join(format!("data/simdeck.db.{ending}")));
    for copy in &copies {
        fs::write(copy, SIM).unwrap();
    }
    let simdeck = Simdeck::start_in(folder, &MOVED);
    for copy in &copies {
        assert!(!copy.exists(), "{}", copy.display());
    }
    ended(&simdeck, "/v1/erasures").await;
    assert_eq!(count(&simdeck, second).await, "1");
    assert_eq!(sums(&simdeck).await, [[7, 1]; 3]);
    let row = simdeck.get("/v1/audit?action=erase").await[0].clone();
    let told = (&row["outcome"], &row["details"]);
    let counts = "20000 usage records, 0 messages, 0 notifications, 0 held pushes";
    assert_eq!(told, (&"done".into(), &counts.into()), "{row}");
    assert_eq!(simdeck.get("/v1/erasures").await[0]["data_usage"], 20_000);
    simdeck.end();
}

#[tokio::test]
async fn a_retraction_that_meets_a_broken_row_does_not_keep_the_server_from_starting() {
    let simdeck = Simdeck::start(&[]);
    let second = now_s();
    let record = usage(SIM, second * 1000, 7, "US");
    for (source, at) in [(FORGER, second - 1), (TRUE_SENDER, second)] {
        simdeck.push_as(source, "data-usage", at, &record).await;
    }
    let database = simdeck.folder().path().join("data/simdeck.db");
    let mut other = SqliteConnectOptions::new().filename(database).connect().await.unwrap();
    sqlx::query("update sim set giccid = '!!'").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    let body = json!({"datePush": second - 1}).to_string();
    assert_eq!(simdeck.send_json(Method::POST, "/v1/retract", &body).await.0, 500);
    let simdeck = simdeck.restart(&[]);
    let rows = simdeck.get("/v1/retractions").await;
    assert_eq!((rows.as_array().unwrap().len(), &rows[0]["is_pending"]), (1, &json!(true)));
    let other = usage("8944501503181377001", second * 1000, 7, "CN");
    assert_eq!(simdeck.push_as(TRUE_SENDER, "data-usage", second, &other).await["stored"], 1);
    simdeck.end();
}

#[tokio::test]
async fn a_retraction_costs_as_much_for_each_record_of_one_sim_as_of_many() {
    let simdeck = Simdeck::start(&[]);
    let mut cost = Vec::new();
    for (nth, records) in [(0, 4_000), (1, 16_000)] {
        let second = now_s() - nth * 100;
        push_many(&simdeck, FORGER, second, records).await;
        let body = json!({"datePush": second}).to_string();
        let before = cpu_ticks(&simdeck);
        let (status, answer) = simdeck.send_json(Method::POST, "/v1/retract", &body).await;
        assert_eq!((status, &answer["data_usage"]), (200, &json!(records)), "{answer}");
        cost.push(cpu_ticks(&simdeck) - before);
    }
    // Four times as many: sixteen times as much, if each were looked for among all. What else runs on
    // the machine takes time and none of the server's own.
    assert!(cost[1] < cost[0].max(1) * 10, "{cost:?}");
    simdeck.end();
}

#[tokio::test]
async fn a_retraction_is_asked_about_by_source_listed_and_lifted() {
    let simdeck = Simdeck::start(&[]);
    let second = now_s();
    let date_push = second.to_string();
    let record = usage(SIM, second * 1000, 7, "CN");
    simdeck.push_as(FORGER, "data-usage", second, &record).await;
    let done = simdeck.run(&["retract", "--date-push", &(second - 5).to_string(), "--yes"]);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(!done.status.success() && said.contains("--force"), "a typo: {said}");
    let body = json!({"datePush": second - 5}).to_string();
    assert_eq!(simdeck.send_json(Method::POST, "/v1/retract", &body).await.0, 404);
    assert_eq!(simdeck.get("/v1/retractions").await, json!([]));

    let asks = terminal(&simdeck, &format!("retract --date-push {date_push}"));
    assert!(asks.contains(&format!("from {FORGER}: 1 usage record")), "{asks}");
    assert!(asks.contains("for good"), "{asks}");
    assert_eq!(count(&simdeck, second).await, "1", "nobody said yes");

    assert!(simdeck.run(&["retract", "--date-push", &date_push, "--yes"]).status.success());
    let body = json!({"datePush": second - 5, "force": true}).to_string();
    let (status, answer) = simdeck.send_json(Method::POST, "/v1/retract", &body).await;
    assert_eq!(status, 200, "{answer}");
    let list = || {
        let done = simdeck.run(&["--output", "json", "retract", "list"]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        serde_json::from_slice::<Value>(&done.stdout).unwrap()
    };
    let listed = list();
    assert_eq!(listed.as_array().unwrap().len(), 2, "{listed}");
    assert_eq!((&listed[0]["id"], &listed[1]["lifted_at"]), (&answer["id"], &Value::Null));

    let again = simdeck.push_as(FORGER, "data-usage", second, &record).await;
    assert_eq!(again["quarantined"], 1, "{again}");
    // What was retracted is not retracted twice, and what lies aside is told.
    let twice = terminal(&simdeck, &format!("retract --date-push {date_push} --yes"));
    assert!(twice.contains("was already retracted at 20"), "{twice}");
    let body = json!({"datePush": second}).to_string();
    let (status, problem) = simdeck.send_json(Method::POST, "/v1/retract", &body).await;
    let detail = problem["detail"].as_str().unwrap();
    assert!(status == 404 && detail.contains("already retracted at 20"), "{problem}");
    let dry = ["retract", "--date-push", &date_push, "--dry-run", "--output", "table"];
    let dry = String::from_utf8(simdeck.run(&dry).stdout).unwrap();
    assert!(dry.contains("1 held push of this second stays held."), "{dry}");
    let sentence = simdeck.get("/v1/attention").await[0]["sentence"].clone();
    assert!(sentence.as_str().unwrap().contains("`datePush` that was retracted"), "{sentence}");
    let id = listed[1]["id"].to_string();
    let lift = ["retract", "lift", "--id", &id];
    assert!(simdeck.run(&lift).status.success());
    let lifted_again = terminal(&simdeck, &lift.join(" "));
    assert!(lifted_again.contains("was already lifted at 20"), "{lifted_again}");
    assert!(list()[1]["lifted_at"].is_string());
    let again = simdeck.push_as(FORGER, "data-usage", second, &record).await;
    assert_eq!(again["stored"], 1, "{again}");
    let simdeck = simdeck.restart(&[]);
    let again = simdeck.push_as(FORGER, "data-usage", second, &record).await;
    assert_eq!(again["duplicates"], 1, "{again}");
    let path = format!("/v1/retractions/{}", answer["id"]);
    assert_eq!(simdeck.ask(Method::DELETE, &path).await.0, 204);
    assert_eq!(simdeck.ask(Method::DELETE, "/v1/retractions/999").await.0, 404);
    simdeck.end();
}

/// What a command says when nobody answers its question.
fn terminal(simdeck: &Simdeck, words: &str) -> String {
    let done = simdeck.run(&words.split(' ').collect::<Vec<_>>());
    assert!(!done.status.success());
    let said = [done.stdout, done.stderr].concat();
    String::from_utf8_lossy(&said).into_owned()
}
