//! A row says what the answer said: how it ended, by whom, and how often.
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use simdeck::http::ApiSettings;

use super::recorded::{SIM, rows_of, until};
use crate::{
    api_harness::{ADMIN_KEY, Api},
    commands::stdout,
    server::{Simdeck, now_s, signed, usage},
};

#[tokio::test]
async fn a_change_that_is_answered_404_is_not_on_record_as_done() {
    let api = Api::new(ApiSettings::default()).await;
    let unknown = "89860012345678900000";
    for body in [r#"{"name":null}"#, r#"{"device_sn":null}"#] {
        let path = format!("/v1/sims/{unknown}");
        let answer = api.put(&path, ADMIN_KEY, body).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    }
    // An erased SIM takes no name.
    api.add_usage(1).await;
    let erase = json!({"giccid": SIM}).to_string();
    assert_eq!(api.post("/v1/erase", ADMIN_KEY, &erase).await.status(), 200);
    let path = format!("/v1/sims/{SIM}");
    let answer = api.put(&path, ADMIN_KEY, r#"{"name":"Roof"}"#).await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    for (method, path) in [
        (Method::DELETE, "/v1/held/999"),
        (Method::POST, "/v1/held/999/retry"),
        (Method::DELETE, "/v1/keys/999"),
        (Method::DELETE, "/v1/erasures/89860012345678900000"),
        (Method::DELETE, "/v1/retractions/999"),
    ] {
        let answer = api.send(method, path, Some(ADMIN_KEY)).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let labels = rows_of(&api, "sim.label").await;
    assert_eq!(labels.len(), 3, "{labels:?}");
    for row in &labels {
        assert_eq!((&row["outcome"], &row["count"]), (&"failed".into(), &1.into()), "{row}");
    }
    let hmac = api.rows("/v1/erasures").await[0]["giccid_hmac"].clone();
    assert_eq!((&labels[0]["subject"], &labels[1]["subject"]), (&hmac, &unknown.into()));
    let done: Vec<Value> = api.rows("/v1/audit").await;
    let done = done.iter().filter(|row| row["outcome"] == "done").map(|row| row["action"].clone());
    assert_eq!(done.collect::<Vec<_>>(), ["erase"]);
}

#[tokio::test]
async fn a_key_that_asks_for_what_it_does_not_allow_is_on_record_once_and_counted() {
    let api = Api::new(ApiSettings::default()).await;
    let wanted = json!({"label": "eyes", "scope": "read"}).to_string();
    let made: Value = api.post("/v1/keys", ADMIN_KEY, &wanted).await.json().await.unwrap();
    let key = made["key"].as_str().unwrap().to_owned();
    for id in [1, 2, 3] {
        let path = format!("/v1/erasures/8986001234567890000{id}");
        assert_eq!(api.send(Method::GET, &path, Some(&key)).await.status(), 403);
    }
    assert_eq!(api.send(Method::GET, "/v1/audit", Some(&key)).await.status(), 403);
    assert_eq!(api.post("/v1/keys", &key, &wanted).await.status(), 403);
    // They are written one after another, in any order, behind the row of the key.
    until(&api, "forbidden", |row| row["id"] == 4).await;
    let mut rows = rows_of(&api, "forbidden").await;
    rows.sort_by_key(|row| row["subject"].to_string());
    let told: Vec<_> = rows
        .iter()
        .map(|row| {
            let text = |name: &str| row[name].as_str().unwrap().to_owned();
            [
                text("who"),
                text("source"),
                text("subject"),
                text("outcome"),
                row["count"].to_string(),
            ]
        })
        .collect();
    let expected =
        [("GET /v1/audit", "1"), ("GET /v1/erasures/{giccid}", "3"), ("POST /v1/keys", "1")].map(
            |(subject, count)| ["eyes", "127.0.0.1", subject, "refused", count].map(str::to_owned),
        );
    assert_eq!(told, expected);
}

#[tokio::test]
async fn exports_of_one_list_by_one_key_are_one_row_whatever_they_ask_for() {
    let api = Api::new(ApiSettings::default()).await;
    api.add_usage(7).await;
    for (nth, query) in
        ["from=1970-01-01T00:00:00Z", "from=1970-01-02T00:00:00Z", "to=2100-01-01T00:00:00Z", ""]
            .into_iter()
            .enumerate()
    {
        let path = format!("/v1/data-usage?format=csv&{query}");
        assert_eq!(api.get(&path).await.text().await.unwrap().lines().count(), 8);
        let rows = until(&api, "export", |row| row["count"] == nth + 1).await;
        assert_eq!(rows.len(), 1, "{rows:?}");
    }
    let row = rows_of(&api, "export").await.remove(0);
    assert_eq!((&row["details"], &row["outcome"]), (&"28 rows as csv".into(), &"done".into()));
    api.get("/v1/sims?format=csv").await.text().await.unwrap();
    let rows = until(&api, "export", |row| row["subject"] == "sims").await;
    assert_eq!(rows.len(), 2, "another list is another row: {rows:?}");
    assert_eq!(rows[0]["details"], "1 row as csv");
}

#[tokio::test]
async fn what_is_discarded_by_a_filter_is_on_record_with_its_count() {
    let api = Api::new(ApiSettings::default()).await;
    for nth in 0..3 {
        api.push("data-usage", &format!(r#""data_usage":{nth}"#)).await;
    }
    let path = "/v1/held/discard?reason=field_missing";
    assert_eq!(api.post(path, ADMIN_KEY, "").await.status(), 200);
    let row = rows_of(&api, "held.discard").await.remove(0);
    let subject = "3 of reason=field_missing";
    assert_eq!((&row["subject"], &row["details"]), (&subject.into(), &"3 discarded".into()));
}

#[tokio::test]
async fn a_command_on_a_stopped_server_is_the_command_line() {
    let simdeck = Simdeck::start(&[]);
    simdeck.push("data-usage", signed(&usage(SIM))).await;
    let folder = simdeck.folder();
    simdeck.end();
    let run = |args: &[&str]| {
        stdout(&crate::server::run(folder.path(), "127.0.0.1:0", "127.0.0.1:0", args));
    };
    run(&["prune"]);
    run(&["erase", "--giccid", SIM, "--yes"]);
    let simdeck = Simdeck::start_in(folder, &[]);
    for action in ["prune", "erase"] {
        let row = simdeck.get(&format!("/v1/audit?action={action}")).await[0].clone();
        assert_eq!((&row["who"], &row["source"]), (&"command line".into(), &Value::Null), "{row}");
    }
    simdeck.end();
}

#[tokio::test]
async fn a_change_of_time_zone_is_on_record_when_it_is_done_and_when_it_is_given_up() {
    let simdeck = Simdeck::start(&[]);
    let records: Vec<String> = (0..300)
        .map(|nth| {
            let start_ms = now_s() * 1000 - nth;
            format!(r#"{{"giccid":"{SIM}","data_usage":1,"start_time":{start_ms}}}"#)
        })
        .collect();
    let body = signed(&format!(r#""rows":[{}]"#, records.join(",")));
    assert_eq!(simdeck.push("data-usage", body).await, (300, 0, 0));
    let simdeck = {
        let mut simdeck = simdeck.restart(&[("SIMDECK_TIME_ZONE", "Asia/Shanghai")]);
        simdeck.says("Sums by day now go by the new time zone");
        simdeck
    };
    let row = simdeck.get("/v1/audit?action=rebuild").await[0].clone();
    assert_eq!((&row["who"], &row["outcome"]), (&"simdeck".into(), &"done".into()), "{row}");
    let (subject, details) = (&row["subject"], &row["details"]);
    assert_eq!((subject, details), (&"Asia/Shanghai".into(), &"instead of UTC".into()), "{row}");

    let folder = simdeck.folder();
    simdeck.end();
    let stops = "create trigger ends before insert on meta when new.name = 'rebuild'
        and new.value ->> 'id' >= 100 begin select raise(abort, 'ended'); end";
    crate::front::rezone::sql(folder.path(), stops).await;
    let tokyo = [("SIMDECK_TIME_ZONE", "Asia/Tokyo")];
    let mut simdeck = Simdeck::start_in(folder.clone(), &tokyo);
    simdeck.wait_for("is tried again");
    assert_eq!(simdeck.get("/v1/status").await["time_zone"]["given_up"], Value::Null);
    let simdeck = simdeck.restart(&[]);
    let zone = simdeck.get("/v1/status").await["time_zone"].clone();
    let told = (&zone["name"], &zone["next"], &zone["given_up"]);
    assert_eq!(told, (&"Asia/Shanghai".into(), &Value::Null, &"Asia/Tokyo".into()), "{zone}");
    let row = simdeck.get("/v1/audit?action=rebuild").await[0].clone();
    assert_eq!((&row["subject"], &row["outcome"]), (&"Asia/Tokyo".into(), &"failed".into()));
    assert!(row["details"].as_str().unwrap().starts_with("given up"), "{row}");
    let log = simdeck.end();
    assert!(log.contains("is given up: set SIMDECK_TIME_ZONE"), "{log}");

    // Once it is asked for again, and done, nothing is said of it.
    crate::front::rezone::sql(folder.path(), "drop trigger ends").await;
    let mut simdeck = Simdeck::start_in(folder.clone(), &tokyo);
    simdeck.says("Sums by day now go by the new time zone");
    assert_eq!(simdeck.get("/v1/status").await["time_zone"]["given_up"], Value::Null);
    simdeck.end();
}
