//! What the poller does while RCMS does not answer, and afterwards.
use std::time::Duration;

use serde_json::json;
use simdeck::domain::{DeviceEventKind, DeviceState, PollCall, PollFailureKind, Timestamp};

use super::{
    simulated::{CYCLE, HOUR, MINUTE, Polled, START_MS},
    stand_in::{Fault, On, Sample, StandIn, Times, fleet},
};

const DEVICES: usize = 40;

fn sn(number: usize) -> String {
    format!("RB{number:013}")
}

/// The most requests in any minute.
fn most_in_a_minute(at: &[Duration]) -> usize {
    let from =
        |start: Duration| at.iter().filter(|at| (start..start + MINUTE).contains(*at)).count();
    at.iter().map(|start| from(*start)).max().unwrap_or(0)
}

/// One sample a quarter of an hour, for two days.
fn samples() -> Vec<Sample> {
    let sample = |quarter: i64| {
        let at_ms = START_MS + quarter * 900_000;
        Sample { at_ms, body: json!({"data": {"system": {"system_time": at_ms}}}) }
    };
    (0..192).map(sample).collect()
}

#[tokio::test]
async fn a_day_without_rcms_costs_one_request_a_minute_and_leaves_no_gap() {
    let rcms = StandIn::start().await;
    rcms.set_fleet(fleet(DEVICES));
    rcms.edit(|world| {
        for number in 1..=DEVICES {
            world.samples.insert(sn(number), samples());
        }
    });
    let mut polled = Polled::start(rcms, &[]).await;
    polled.pass(HOUR).await;
    assert_eq!(polled.device(&sn(1)).await.listed.state, DeviceState::Online);

    // Of each kind, one after another: none of them may be taken for something else.
    let unavailable = Fault::Status(503, Vec::new(), String::new());
    let failures = [Fault::Reset, unavailable, Fault::Html, Fault::Truncated];
    let outage_began = Timestamp::from_unix_ms(START_MS).plus(HOUR + CYCLE / 2);
    polled.rcms.forget_requests();
    for failure in failures {
        polled.rcms.clear_faults();
        polled.rcms.fault(On::Any, failure, Times::Always);
        polled.pass(6 * HOUR).await;
    }
    let at = polled.asked_at();
    assert!(at.len() > 24 * 60 * 8 / 10, "it goes on asking: {}", at.len());
    assert!(at.len() <= 24 * 60 + 2, "{}", at.len());
    // The first three failures, one of each kind, are what opens the breaker.
    assert!(most_in_a_minute(&at[2..]) <= 1);
    assert_whole_fleet_is(&polled, DeviceState::Unknown).await;
    let lost = polled.device(&sn(1)).await;
    let lost_after = lost.state_since.since(outage_began);
    assert!(lost_after > CYCLE && lost_after < 4 * CYCLE, "{lost_after:?}");
    let report = polled.report.borrow().clone();
    assert!(report.paused_until.is_some());
    assert!(report.failing.contains_key(&PollCall::DeviceList));

    polled.rcms.clear_faults();
    polled.rcms.forget_requests();
    polled.pass(2 * CYCLE + CYCLE / 5).await;
    assert_eq!(polled.report.borrow().failing.len(), 0);
    for number in 1..=DEVICES {
        let known = [DeviceState::Offline, DeviceState::Online];
        assert!(known.contains(&polled.device(&sn(number)).await.listed.state), "{number}");
        let events = polled.history(&sn(number)).await;
        let quarters: Vec<i64> = events
            .iter()
            .filter_map(|event| match &event.what {
                DeviceEventKind::Status(run) => Some((event.at, run.until)),
                DeviceEventKind::State(_) => None,
            })
            .flat_map(|(from, to)| {
                let [from, to] = [from, to].map(|at| (at.unix_ms() - START_MS) / 900_000);
                from..=to
            })
            .collect();
        // Samples older than a day are thinned to one an hour: the first of each stays.
        let last = *quarters.last().unwrap();
        assert!(last >= 99, "{number}: the gap is closed up to {last}");
        let day_old = (0..=last).filter(|quarter| last - quarter > 96 + 4);
        for quarter in (0..=last).filter(|quarter| last - quarter <= 96 - 4) {
            assert!(quarters.contains(&quarter), "{number} lacks {quarter}");
        }
        for hour in day_old.filter(|quarter| quarter % 4 == 0) {
            assert!(quarters.contains(&hour), "{number} lacks the hour of {hour}");
        }
    }
    let asked = polled.asked_at();
    let second = Duration::from_secs(1);
    let burst = asked.iter().filter(|at| **at < asked[0] + second).count();
    assert!(burst <= 9, "no stampede: {burst} in the first second");
}

async fn assert_whole_fleet_is(polled: &Polled, state: DeviceState) {
    let devices = polled.devices().await;
    assert_eq!(devices.len(), DEVICES);
    assert!(devices.iter().all(|device| device.listed.state == state));
}

#[tokio::test]
async fn a_refused_signature_is_tried_ever_more_rarely_and_then_every_15_minutes() {
    let rcms = StandIn::start().await;
    rcms.set_fleet(fleet(3));
    rcms.fault(On::Any, Fault::SignatureRefused, Times::Always);
    let mut polled = Polled::start(rcms, &[]).await;
    polled.pass(3 * HOUR).await;
    let at = polled.asked_at();
    let pauses: Vec<u64> = at.windows(2).map(|pair| (pair[1] - pair[0]).as_secs() / 60).collect();
    assert_eq!(pauses[..5], [1, 2, 4, 8, 15]);
    assert!(pauses[5..].iter().all(|minutes| *minutes == 15), "{pauses:?}");
    let report = polled.report.borrow().clone();
    let (_, worst) = report.worst().unwrap();
    assert_eq!(worst.kind, PollFailureKind::Signature);
    assert!(worst.sentence.contains("SIMDECK_RCMS_CLIENT_SECRET"), "{}", worst.sentence);

    polled.rcms.clear_faults();
    polled.pass(17 * MINUTE).await;
    assert!(polled.report.borrow().failing.is_empty());
    assert_eq!(polled.devices().await.len(), 3);
}

#[tokio::test]
async fn rcms_that_asks_for_time_gets_it() {
    let rcms = StandIn::start().await;
    rcms.set_fleet(fleet(3));
    let mut polled = Polled::start(rcms, &[]).await;
    let later = vec![("Retry-After".to_owned(), "600".to_owned())];
    polled.rcms.fault(On::Any, Fault::Status(429, later, String::new()), Times::Once);
    polled.rcms.forget_requests();
    polled.pass(20 * MINUTE).await;
    let at = polled.asked_at();
    assert!(at[1] - at[0] >= 10 * MINUTE, "{:?}", &at[..2]);
    assert!(at[1] - at[0] <= 12 * MINUTE, "{:?}", &at[..2]);
    assert!(polled.report.borrow().failing.is_empty());
}

#[tokio::test]
async fn what_cannot_be_stored_is_told_and_the_next_poll_stores_it() {
    let rcms = StandIn::start().await;
    rcms.set_fleet(fleet(3));
    let mut polled = Polled::start(rcms, &[]).await;
    polled
        .sql("create trigger broken before insert on device begin select raise(abort, 'no'); end")
        .await;
    polled.rcms.set_fleet(fleet(4));
    polled.pass(CYCLE).await;
    assert_eq!(polled.devices().await.len(), 3);
    let report = polled.report.borrow().clone();
    assert_eq!(report.worst().unwrap().1.kind, PollFailureKind::Store);
    polled.sql("drop trigger broken").await;
    polled.pass(CYCLE).await;
    assert_eq!(polled.devices().await.len(), 4);
    assert!(polled.report.borrow().failing.is_empty());
}
