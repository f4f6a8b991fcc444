//! What Prometheus reads.
use std::{collections::BTreeMap, time::Duration};

use reqwest::Method;
use simdeck::{
    domain::{DeviceState, PollFailureKind, PollReport},
    http::ApiSettings,
};

use crate::{
    api_devices::{listed, listing},
    api_harness::Api,
};

async fn metrics(api: &Api) -> String {
    let response = api.send(Method::GET, "/metrics", None).await;
    assert_eq!(response.status(), 200);
    let content_type = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(response.headers()["content-type"], content_type);
    response.text().await.unwrap()
}

/// The samples, after a look at what stands around them.
fn samples(text: &str) -> BTreeMap<&str, &str> {
    let mut samples = BTreeMap::new();
    let mut family = "";
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            family = help.split_once(' ').unwrap().0;
            assert!(help.ends_with('.'), "{line}");
        } else if let Some(typed) = line.strip_prefix("# TYPE ") {
            let kind = if family.ends_with("_total") { "counter" } else { "gauge" };
            assert_eq!(typed, format!("{family} {kind}"));
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert_eq!(name.split('{').next().unwrap(), family);
            assert!(value.parse::<f64>().is_ok(), "{line}");
            assert_eq!(samples.insert(name, value), None, "{line}");
        }
    }
    samples
}

#[tokio::test]
async fn where_rcms_is_not_set_up_metrics_tell_nothing_of_it() {
    let api = Api::new(ApiSettings::default()).await;
    let text = metrics(&api).await;
    assert_eq!(text.lines().count(), 3, "{text}");
    let version = env!("CARGO_PKG_VERSION");
    let start = format!("simdeck_build_info{{version=\"{version}\",commit=\"");
    let samples = samples(&text);
    assert!(
        samples.iter().all(|(name, value)| name.starts_with(&start) && *value == "1"),
        "{text}"
    );
}

#[tokio::test]
async fn metrics_tell_how_the_poller_fares_and_the_states_of_routers() {
    let api = Api::with_rcms().await;
    let text = metrics(&api).await;
    let fresh = samples(&text);
    assert_eq!(fresh["simdeck_rcms_requests_total"], "0");
    // Before the first answer nobody can tell its age.
    assert!(!text.contains("poll_age") && !text.contains("poll_duration"), "{text}");

    let states = [DeviceState::Online, DeviceState::Online, DeviceState::Offline];
    let changed =
        states.iter().enumerate().map(|(number, state)| listed(&format!("RT{number}"), *state));
    api.poll(listing(api.freshness(), changed.collect())).await;
    api.report(PollReport {
        last_success_at: Some(api.freshness().now),
        cycles: 12,
        last_cycle_took: Some(Duration::from_millis(250)),
        requests: 99,
        failures: [(PollFailureKind::Transport, 3), (PollFailureKind::Signature, 1)].into(),
        ..PollReport::default()
    });
    api.advance(7);
    let text = metrics(&api).await;
    let mut samples = samples(&text);
    samples.retain(|name, _| !name.starts_with("simdeck_build_info"));
    let expected = BTreeMap::from([
        ("simdeck_rcms_poll_age_seconds", "7.0"),
        ("simdeck_rcms_poll_duration_seconds", "0.25"),
        ("simdeck_rcms_poll_cycles_total", "12"),
        ("simdeck_rcms_requests_total", "99"),
        ("simdeck_rcms_failures_total{kind=\"transport\"}", "3"),
        ("simdeck_rcms_failures_total{kind=\"status\"}", "0"),
        ("simdeck_rcms_failures_total{kind=\"unreadable\"}", "0"),
        ("simdeck_rcms_failures_total{kind=\"code\"}", "0"),
        ("simdeck_rcms_failures_total{kind=\"signature\"}", "1"),
        ("simdeck_rcms_failures_total{kind=\"store\"}", "0"),
        ("simdeck_devices{state=\"online\"}", "2"),
        ("simdeck_devices{state=\"offline\"}", "1"),
        ("simdeck_devices{state=\"unknown\"}", "0"),
    ]);
    assert_eq!(samples, expected, "{text}");
}
