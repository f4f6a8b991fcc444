//! The page's six figures, by the front door.
use serde_json::{Value, json};
use simdeck::{
    domain::{DeviceState, PollCall, PollFailureKind, PollReport},
    http::ApiSettings,
};

use crate::{
    api_devices::{listed, listing},
    api_fleet::failure,
    api_harness::Api,
};

/// A second before it is by the harness's clock.
const NOW_MS: i64 = 1_725_499_848_000;
const HOUR_MS: i64 = 3_600_000;

fn giccid(sim: usize) -> String {
    format!("8986001234567890{sim:04}")
}

async fn used(api: &Api, sim: usize, hours_ago: i64, volume: i64) {
    let (giccid, start_ms) = (giccid(sim), NOW_MS - hours_ago * HOUR_MS);
    let record = format!(r#""giccid":"{giccid}","start_time":{start_ms},"data_usage":{volume}"#);
    api.push("data-usage", &record).await;
}

async fn sent(api: &Api, sim: usize, hours_ago: i64) {
    let (giccid, event_ms) = (giccid(sim), NOW_MS - hours_ago * HOUR_MS);
    api.push("mo-sms", &format!(r#""giccid":"{giccid}","event_time":{event_ms}"#)).await;
}

async fn summary(api: &Api, query: &str) -> Value {
    let response = api.get(&format!("/v1/summary{query}")).await;
    assert_eq!(response.status(), 200, "{query}");
    response.json().await.unwrap()
}

fn numbers(figure: &Value) -> Vec<i64> {
    figure["by_interval"].as_array().unwrap().iter().map(|it| it.as_i64().unwrap()).collect()
}

#[tokio::test]
async fn sums_of_a_day_stand_beside_those_of_the_day_before() {
    let api = Api::new(ApiSettings::default()).await;
    for (sim, hours_ago, volume) in [(1, 1, 5), (1, 20, 7), (2, 30, 11), (3, 47, 100), (3, 49, 13)]
    {
        used(&api, sim, hours_ago, volume).await;
    }
    sent(&api, 4, 2).await;
    sent(&api, 5, 26).await;
    sent(&api, 5, 27).await;

    let told = summary(&api, "").await;
    assert_eq!(told["from"], "2024-09-04T01:30:49.000Z");
    assert_eq!(
        (&told["to"], &told["interval"]),
        (&json!("2024-09-05T01:30:49.000Z"), &json!("15m"))
    );
    let usage = &told["data_usage"];
    assert_eq!((&usage["value"], &usage["previous"]), (&json!(12), &json!(111)));
    // From 01:30 to 01:45 of the next day; the first and the last quarter are cut.
    let by_interval = numbers(usage);
    assert_eq!((by_interval.len(), by_interval[16], by_interval[92]), (97, 7, 5));
    assert_eq!(by_interval.iter().sum::<i64>(), 12);
    let sms = &told["mo_sms"];
    assert_eq!((&sms["value"], &sms["previous"]), (&json!(1), &json!(2)));
    assert_eq!(numbers(sms)[88], 1);
    let records = &told["records"];
    assert_eq!((&records["value"], &records["previous"]), (&json!(3), &json!(4)));
    assert_eq!(numbers(records).iter().sum::<i64>(), 3);

    let week = summary(&api, "?from=2024-08-29T01:30:48Z").await;
    assert_eq!((&week["interval"], &week["data_usage"]["value"]), (&json!("1h"), &json!(136)));
    assert_eq!(numbers(&week["data_usage"]).len(), 7 * 24 + 1);
    let year = summary(&api, "?from=2023-09-05T00:00:00Z").await;
    assert_eq!(year["interval"], "1d");
    for always in ["?from=-999999999999999999", "?from=0"] {
        let told = summary(&api, always).await;
        assert_eq!((&told["interval"], &told["records"]["value"]), (&json!("1M"), &json!(8)));
    }
    let nothing = summary(&api, "?from=2030-01-01T00:00:00Z").await;
    assert_eq!(
        (&nothing["data_usage"]["value"], &nothing["records"]["value"]),
        (&json!(0), &json!(0))
    );
}

#[tokio::test]
async fn sims_are_active_or_silent_by_their_last_record() {
    let api = Api::new(ApiSettings::default()).await;
    used(&api, 1, 1, 5).await;
    sent(&api, 2, 80).await;
    for sim in 3..6 {
        used(&api, sim, 30, 5).await;
    }
    used(&api, 6, 60, 5).await;
    sent(&api, 6, 3).await;
    let told = summary(&api, "").await;
    assert_eq!(told["active_sims"], json!({"value": 2, "known": 6}));
    assert_eq!(told["silent_sims"]["value"], 4);
    assert_eq!(told["silent_sims"]["by_interval"][96], 4, "the last interval goes on");
}

#[tokio::test]
async fn routers_are_told_of_where_rcms_is_set_up_and_held_pushes_are_counted() {
    let api = Api::new(ApiSettings::default()).await;
    let told = summary(&api, "").await;
    assert_eq!(told["routers"], Value::Null);
    assert_eq!(
        (&told["arrived_through"], &told["active_sims"]["known"]),
        (&Value::Null, &json!(0))
    );
    api.push("data-usage", r#""giccid":"1""#).await;
    used(&api, 1, 1, 5).await;
    used(&api, 1, 1, 5).await;
    api.push_refused("data-usage", r#"{"datePush":1725499848,"signature":"no"}"#.to_owned()).await;
    let records = &summary(&api, "").await["records"];
    let counts = ["value", "repeats", "refused", "quarantined"].map(|name| records[name].clone());
    assert_eq!(counts, [json!(1), json!(1), json!(1), json!(1)]);

    let api = Api::with_rcms().await;
    let changed = vec![listed("RT1", DeviceState::Online), listed("RT2", DeviceState::Offline)];
    api.poll(listing(api.freshness(), changed)).await;
    let at = api.freshness().now;
    let failing = failure(at, PollFailureKind::Status, "RCMS answers 503.");
    let failing = [(PollCall::DeviceList, failing)].into_iter().collect();
    api.report(PollReport { failing, last_success_at: Some(at), ..PollReport::default() });
    let routers = &summary(&api, "").await["routers"];
    let wanted = json!({
        "online": 1, "offline": 1, "unknown": 0, "last_success_at": "2024-09-05T01:30:49.000Z",
        "error": "RCMS answers 503.",
    });
    assert_eq!(routers, &wanted);
    let (status, problem) = api.problem("/v1/summary?form=0").await;
    assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("form")));
}
