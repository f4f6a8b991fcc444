//! How the poller asks, and what it makes of the answers, as long as RCMS answers.
use std::{collections::BTreeMap, time::Duration};

use serde_json::json;
use simdeck::{
    domain::{Clock, DeviceEventKind, DeviceState, PollCall, PollFailureKind},
    poller::Pace,
};

use super::{
    simulated::{CYCLE, HOUR, MINUTE, Polled, START_MS},
    stand_in::{Fault, On, Sample, StandIn, Times, device, fleet},
};

async fn rcms_with(devices: usize) -> StandIn {
    let rcms = StandIn::start().await;
    rcms.set_fleet(fleet(devices));
    rcms
}

fn sn(number: usize) -> String {
    format!("RB{number:013}")
}

/// What a device was seen to be, in order.
async fn states(polled: &Polled, sn: &str) -> Vec<DeviceState> {
    let state = |kind| match kind {
        DeviceEventKind::State(state) => Some(state),
        DeviceEventKind::Status(_) => None,
    };
    polled.history(sn).await.into_iter().filter_map(|event| state(event.what)).collect()
}

#[tokio::test]
async fn each_cycle_asks_for_totals_and_list_and_every_device_has_its_turn_within_15_minutes() {
    let rcms = rcms_with(250).await;
    rcms.edit(|world| world.delay = Duration::from_millis(1));
    let mut polled = Polled::start(rcms, &[]).await;
    polled.pass(2 * HOUR).await;
    let end = polled.time.elapsed();

    let mut turns: BTreeMap<String, Vec<Duration>> = BTreeMap::new();
    for (path, at) in polled.asked().into_iter().zip(polled.asked_at()) {
        turns.entry(path).or_default().push(at);
    }
    let cycles = turns["dashboard/deviceTotal"].len();
    assert!((115..=127).contains(&cycles), "{cycles} cycles in 120 minutes");
    assert_eq!(turns["device/devices"].len(), 4 * cycles, "100, 100 and 50 devices, and no more");
    for number in 1..=250 {
        let mut at = turns[&format!("device/devices/{}/statusData", sn(number))].clone();
        at.push(end);
        for pair in at.windows(2) {
            let waited = pair[1] - pair[0];
            assert!(waited <= 15 * MINUTE, "{number} waited {waited:?}");
            assert!(waited > 10 * MINUTE || pair[1] == end, "{number} asked again too soon");
        }
        assert!(at[0] <= 2 * MINUTE, "{number} first asked at {:?}", at[0]);
    }
    assert_eq!(polled.rcms.max_in_flight(), 2);
    let at = polled.asked_at();
    let in_a_second = |start: &Duration| {
        at.iter().filter(|at| (*start..*start + Duration::from_secs(1)).contains(*at)).count()
    };
    let most = at.iter().map(in_a_second).max().unwrap();
    assert!(most <= 16, "a burst of 8, then 8 a second, not {most}");
    assert_eq!(polled.devices().await.len(), 250);
}

#[tokio::test]
async fn a_change_of_state_is_kept_with_the_time_it_was_first_seen_and_asked_about_at_once() {
    let rcms = rcms_with(3).await;
    let mut polled = Polled::start(rcms, &[]).await;
    assert_eq!(polled.device(&sn(1)).await.listed.state, DeviceState::Online);
    polled.pass(3 * CYCLE).await;
    let before = polled.time.now();
    polled.rcms.forget_requests();
    polled.rcms.set_fleet(vec![device(&sn(1), 0), device(&sn(2), 0), device(&sn(3), 1)]);
    polled.pass(CYCLE).await;

    let changed = polled.device(&sn(1)).await;
    assert_eq!(changed.listed.state, DeviceState::Offline);
    assert!(changed.state_since > before, "when it was first seen");
    assert!(polled.asked().contains(&format!("device/devices/{}/statusData", sn(1))));
    assert!(!polled.asked().contains(&format!("device/devices/{}/statusData", sn(2))));
    polled.pass(10 * CYCLE).await;
    assert_eq!(polled.device(&sn(1)).await.state_since, changed.state_since);
    let [online, offline] = *states(&polled, &sn(1)).await else { panic!() };
    assert_eq!((online, offline), (DeviceState::Online, DeviceState::Offline));
    assert_eq!(states(&polled, &sn(3)).await.len(), 1, "nothing new, nothing written");
}

#[tokio::test]
async fn pages_may_repeat_overlap_and_be_smaller_than_asked() {
    let rcms = rcms_with(250).await;
    rcms.edit(|world| world.overlap = 7);
    let mut polled = Polled::start(rcms, &[]).await;
    assert_eq!(polled.devices().await.len(), 250, "overlapping");
    polled.rcms.edit(|world| (world.overlap, world.page_size_max) = (0, Some(40)));
    polled.rcms.set_fleet(fleet(300));
    polled.pass(CYCLE).await;
    let devices = polled.devices().await;
    assert_eq!(devices.len(), 300, "40 a page, though 100 were asked for");
    assert!(devices.iter().all(|device| device.listed.state != DeviceState::Unknown));

    // The same page for ever: the walk ends, and who was not shown is not taken for gone.
    polled.rcms.edit(|world| (world.ignore_paging, world.page_size_max) = (true, None));
    polled.rcms.forget_requests();
    polled.pass(CYCLE).await;
    let pages = polled.asked().iter().filter(|path| *path == "device/devices").count();
    assert_eq!(pages, 2);
    assert_ne!(polled.device(&sn(300)).await.listed.state, DeviceState::Unknown);
    polled.pass(4 * CYCLE).await;
    assert_eq!(polled.device(&sn(300)).await.listed.state, DeviceState::Unknown, "too old");
    assert_ne!(polled.device(&sn(100)).await.listed.state, DeviceState::Unknown);
}

#[tokio::test]
async fn a_device_that_vanishes_is_unknown_and_never_deleted() {
    let rcms = rcms_with(3).await;
    let mut polled = Polled::start(rcms, &[]).await;
    polled.rcms.set_fleet(fleet(2));
    polled.pass(CYCLE).await;
    let gone = polled.device(&sn(3)).await;
    assert_eq!(gone.listed.state, DeviceState::Unknown);
    assert_eq!(&*gone.listed.name, "Router RB0000000000003", "the last that was known");
    polled.rcms.set_fleet(fleet(3));
    polled.pass(CYCLE).await;
    use DeviceState::{Online, Unknown};
    assert_eq!(states(&polled, &sn(3)).await, [Online, Unknown, Online]);

    polled.rcms.set_fleet(Vec::new());
    polled.pass(2 * CYCLE).await;
    assert_ne!(
        polled.device(&sn(1)).await.listed.state,
        Unknown,
        "an empty list alone is no proof"
    );
    polled.pass(2 * CYCLE).await;
    let devices = polled.devices().await;
    assert_eq!(devices.len(), 3, "an empty list deletes nobody");
    assert!(devices.iter().all(|device| device.listed.state == Unknown));
}

#[tokio::test]
async fn named_devices_are_asked_for_whatever_list_and_totals_answer() {
    let failures = [
        Fault::Status(500, Vec::new(), String::new()),
        Fault::Status(404, Vec::new(), String::new()),
        Fault::Code(-1, "not for you".to_owned()),
        Fault::Html,
    ];
    for failure in failures {
        let rcms = rcms_with(0).await;
        rcms.edit(|world| {
            let body = json!({"data": {"system": {"uptime": "5 days"}}});
            world.samples.insert(sn(1), vec![Sample { at_ms: START_MS - 1000, body }]);
            world.devices = fleet(1);
        });
        rcms.fault(On::DeviceTotal, failure.clone(), Times::Always);
        rcms.fault(On::DeviceList, failure.clone(), Times::Always);
        let mut polled = Polled::start(rcms, &[&sn(1)]).await;
        polled.pass(40 * MINUTE).await;
        let device = polled.device(&sn(1)).await;
        let facts = device.status.unwrap().facts;
        assert_eq!(&*facts.uptime, "5 days", "{failure:?}");
        assert_eq!(device.listed.state, DeviceState::Unknown, "no flag was ever seen");
        let asked = polled.asked();
        let requests = polled.rcms.requests();
        let first_pages = requests
            .iter()
            .filter(|seen| seen.path.ends_with("/statusData") && seen.pair("pageNum") == Some("1"));
        let times = first_pages.count();
        assert!((3..=4).contains(&times), "{failure:?}: asked {times} times in 40 minutes");
        let cycles = asked.iter().filter(|path| path.ends_with("/deviceTotal")).count();
        assert!(cycles >= 12, "{failure:?}: {cycles} cycles in 40 minutes");
        let report = polled.report.borrow().clone();
        let failing: Vec<_> = report.failing.keys().copied().collect();
        assert_eq!(failing, [PollCall::DeviceList, PollCall::DeviceTotal], "{failure:?}");
    }
}

#[tokio::test]
async fn a_page_that_fails_is_asked_once_more_and_then_takes_nothing_back() {
    let rcms = rcms_with(250).await;
    let broken = Fault::Status(502, Vec::new(), String::new());
    rcms.fault(On::DeviceListPage(2), broken.clone(), Times::Once);
    let mut polled = Polled::start(rcms, &[]).await;
    assert_eq!(polled.devices().await.len(), 250, "the second try was answered");

    polled.rcms.fault(On::DeviceListPage(2), broken, Times::Always);
    polled.pass(2 * CYCLE).await;
    assert_ne!(polled.device(&sn(150)).await.listed.state, DeviceState::Unknown);
    polled.pass(3 * CYCLE).await;
    assert_eq!(polled.device(&sn(150)).await.listed.state, DeviceState::Unknown, "too old");
    for number in [99, 250] {
        assert_ne!(polled.device(&sn(number)).await.listed.state, DeviceState::Unknown);
    }
    let report = polled.report.borrow().clone();
    assert_eq!(report.worst().unwrap().1.kind, PollFailureKind::Status);
    assert!(report.paused_until.is_none(), "the rest is still answered");

    polled.rcms.clear_faults();
    polled.pass(2 * CYCLE).await;
    assert_ne!(polled.device(&sn(150)).await.listed.state, DeviceState::Unknown);
    assert!(polled.report.borrow().failing.is_empty());
}

#[tokio::test]
async fn one_device_without_an_answer_costs_the_others_nothing() {
    let rcms = rcms_with(30).await;
    for (number, fault) in [
        (1, Fault::Status(500, Vec::new(), String::new())),
        (2, Fault::Code(-1, "not registered".to_owned())),
        (15, Fault::CutJson),
        (30, Fault::Truncated),
    ] {
        rcms.fault(On::StatusOf(sn(number)), fault, Times::Always);
    }
    let mut polled = Polled::start(rcms, &[]).await;
    polled.pass(20 * MINUTE).await;
    for number in 1..=30 {
        let asked_to = polled.device(&sn(number)).await.status_asked_to;
        assert_eq!(asked_to.is_none(), [1, 2, 15, 30].contains(&number), "{number}");
    }
    assert!(polled.report.borrow().failing.is_empty(), "{:?}", polled.report.borrow());
    assert!(polled.report.borrow().failures[&PollFailureKind::Code] >= 2);
}

#[tokio::test]
async fn samples_are_kept_whole_and_once_though_spans_overlap() {
    let rcms = rcms_with(1).await;
    // One a minute, from almost an hour before the start: the first question reaches so far back.
    let samples = (-59..180).map(|minute| {
        let at_ms = START_MS + minute * 60_000;
        let body =
            json!({"data": {"system": {"system_time": at_ms, "uptime": minute.to_string()}}});
        Sample { at_ms, body }
    });
    let samples: Vec<_> = samples.collect();
    rcms.edit(|world| world.samples.insert(sn(1), samples));
    let mut polled = Polled::start(rcms, &[]).await;
    polled.pass(2 * HOUR).await;
    let events = polled.history(&sn(1)).await;
    let minutes: Vec<i64> = events
        .iter()
        .filter(|event| matches!(event.what, DeviceEventKind::Status(_)))
        .map(|event| (event.at.unix_ms() - START_MS) / 60_000)
        .collect();
    let last = *minutes.last().unwrap();
    assert!((104..=120).contains(&last), "{last}");
    assert_eq!(minutes, (-59..=last).collect::<Vec<_>>(), "each once, none missing");
}
