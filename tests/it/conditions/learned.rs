//! What the store and the poller tell, by a clock that the test moves.
use serde_json::Value;
use simdeck::{
    domain::{PollCall, PollFailureKind, PollReport},
    http::ApiSettings,
};

use super::{on, text};
use crate::{
    api_fleet::failure,
    api_harness::{Api, SECOND},
};

const HOUR_S: i64 = 3_600;

async fn status(api: &Api) -> Value {
    api.get("/v1/status").await.json().await.unwrap()
}

async fn silent(api: &Api) -> Vec<Value> {
    on(&status(api).await, "silent")
}

#[tokio::test]
async fn where_all_is_well_every_state_is_in_the_table_and_off() {
    let api = Api::with_rcms().await;
    api.add_usage(3).await;
    let status = status(&api).await;
    let names: Vec<&str> =
        status["conditions"].as_array().unwrap().iter().map(|it| text(it, "name")).collect();
    let expected = [
        "silent",
        "refused_run",
        "quarantining",
        "kind_misspelt",
        "address_unknown",
        "pushes_rejected",
        "not_acknowledged",
        "slow_acknowledgement",
        "no_room",
        "proxy_not_trusted",
        "rcms_failing",
        "rcms_list_short",
        "rcms_slow",
        "rcms_clock",
        "rcms_unread",
        "rcms_no_samples",
        "disk_low",
        "folder_low",
        "database_moved",
        "connections_full",
        "clock_wrong",
        "backup_failing",
        "erased_in_files",
    ];
    assert_eq!(names, expected);
    assert!(expected.iter().all(|name| on(&status, name).is_empty()), "{status}");
}

#[tokio::test]
async fn a_kind_that_pauses_for_twice_its_longest_pause_is_silent_until_it_comes() {
    let api = Api::new(ApiSettings::default()).await;
    // Every three days: not on most days, so that the longest pause counts.
    for nth in 0..9 {
        api.push_now("sim-status", &format!(r#""n":{nth}"#)).await;
        api.advance(72 * HOUR_S);
    }
    assert!(silent(&api).await.is_empty());
    api.advance(71 * HOUR_S);
    assert!(silent(&api).await.is_empty(), "143 hours are less than twice 71 h 45 min");
    api.advance(HOUR_S);
    let [condition] = silent(&api).await.try_into().unwrap();
    assert_eq!(condition["kind"], "sim-status");
    assert_eq!(condition["since"], "2024-09-29T01:30:49.000Z");
    let says = text(&condition, "sentence");
    assert!(says.starts_with("No sim-status push has come for more than 5 d 23 h"), "{says}");
    assert!(says.ends_with("the longest pause is usually 2 d 23 h."), "{says}");
    assert!(text(&condition, "todo").contains("simdeck doctor --public-url"));

    let metrics = api.get("/metrics").await.text().await.unwrap();
    assert!(metrics.contains("simdeck_conditions{condition=\"silent\"} 1\n"), "{metrics}");
    api.push_now("sim-status", r#""n":99"#).await;
    assert!(silent(&api).await.is_empty());
    let metrics = api.get("/metrics").await.text().await.unwrap();
    assert!(metrics.contains("simdeck_conditions{condition=\"silent\"} 0\n"), "{metrics}");
}

#[tokio::test]
async fn a_kind_whose_pushes_are_quarantined_is_not_silent() {
    let api = Api::new(ApiSettings::default()).await;
    for hour in 0..(9 * 24) {
        let start_ms = (SECOND + hour * HOUR_S) * 1_000;
        let record =
            format!(r#""giccid":"89860012345678904417","data_usage":1,"start_time":{start_ms}"#);
        api.push_now("data-usage", &record).await;
        api.advance(HOUR_S);
    }
    // Our clock is set eight days ahead: what SmartHub pushes from now on seems too old.
    api.advance(8 * 24 * HOUR_S);
    let overdue = async |api: &Api| {
        let rows = api.rows("/v1/attention").await;
        rows.iter().any(|row| row["kind"] == "pushes_overdue")
    };
    assert!(overdue(&api).await && silent(&api).await.len() == 1, "nothing has come yet");
    let pushed_s = SECOND + 9 * 24 * HOUR_S;
    let record = r#""giccid":"89860012345678904417","data_usage":2,"start_time":1726277448000"#;
    api.push_dated("data-usage", pushed_s, record).await;
    let status = status(&api).await;
    assert_eq!(status["held"]["quarantined"]["pushes"], 1, "{status}");
    assert!(on(&status, "silent").is_empty(), "{status}");
    assert!(!overdue(&api).await);
    assert_eq!(on(&status, "clock_wrong").len(), 1, "what is wrong is told: {status}");
    // The very same again is no sign that SmartHub goes on.
    api.advance(24 * HOUR_S);
    api.push_dated("data-usage", pushed_s, record).await;
    assert!(overdue(&api).await);
}

#[tokio::test]
async fn a_kind_of_which_little_is_known_is_never_silent() {
    let api = Api::new(ApiSettings::default()).await;
    for nth in 0..8 {
        api.push_now("sim-status", &format!(r#""n":{nth}"#)).await;
        api.advance(72 * HOUR_S);
    }
    api.advance(1_000 * HOUR_S);
    assert!(silent(&api).await.is_empty());
}

#[tokio::test]
async fn usage_is_silent_by_the_same_rule_as_what_needs_a_person() {
    let api = Api::new(ApiSettings::default()).await;
    for hour in 0..(9 * 24) {
        let start_ms = (1_725_499_848 + hour * HOUR_S) * 1_000;
        let record =
            format!(r#""giccid":"89860012345678904417","data_usage":1,"start_time":{start_ms}"#);
        api.push_now("data-usage", &record).await;
        api.advance(HOUR_S);
    }
    assert!(silent(&api).await.is_empty());
    api.advance(HOUR_S);
    let overdue = |rows: Vec<Value>| rows.iter().any(|row| row["kind"] == "pushes_overdue");
    assert!(overdue(api.rows("/v1/attention").await));
    assert_eq!(silent(&api).await[0]["kind"], "data-usage");
    // What was usual before the silence is not forgotten in it.
    api.advance(30 * 24 * HOUR_S);
    assert!(overdue(api.rows("/v1/attention").await));
    assert_eq!(silent(&api).await[0]["kind"], "data-usage");
}

#[tokio::test]
async fn a_kind_within_two_letters_of_a_known_one_is_told_and_a_stranger_is_not() {
    let api = Api::new(ApiSettings::default()).await;
    for kind in ["dat-usgae", "no-sesion", "no-sess", "mo-sms"] {
        let members = r#""giccid":"89860012345678904417","event_time":1725499848000"#;
        api.push(kind, members).await;
    }
    let told = on(&status(&api).await, "kind_misspelt");
    let kinds: Vec<&str> = told.iter().map(|it| text(it, "kind")).collect();
    assert_eq!(kinds, ["dat-usgae", "no-sesion"]);
    assert!(text(&told[0], "sentence").ends_with("`data-usage` was probably meant."));
    assert!(text(&told[1], "todo").contains("/v1/no-session "));
    api.advance(7 * 24 * HOUR_S + 60);
    assert!(on(&status(&api).await, "kind_misspelt").is_empty(), "it stopped a week ago");
}

#[tokio::test]
async fn anything_in_quarantine_is_told_until_it_is_gone() {
    let api = Api::new(ApiSettings::default()).await;
    api.push("data-usage", r#""giccid":"1""#).await;
    let told = on(&status(&api).await, "quarantining");
    assert_eq!(text(&told[0], "since"), "2024-09-05T01:30:49.000Z");
    assert!(text(&told[0], "sentence").ends_with("for a field that cannot be read."), "{told:?}");
    let id = &api.rows("/v1/held").await[0]["id"];
    let gone = api.send(reqwest::Method::DELETE, &format!("/v1/held/{id}"), Some("sd_admin")).await;
    assert_eq!(gone.status(), 204);
    assert!(on(&status(&api).await, "quarantining").is_empty());
}

#[tokio::test]
async fn rcms_that_fails_is_told_and_a_router_that_cannot_be_asked_is_no_failure_of_it() {
    let api = Api::with_rcms().await;
    let now = api.freshness().now;
    let failing = |call| PollReport {
        failing: [(call, failure(now, PollFailureKind::Transport, "RCMS cannot be reached."))]
            .into(),
        ..PollReport::default()
    };
    api.report(failing(PollCall::StatusData));
    assert!(on(&status(&api).await, "rcms_failing").is_empty());
    api.report(failing(PollCall::DeviceList));
    let told = on(&status(&api).await, "rcms_failing");
    assert!(text(&told[0], "todo").ends_with("(devices: transport)."), "{told:?}");
    api.report(PollReport::default());
    assert!(on(&status(&api).await, "rcms_failing").is_empty());
}
