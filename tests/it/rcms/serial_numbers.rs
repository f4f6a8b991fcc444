//! One router has one serial number, however it is written.
use reqwest::Method;
use serde_json::json;
use simdeck::domain::{DeviceEventKind, DeviceState};

use super::{
    live::{start, until},
    simulated::{CYCLE, MINUTE, Polled, START_MS},
    stand_in::{Fault, On, Sample, StandIn, Times, device},
};

fn sample(at_ms: i64) -> Sample {
    Sample { at_ms, body: json!({"data": {"system": {"system_time": at_ms}}}) }
}

async fn rcms_with(numbers: &[&str]) -> StandIn {
    let rcms = StandIn::start().await;
    rcms.set_fleet(numbers.iter().map(|sn| device(sn, 1)).collect());
    rcms
}

/// How the devices are written, and how often each was seen in a new state and told a sample.
async fn told(polled: &Polled) -> Vec<(String, usize, usize)> {
    let mut told = Vec::new();
    for device in polled.devices().await {
        let sn = device.listed.sn.as_str();
        let events = polled.history(sn).await;
        let is_state = |event: &&_| matches!(**event, DeviceEventKind::State(_));
        let kinds: Vec<_> = events.into_iter().map(|event| event.what).collect();
        let states = kinds.iter().filter(is_state).count();
        told.push((sn.to_owned(), states, kinds.len() - states));
    }
    told
}

fn told_of(sn: &str, states: usize, samples: usize) -> (String, usize, usize) {
    (sn.to_owned(), states, samples)
}

#[tokio::test]
async fn a_serial_number_may_have_hyphens_and_blanks_around() {
    let rcms = rcms_with(&["RB-0001", "  rb2 ", "\tRB3\n"]).await;
    rcms.edit(|world| world.samples.insert("RB-0001".to_owned(), vec![sample(START_MS - 1000)]));
    let polled = Polled::start(rcms, &[]).await;
    let expected = [told_of("RB-0001", 1, 1), told_of("rb2", 1, 0), told_of("RB3", 1, 0)];
    assert_eq!(told(&polled).await, expected);
    assert_eq!(polled.report.borrow().unread, (0, 0));
}

#[tokio::test]
async fn what_is_no_serial_number_is_counted() {
    let polled = Polled::start(rcms_with(&["RB1", "RB 2", "-", "RB_3", ""]).await, &[]).await;
    assert_eq!(told(&polled).await, [told_of("RB1", 1, 0)]);
    assert_eq!(polled.report.borrow().unread, (4, 0));
}

#[tokio::test]
async fn a_router_that_is_listed_in_other_letters_goes_on_as_the_same_router() {
    let rcms = rcms_with(&["rb-1", "rb-2"]).await;
    rcms.edit(|world| {
        for sn in ["rb-1", "RB-1"] {
            world.samples.insert(sn.to_owned(), vec![sample(START_MS - 1000)]);
        }
    });
    let mut polled = Polled::start(rcms, &["Rb-1"]).await;
    let since = polled.device("rb-1").await.state_since;
    for letters in ["RB-1", "rb-1", "RB-1"] {
        polled.rcms.set_fleet(vec![device(letters, 1), device("rb-2", 1)]);
        polled.pass(3 * CYCLE).await;
        assert_eq!(told(&polled).await, [told_of(letters, 1, 1), told_of("rb-2", 1, 0)]);
    }
    polled.rcms.forget_requests();
    polled.pass(16 * MINUTE).await;
    let asked = polled.asked();
    assert!(asked.contains(&"device/devices/RB-1/statusData".to_owned()), "as it is listed now");
    assert!(!asked.iter().any(|path| path.contains("b-1/")), "{asked:?}");
    for letters in ["rb-1", "Rb-1", "RB-1"] {
        let device = polled.device(letters).await;
        let now = (device.listed.state, device.state_since, device.listed.sn.as_str());
        assert_eq!(now, (DeviceState::Online, since, "RB-1"));
    }
}

#[tokio::test]
async fn a_router_that_the_settings_name_in_other_letters_is_the_listed_one() {
    let rcms = rcms_with(&["RB1"]).await;
    rcms.edit(|world| world.samples.insert("rb1".to_owned(), vec![sample(START_MS - 1000)]));
    rcms.fault(On::DeviceList, Fault::Code(-1, "later".to_owned()), Times::Count(4));
    let mut polled = Polled::start(rcms, &["rb1"]).await;
    assert_eq!(told(&polled).await, [told_of("rb1", 0, 1)], "asked before it was listed");
    polled.pass(4 * CYCLE).await;
    assert_eq!(told(&polled).await, [told_of("RB1", 1, 1)]);
}

#[tokio::test]
async fn a_sim_is_in_the_router_that_people_name_in_other_letters() {
    let rcms = rcms_with(&["RB-1A"]).await;
    let simdeck = start(&rcms, &[]);
    until(&simdeck, "/v1/devices", |rows| rows.as_array().unwrap().len() == 1).await;
    let giccid = "89445015031813779930";
    let (path, label) = (format!("/v1/sims/{giccid}"), r#"{"device_sn":"rb-1a"}"#);
    assert_eq!(simdeck.send_json(Method::PUT, &path, label).await.0, 200);
    let sim = simdeck.get(&path).await;
    assert_eq!(
        (&sim["device_sn"], &sim["device"]["sn"]),
        (&json!("rb-1a"), &json!("RB-1A")),
        "{sim}"
    );
    for letters in ["RB-1A", "rb-1a"] {
        let device = simdeck.get(&format!("/v1/devices/{letters}")).await;
        assert_eq!(
            (&device["sn"], &device["sims"][0]["giccid"]),
            (&json!("RB-1A"), &json!(giccid))
        );
        assert_eq!(simdeck.rows(&format!("/v1/devices/{letters}/history")).await.len(), 1);
    }
    let group = simdeck.send_json(Method::PUT, "/v1/devices/rb-1a/group", r#"{"groupName":"A"}"#);
    let (status, answer) = group.await;
    assert_eq!((status, &answer["sn"]), (200, &json!("RB-1A")), "in RCMS's letters: {answer}");
}
