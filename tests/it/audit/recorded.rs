//! What is recorded.
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use simdeck::http::ApiSettings;

use crate::{
    api_harness::{ADMIN_KEY, Api, SECOND},
    page::Browser,
};

pub(super) const SIM: &str = "89860012345678901234";
const DAY_S: i64 = 24 * 60 * 60;
/// What should come comes far sooner.
const GUARD: Duration = Duration::from_secs(120);

/// Rows of one action, the newest first.
pub(super) async fn rows_of(api: &Api, action: &str) -> Vec<Value> {
    api.rows(&format!("/v1/audit?action={action}")).await
}

/// The same, once the newest says so.
pub(super) async fn until(api: &Api, action: &str, says: impl Fn(&Value) -> bool) -> Vec<Value> {
    let began = Instant::now();
    loop {
        let rows = rows_of(api, action).await;
        if rows.first().is_some_and(&says) {
            return rows;
        }
        assert!(began.elapsed() < GUARD, "{action}: {rows:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn post(api: &Api, path: &str, body: &str) -> Value {
    let answer = api.post(path, ADMIN_KEY, body).await;
    assert!(answer.status().is_success(), "{path}: {answer:?}");
    answer.json().await.unwrap()
}

async fn quarantined(api: &Api, nth: i64) -> i64 {
    api.push("data-usage", &format!(r#""data_usage":{nth}"#)).await;
    api.rows("/v1/held?class=quarantined").await[0]["id"].as_i64().unwrap()
}

async fn retract_erase_and_lift(api: &Api) {
    let second = json!({"datePush": SECOND}).to_string();
    post(api, "/v1/retract", &second).await;
    let erase = json!({"giccid": SIM}).to_string();
    post(api, "/v1/erase", &erase).await;
    let lift = format!("/v1/erasures/{SIM}");
    assert_eq!(api.send(Method::DELETE, &lift, Some(ADMIN_KEY)).await.status(), 204);
}

#[tokio::test]
async fn all_that_changes_something_is_on_record_with_who_from_where_on_what_and_its_end() {
    let api = Api::new(ApiSettings::default()).await;
    let key = post(&api, "/v1/keys", r#"{"label":"ops","scope":"admin"}"#).await;
    let (id, text) = (key["id"].as_i64().unwrap(), key["key"].as_str().unwrap().to_owned());
    api.add_usage(3).await;
    api.put(&format!("/v1/sims/{SIM}"), &text, r#"{"name":"Roof"}"#).await;
    let held = quarantined(&api, 1).await;
    assert_eq!(api.post(&format!("/v1/held/{held}/retry"), &text, "").await.status(), 200);
    let path = format!("/v1/held/{held}");
    assert_eq!(api.send(Method::DELETE, &path, Some(&text)).await.status(), 204);
    quarantined(&api, 2).await;
    post(&api, "/v1/held/discard?reason=field_missing", "").await;
    post(&api, "/v1/prune", "").await;
    let backup = post(&api, "/v1/backup", "").await;
    let file = std::path::Path::new(backup["path"].as_str().unwrap()).file_name().unwrap();
    let row = json!({"giccid": SIM, "data_usage": 5, "start_time": SECOND * 1000}).to_string();
    post(&api, "/v1/import?kind=data-usage&format=ndjson", &row).await;
    post(&api, "/v1/sign-in-links", "").await;
    retract_erase_and_lift(&api).await;
    let revoked = format!("/v1/keys/{id}");
    assert_eq!(api.send(Method::DELETE, &revoked, Some(ADMIN_KEY)).await.status(), 204);

    let hmac = api.rows("/v1/erasures").await[0]["giccid_hmac"].as_str().unwrap().to_owned();
    let taken_in = "1 line: 1 stored, 0 duplicates, 0 refused";
    let expected = [
        ("key.create", "admin", "ops", "done", "admin"),
        ("sim.label", "ops", hmac.as_str(), "done", ""),
        ("held.retry", "ops", &held.to_string(), "failed", "0 stored, 0 duplicates, 1 quarantined"),
        ("held.discard", "ops", &held.to_string(), "done", ""),
        ("held.discard", "admin", "1 of reason=field_missing", "done", "1 discarded"),
        (
            "prune",
            "admin",
            "records",
            "done",
            "0 usage records, 0 messages, 0 notifications, 0 quarantined, 0 stale, 0 refused, 0 audit rows, \
             0 entries of routers, 0 routers",
        ),
        ("backup", "admin", "store", "done", &format!("{}, 3 records", file.to_str().unwrap())),
        ("import", "admin", "data-usage ndjson", "done", taken_in),
        ("sign_in.link", "admin", "", "done", ""),
        (
            "retract",
            "admin",
            "datePush=2024-09-05T01:30:48.000Z",
            "done",
            "3 usage records, 0 messages, 0 notifications",
        ),
        (
            "erase",
            "admin",
            &hmac,
            "done",
            "1 usage record, 0 messages, 0 notifications, 0 held pushes",
        ),
        ("erase.lift", "admin", &hmac, "done", ""),
        ("key.revoke", "admin", &format!("{id} ops"), "done", ""),
    ];
    let expected = expected.map(|(action, who, subject, outcome, details)| {
        [action, who, subject, outcome, details].map(str::to_owned)
    });
    let mut rows = api.rows("/v1/audit").await;
    rows.reverse();
    assert_eq!(rows.iter().map(told).collect::<Vec<_>>(), expected);
    for row in &rows {
        assert_eq!((&row["source"], &row["count"]), (&"127.0.0.1".into(), &1.into()), "{row}");
        assert!(row["at"].as_str().unwrap().starts_with("2024-09-05T"), "{row}");
    }
    let all = Value::from(rows).to_string();
    assert!(!all.contains(SIM) && !all.contains(text_of_key(&key)), "{all}");
    nothing_is_english_on_the_chinese_page(&api).await;
}

/// But for what is named so: keys, lists, forms of files and members of a push.
async fn nothing_is_english_on_the_chinese_page(api: &Api) {
    const NAMES: [&str; 10] = [
        "admin", "ops", "data", "usage", "ndjson", "datePush", "reason", "field", "missing", "SIM",
    ];
    let browser = Browser::with_key(api, ADMIN_KEY).await;
    let page = browser.send(Method::GET, "/audit", "zh").await.text().await.unwrap();
    let (_, table) = page.split_once("<tbody>").unwrap();
    let (table, _) = table.split_once("</tbody>").unwrap();
    for row in table.split("</tr>") {
        let texts = row.split('<').filter_map(|part| part.split_once('>')).map(|(_, text)| text);
        for text in texts.filter(|text| !text.contains(".db") && !text.starts_with("2024")) {
            let words = text.split(|it: char| !it.is_ascii_alphabetic());
            // Shorter ones are parts of digests and of times.
            for word in words.filter(|word| word.len() > 2 && !NAMES.contains(word)) {
                let is_hex = word.bytes().all(|it| it.is_ascii_hexdigit());
                assert!(is_hex, "{word} in {text}: {row}");
            }
        }
    }
}

fn told(row: &Value) -> [String; 5] {
    ["action", "who", "subject", "outcome", "details"]
        .map(|name| row[name].as_str().unwrap_or_default().to_owned())
}

fn text_of_key(key: &Value) -> &str {
    key["key"].as_str().unwrap()
}

#[tokio::test]
async fn what_is_only_looked_at_leaves_no_row_and_an_export_says_who_took_how_many() {
    let api = Api::new(ApiSettings::default()).await;
    api.add_usage(1_500).await;
    for path in [
        "/v1/data-usage",
        "/v1/data-usage?size=100&format=csv",
        "/v1/data-usage?cursor=&size=1000&format=ndjson",
        "/v1/audit",
        "/v1/sims",
        "/v1/status",
    ] {
        assert_eq!(api.get(path).await.status(), 200, "{path}");
    }
    assert_eq!(api.rows("/v1/audit").await, [] as [Value; 0]);
    let path = format!("/v1/data-usage?format=csv&giccid={SIM}&from=1970-01-01T00:00:00Z");
    assert_eq!(api.get(&path).await.text().await.unwrap().lines().count(), 1_501);
    let row = until(&api, "export", |row| row["outcome"] == "done").await.remove(0);
    assert_eq!(row["subject"], "data-usage");
    assert_eq!(row["details"], "1500 rows as csv, filtered by giccid, from");
    assert_eq!(row["who"], "admin");

    // One that breaks off says so.
    api.spoil(2).await;
    assert!(api.get("/v1/data-usage?format=ndjson").await.text().await.is_err());
    let row = until(&api, "export", |row| row["outcome"] != "done").await.remove(0);
    assert_eq!((&row["outcome"], &row["subject"]), (&"failed".into(), &"data-usage".into()));
}

#[tokio::test]
async fn who_comes_in_who_does_not_and_who_goes_is_on_record() {
    let api = Api::new(ApiSettings::default()).await;
    let mut browser = Browser::with_key(&api, ADMIN_KEY).await;
    assert_eq!(browser.post("/sign-out", &[]).await.status(), 303);
    assert_eq!(browser.post("/sign-out", &[]).await.status(), 303, "there is no session any more");
    for _ in 0..3 {
        assert_eq!(browser.sign_in(&[("key", "sd_wrong_secret")]).await.status(), 401);
    }
    for _ in 0..4 {
        let guess = api.send(Method::GET, "/v1/sims", Some("sd_wrong_secret")).await;
        assert_eq!(guess.status(), StatusCode::UNAUTHORIZED);
    }
    let failed = until(&api, "sign_in.failed", |row| row["count"] == 7).await;
    assert_eq!(failed.len(), 1, "one row a source and minute: {failed:?}");
    assert_eq!((&failed[0]["who"], &failed[0]["outcome"]), (&Value::Null, &"refused".into()));
    assert_eq!(failed[0]["source"], "127.0.0.1");
    api.advance(61);
    browser.sign_in(&[("key", "sd_wrong_secret")]).await;
    let failed = until(&api, "sign_in.failed", |row| row["count"] == 1).await;
    assert_eq!(failed.len(), 2);
    for action in ["sign_in", "sign_out"] {
        let rows = rows_of(&api, action).await;
        assert_eq!(rows.len(), 1, "{rows:?}");
        assert_eq!((&rows[0]["who"], &rows[0]["source"]), (&"admin".into(), &"127.0.0.1".into()));
    }
    let all = Value::from(api.rows("/v1/audit").await).to_string();
    assert!(!all.contains("sd_wrong"), "{all}");
}

#[tokio::test]
async fn what_a_person_does_on_the_page_has_the_address_of_the_browser() {
    let api = Api::new(ApiSettings::default()).await;
    let held = quarantined(&api, 1).await;
    let browser = Browser::with_key(&api, ADMIN_KEY).await;
    browser.post(&format!("/held/{held}/retry"), &[]).await;
    let row = rows_of(&api, "held.retry").await.remove(0);
    assert_eq!((&row["who"], &row["source"]), (&"admin".into(), &"127.0.0.1".into()));
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_address_is_that_of_the_client() {
    let trusted_proxies = ["127.0.0.1/32".parse().unwrap()].into();
    for (settings, source) in [
        (ApiSettings { trusted_proxies, ..ApiSettings::default() }, "198.51.100.7"),
        (ApiSettings::default(), "127.0.0.1"),
    ] {
        let api = Api::new(settings).await;
        let made = reqwest::Client::new()
            .post(format!("{}/v1/keys", api.base))
            .header("X-Forwarded-For", "203.0.113.9, 198.51.100.7")
            .bearer_auth(ADMIN_KEY)
            .body(r#"{"label":"ops","scope":"read"}"#);
        assert_eq!(made.send().await.unwrap().status(), 201);
        assert_eq!(rows_of(&api, "key.create").await[0]["source"], source);
    }
}

#[tokio::test]
async fn no_row_names_an_erased_sim_wherever_its_number_stood() {
    let api = Api::new(ApiSettings::default()).await;
    api.add_usage(1).await;
    let label = json!({"label": format!("key of {SIM}"), "scope": "admin"}).to_string();
    let labelled = text_of_key(&post(&api, "/v1/keys", &label).await).to_owned();
    let longer = json!({"label": format!("{SIM}5"), "scope": "read"}).to_string();
    post(&api, "/v1/keys", &longer).await;
    api.put(&format!("/v1/sims/{SIM}"), ADMIN_KEY, r#"{"name":"Roof"}"#).await;
    let erase = json!({"giccid": SIM}).to_string();
    post(&api, "/v1/erase", &erase).await;
    // Nor one that is written afterwards.
    let label = json!({"label": format!("late {SIM}"), "scope": "read"}).to_string();
    post(&api, "/v1/keys", &label).await;
    let hmac = api.rows("/v1/erasures").await[0]["giccid_hmac"].as_str().unwrap().to_owned();
    let subjects: Vec<Value> =
        api.rows("/v1/audit").await.iter().rev().map(|row| row["subject"].clone()).collect();
    let expected = [
        format!("key of {hmac}"),
        format!("{SIM}5"),
        hmac.clone(),
        hmac.clone(),
        format!("late {hmac}"),
    ];
    assert_eq!(subjects, expected.map(Value::from));
    // Nor one of what is done by a key that was called by its number.
    act_by(&api, &labelled).await;
    let rows = api.rows("/v1/audit").await;
    let acted: Vec<&Value> =
        rows.iter().filter(|row| row["who"] == format!("key of {hmac}")).collect();
    let actions: BTreeSet<&str> = acted.iter().map(|row| row["action"].as_str().unwrap()).collect();
    let all = ["erase.lift", "export", "key.create", "prune", "retract", "sign_in", "sim.label"];
    assert_eq!(actions, BTreeSet::from(all), "{rows:?}");
    assert_eq!(acted.len(), all.len(), "one row for both sign-ins: {rows:?}");
    for path in ["/v1/audit", "/v1/keys"] {
        let all = Value::from(api.rows(path).await).to_string().replace(&format!("{SIM}5"), "");
        assert!(!all.contains(SIM), "{path}: {all}");
    }
}

/// What is on record in each of the ways in which a row is written.
async fn act_by(api: &Api, key: &str) {
    let other = "89860012345678900000";
    api.put(&format!("/v1/sims/{other}"), key, r#"{"name":"Gate"}"#).await;
    let bodies = [
        ("/v1/keys", json!({"label": "another", "scope": "read"})),
        ("/v1/prune", Value::Null),
        ("/v1/retract", json!({"datePush": SECOND - 9, "force": true})),
    ];
    for (path, body) in bodies {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = api.post(path, key, &body).await;
        assert!(answer.status().is_success(), "{path}: {answer:?}");
    }
    let path = "/v1/data-usage?format=csv";
    let answer = api.send(Method::GET, path, Some(key)).await;
    assert!(answer.text().await.unwrap().starts_with("id,"));
    until(api, "export", |row| row["outcome"] == "done").await;
    for _ in 0..2 {
        Browser::with_key(api, key).await;
    }
    let lift = format!("/v1/erasures/{SIM}");
    assert_eq!(api.send(Method::DELETE, &lift, Some(key)).await.status(), 204);
}

#[tokio::test]
async fn rows_go_with_a_retention_of_their_own_and_a_clock_alone_takes_none() {
    let api = Api::new(ApiSettings::default()).await;
    api.add_usage(1).await;
    post(&api, "/v1/keys", r#"{"label":"old","scope":"read"}"#).await;
    api.advance(401 * DAY_S);
    let pruned = post(&api, "/v1/prune", "").await;
    assert_eq!(pruned["audit"], 0, "no authentic push confirms this clock");
    let new = (SECOND + 401 * DAY_S) * 1000;
    let members = format!(r#""giccid":"{SIM}","data_usage":5,"start_time":{new}"#);
    api.push_now("data-usage", &members).await;
    // It has to be borne out for a day.
    api.advance(DAY_S);
    api.push_now("data-usage", &members).await;
    let pruned = post(&api, "/v1/prune", "").await;
    assert_eq!(pruned["audit"], 1);
    let actions: Vec<Value> =
        api.rows("/v1/audit").await.iter().map(|row| row["action"].clone()).collect();
    assert_eq!(actions, ["prune", "prune"]);
}
