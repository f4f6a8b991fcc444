//! What Prometheus reads.
use std::{
    collections::BTreeMap,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use reqwest::Method;
use simdeck::{
    domain::{ConditionKind, DeviceState, PollFailureKind, PollReport},
    http::ApiSettings,
};

use crate::{
    api_devices::{listed, listing},
    api_harness::Api,
    server::{Simdeck, signed, usage},
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
            let kind = match typed.rsplit_once(' ').unwrap().1 {
                "histogram" => "histogram",
                _ if family.ends_with("_total") => "counter",
                _ => "gauge",
            };
            assert_eq!(typed, format!("{family} {kind}"));
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let bare = name.split('{').next().unwrap();
            let ends = ["", "_sum", "_count", "_bucket"];
            assert!(ends.iter().any(|end| bare == format!("{family}{end}")), "{line}");
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
    let samples = samples(&text);
    let of_rcms = |name: &&str| name.contains("rcms") || name.contains("devices");
    let others = [
        "simdeck_conditions{condition=\"rcms_clock\"}",
        "simdeck_conditions{condition=\"rcms_failing\"}",
        "simdeck_conditions{condition=\"rcms_list_short\"}",
        "simdeck_conditions{condition=\"rcms_no_samples\"}",
        "simdeck_conditions{condition=\"rcms_slow\"}",
        "simdeck_conditions{condition=\"rcms_unread\"}",
    ];
    let told: Vec<_> = samples.keys().copied().filter(of_rcms).collect();
    assert_eq!(told, others);
    let version = env!("CARGO_PKG_VERSION");
    let start = format!("simdeck_build_info{{version=\"{version}\",commit=\"");
    let build = samples.iter().find(|(name, _)| name.starts_with(&start)).unwrap();
    assert_eq!(*build.1, "1");
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
    samples.retain(|name, _| {
        ["simdeck_rcms", "simdeck_devices"].iter().any(|it| name.starts_with(it))
    });
    let expected = BTreeMap::from([
        ("simdeck_rcms_poll_age_seconds", "7.0"),
        ("simdeck_rcms_poll_duration_seconds", "0.25"),
        ("simdeck_rcms_poll_paused", "0"),
        ("simdeck_rcms_poll_failing{call=\"devices\"}", "0"),
        ("simdeck_rcms_poll_failing{call=\"deviceTotal\"}", "0"),
        ("simdeck_rcms_poll_failing{call=\"statusData\"}", "0"),
        ("simdeck_rcms_poll_failing{call=\"store\"}", "0"),
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

/// Runs Prometheus' own tool on this text; fails if it finds anything at all.
fn promtool(args: &[&str], input: &str) {
    let mut command = Command::new("promtool");
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut tool =
        command.spawn().expect("promtool is in Debian's package prometheus; tests/all has it");
    tool.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = tool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{input}");
}

/// A server to which everything has happened that figures tell of.
async fn busy() -> (Simdeck, String) {
    let simdeck = Simdeck::start(&[]);
    let sim = "8944501503181377993";
    assert_eq!(simdeck.push("data-usage", signed(&usage(sim))).await, (1, 0, 0));
    assert_eq!(simdeck.push("data-usage", signed(&usage(sim))).await, (0, 1, 0));
    assert_eq!(simdeck.push("data-usage", signed(r#""giccid":"1""#)).await, (0, 0, 1));
    assert_eq!(simdeck.push("sim-status", signed(r#""a":1"#)).await, (1, 0, 0));
    assert_eq!(simdeck.push("fleet-event", signed(r#""a":1"#)).await, (1, 0, 0));
    assert_eq!(simdeck.post("data-usage", "{}").await.status, 401);
    assert_eq!(simdeck.post("data-usage", "no JSON").await.status, 400);
    assert_eq!(simdeck.post("NO-KIND", "{}").await.status, 404);
    assert!(simdeck.run(&["push", "--count", "3"]).status.success());
    simdeck.held(3).await;
    assert_eq!(simdeck.ask(Method::POST, "/v1/backup").await.0, 200);
    let (status, text) = simdeck.ask_text(Method::GET, "/metrics").await;
    assert_eq!(status, 200);
    (simdeck, text)
}

#[tokio::test]
async fn metrics_tell_what_came_and_what_became_of_it() {
    let (simdeck, text) = busy().await;
    let all = samples(&text);
    for (name, value) in [
        ("simdeck_pushes_total{kind=\"data-usage\",outcome=\"stored\"}", "1"),
        ("simdeck_pushes_total{kind=\"data-usage\",outcome=\"duplicate\"}", "1"),
        ("simdeck_pushes_total{kind=\"data-usage\",outcome=\"quarantined\"}", "1"),
        ("simdeck_pushes_total{kind=\"data-usage\",outcome=\"refused\"}", "2"),
        ("simdeck_pushes_total{kind=\"other\",outcome=\"stored\"}", "1"),
        ("simdeck_pushes_total{kind=\"none\",outcome=\"rejected\"}", "1"),
        ("simdeck_test_pushes_total{outcome=\"stored\"}", "3"),
        ("simdeck_refusals_total{reason=\"signature_missing\"}", "1"),
        ("simdeck_refusals_total{reason=\"not_json\"}", "1"),
        ("simdeck_refusals_total{reason=\"not_found\"}", "1"),
        ("simdeck_quarantined_pushes_total{reason=\"field_invalid\"}", "1"),
        ("simdeck_records_total{kind=\"data-usage\"}", "1"),
        ("simdeck_duplicate_records_total{kind=\"data-usage\"}", "1"),
        ("simdeck_quarantined_records_total{kind=\"data-usage\"}", "1"),
        ("simdeck_ready", "1"),
        ("simdeck_queue_records", "0"),
        ("simdeck_queue_bytes", "0"),
        ("simdeck_held_pushes{held=\"quarantined\"}", "1"),
        ("simdeck_held_pushes{held=\"noise\"}", "2"),
        ("simdeck_held_dropped_total{held=\"plausible\"}", "0"),
        ("simdeck_conditions{condition=\"quarantining\"}", "1"),
        ("simdeck_conditions{condition=\"refused_run\"}", "0"),
    ] {
        assert_eq!(all.get(name), Some(&value), "{name}\n{text}");
    }
    let number = |name: &str| all[name].parse::<f64>().unwrap();
    for kind in ["data-usage", "sim-status", "fleet-event"] {
        let age = number(&format!("simdeck_push_age_seconds{{kind=\"{kind}\"}}"));
        assert!((0.0..60.0).contains(&age), "{age}");
    }
    // Each push and each test was a commit of its own, or shared one.
    let commits = number("simdeck_commit_seconds_count");
    assert!((1.0..=8.0).contains(&commits), "{text}");
    assert!((commits - number("simdeck_commit_records_bucket{le=\"+Inf\"}")).abs() < 0.5);
    assert!(number("simdeck_commit_seconds_sum") > 0.0, "{text}");
    for room in ["simdeck_database_bytes", "simdeck_wal_bytes", "simdeck_disk_free_bytes"] {
        assert!(number(room) > 0.0, "{room}");
    }
    assert!(!text.contains("8944501503181377993"), "{text}");
    promtool(&["check", "metrics"], &text);
    simdeck.end();
}

#[tokio::test]
async fn alert_rules_name_metrics_that_there_are_and_pass_their_own_tests() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus");
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    promtool(&["check", "config", &file("prometheus.yml")], "");
    promtool(&["check", "rules", &file("rules.yml")], "");
    promtool(&["test", "rules", &file("rules_test.yml")], "");
    let (simdeck, mut text) = busy().await;
    text += &metrics(&Api::with_rcms().await).await;
    let rules = std::fs::read_to_string(file("rules.yml")).unwrap();
    let used: Vec<&str> = rules
        .lines()
        .filter(|line| line.trim_start().starts_with("expr:"))
        .flat_map(|line| line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')))
        .filter(|word| word.starts_with("simdeck_"))
        .collect();
    assert!(used.len() > 10, "{used:?}");
    for condition in ConditionKind::ALL {
        let named = format!("condition=\"{condition}\"");
        assert!(rules.contains(&named), "no alert tells of {condition}");
    }
    let count = rules.matches("- alert: ").count();
    let readme = std::fs::read_to_string(folder.join("../../README.md")).unwrap();
    assert!(readme.contains(&format!("the {count} alert rules of")), "there are {count} rules");
    for name in used {
        // Before RCMS has answered once, nobody knows how long ago that was; nor how fast the database
        // grows in its first hour.
        let is_later =
            ["simdeck_rcms_poll_age_seconds", "simdeck_disk_full_in_seconds"].contains(&name);
        let is_there = is_later || text.contains(&format!("\n{name}"));
        assert!(is_there, "{name} is no metric of ours");
    }
    simdeck.end();
}
