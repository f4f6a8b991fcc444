//! What goes by age or because somebody asked for it, as the internal listener tells of it.
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use simdeck::http::ApiSettings;

use crate::api_harness::{ADMIN_KEY, Api, SECOND, ids, link, problem_of};

pub(crate) const GICCID: &str = "89860012345678901234";
/// SHA-256 of its digits.
const HASH: &str = "c1939c9e49aded6cc84c0d1c7209778f3cd9af12b63f11e118edab9f0772dee7";
pub(crate) const DAY_S: i64 = 86_400;

async fn api() -> Api {
    Api::new(ApiSettings::default()).await
}

pub(crate) async fn done(api: &Api, path: &str, body: &str) -> Value {
    let response = api.post(path, ADMIN_KEY, body).await;
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    response.json().await.unwrap()
}

/// A record of the test's own second, and one of 401 days later.
pub(crate) async fn old_and_new(api: &Api) {
    api.add_usage(3).await;
    api.advance_far(401 * DAY_S).await;
    let new = (SECOND + 401 * DAY_S) * 1000;
    let members = format!(r#""giccid":"{GICCID}","data_usage":5,"start_time":{new}"#);
    api.push_now("data-usage", &members).await;
}

#[tokio::test]
async fn a_prune_takes_old_records_is_audited_and_leaves_counts_right() {
    let api = api().await;
    old_and_new(&api).await;
    let pruned = done(&api, "/v1/prune", "").await;
    let gone = json!({
        "data_usage": 3, "mo_sms": 0, "notifications": 0, "quarantined": 0, "stale": 0, "refused": 0,
        "audit": 0, "device_history": 0, "devices": 0,
    });
    assert_eq!(pruned, gone);
    let response = api.get("/v1/data-usage").await;
    assert_eq!(response.headers()["x-total-count"], "1");
    assert_eq!(response.json::<Vec<Value>>().await.unwrap().len(), 1);
    assert_eq!(api.rows("/v1/data-usage/aggregate?interval=none").await[0]["records"], 4);
    let audit = api.audit().await;
    assert_eq!(audit, [("admin".to_owned(), "prune".to_owned(), "records".to_owned())]);
}

#[tokio::test]
async fn a_sum_that_only_pruned_records_could_answer_is_a_conflict_that_says_from_when_on() {
    let api = api().await;
    old_and_new(&api).await;
    let question = "/v1/data-usage/aggregate?interval=none&group_by=giccid,apn";
    assert_eq!(api.rows(question).await[0]["records"], 4);
    done(&api, "/v1/prune", "").await;
    let (status, problem) = api.problem(question).await;
    assert_eq!(status, 409);
    let error = json!([{"resource": "data-usage", "field": "from", "code": "invalid"}]);
    assert_eq!(problem["errors"], error);
    let detail = problem["detail"].as_str().unwrap();
    let (_, from) = detail.split_once("Ask from ").unwrap();
    let (from, _) = from.split_once(' ').unwrap();
    let rows = api.rows(&format!("{question}&from={from}")).await;
    assert_eq!((rows.len(), &rows[0]["data_usage"]), (1, &json!(5)));
    // Sums by SIM are kept.
    let by_sim = "/v1/data-usage/aggregate?interval=none&group_by=giccid";
    assert_eq!(api.rows(by_sim).await[0]["records"], 4);
}

#[tokio::test]
async fn a_follower_whose_next_rows_were_pruned_is_sent_back_to_the_start() {
    let api = api().await;
    old_and_new(&api).await;
    let behind = link(&api.get("/v1/changes?size=1").await, "next").unwrap();
    let ahead = link(&api.get("/v1/changes?size=1000").await, "next").unwrap();
    done(&api, "/v1/prune", "").await;
    let (status, problem) = api.problem(&behind).await;
    assert_eq!((status, &problem["errors"][0]["field"]), (409, &json!("cursor")));
    assert!(problem["detail"].as_str().unwrap().contains("pruned"));
    // Once told, it goes on where it was, and misses nothing that is kept.
    let refused = api.try_get(&behind).await.unwrap();
    let told = link(&refused, "next").unwrap();
    assert_ne!(told, behind);
    assert_eq!(api.rows(&told).await, api.rows("/v1/changes").await);
    assert_eq!(api.rows(&ahead).await, [] as [Value; 0]);
    let anew = api.get("/v1/changes?size=1").await;
    let next = link(&anew, "next").unwrap();
    assert_eq!(anew.json::<Vec<Value>>().await.unwrap().len(), 1);
    assert_eq!(api.rows(&next).await, [] as [Value; 0]);
}

#[tokio::test]
async fn an_erased_sim_leaves_a_tombstone_and_stays_away() {
    let api = api().await;
    api.add_usage(3).await;
    let other = r#""giccid":"89860012345678901235","data_usage":7,"start_time":1725499848000"#;
    api.push("data-usage", other).await;
    api.put(&format!("/v1/sims/{GICCID}"), ADMIN_KEY, r#"{"name":"Roof"}"#).await;
    let erased = done(&api, "/v1/erase", &json!({"giccid": GICCID}).to_string()).await;
    assert_eq!(erased["data_usage"], 3);
    assert_eq!(erased["is_in_no_file"], true);
    api.add_usage(2).await;

    let rows = api.rows("/v1/changes").await;
    let keyed = rows[1]["giccid_hmac"].as_str().unwrap();
    let tombstone = json!({
        "kind": "erased", "id": erased["id"], "giccid_sha256": HASH, "giccid_hmac": keyed,
    });
    assert!(keyed.len() == 64 && keyed != HASH);
    let known: Value = api.get(&format!("/v1/erasures/{GICCID}")).await.json().await.unwrap();
    assert_eq!(known["giccid_hmac"], keyed);
    assert_eq!(&rows[1..], std::slice::from_ref(&tombstone));
    assert_eq!(api.rows("/v1/changes?kind=erased").await, [tombstone]);
    assert_eq!(api.rows("/v1/changes?kind=data-usage").await.len(), 1);
    assert_eq!(ids(&api.rows("/v1/data-usage").await), ids(&rows[..1]));
    assert_eq!(api.rows("/v1/data-usage/aggregate?interval=none").await[0]["data_usage"], 7);
    assert_eq!(api.problem(&format!("/v1/sims/{GICCID}")).await.0, 404);
    assert_eq!(api.rows(&format!("/v1/search?q={GICCID}")).await, [] as [Value; 0]);
    let status: Value = api.get("/v1/status").await.json().await.unwrap();
    assert_eq!(status["erased"], json!({"sims": 1, "came_again": 2}));
    let audit = api.audit().await;
    let about = |what: &str| {
        let row = audit.iter().find(|(_, action, _)| action == what);
        row.map(|(_, _, target)| target.clone())
    };
    assert_eq!(about("erase").as_deref(), Some(keyed));
    assert_eq!(about("sim.label").as_deref(), Some(keyed));
    let again = api.put(&format!("/v1/sims/{GICCID}"), ADMIN_KEY, r#"{"name":"Roof"}"#).await;
    assert_eq!(problem_of(again).await.0, 404);
}

#[tokio::test]
async fn what_is_no_number_of_a_sim_is_not_erased() {
    let api = api().await;
    for body in [r#"{"giccid":"123"}"#, "{}", r#"{"giccid":"89860012345678901234","a":1}"#] {
        let response = api.post("/v1/erase", ADMIN_KEY, body).await;
        assert_eq!(problem_of(response).await.0, 422, "{body}");
    }
    let unknown = json!({"giccid": GICCID}).to_string();
    assert_eq!(problem_of(api.post("/v1/erase", ADMIN_KEY, &unknown).await).await.0, 404);
    assert_eq!(api.post("/v1/erase", ADMIN_KEY, "[]").await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(api.rows("/v1/changes").await, [] as [Value; 0]);
}

#[tokio::test]
async fn a_sim_is_shown_before_it_is_erased_and_a_lift_is_audited() {
    let api = api().await;
    api.add_usage(3).await;
    api.put(&format!("/v1/sims/{GICCID}"), ADMIN_KEY, r#"{"name":"Roof"}"#).await;
    let path = format!("/v1/erasures/{GICCID}");
    let there: Value = api.get(&path).await.json().await.unwrap();
    assert_eq!((&there["data_usage"], &there["name"]), (&3.into(), &"Roof".into()));
    assert_eq!(there["is_known"], true);
    assert!(there["first_record_at"].as_str() <= there["last_record_at"].as_str());
    let of_other: Value = api.get("/v1/erasures/89860012345678901235").await.json().await.unwrap();
    assert_eq!(of_other["is_known"], false);

    done(&api, "/v1/erase", &json!({"giccid": GICCID}).to_string()).await;
    assert_eq!(api.rows("/v1/erasures").await[0]["giccid_sha256"], HASH);
    let lift = async || api.send(Method::DELETE, &path, Some(ADMIN_KEY)).await;
    assert_eq!(lift().await.status(), StatusCode::NO_CONTENT);
    assert_eq!(problem_of(lift().await).await.0, 404);
    let audit = api.audit().await;
    let lift = audit.iter().find(|(_, action, _)| action == "erase.lift");
    assert_eq!(
        lift.map(|(_, _, target)| Value::from(&**target)),
        Some(there["giccid_hmac"].clone())
    );
    api.add_usage(2).await;
    assert_eq!(api.rows("/v1/data-usage").await.len(), 2);
    let status: Value = api.get("/v1/status").await.json().await.unwrap();
    assert_eq!(status["erased"], json!({"sims": 0, "came_again": 0}));
}

#[tokio::test]
async fn notifications_that_name_only_its_imsi_go_with_a_sim_unless_another_has_it_too() {
    let api = api().await;
    let usage = |giccid: &str, imsi: &str| {
        format!(r#""giccid":"{giccid}","imsi":"{imsi}","data_usage":1,"start_time":1725499848000"#)
    };
    let other = "89860012345678901235";
    for (giccid, imsi) in
        [(GICCID, "460001234567891"), (GICCID, "460001234567892"), (other, "460001234567892")]
    {
        api.push("data-usage", &usage(giccid, imsi)).await;
    }
    for (nth, imsi) in ["460001234567891", "460001234567892", "460001234567893"].iter().enumerate()
    {
        api.push("sim-status", &format!(r#""imsi":"{imsi}","status":"ACTIVE","nth":{nth}"#)).await;
    }
    let both = format!(r#""imsi":"460001234567891","iccid":"{other}","status":"ACTIVE""#);
    api.push("sim-status", &both).await;
    let erased = done(&api, "/v1/erase", &json!({"giccid": GICCID}).to_string()).await;
    assert_eq!(erased["notifications"], 1);
    assert!(!erased["not_looked_for"].as_array().unwrap().is_empty());
    assert_eq!(api.rows("/v1/notifications").await.len(), 3);
}

#[tokio::test]
async fn a_backup_is_made_and_told_and_audited() {
    let api = api().await;
    api.add_usage(3).await;
    let backup = done(&api, "/v1/backup", "").await;
    assert_eq!(backup["records"], 3);
    let path = std::path::PathBuf::from(backup["path"].as_str().unwrap());
    assert_eq!(path.metadata().unwrap().len(), backup["bytes"].as_u64().unwrap());
    let audit = api.audit().await;
    assert_eq!(audit, [("admin".to_owned(), "backup".to_owned(), "store".to_owned())]);
}

#[tokio::test]
async fn a_key_that_may_only_look_takes_nothing_away() {
    let api = api().await;
    let made = api.post("/v1/keys", ADMIN_KEY, r#"{"label":"grafana","scope":"read"}"#).await;
    let made: Value = made.json().await.unwrap();
    let key = made["key"].as_str().unwrap();
    api.add_usage(1).await;
    let erase = json!({"giccid": GICCID}).to_string();
    for (path, body) in [("/v1/prune", ""), ("/v1/erase", &erase), ("/v1/backup", "")] {
        assert_eq!(problem_of(api.post(path, key, body).await).await.0, 403, "{path}");
        assert_eq!(problem_of(api.post(path, "sd_wrong", body).await).await.0, 401, "{path}");
    }
    assert_eq!(api.rows("/v1/data-usage").await.len(), 1);
}

#[tokio::test]
async fn the_status_tells_how_the_disk_stands() {
    let api = api().await;
    let status: Value = api.get("/v1/status").await.json().await.unwrap();
    let disk = &status["disk"];
    assert!(disk["free_bytes"].as_u64().unwrap() > 0);
    assert!(disk["database_bytes"].as_u64().unwrap() > 0);
    assert_eq!(disk["full_at"], Value::Null);
}

#[tokio::test]
async fn no_label_of_a_key_and_no_name_of_another_sim_holds_an_erased_number() {
    const OTHER: &str = "89860012345678901235";
    let api = api().await;
    api.add_usage(1).await;
    let label = |nth: usize| format!(r#"{{"label":"{nth} for {GICCID}","scope":"read"}}"#);
    let name = format!(r#"{{"name":"beside {GICCID}"}}"#);
    let path = format!("/v1/sims/{OTHER}");
    let say = async |nth| {
        api.post("/v1/keys", ADMIN_KEY, &label(nth)).await;
        api.put(&path, ADMIN_KEY, &name).await;
    };
    say(1).await;
    assert!(json!(api.rows("/v1/keys").await).to_string().contains(GICCID));
    let erased = done(&api, "/v1/erase", &json!({"giccid": GICCID}).to_string()).await;
    assert_eq!(erased["is_in_no_file"], true);
    // Nor do those that are given later.
    for nth in [2, 3] {
        let keyed = api.rows("/v1/erasures").await[0]["giccid_hmac"].as_str().unwrap().to_owned();
        let keys = json!(api.rows("/v1/keys").await).to_string();
        let named: Value = api.get(&path).await.json().await.unwrap();
        assert!(!keys.contains(GICCID) && keys.contains(&format!("for {keyed}")), "{keys}");
        assert_eq!(named["name"], format!("beside {keyed}"));
        say(nth).await;
    }
}
