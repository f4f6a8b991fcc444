//! `simdeck rcms check` and the doctor's line about RCMS.
use serde_json::{Value, json};

use super::{
    commands::{json_of, rcms},
    live::{account, start, until},
    stand_in::{CLIENT_SECRET, Fault, On, Sample, StandIn, Times, fleet},
};
use crate::server::run_with;

/// Runs it; gives its exit code and its report.
fn check(at: &StandIn, args: &[&str]) -> (Option<i32>, Value) {
    let args = [&["check"], args].concat();
    let output = rcms(at, &args, &[], "");
    let report = serde_json::from_slice(&output.stdout);
    (output.status.code(), report.unwrap_or_else(|_| panic!("{output:?}")))
}

/// The finding of one check: its state, and what it says.
fn found(report: &Value, check: &str) -> (String, String) {
    let findings = report["findings"].as_array().unwrap();
    let finding = findings.iter().find(|it| it["check"] == check);
    let finding = finding.unwrap_or_else(|| panic!("no {check} in {report}"));
    let text = |name: &str| finding[name].as_str().unwrap().to_owned();
    (text("state"), text("finding"))
}

fn assert_found(report: &Value, check: &str, state: &str, words: &[&str]) {
    let (told, finding) = found(report, check);
    assert!(told == state && words.iter().all(|it| finding.contains(it)), "{check}: {report}");
}

async fn well(devices: usize) -> StandIn {
    let at = StandIn::start().await;
    at.set_fleet(fleet(devices));
    let at_ms = jiff::Timestamp::now().as_millisecond() - 60_000;
    let body = json!({"data": {"system": {"system_time": at_ms, "uptime": "5 days"}}});
    at.edit(|world| {
        world.samples.insert("RB0000000000001".to_owned(), vec![Sample { at_ms, body }])
    });
    at
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_of_each_call_what_was_understood() {
    let at = well(45).await;
    at.edit(|world| world.page_size_refused_above = Some(20));
    let (code, report) = check(&at, &[]);
    assert_eq!((code, &report["well"]), (Some(0), &json!(true)), "{report}");
    let counts = ["45 routers", "23 online", "22 offline"];
    assert_found(&report, "deviceTotal", "ok", &counts);
    let sizes = ["Pages of 100 are refused; 20 were asked for", "0 neither"];
    assert_found(&report, "devices", "ok", &[&counts[..], &sizes].concat());
    assert_found(&report, "device", "ok", &["RB0000000000001 is online", "in the group Default"]);
    assert_found(
        &report,
        "statusData",
        "ok",
        &["RB0000000000001 told 1 sample", "The newest is of"],
    );
    assert_found(&report, "clock", "ok", &["agree to"]);
    assert_eq!(report["answers"], json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn check_shows_the_answers_as_they_came_where_it_is_asked_to() {
    let at = well(1).await;
    at.fault(On::DeviceTotal, Fault::Html, Times::Once);
    let (code, report) = check(&at, &["--verbose"]);
    assert_eq!(code, Some(1));
    assert_found(&report, "deviceTotal", "problem", &["something not JSON"]);
    let answers = report["answers"].as_array().unwrap();
    let of = |call: &str| answers.iter().find(|it| it["call"] == call).unwrap();
    assert!(of("deviceTotal")["body"].as_str().unwrap().contains("Please log in"), "{report}");
    for call in ["devices", "device", "statusData"] {
        let body: Value = serde_json::from_str(of(call)["body"].as_str().unwrap()).unwrap();
        assert_eq!((&of(call)["status"], &body["code"]), (&json!(200), &json!(0)), "{call}");
    }
    let table = rcms(&at, &["check", "--verbose", "--output", "table"], &[], "").stdout;
    let table = String::from_utf8(table).unwrap();
    assert!(
        table.starts_with("CHECK") && table.contains("statusData (HTTP status 200):"),
        "{table}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn check_finds_what_is_not_understood_and_what_is_missing() {
    let at = StandIn::start().await;
    let mut devices = fleet(3);
    devices[1]["onlineStatus"] = json!("asleep");
    devices.push(json!({"sn": "RB 4"}));
    at.set_fleet(devices);
    at.edit(|world| {
        world.totals = Some(json!({"deviceTotal": 300}));
        world.clock_skew_ms = -300_000;
    });
    at.fault(
        On::StatusData,
        Fault::Body(json!({"code": 0, "data": null}).to_string()),
        Times::Always,
    );
    let (code, report) = check(&at, &[]);
    assert_eq!((code, &report["well"]), (Some(1), &json!(false)));
    assert_found(&report, "deviceTotal", "ok", &["300 routers", "? online"]);
    let words = ["RCMS lists 3 routers", "1 item has no serial", "1 router has an online flag"];
    assert_found(&report, "devices", "problem", &[&words[..], &["297 are not listed"]].concat());
    assert_found(
        &report,
        "statusData",
        "problem",
        &["no list at all of what RB0000000000001 told"],
    );
    assert_found(&report, "clock", "problem", &["s ahead of RCMS's"]);

    let (_, report) = check(&at, &["RB9"]);
    assert_found(&report, "device", "problem", &["code -1"]);
    at.set_fleet(Vec::new());
    let (_, report) = check(&at, &[]);
    assert_found(&report, "statusData", "skipped", &["no router is listed"]);
    at.fault(On::Any, Fault::SignatureRefused, Times::Always);
    let (code, report) = check(&at, &[]);
    assert_eq!(code, Some(1));
    assert_found(&report, "deviceTotal", "problem", &["40002"]);
    for call in ["devices", "device", "statusData"] {
        assert_found(&report, call, "skipped", &["Not asked"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_ask_for_smaller_pages_where_rcms_refuses_larger_ones() {
    let at = well(45).await;
    for refused_above in [50, 20, 10] {
        at.edit(|world| world.page_size_refused_above = Some(refused_above));
        assert_eq!(json_of(&at, &["devices"]).as_array().unwrap().len(), 45, "{refused_above}");
        let samples = json_of(&at, &["status", "RB0000000000001"]);
        assert_eq!(samples.as_array().unwrap().len(), 1, "{refused_above}");
    }
    at.forget_requests();
    let variables = [("SIMDECK_RCMS_PAGE_SIZE", "10")];
    assert!(rcms(&at, &["devices"], &variables, "").status.success());
    let sizes: Vec<_> =
        at.requests().iter().filter_map(|it| it.pair("pageSize").map(str::to_owned)).collect();
    assert!(sizes.iter().all(|size| size == "10"), "{sizes:?}");
    at.edit(|world| world.page_size_refused_above = Some(5));
    let refused = rcms(&at, &["devices"], &[], "");
    assert_eq!(refused.status.code(), Some(1), "no size is left");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("pageSize is too large"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_tells_of_rcms_what_the_server_says_or_else_asks_it() {
    let at = well(14).await;
    let doctor = |folder: &std::path::Path, variables: &[(&str, &str)]| {
        let output = run_with(folder, variables, &["doctor"]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(!report.to_string().contains(CLIENT_SECRET));
        report
    };
    let url = at.url();
    let account = account(&url);
    let nowhere = tempfile::TempDir::new().unwrap();
    let report = doctor(nowhere.path(), &account);
    assert_found(&report, "rcms", "ok", &["answers this machine and counts 14 routers"]);
    assert_found(&doctor(nowhere.path(), &[]), "rcms", "skipped", &["not set up"]);
    at.fault(On::Any, Fault::SignatureRefused, Times::Always);
    assert_found(&doctor(nowhere.path(), &account), "rcms", "problem", &["40002"]);
    at.clear_faults();

    let simdeck = start(&at, &[]);
    until(&simdeck, "/v1/status", |it| it["rcms"]["devices_listed"] == 14).await;
    let of_server = || serde_json::from_slice::<Value>(&simdeck.run(&["doctor"]).stdout).unwrap();
    assert_found(&of_server(), "rcms", "ok", &["answers the server, lists 14 routers, last at"]);
    // Not what it asks of single routers meanwhile: of that the first failure is no news.
    at.fault(On::DeviceTotal, Fault::SignatureRefused, Times::Always);
    until(&simdeck, "/v1/status", |it| it["rcms"]["state"] == "failing").await;
    let report = of_server();
    assert_found(&report, "rcms", "problem", &["40002"]);
    let findings = report["findings"].as_array().unwrap();
    assert!(!findings.iter().any(|it| it["check"] == "state"), "told once: {report}");
}
