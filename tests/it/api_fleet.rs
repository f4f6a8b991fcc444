//! All routers together, and how it goes with RCMS: summary, health and status.
use serde_json::{Value, json};
use simdeck::{
    domain::{
        DevicePoll, DeviceState, FleetTotals, PollCall, PollFailure, PollFailureKind, PollReport,
        Timestamp,
    },
    http::ApiSettings,
};

use crate::{
    api_devices::{listed, listing},
    api_harness::Api,
};

/// Seven routers by RCMS's count, of which its list shows two.
fn poll(api: &Api) -> DevicePoll {
    let changed = vec![listed("RT1", DeviceState::Online), listed("summary", DeviceState::Offline)];
    let totals = FleetTotals {
        device_total: Some(7),
        online_total: Some(4),
        offline_total: Some(3),
        registered_total: None,
        un_registered_total: Some(0),
        user_total: Some(2),
    };
    DevicePoll { totals: Some(totals), ..listing(api.freshness(), changed) }
}

pub(crate) fn failure(at: Timestamp, kind: PollFailureKind, sentence: &str) -> PollFailure {
    PollFailure { since: at, at, kind, sentence: sentence.to_owned() }
}

fn failing(failures: impl IntoIterator<Item = (PollCall, PollFailure)>) -> PollReport {
    PollReport { failing: failures.into_iter().collect(), ..PollReport::default() }
}

async fn json_of(api: &Api, url: &str) -> Value {
    let response = api.get(url).await;
    assert_eq!(response.status(), 200, "{url}");
    response.json().await.unwrap()
}

const SUMMARY: &str = "/v1/devices/summary";

#[tokio::test]
async fn the_summary_has_rcmss_figures_beside_ours() {
    let api = Api::with_rcms().await;
    let nothing = json_of(&api, SUMMARY).await;
    assert_eq!((&nothing["deviceTotal"], &nothing["polled_at"]), (&Value::Null, &Value::Null));
    assert_eq!((&nothing["stale"], &nothing["poll_error"]), (&json!(true), &Value::Null));
    api.poll(poll(&api)).await;
    // A router of that name is in the list; its address is the summary's.
    assert_eq!(api.rows("/v1/devices?q=summary").await.len(), 1);
    let now = "2024-09-05T01:30:49.000Z";
    let mut expected = json!({
        "deviceTotal": 7,
        "onlineTotal": 4,
        "offlineTotal": 3,
        "registeredTotal": null,
        "unRegisteredTotal": 0,
        "userTotal": 2,
        "polled_at": now,
        "stale": false,
        "poll_error": null,
        "known": {"online": 1, "offline": 1, "unknown": 0},
        "listed_at": now,
    });
    assert_eq!(json_of(&api, SUMMARY).await, expected);
    api.advance(180);
    assert_eq!(json_of(&api, SUMMARY).await, expected);
    api.advance(1);
    expected["stale"] = json!(true);
    expected["known"] = json!({"online": 0, "offline": 0, "unknown": 2});
    assert_eq!(json_of(&api, SUMMARY).await, expected);
}

#[tokio::test]
async fn the_summary_says_why_it_may_be_old() {
    let api = Api::with_rcms().await;
    let now = api.freshness().now;
    let of = |call: PollCall| (call, failure(now, PollFailureKind::Code, call.as_str()));
    api.report(failing([of(PollCall::StatusData)]));
    assert_eq!(json_of(&api, SUMMARY).await["poll_error"], Value::Null);
    api.report(failing([of(PollCall::StatusData), of(PollCall::DeviceTotal)]));
    assert_eq!(json_of(&api, SUMMARY).await["poll_error"], "deviceTotal");
    api.report(failing([of(PollCall::DeviceTotal), of(PollCall::DeviceList)]));
    assert_eq!(json_of(&api, SUMMARY).await["poll_error"], "devices");
}

#[tokio::test]
async fn where_rcms_is_not_set_up_the_summary_says_what_to_set() {
    let api = Api::new(ApiSettings::default()).await;
    let settings = "SIMDECK_RCMS_CLIENT_ID and SIMDECK_RCMS_CLIENT_SECRET";
    let (status, problem) = api.problem(SUMMARY).await;
    assert_eq!((status, &problem["title"]), (409, &json!("Conflict")));
    assert!(problem["detail"].as_str().unwrap().contains(settings), "{problem}");
    // What was learned while it was set up is told, as old.
    api.poll(poll(&api)).await;
    let summary = json_of(&api, SUMMARY).await;
    assert_eq!((&summary["deviceTotal"], &summary["stale"]), (&json!(7), &json!(true)));
    assert!(summary["poll_error"].as_str().unwrap().contains(settings), "{summary}");
    assert_eq!(summary["known"], json!({"online": 1, "offline": 1, "unknown": 0}));
}

#[tokio::test]
async fn health_stays_ready_while_rcms_fails_and_says_so() {
    let api = Api::with_rcms().await;
    assert_eq!(json_of(&api, "/readyz").await, json!({"status": "ready"}));
    let why = failure(api.freshness().now, PollFailureKind::Transport, "RCMS is away.");
    api.report(failing([(PollCall::DeviceTotal, why)]));
    assert_eq!(json_of(&api, "/readyz").await, json!({"status": "ready", "rcms": "RCMS is away."}));
    assert_eq!(json_of(&api, "/healthz").await, json!({"status": "alive"}));
    let off = Api::new(ApiSettings::default()).await;
    assert_eq!(json_of(&off, "/readyz").await, json!({"status": "ready"}));
}

#[tokio::test]
async fn the_status_tells_how_it_goes_with_rcms() {
    let off = Api::new(ApiSettings::default()).await;
    let mut expected = json!({
        "state": "off",
        "last_success_at": null,
        "error": null,
        "error_since": null,
        "paused_until": null,
        "calls": {},
        "devices": {"online": 0, "offline": 0, "unknown": 0},
        "devices_counted": null,
        "devices_listed": null,
    });
    assert_eq!(json_of(&off, "/v1/status").await["rcms"], expected);
    let api = Api::with_rcms().await;
    expected["state"] = json!("starting");
    assert_eq!(json_of(&api, "/v1/status").await["rcms"], expected);

    let now = api.freshness().now;
    api.poll(poll(&api)).await;
    api.report(PollReport { last_success_at: Some(now), ..PollReport::default() });
    expected["state"] = json!("ok");
    expected["last_success_at"] = json!("2024-09-05T01:30:49.000Z");
    expected["devices"] = json!({"online": 1, "offline": 1, "unknown": 0});
    assert_eq!(json_of(&api, "/v1/status").await["rcms"], expected);

    let later = Timestamp::from_unix_ms(now.unix_ms() + 2000);
    let failures = [
        (PollCall::StatusData, failure(now, PollFailureKind::Code, "No such device.")),
        (PollCall::DeviceList, failure(later, PollFailureKind::Unreadable, "Not JSON.")),
    ];
    api.report(PollReport {
        last_success_at: Some(now),
        paused_until: Some(Timestamp::from_unix_ms(now.unix_ms() + 60_000)),
        ..failing(failures)
    });
    expected["state"] = json!("failing");
    expected["error"] = json!("Not JSON.");
    expected["error_since"] = json!("2024-09-05T01:30:51.000Z");
    expected["paused_until"] = json!("2024-09-05T01:31:49.000Z");
    expected["calls"] = json!({
        "devices": {
            "error": "Not JSON.",
            "since": "2024-09-05T01:30:51.000Z",
            "kind": "unreadable",
        },
        "statusData": {
            "error": "No such device.",
            "since": "2024-09-05T01:30:49.000Z",
            "kind": "code",
        },
    });
    assert_eq!(json_of(&api, "/v1/status").await["rcms"], expected);
}
