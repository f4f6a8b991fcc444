//! What a kill or a stop leaves undone of erasures and retractions, and what the next start makes of it.
use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use super::{
    owned::{Lock, RECORDS, TRIED_AGAIN, ask_beside, audited, filled},
    retract::{FORGER, OTHER_SIM, SIM, TRUE_SENDER, usage},
    retract_cut_short::{begun, count, push_many, sums},
    rezone::sql,
};
use crate::server::{Simdeck, now_s, run};

/// What takes so long will not happen, on however busy a machine.
const GUARD: Duration = Duration::from_secs(180);
/// A removal of so many records is killed in its midst.
const MANY: i64 = 8_000;
/// A stop has so long for requests in flight; what comes behind that is short.
const STOP_TIME_MAX: Duration = Duration::from_secs(12);
const NOTHING: &str = "0 usage records, 0 messages, 0 notifications, 0 held pushes";

/// Waits until it is so.
async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < GUARD, "not within {GUARD:?}: {what}");
        tokio::task::yield_now().await;
    }
}

async fn is_pending(simdeck: &Simdeck, list: &str) -> bool {
    simdeck.get(list).await[0]["is_pending"] == true
}

/// The rows of one action, the oldest first: how each ended, and what it says.
async fn told(simdeck: &Simdeck, action: &str) -> Vec<(String, String)> {
    let rows = simdeck.rows(&format!("/v1/audit?action={action}")).await;
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    rows.iter().map(|row| (text(row, "outcome"), text(row, "details"))).collect()
}

async fn connect(folder: &Path) -> SqliteConnection {
    let file = folder.join("data/simdeck.db");
    SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(file)).await.unwrap()
}

/// Whether the database or its log holds these bytes.
fn is_in_files(folder: &Path, text: &str) -> bool {
    ["simdeck.db", "simdeck.db-wal"].iter().any(|name| {
        let bytes = fs::read(folder.join("data").join(name)).unwrap_or_default();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

/// Ends it without a word.
fn kill(simdeck: Simdeck) -> Arc<TempDir> {
    let folder = simdeck.folder();
    drop(simdeck);
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_only_the_list_knows_is_on_record_with_what_it_took() {
    let simdeck = Simdeck::start(&[]);
    let second = now_s();
    push_many(&simdeck, TRUE_SENDER, second, 3).await;
    let folder = simdeck.folder();
    simdeck.end();
    let database = folder.path().join("data/simdeck.db");
    let before = fs::read(&database).unwrap();
    let simdeck = Simdeck::start_in(folder, &[]);
    for sim in [SIM, OTHER_SIM] {
        let erase = json!({"giccid": sim, "force": true}).to_string();
        assert_eq!(simdeck.send_json(Method::POST, "/v1/erase", &erase).await.0, 200);
    }
    let folder = simdeck.folder();
    simdeck.end();
    // As a kill leaves it between a line of the list and the transaction.
    fs::write(&database, before).unwrap();

    let simdeck = Simdeck::start_in(folder, &[]);
    until("the end of both", || async {
        let told = told(&simdeck, "erase").await;
        told.len() == 2 && told.iter().all(|(outcome, _)| outcome == "done")
    })
    .await;
    let rows = simdeck.rows("/v1/audit?action=erase").await;
    let erasures = simdeck.get("/v1/erasures").await.as_array().unwrap().clone();
    let subjects = |of: &[Value], name: &str| {
        let mut all: Vec<String> =
            of.iter().map(|row| row[name].as_str().unwrap().to_owned()).collect();
        all.sort();
        all
    };
    assert_eq!(subjects(&rows, "subject"), subjects(&erasures, "giccid_hmac"));
    assert!(rows.iter().all(|row| row["who"] == "list of erased SIMs"), "{rows:?}");
    let mut details = subjects(&rows, "details");
    details.sort();
    assert_eq!(details, [NOTHING.to_owned(), NOTHING.replacen('0', "3", 1)]);
    assert_eq!(count(&simdeck, second).await, "0");
    let audited_at: Vec<&str> = rows.iter().map(|row| row["at"].as_str().unwrap()).collect();
    let erased_at = erasures[0]["erased_at"].as_str().unwrap();
    assert!(audited_at.iter().all(|at| *at > erased_at), "it is on record when it was done");
    simdeck.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_a_kill_left_unsearched_are_searched_after_the_next_start() {
    let simdeck = Simdeck::start(&[]);
    push_many(&simdeck, TRUE_SENDER, now_s(), 3).await;
    let folder = simdeck.folder();
    simdeck.end();
    // As a page that was cut in two may leave it.
    let junk = format!(
        "pragma secure_delete = off;
         create table junk (text text) strict;
         insert into junk select '{SIM} ' || hex(zeroblob(2000)) from json_each('[1,2,3,4,5,6,7,8,9]');
         drop table junk"
    );
    sql(folder.path(), &junk).await;
    assert!(is_in_files(folder.path(), &format!("{SIM} 000")), "it would find nothing");

    let simdeck = Simdeck::start_in(folder, &[]);
    // Whoever reads keeps the log from being emptied, which comes before the search.
    let mut reader = connect(simdeck.folder().path()).await;
    sqlx::raw_sql("begin; select count(*) from usage").execute(&mut reader).await.unwrap();
    let asked = ask_beside(&simdeck, "/v1/erase", &json!({"giccid": SIM, "force": true}));
    until("the end of the rows", || async {
        told(&simdeck, "erase").await.iter().any(|(outcome, _)| outcome == "done")
    })
    .await;
    assert!(!asked.is_finished());
    let folder = kill(simdeck);
    reader.close().await.unwrap();
    assert!(is_in_files(folder.path(), SIM));

    for _ in 0..2 {
        let simdeck = Simdeck::start_in(Arc::clone(&folder), &[]);
        until("files without the number", || async { !is_in_files(folder.path(), SIM) }).await;
        let mut raw = connect(folder.path()).await;
        let is_noted = "select exists (select 1 from meta where name like 'search_files:%')";
        let began = Instant::now();
        while sqlx::query_scalar::<_, bool>(is_noted).fetch_one(&mut raw).await.unwrap() {
            assert!(began.elapsed() < GUARD, "the search is still noted");
        }
        raw.close().await.unwrap();
        simdeck.end();
    }
}

/// Kills a removal in its midst; the next start answers and takes pushes while it goes on.
async fn goes_on_beside_pushes(path: &str, kind: &str, list: &str, body: impl Fn(i64) -> Value) {
    let simdeck = Simdeck::start(&[]);
    let second = now_s();
    push_many(&simdeck, FORGER, second, MANY).await;
    let other = |nth: i64| usage(OTHER_SIM, second * 1000 - nth, 7, "CN");
    simdeck.push_as(TRUE_SENDER, "data-usage", second - 1, &other(0)).await;
    drop(ask_beside(&simdeck, path, &body(second)));
    begun(&simdeck, kind).await;
    let folder = kill(simdeck);

    let began = Instant::now();
    let simdeck = Simdeck::start_in(folder, &[]);
    assert!(is_pending(&simdeck, list).await, "it was done before {:?}", began.elapsed());
    let (mut before, mut pushed, mut looks) = (MANY + 1, 1, 0);
    loop {
        let goes_on = is_pending(&simdeck, list).await;
        let [by_group, by_country, by_sim] = sums(&simdeck).await[..] else { panic!() };
        let left = by_group[1] - (pushed - 1);
        assert!(left <= before, "{left} are left of {before}");
        if !goes_on {
            assert_eq!([by_group, by_country, by_sim], [[pushed * 7, pushed]; 3]);
            break;
        }
        before = left;
        let answer = simdeck.push_as(TRUE_SENDER, "data-usage", second - 1, &other(pushed)).await;
        assert_eq!(answer["stored"], 1, "{answer}");
        let forged = usage(SIM, second * 1000 - 30_000 - pushed, 1, "US");
        let answer = simdeck.push_as(FORGER, "data-usage", second, &forged).await;
        assert_eq!(answer["stored"], 0, "what goes comes in again: {answer}");
        (pushed, looks) = (pushed + 1, looks + 1);
        assert!(began.elapsed() < GUARD, "it does not end");
    }
    assert!(looks > 2, "{looks}");
    let told = told(&simdeck, kind_of_action(kind)).await;
    assert!(
        told[0].0 == "done" && told[0].1.starts_with(&format!("{MANY} usage records")),
        "{told:?}"
    );
    simdeck.end();
}

fn kind_of_action(kind: &str) -> &'static str {
    if kind == "erased" { "erase" } else { "retract" }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_a_long_retraction_listens_at_once_and_goes_on_with_it() {
    let body = |second| json!({"datePush": second});
    goes_on_beside_pushes("/v1/retract", "retracted", "/v1/retractions", body).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_a_long_erasure_listens_at_once_and_goes_on_with_it() {
    let body = |_| json!({"giccid": SIM, "force": true});
    goes_on_beside_pushes("/v1/erase", "erased", "/v1/erasures", body).await;
}

/// Asks twice for a removal and kills the server in its midst.
async fn ends_both_rows(path: &str, action: &str, list: &str, body: Value) {
    let (simdeck, second) = filled().await;
    let body = if body.is_null() { json!({"datePush": second}) } else { body };
    for asked in 1..=2 {
        drop(ask_beside(&simdeck, path, &body));
        until("a row that says so", || async { told(&simdeck, action).await.len() == asked }).await;
    }
    let folder = kill(simdeck);
    let row = "insert into audit (at_ms, who, action, target, outcome)
        values (1725499848123, 'admin', 'import', 'mo-sms csv', 'begun')";
    sql(folder.path(), row).await;
    let simdeck = Simdeck::start_in(folder, &[]);
    let (outcome, details) = told(&simdeck, "import").await.remove(0);
    assert!(outcome == "failed" && details.starts_with("cut short"), "{outcome}: {details}");
    until("its end", || async { !is_pending(&simdeck, list).await }).await;
    let told = told(&simdeck, action).await;
    assert!(told.iter().all(|(outcome, _)| outcome == "done"), "{told:?}");
    assert_eq!(told[0].1, "done by another request for the same");
    assert_eq!(count(&simdeck, second).await, "0");
    simdeck.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_retraction_that_was_asked_for_twice_no_row_stays_begun_after_a_kill() {
    ends_both_rows("/v1/retract", "retract", "/v1/retractions", Value::Null).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_erasure_that_was_asked_for_twice_no_row_stays_begun_after_a_kill() {
    ends_both_rows("/v1/erase", "erase", "/v1/erasures", json!({"giccid": SIM, "force": true}))
        .await;
}

#[tokio::test]
async fn a_restored_copy_says_of_itself_that_it_was_made() {
    let simdeck = Simdeck::start(&[]);
    let (status, made) = simdeck.send_json(Method::POST, "/v1/backup", "").await;
    assert_eq!(status, 200, "{made}");
    let folder = simdeck.folder();
    simdeck.end();
    let nowhere = "127.0.0.1:0";
    let restored =
        run(folder.path(), nowhere, nowhere, &["restore", made["path"].as_str().unwrap()]);
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    let simdeck = Simdeck::start_in(folder, &[]);
    assert_eq!(told(&simdeck, "backup").await, [("done".to_owned(), "this copy".to_owned())]);
    simdeck.end();
}

/// Stops the server in the midst of a removal; says how long that took.
async fn stops_in_the_midst(path: &str, action: &str, list: &str, is_locked: bool) {
    let (mut simdeck, second) = filled().await;
    let body = if action == "erase" {
        json!({"giccid": SIM, "force": true})
    } else {
        json!({"datePush": second})
    };
    let asked = ask_beside(&simdeck, path, &body);
    assert_eq!(audited(&simdeck, action).await["outcome"], "begun");
    let lock = if is_locked { Some(Lock::take(&simdeck).await) } else { None };
    if is_locked {
        simdeck.says(TRIED_AGAIN);
    }
    let folder = simdeck.folder();
    let began = Instant::now();
    simdeck.signal_term();
    tokio::task::spawn_blocking(move || simdeck.ended()).await.unwrap();
    let (took, most) = (began.elapsed(), if is_locked { STOP_TIME_MAX } else { STOP_TIME_MAX / 2 });
    assert!(took < most, "the stop took {took:?}");
    let (status, answer) = asked.await.unwrap();
    assert_eq!((status, &answer["detail"]), (503, &json!("simdeck is stopping")), "{answer}");
    if let Some(lock) = lock {
        lock.release().await;
    }
    let simdeck = Simdeck::start_in(folder, &[]);
    until("its end", || async { !is_pending(&simdeck, list).await }).await;
    let (outcome, details) = told(&simdeck, action).await.remove(0);
    assert!(outcome == "done" && details.starts_with(&format!("{RECORDS} usage")), "{details}");
    assert_eq!(count(&simdeck, second).await, "0");
    simdeck.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_a_removal() {
    stops_in_the_midst("/v1/retract", "retract", "/v1/retractions", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_the_lock_that_holds_a_removal() {
    stops_in_the_midst("/v1/erase", "erase", "/v1/erasures", true).await;
}
