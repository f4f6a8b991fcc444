//! The shipped program and RCMS, from the settings to the answers.
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::stand_in::{
    CLIENT_ID, CLIENT_SECRET, Container, Fault, On, Sample, StandIn, Times, device, fleet,
};
use crate::server::{Simdeck, signed, usage};

const CANARY: &str = "CANARY";

pub(super) fn start(rcms: &StandIn, more: &[(&str, &str)]) -> Simdeck {
    let url = rcms.url();
    let mut variables = account(&url).to_vec();
    variables.push(("SIMDECK_RCMS_POLL_EVERY", "10s"));
    variables.extend(more);
    Simdeck::start(&variables)
}

/// The settings of an account at this address.
pub(super) fn account(url: &str) -> [(&str, &str); 3] {
    [
        ("SIMDECK_RCMS_ENDPOINT", url),
        ("SIMDECK_RCMS_CLIENT_ID", CLIENT_ID),
        ("SIMDECK_RCMS_CLIENT_SECRET", CLIENT_SECRET),
    ]
}

/// Asks until the answer is as it should be.
pub(super) async fn until(
    simdeck: &Simdeck,
    path: &str,
    is_right: impl Fn(&Value) -> bool,
) -> Value {
    let guard = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let answer = simdeck.get(path).await;
        if is_right(&answer) {
            return answer;
        }
        assert!(tokio::time::Instant::now() < guard, "{path}: {answer}");
        tokio::task::yield_now().await;
    }
}

fn sample(uptime: &str, age_s: i64) -> Sample {
    let at_ms = jiff::Timestamp::now().as_millisecond() - age_s * 1000;
    let body = json!({"data": {
        "system": {"system_time": at_ms, "uptime": uptime}, "active_link": {"ip": "10.0.0.1"},
    }});
    Sample { at_ms, body }
}

#[tokio::test]
async fn a_server_with_an_account_shows_the_routers_and_how_it_knows_of_them() {
    let rcms = StandIn::start().await;
    rcms.set_fleet(fleet(14));
    rcms.edit(|world| {
        world.container = Container::Records;
        // The newest first, as RCMS may well give them.
        let samples = vec![sample("5 days", 60), sample("4 days", 120)];
        world.samples.insert("RB0000000000001".to_owned(), samples);
    });
    let simdeck = start(&rcms, &[]);
    until(&simdeck, "/v1/devices?size=100", |rows| rows.as_array().unwrap().len() == 14).await;
    let one = until(&simdeck, "/v1/devices/RB0000000000001", |row| !row["status"].is_null()).await;
    assert_eq!((&one["state"], &one["model"]), (&json!("online"), &json!("R1520")));
    assert_eq!(one["status"]["system"]["uptime"], "5 days");
    let online = simdeck.rows("/v1/devices?state=online").await;
    assert_eq!(online.len(), 7);

    let summary = simdeck.get("/v1/devices/summary").await;
    let names = ["deviceTotal", "onlineTotal", "offlineTotal"].map(|name| summary[name].clone());
    assert_eq!(names, [json!(14), json!(7), json!(7)]);
    assert_eq!((&summary["stale"], &summary["poll_error"]), (&json!(false), &Value::Null));
    let history = simdeck.rows("/v1/devices/RB0000000000001/history").await;
    let kinds: Vec<_> = history.iter().map(|row| row["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["state", "status", "status"]);
    let uptime = |nth: usize| history[nth]["sample"]["data"]["system"]["uptime"].clone();
    assert_eq!([uptime(1), uptime(2)], ["4 days", "5 days"], "in the order of time");
    let status = simdeck.get("/v1/status").await;
    assert_eq!(status["rcms"]["state"], "ok", "{status}");
    let (_, metrics) = simdeck.ask_text(Method::GET, "/metrics").await;
    assert!(metrics.contains(r#"simdeck_devices{state="online"} 7"#), "{metrics}");
    assert!(rcms.requests().iter().all(|seen| seen.verdict.is_ok()));
}

#[tokio::test]
async fn while_rcms_is_down_pushes_are_stored_and_the_server_is_ready_and_says_so() {
    let rcms = StandIn::start().await;
    rcms.fault(On::Any, Fault::Silence, Times::Always);
    let mut simdeck = start(&rcms, &[("SIMDECK_RCMS_DEVICES", "RB1,RB2")]);
    rcms.wait_for(1).await;
    assert_eq!(simdeck.push("data-usage", signed(&usage("89445015031813779930"))).await, (1, 0, 0));
    assert_eq!(simdeck.get("/readyz").await, json!({"status": "ready"}), "it has only begun");

    // Now it says no.
    rcms.clear_faults();
    rcms.fault(On::Any, Fault::SignatureRefused, Times::Always);
    let simdeck = {
        simdeck.signal_term();
        simdeck.wait_for("Stopped");
        start(&rcms, &[])
    };
    let says = |answer: &Value| answer["rcms"].as_str().is_some_and(|text| text.contains("40002"));
    let ready = until(&simdeck, "/readyz", says).await;
    assert_eq!(ready["status"], "ready");
    let status = simdeck.get("/v1/status").await;
    assert_eq!(status["rcms"]["state"], "failing", "{status}");
    assert_eq!(simdeck.push("data-usage", signed(&usage("89445015031813779931"))).await, (1, 0, 0));
    let summary = simdeck.get("/v1/devices/summary").await;
    assert_eq!((&summary["stale"], &summary["deviceTotal"]), (&json!(true), &Value::Null));
}

#[tokio::test]
async fn a_group_is_set_at_rcms_and_its_refusal_is_passed_on() {
    let rcms = StandIn::start().await;
    rcms.set_fleet(vec![device("RB1", 1)]);
    let simdeck = start(&rcms, &[]);
    until(&simdeck, "/v1/devices", |rows| rows.as_array().unwrap().len() == 1).await;
    let put = async |sn: &str, body: &str| {
        simdeck.send_json(Method::PUT, &format!("/v1/devices/{sn}/group"), body).await
    };
    let (status, answer) = put("RB1", r#"{"groupName":"Demo ß"}"#).await;
    assert_eq!((status, &answer["groupName"]), (200, &json!("Demo ß")), "{answer}");
    let seen = rcms.requests().into_iter().find(|seen| seen.method == "PUT").unwrap();
    assert_eq!(seen.path, "/api/link/devices/RB1/group");
    assert_eq!(seen.verdict, Ok(()));
    assert_eq!(String::from_utf8(seen.body).unwrap(), r#"{"groupName":"Demo ß"}"#);
    until(&simdeck, "/v1/devices/RB1", |row| row["group"] == "Demo ß").await;

    let audit = simdeck.rows("/v1/audit?action=device.group").await;
    let told = |nth: usize| ["outcome", "subject", "details"].map(|name| audit[nth][name].clone());
    assert_eq!(told(0), ["done", "RB1", "into Demo ß, before in Default"].map(|it| json!(it)));

    let refusals = [
        (Fault::Code(-1, "group is full".to_owned()), 409, "group is full"),
        (Fault::SignatureRefused, 502, "40002"),
        (Fault::Status(500, Vec::new(), String::new()), 502, "500"),
        (Fault::Html, 502, "JSON"),
    ];
    for (fault, expected, words) in refusals {
        rcms.fault(On::Group, fault, Times::Once);
        let (status, answer) = put("RB1", r#"{"groupName":"Demo"}"#).await;
        assert_eq!(status, expected, "{answer}");
        assert!(answer["detail"].as_str().unwrap().contains(words), "{answer}");
    }
    let (status, answer) = put("RB9", r#"{"groupName":"Demo"}"#).await;
    assert_eq!(status, 409, "RCMS does not know it: {answer}");
}

#[tokio::test]
async fn the_secret_is_in_no_log_answer_metric_or_file() {
    let rcms = StandIn::start().await;
    rcms.set_fleet(fleet(3));
    let faults = [
        Fault::SignatureRefused,
        Fault::Code(-1, "no".to_owned()),
        Fault::Html,
        Fault::Truncated,
        Fault::Reset,
        Fault::Status(302, vec![("Location".into(), "http://127.0.0.1:1/".into())], String::new()),
    ];
    for fault in faults.clone() {
        rcms.fault(On::StatusData, fault.clone(), Times::Once);
        rcms.fault(On::Group, fault, Times::Once);
    }
    let simdeck = start(&rcms, &[("SIMDECK_LOG", "trace")]);
    let folder = simdeck.folder();
    until(&simdeck, "/v1/devices", |rows| rows.as_array().unwrap().len() == 3).await;
    let mut told = String::new();
    for _ in faults {
        let path = "/v1/devices/RB0000000000001/group";
        let (_, answer) = simdeck.send_json(Method::PUT, path, r#"{"groupName":"A"}"#).await;
        told += &answer.to_string();
    }
    rcms.fault(On::Any, Fault::SignatureRefused, Times::Always);
    let failing = |status: &Value| status["rcms"]["state"] == "failing";
    told += &until(&simdeck, "/v1/status", failing).await.to_string();
    for path in ["/metrics", "/readyz", "/v1/devices", "/v1/devices/summary", "/v1"] {
        told += &simdeck.ask_text(Method::GET, path).await.1;
    }
    told += &simdeck.end();
    assert!(told.contains("40002") && told.contains("deviceTotal"), "there was something to read");
    for entry in std::fs::read_dir(folder.path().join("data")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        told.push_str(&String::from_utf8_lossy(&bytes));
    }
    assert!(!told.contains(CANARY) && !told.contains("never-be-seen"), "it has leaked");
}

#[tokio::test]
async fn a_server_says_that_rcms_lists_fewer_routers_than_it_counts() {
    let rcms = StandIn::start().await;
    rcms.set_fleet(fleet(3));
    rcms.edit(|world| world.totals = Some(json!({"deviceTotal": 13})));
    let simdeck = start(&rcms, &[]);
    let is_told = |status: &Value| {
        let conditions = status["conditions"].as_array().unwrap();
        conditions.iter().any(|it| it["name"] == "rcms_list_short" && it["on"] == true)
    };
    let status = until(&simdeck, "/v1/status", is_told).await;
    let rcms_now = &status["rcms"];
    let counts = (&rcms_now["devices_counted"], &rcms_now["devices_listed"]);
    assert_eq!(counts, (&json!(13), &json!(3)), "{status}");
    let log = simdeck.end();
    assert!(log.contains("RCMS counts 13 routers and lists 3 of them"), "{log}");
}
