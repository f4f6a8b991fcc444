//! Routers that RCMS lists no more.
use serde_json::json;
use simdeck::domain::DeviceState;

use super::{
    live::{start, until},
    simulated::{CYCLE, HOUR, Polled},
    stand_in::{StandIn, device, fleet},
};

fn sn(number: usize) -> String {
    format!("RB{number:013}")
}

/// How often a router was asked for itself since requests were last forgotten.
fn turns(polled: &Polled, number: usize) -> usize {
    let path = format!("device/devices/{}/statusData", sn(number));
    polled.asked().iter().filter(|asked| **asked == path).count()
}

#[tokio::test]
async fn a_router_that_rcms_lists_no_more_is_not_asked_for_and_one_that_comes_back_is_at_once() {
    let rcms = StandIn::start().await;
    rcms.set_fleet(fleet(3));
    let mut polled = Polled::start(rcms, &[&sn(3)]).await;
    polled.pass(3 * CYCLE).await;
    assert_eq!(turns(&polled, 2), 1);

    // Of routers 2 and 3 nothing is said any more; the settings name the third.
    polled.rcms.set_fleet(fleet(1));
    polled.pass(5 * CYCLE).await;
    assert_eq!(polled.device(&sn(2)).await.listed.state, DeviceState::Unknown);
    polled.rcms.forget_requests();
    polled.pass(2 * HOUR).await;
    assert_eq!(turns(&polled, 2), 0);
    // It has no answer, and is asked ever more rarely.
    assert!(turns(&polled, 1) >= 7 && turns(&polled, 3) >= 2, "{:?}", polled.asked());

    // Also one of which RCMS does not say whether it is online.
    polled.rcms.forget_requests();
    polled.rcms.set_fleet(vec![device(&sn(1), 1), device(&sn(2), json!("asleep"))]);
    polled.pass(CYCLE).await;
    assert_eq!(turns(&polled, 2), 1);
    assert_eq!(polled.device(&sn(2)).await.listed.state, DeviceState::Unknown);
}

#[tokio::test]
async fn a_router_that_is_gone_is_forgotten_by_a_command_and_one_that_is_listed_is_not() {
    let rcms = StandIn::start().await;
    rcms.set_fleet(fleet(2));
    let simdeck = start(&rcms, &[]);
    until(&simdeck, "/v1/devices", |rows| rows.as_array().unwrap().len() == 2).await;
    let forget = || simdeck.run(&["rcms", "forget", &sn(2)]);
    let refused = forget();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("RCMS lists this router"), "{said}");

    rcms.set_fleet(fleet(1));
    let path = format!("/v1/devices/{}", sn(2));
    until(&simdeck, &path, |row| row["listed"] == false).await;
    let done = forget();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let left = simdeck.rows("/v1/devices").await;
    assert_eq!(left.iter().map(|row| &row["sn"]).collect::<Vec<_>>(), [&json!(sn(1))]);
    let again = forget();
    assert!(!again.status.success(), "it is not there any more");
    let audit = simdeck.rows("/v1/audit?action=device.forget").await;
    let ended: Vec<_> = audit.iter().map(|row| (&row["subject"], &row["outcome"])).collect();
    assert_eq!(ended, [(&json!(sn(2)), &json!("failed")), (&json!(sn(2)), &json!("done"))]);
    simdeck.end();
}
