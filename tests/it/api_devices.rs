//! The routers in the query API, and what the tests say RCMS told of them.
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use simdeck::{
    domain::{
        DevicePoll, DeviceState, DeviceStatus, Freshness, Lasting, ListedDevice, Listing,
        ShortText, StatusFacts, StatusSample, Timestamp,
    },
    http::ApiSettings,
};

use crate::api_harness::{ADMIN_KEY, Api, ids, link, problem_of};

pub(crate) fn text(text: &str) -> ShortText {
    ShortText::try_from(text).unwrap()
}

/// A router of which the list tells as little as it may.
pub(crate) fn listed(sn: &str, state: DeviceState) -> ListedDevice {
    ListedDevice {
        sn: sn.parse().unwrap(),
        name: text(""),
        model: text(""),
        group: text(""),
        firmware_version: text(""),
        description: text(""),
        create_time: text(""),
        state,
        extra: None,
    }
}

/// A poll that read the list to its end, where only these were not as they were stored.
pub(crate) fn listing(freshness: Freshness, changed: Vec<ListedDevice>) -> DevicePoll {
    let listing = Listing { is_complete: true, changed, ..Listing::default() };
    DevicePoll {
        freshness,
        rcms_time: None,
        totals: None,
        listing: Some(listing),
        statuses: Vec::new(),
    }
}

pub(crate) fn status(sn: &str, at: Timestamp, facts: StatusFacts, whole: &str) -> DeviceStatus {
    let lasting = Lasting::default();
    let sample = StatusSample { sampled_at: Some(at), facts, whole: whole.into(), lasting };
    DeviceStatus { sn: sn.parse().unwrap(), asked_to: at, samples: vec![sample] }
}

fn online(names: impl IntoIterator<Item = String>) -> Vec<ListedDevice> {
    names.into_iter().map(|name| listed(&name, DeviceState::Online)).collect()
}

/// Two routers: of one RCMS told all that it can, of the other nothing.
async fn api_with_two() -> Api {
    let api = Api::with_rcms().await;
    let freshness = api.freshness();
    let full = ListedDevice {
        name: text("Büro \"1\""),
        model: text("R1510"),
        group: text("=Demo"),
        firmware_version: text("3.1.0"),
        description: text("at the gate"),
        create_time: text("2024-01-02 03:04:05"),
        extra: Some(r#"{"big":12345678901234567890123,"n":1.50}"#.into()),
        ..listed("RT1", DeviceState::Online)
    };
    let facts = StatusFacts {
        system_time: text("Thu Sep 5"),
        device_model: text("R1510-4L"),
        firmware_version: text("3.1.1"),
        uptime: text("12345"),
        ip: text("10.0.0.2"),
        gateway: text(""),
        link_uptime: text("77"),
    };
    let mut poll = listing(freshness, vec![full, listed("RT2", DeviceState::Offline)]);
    poll.statuses = vec![status("RT1", freshness.now, facts, "{}")];
    api.poll(poll).await;
    api
}

#[tokio::test]
async fn a_router_is_shown_with_all_that_rcms_said_of_it() {
    let api = api_with_two().await;
    let now = "2024-09-05T01:30:49.000Z";
    let bare = json!({
        "id": 2,
        "sn": "RT2",
        "name": null,
        "model": null,
        "group": null,
        "firmware_version": null,
        "description": null,
        "create_time": null,
        "state": "offline",
        "state_since": now,
        "listed_at": now,
        "listed": true,
        "status_asked_to": null,
        "status": null,
        "extra": {},
        "url": format!("{}/v1/devices/RT2", api.base),
        "history_url": format!("{}/v1/devices/RT2/history", api.base),
    });
    let whole = api.get("/v1/devices").await.text().await.unwrap();
    // What we do not know is passed on as it was sent, digit for digit.
    assert!(whole.contains(r#""extra":{"big":12345678901234567890123,"n":1.50}"#), "{whole}");
    let mut rows: Vec<Value> = serde_json::from_str(&whole).unwrap();
    assert_eq!(rows[0], bare);
    rows[1].as_object_mut().unwrap().remove("extra");
    let full = json!({
        "id": 1,
        "sn": "RT1",
        "name": "Büro \"1\"",
        "model": "R1510",
        "group": "=Demo",
        "firmware_version": "3.1.0",
        "description": "at the gate",
        "create_time": "2024-01-02 03:04:05",
        "state": "online",
        "state_since": now,
        "listed_at": now,
        "listed": true,
        "status_asked_to": now,
        "status": {
            "as_of": now,
            "sampled_at": now,
            "system": {
                "system_time": "Thu Sep 5",
                "device_model": "R1510-4L",
                "firmware_version": "3.1.1",
                "uptime": "12345",
            },
            "active_link": {"ip": "10.0.0.2", "gateway": null, "link_uptime": "77"},
        },
        "url": format!("{}/v1/devices/RT1", api.base),
        "history_url": format!("{}/v1/devices/RT1/history", api.base),
    });
    assert_eq!(rows[1], full);
    let [one, other] = ["RT1", "RT2"].map(|sn| format!("/v1/devices/{sn}"));
    let one = api.get(&one).await.text().await.unwrap();
    let other = api.get(&other).await.text().await.unwrap();
    // Alone it also tells its SIMs.
    assert_eq!(format!("[{other},{one}]").replace(",\"sims\":[]", ""), whole);
    let index: Value = api.get("/v1").await.json().await.unwrap();
    assert_eq!(index["devices_url"], format!("{}/v1/devices", api.base));
}

#[tokio::test]
async fn a_router_that_is_not_there_is_not_found() {
    let api = api_with_two().await;
    let long = "R".repeat(51);
    for name in ["RT3", "RT_1", "-RT1", "RT%201", "%ff", "R%C3%BC", &long, "summary/history"] {
        let (status, problem) = api.problem(&format!("/v1/devices/{name}")).await;
        let missing = json!([{"resource": "devices", "field": "sn", "code": "missing"}]);
        assert_eq!((status, &problem["errors"]), (404, &missing), "{name}");
    }
    assert_eq!(api.problem("/v1/devices/RT3/history").await.0, 404);
    assert_eq!(api.problem("/v1/devices/RT_1/history").await.0, 404);
}

#[tokio::test]
async fn routers_are_found_by_state_model_group_and_words() {
    let api = api_with_two().await;
    for (query, found) in [
        ("state=online", vec![1]),
        ("state=online,offline", vec![2, 1]),
        ("state=unknown", vec![]),
        ("model=R1510&model=R2000", vec![1]),
        ("model=", vec![2]),
        ("group=%3DDemo", vec![1]),
        ("group=demo", vec![]),
        ("q=gate", vec![1]),
        ("q=RT", vec![2, 1]),
        ("q=gate&state=offline", vec![]),
    ] {
        let rows = api.rows(&format!("/v1/devices?{query}")).await;
        assert_eq!(ids(&rows), found, "{query}");
    }
    for (query, field, hint) in [
        ("state=lost", "state", "one of online, offline, unknown"),
        ("q=", "q", "a text of 1 to 256 characters"),
        ("modle=R1510", "modle", "did you mean `model`?"),
        ("kind=state", "kind", "it takes state, model, group, q, page"),
    ] {
        let (status, problem) = api.problem(&format!("/v1/devices?{query}")).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!(field)), "{query}");
        assert!(problem["detail"].as_str().unwrap().contains(hint), "{problem}");
    }
}

#[tokio::test]
async fn a_state_that_is_too_old_is_unknown_whether_rcms_is_set_up_or_not() {
    for api in [Api::with_rcms().await, Api::new(ApiSettings::default()).await] {
        api.poll(listing(api.freshness(), online(["RT1".to_owned()]))).await;
        api.advance(180);
        assert_eq!(api.rows("/v1/devices").await[0]["state"], "online");
        api.advance(1);
        assert_eq!(api.rows("/v1/devices").await[0]["state"], "unknown");
        assert_eq!(ids(&api.rows("/v1/devices?state=unknown").await), [1]);
        assert!(api.rows("/v1/devices?state=online").await.is_empty());
        let one: Value = api.get("/v1/devices/RT1").await.json().await.unwrap();
        assert_eq!(one["state"], "unknown");
    }
}

#[tokio::test]
async fn a_walk_meets_each_router_once_while_polls_come_in() {
    let api = Api::with_rcms().await;
    let names = |from: usize, to: usize| online((from..to).map(|number| format!("RT{number}")));
    api.poll(listing(api.freshness(), names(0, 25))).await;
    let mut added = 25;
    for start in ["/v1/devices?size=10&state=online", "/v1/devices?cursor=&size=10&state=online"] {
        let expected: Vec<i64> = (1..=added).rev().collect();
        let (mut met, mut url) = (Vec::new(), Some(start.to_owned()));
        while let Some(next) = url {
            let response = api.get(&next).await;
            if !next.contains("cursor") {
                assert_eq!(response.headers()["x-total-count"], "25");
            }
            url = link(&response, "next");
            met.extend(ids(&response.json::<Vec<Value>>().await.unwrap()));
            let number = usize::try_from(added).unwrap();
            api.poll(listing(api.freshness(), names(number, number + 1))).await;
            added += 1;
        }
        assert_eq!(met, expected);
    }
    assert_eq!(added, 31);
    let next = link(&api.get("/v1/devices?cursor=&size=1&state=online").await, "next").unwrap();
    assert_eq!(api.problem(&next.replace("online", "offline")).await.0, 409);
}

#[tokio::test]
async fn routers_are_exported_as_a_table_and_as_lines() {
    let api = api_with_two().await;
    let response = api.get("/v1/devices?format=csv").await;
    assert_eq!(response.headers()["content-disposition"], "attachment; filename=\"devices.csv\"");
    let table = response.text().await.unwrap();
    let now = "2024-09-05T01:30:49.000Z";
    let lines = [
        "id,sn,name,model,group,firmware_version,description,create_time,state,state_since,\
         listed_at,status_asked_to,sampled_at,system_time,system_device_model,\
         system_firmware_version,system_uptime,active_link_ip,active_link_gateway,\
         active_link_link_uptime,extra,as_of,listed"
            .to_owned(),
        format!("2,RT2,,,,,,,offline,{now},{now},,,,,,,,,,{{}},,true"),
        format!(
            "1,RT1,\"Büro \"\"1\"\"\",R1510,'=Demo,3.1.0,at the gate,2024-01-02 03:04:05,online,\
             {now},{now},{now},{now},Thu Sep 5,R1510-4L,3.1.1,12345,10.0.0.2,,77,\
             \"{{\"\"big\"\":12345678901234567890123,\"\"n\"\":1.50}}\",{now},true"
        ),
    ];
    assert_eq!(table.lines().collect::<Vec<_>>(), lines);
    let exported = api.get("/v1/devices?format=ndjson&state=offline").await.text().await.unwrap();
    let exported: Value = serde_json::from_str(&exported).unwrap();
    assert_eq!(vec![exported], api.rows("/v1/devices?state=offline").await);
}

#[tokio::test]
async fn what_came_without_a_time_is_never_said_to_be_of_one() {
    let api = api_with_two().await;
    let without = |word: &str| {
        let mut status = status("RT2", api.freshness().now, StatusFacts::default(), word);
        status.samples[0].sampled_at = None;
        DevicePoll { statuses: vec![status], ..listing(api.freshness(), Vec::new()) }
    };
    api.poll(without("{}")).await;
    api.advance(60);
    api.poll(without(r#"{"up":1}"#)).await;
    let [first, last] = ["2024-09-05T01:30:49.000Z", "2024-09-05T01:31:49.000Z"];
    let one: Value = api.get("/v1/devices/RT2").await.json().await.unwrap();
    let told = (&one["status"]["as_of"], &one["status"]["sampled_at"]);
    assert_eq!(told, (&json!(last), &Value::Null));
    let told = |row: &Value| ["at", "sampled_at", "until", "samples"].map(|name| row[name].clone());
    let rows = api.rows("/v1/devices/RT2/history?kind=status").await;
    assert_eq!(told(&rows[0]), [json!(first), Value::Null, json!(last), json!(2)]);
    let rows = api.rows("/v1/devices/RT1/history").await;
    assert_eq!(told(&rows[0]), [json!(first), json!(first), json!(first), json!(1)]);
    assert_eq!(told(&rows[1]), [json!(first), Value::Null, Value::Null, Value::Null]);
    let table =
        api.get("/v1/devices/RT2/history?kind=status&format=csv").await.text().await.unwrap();
    let mut lines = table.lines();
    assert_eq!(lines.next().unwrap(), "id,at,kind,state,sample,sampled_at,until,samples");
    assert!(lines.next().unwrap().ends_with(&format!("status,,{{}},,{last},2")), "{table}");
    let changes = api.rows("/v1/changes?kind=device&cursor=").await;
    let row = changes.iter().find(|row| row["sn"] == "RT2" && row["what"] == "status").unwrap();
    assert_eq!(told(row), told(&api.rows("/v1/devices/RT2/history?kind=status").await[0]));
}

#[tokio::test]
async fn a_router_that_rcms_lists_no_more_is_forgotten_by_an_admin() {
    let api = api_with_two().await;
    let url = "/v1/devices/RT2";
    let delete = async |api: &Api, key: &str| api.send(Method::DELETE, url, Some(key)).await;
    let (status, problem) = problem_of(delete(&api, ADMIN_KEY).await).await;
    assert_eq!((status, problem["title"].as_str()), (409, Some("Conflict")));
    let gone =
        Listing { is_complete: true, gone: vec!["RT2".parse().unwrap()], ..Listing::default() };
    let poll = listing(api.freshness(), Vec::new());
    api.poll(DevicePoll { listing: Some(gone), ..poll }).await;
    let row: Value = api.get(url).await.json().await.unwrap();
    assert_eq!((&row["listed"], &row["state"]), (&json!(false), &json!("unknown")));
    let key = api.post("/v1/keys", ADMIN_KEY, r#"{"label":"page","scope":"read"}"#).await;
    let key: Value = key.json().await.unwrap();
    assert_eq!(delete(&api, key["key"].as_str().unwrap()).await.status(), 403);
    assert_eq!(delete(&api, ADMIN_KEY).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(delete(&api, ADMIN_KEY).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(api.rows("/v1/devices").await.len(), 1);
    let is_ours = |row: &&(String, String, String)| row.1 == "device.forget";
    assert_eq!(api.audit().await.iter().filter(is_ours).count(), 2, "what was tried is on record");
}

#[tokio::test]
async fn a_group_is_changed_by_an_admin_with_a_name_where_rcms_is_set_up() {
    let api = Api::new(ApiSettings::default()).await;
    let put = async |api: &Api, url: &str, body: &str| {
        problem_of(api.put(url, ADMIN_KEY, body).await).await
    };
    let url = "/v1/devices/RT1/group";
    let long = format!(r#"{{"groupName":"{}"}}"#, "ü".repeat(257));
    for (body, field, code) in [
        ("{}", "groupName", "missing_field"),
        (r#"{"groupName":""}"#, "groupName", "invalid"),
        (r#"{"groupName":7}"#, "groupName", "invalid"),
        (r#"{"groupName":"a\u0007b"}"#, "groupName", "invalid"),
        (&long, "groupName", "invalid"),
        (r#"{"groupName":"Demo","group":"Demo"}"#, "group", "invalid"),
    ] {
        let (status, problem) = put(&api, url, body).await;
        let expected = json!([{"resource": "devices", "field": field, "code": code}]);
        assert_eq!((status, &problem["errors"]), (422, &expected), "{body}");
    }
    let body = r#"{"groupName":"Demo"}"#;
    assert_eq!(put(&api, url, "[]").await.0, 400);
    assert_eq!(put(&api, &format!("{url}?dry=true"), body).await.0, 422);
    assert_eq!(put(&api, "/v1/devices/RT_1/group", body).await.0, 404);
    let (status, problem) = put(&api, url, body).await;
    let detail = problem["detail"].as_str().unwrap();
    assert_eq!((status, problem["title"].as_str()), (409, Some("Conflict")));
    assert!(detail.contains("SIMDECK_RCMS_CLIENT_ID and SIMDECK_RCMS_CLIENT_SECRET"), "{detail}");

    let key = api.post("/v1/keys", ADMIN_KEY, r#"{"label":"page","scope":"read"}"#).await;
    assert_eq!(key.status(), StatusCode::CREATED);
    let key: Value = key.json().await.unwrap();
    let refused = api.put(url, key["key"].as_str().unwrap(), body).await;
    assert_eq!(problem_of(refused).await.0, 403);

    // What was tried is on record, however it ended; what was not even tried is not.
    let device_rows = async |api: &Api| {
        let is_ours = |(_, action, _): &(String, String, String)| action == "device.group";
        api.audit().await.into_iter().filter(is_ours).collect::<Vec<_>>()
    };
    assert!(device_rows(&api).await.is_empty());
    let api = Api::with_rcms().await;
    let (status, problem) = put(&api, url, body).await;
    let row = ["admin", "device.group", "RT1"].map(str::to_owned);
    assert_eq!(device_rows(&api).await, [row.into()]);
    assert_eq!((status, problem["title"].as_str()), (502, Some("Bad Gateway")));
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("SIMDECK_RCMS_ENDPOINT") && !detail.contains("canary"), "{detail}");
}
