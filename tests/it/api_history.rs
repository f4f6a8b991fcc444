//! What happened to one router, in the query API.
use serde_json::{Value, json};
use simdeck::domain::{DeviceState, StatusFacts};

use crate::{
    api_devices::{listed, listing, status},
    api_harness::{Api, ids, link},
};

/// `RT1` went off and on again ten seconds apart and told of itself in between; `RT2` is online.
async fn api_with_history() -> Api {
    let api = Api::with_rcms().await;
    let changes = |state| vec![listed("RT1", state), listed("RT2", DeviceState::Online)];
    api.poll(listing(api.freshness(), changes(DeviceState::Online))).await;
    api.advance(10);
    let mut poll = listing(api.freshness(), changes(DeviceState::Offline));
    let whole = r#"{"system":{"uptime":12345678901234567890123},"new":[1.50]}"#;
    poll.statuses = vec![status("RT1", api.freshness().now, StatusFacts::default(), whole)];
    api.poll(poll).await;
    api.advance(10);
    api.poll(listing(api.freshness(), changes(DeviceState::Online))).await;
    api
}

#[tokio::test]
async fn a_history_runs_from_the_newest_entry_to_the_oldest() {
    let api = api_with_history().await;
    let text = api.get("/v1/devices/RT1/history").await.text().await.unwrap();
    let whole = r#""sample":{"system":{"uptime":12345678901234567890123},"new":[1.50]}"#;
    assert!(text.contains(whole), "{text}");
    let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
    let told = |row: &Value| (row["at"].clone(), row["kind"].clone(), row["state"].clone());
    let mut got: Vec<_> = rows.iter().map(told).collect();
    // What one poll learned has no order of its own.
    got[1..3].sort_by_key(|(_, kind, _)| kind.to_string());
    let at =
        |second: u32| json!(format!("2024-09-05T01:{}:{:02}.000Z", 30 + second / 60, second % 60));
    assert_eq!(
        got,
        [
            (at(69), json!("state"), json!("online")),
            (at(59), json!("state"), json!("offline")),
            (at(59), json!("status"), Value::Null),
            (at(49), json!("state"), json!("online")),
        ]
    );
    assert!(ids(&rows).is_sorted_by(|newer, older| newer > older));
    assert!(rows.iter().all(|row| row["sample"].is_null() == (row["kind"] == "state")));
    assert_eq!(api.rows("/v1/devices/RT2/history").await.len(), 1);
}

#[tokio::test]
async fn a_history_is_narrowed_by_kind_and_time() {
    let api = api_with_history().await;
    let count =
        async |query: &str| api.rows(&format!("/v1/devices/RT1/history?{query}")).await.len();
    assert_eq!(count("kind=state").await, 3);
    assert_eq!(count("kind=status").await, 1);
    assert_eq!(count("from=2024-09-05T01:30:59Z").await, 3);
    assert_eq!(count("to=2024-09-05T01:30:59Z").await, 1);
    let both = "kind=state&from=2024-09-05T01:30:59Z&to=2024-09-05T01:31:09Z";
    assert_eq!(count(both).await, 1);
    for (query, field) in [
        ("kind=other", "kind"),
        ("from=today", "from"),
        ("state=online", "state"),
        ("knd=state", "knd"),
    ] {
        let (status, problem) = api.problem(&format!("/v1/devices/RT1/history?{query}")).await;
        let expected = json!([{"resource": "device-history", "field": field, "code": "invalid"}]);
        assert_eq!((status, &problem["errors"]), (422, &expected), "{query}");
    }
    let response = api.get("/v1/devices/RT1/history?format=csv&kind=status").await;
    let name = "attachment; filename=\"device-history.csv\"";
    assert_eq!(response.headers()["content-disposition"], name);
    let table = response.text().await.unwrap();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!((lines.len(), lines[0]), (2, "id,at,kind,state,sample,sampled_at,until,samples"));
    assert!(lines[1].contains(",2024-09-05T01:30:59.000Z,status,,\"{\"\"system"), "{table}");
}

#[tokio::test]
async fn a_walk_through_a_history_stays_with_its_router() {
    let api = api_with_history().await;
    for start in ["/v1/devices/RT1/history?size=1", "/v1/devices/RT1/history?cursor=&size=1"] {
        let expected = ids(&api.rows("/v1/devices/RT1/history?size=100").await);
        let (mut met, mut url) = (Vec::new(), Some(start.to_owned()));
        while let Some(next) = url {
            let response = api.get(&next).await;
            url = link(&response, "next");
            if let Some(next) = &url {
                let here = format!("{}/v1/devices/RT1/history?size=1&", api.base);
                let paged = format!("{}/v1/devices/RT1/history?page=", api.base);
                assert!(next.starts_with(&here) || next.starts_with(&paged), "{next}");
                let (status, problem) = api.problem(&next.replace("RT1", "RT2")).await;
                let field = if start.contains("cursor") { "cursor" } else { "at" };
                assert_eq!((status, &problem["errors"][0]["field"]), (409, &json!(field)));
            }
            met.extend(ids(&response.json::<Vec<Value>>().await.unwrap()));
            // What comes meanwhile moves nothing.
            api.advance(1);
            let state = DeviceState::ALL[met.len() % 2];
            api.poll(listing(api.freshness(), vec![listed("RT1", state)])).await;
        }
        assert_eq!(met, expected);
    }
}
