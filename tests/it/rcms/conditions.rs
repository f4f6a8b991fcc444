//! What RCMS's answers have a person look at, and how lists that take long are read.
use std::time::Duration;

use serde_json::{Value, json};
use simdeck::domain::{Clock, DeviceState, PollReport};

use super::{
    live::{start, until},
    simulated::{CYCLE, HOUR, MINUTE, Polled, SimulatedTime},
    stand_in::{Sample, StandIn, device, fleet},
};
use crate::{api_harness::Api, server::Simdeck};

/// The sentence of a condition that is on.
fn sentence_of(status: &Value, name: &str) -> Option<String> {
    let conditions = status["conditions"].as_array().unwrap();
    let on = conditions.iter().find(|it| it["name"] == name && it["on"] == true)?;
    assert!(!on["todo"].as_str().unwrap().is_empty(), "{on}");
    Some(on["sentence"].as_str().unwrap().to_owned())
}

async fn until_on(simdeck: &Simdeck, name: &str) -> String {
    let is_on = |status: &Value| sentence_of(status, name).is_some();
    sentence_of(&until(simdeck, "/v1/status", is_on).await, name).unwrap()
}

async fn until_off(simdeck: &Simdeck, name: &str) {
    until(simdeck, "/v1/status", |status| sentence_of(status, name).is_none()).await;
}

/// What a server says where the poller fares so.
async fn told_of(report: &PollReport, name: &str) -> Option<String> {
    let api = Api::with_rcms().await;
    api.report(report.clone());
    sentence_of(&api.get("/v1/status").await.json().await.unwrap(), name)
}

#[tokio::test]
async fn what_is_listed_and_not_understood_is_told_with_how_many_and_until_it_is() {
    let rcms = StandIn::start().await;
    let mut devices = fleet(3);
    devices.extend([device("RB 4", 1), device("RB_5", 1), device("RB6", "asleep")]);
    rcms.set_fleet(devices);
    let simdeck = start(&rcms, &[]);
    let told = until_on(&simdeck, "rcms_unread").await;
    let expected = "RCMS lists 2 without a serial number that can be read: not watched here. The \
                    online flag of 1 says neither yes nor no: unknown here.";
    assert_eq!(told, expected);
    // The others are.
    until(&simdeck, "/v1/devices", |rows| rows.as_array().is_some_and(|rows| rows.len() == 4))
        .await;
    rcms.set_fleet(fleet(3));
    until_off(&simdeck, "rcms_unread").await;
}

#[tokio::test]
async fn a_clock_that_is_not_rcmss_is_told_until_it_is() {
    let rcms = StandIn::start().await;
    rcms.set_fleet(fleet(1));
    for (skew_ms, side) in [(-120_000, "ahead of"), (120_000, "behind")] {
        rcms.edit(|world| world.clock_skew_ms = skew_ms);
        let simdeck = start(&rcms, &[]);
        let told = until_on(&simdeck, "rcms_clock").await;
        assert_eq!(told, format!("This server's clock is a minute or more {side} RCMS's."));
        rcms.edit(|world| world.clock_skew_ms = 0);
        until_off(&simdeck, "rcms_clock").await;
    }
}

#[tokio::test]
async fn an_rcms_that_answers_too_slowly_for_all_routers_is_told_until_it_does_not() {
    let (rcms, time) = (StandIn::start().await, SimulatedTime::new());
    rcms.set_fleet(fleet(120));
    let slow = time.clone();
    rcms.edit(|world| {
        world.on_request = Some(Box::new(move |path| {
            if path.ends_with("/statusData") {
                slow.take(Duration::from_secs(20));
            }
            None
        }));
    });
    let mut polled = Polled::start_in(time, CYCLE, rcms, &[]).await;
    polled.pass(40 * MINUTE).await;
    let report = polled.report.borrow().clone();
    assert!(report.is_slow() && report.late > 0, "{report:?}");
    let told = told_of(&report, "rcms_slow").await.unwrap();
    assert!(told.starts_with("RCMS is too slow, or bears too few requests"), "{told}");

    polled.rcms.edit(|world| world.on_request = None);
    polled.pass(30 * MINUTE).await;
    let report = polled.report.borrow().clone();
    assert!(!report.is_slow() && told_of(&report, "rcms_slow").await.is_none(), "{report:?}");
}

#[tokio::test]
async fn a_list_that_takes_longer_than_its_part_of_a_cycle_goes_on_where_it_was() {
    let (rcms, time) = (StandIn::start().await, SimulatedTime::new());
    rcms.set_fleet(fleet(60));
    let slow = time.clone();
    rcms.edit(|world| {
        world.page_size_max = Some(10);
        world.on_request = Some(Box::new(move |path| {
            if path.ends_with("/devices") {
                slow.take(Duration::from_secs(14));
            }
            None
        }));
    });
    let mut polled = Polled::start_in(time, CYCLE, rcms, &[]).await;
    polled.pass(20 * MINUTE).await;
    let requests = polled.rcms.requests();
    let pages: Vec<u32> = requests
        .iter()
        .filter(|seen| seen.path.ends_with("/devices"))
        .map(|seen| seen.pair("pageNum").unwrap().parse().unwrap())
        .collect();
    let whole = pages.windows(2).filter(|pair| pair[1] == 1).map(|pair| pair[0]);
    assert!(whole.clone().count() >= 5 && whole.clone().all(|last| last == 7), "{pages:?}");
    let goes_on = pages.windows(2).all(|pair| pair[1] == 1 || pair[1] == pair[0] + 1);
    assert!(goes_on, "no page is asked for twice in one reading: {pages:?}");
    let devices = polled.devices().await;
    let is_known = |state| devices.iter().filter(|it| it.listed.state == state).count();
    assert_eq!([DeviceState::Online, DeviceState::Offline].map(is_known), [30, 30]);
    assert!(polled.report.borrow().failing.is_empty());
}

#[tokio::test]
async fn an_rcms_without_samples_of_any_router_is_told_until_there_is_one() {
    let rcms = StandIn::start().await;
    rcms.set_fleet(fleet(3));
    let mut polled = Polled::start(rcms, &[]).await;
    polled.pass(HOUR).await;
    let since = polled.report.borrow().no_samples_since.expect("nothing has come");
    assert_eq!(polled.report.borrow().without_samples(polled.time.now()), None, "not for long yet");
    polled.pass(HOUR + 2 * MINUTE).await;
    assert_eq!(polled.report.borrow().without_samples(polled.time.now()), Some(since));

    let api = Api::with_rcms().await;
    let ago = |hours| api.freshness().now.minus(hours * HOUR);
    for (hours, is_told) in [(1, false), (2, true)] {
        let report = PollReport { no_samples_since: Some(ago(hours)), ..PollReport::default() };
        let told = told_of(&report, "rcms_no_samples").await;
        assert_eq!(told.is_some(), is_told, "{hours}: {told:?}");
    }

    let at_ms = polled.time.now().unix_ms();
    let body = json!({"data": {"system": {"system_time": at_ms}}});
    polled.rcms.edit(|world| {
        world.samples.insert("RB0000000000003".to_owned(), vec![Sample { at_ms, body }])
    });
    polled.pass(20 * MINUTE).await;
    let now = polled.report.borrow().no_samples_since;
    assert!(now.is_none_or(|now| now > since), "one router's sample is enough");

    polled.rcms.set_fleet(vec![device("RB0000000000002", 0)]);
    polled.pass(5 * HOUR).await;
    assert_eq!(polled.report.borrow().no_samples_since, None, "who is offline tells nothing");
}
