//! RCMS counts more routers than it lists.
use serde_json::json;
use simdeck::{
    domain::{DeviceState, PollReport, Timestamp},
    rcms::{ListWalk, SampleWalk},
};

use super::{
    asking::client,
    simulated::{CYCLE, Polled},
    stand_in::{Fault, On, StandIn, Times, fleet},
};

#[test]
fn one_router_may_come_or_go_between_the_two_questions() {
    let mut report = PollReport::default();
    report.note_list(31, 30);
    assert_eq!(report.short_list(), None);
    report.note_list(31, 31);
    report.note_list(32, 31);
    assert_eq!(report.short_list(), None);
    report.note_list(32, 31);
    assert_eq!(report.short_list(), Some((32, 31)));
}

#[tokio::test]
async fn a_list_that_is_shorter_than_the_count_is_told_once_it_is_so_twice() {
    let rcms = StandIn::start().await;
    rcms.set_fleet(fleet(30));
    rcms.edit(|world| {
        world.totals = Some(json!({"deviceTotal": 130, "onlineTotal": 15, "offlineTotal": 15}));
    });
    let mut polled = Polled::start(rcms, &[]).await;
    polled.pass(CYCLE / 2).await;
    assert_eq!(polled.report.borrow().counted_and_listed, Some((130, 30)));
    polled.pass(CYCLE * 2).await;
    assert_eq!(polled.report.borrow().short_list(), Some((130, 30)));
    polled.rcms.edit(|world| world.totals = None);
    polled.pass(CYCLE * 2).await;
    let report = polled.report.borrow().clone();
    assert_eq!((report.counted_and_listed, report.short_list()), (Some((30, 30)), None));
}

#[tokio::test]
async fn a_router_that_goes_makes_none_wait_that_went_before() {
    let rcms = StandIn::start().await;
    let all = fleet(10);
    rcms.set_fleet(all.clone());
    rcms.edit(|world| world.totals = Some(json!({"onlineTotal": 5})));
    let mut polled = Polled::start(rcms, &[]).await;
    polled.pass(CYCLE).await;
    // One more goes in each cycle: the first has been missing from three lists when the third goes.
    for left in (7..10).rev() {
        polled.rcms.set_fleet(all[..left].to_vec());
        polled.pass(CYCLE).await;
    }
    let mut states = Vec::new();
    for number in 8..=10 {
        states.push(polled.device(&format!("RB{number:013}")).await.listed.state);
    }
    assert_eq!(states, [DeviceState::Offline, DeviceState::Online, DeviceState::Unknown]);
}

#[tokio::test]
async fn a_count_that_changes_while_the_list_is_read_confirms_nobodys_absence() {
    for goes in [false, true] {
        let rcms = StandIn::start().await;
        rcms.set_fleet(fleet(30));
        let mut walk = ListWalk::new(Some(30), 10);
        while let Some(page) = walk.next() {
            walk.take(client(&rcms).devices(page).await.unwrap());
            // All behind it move up, and the first of the next page is on none.
            if goes && page.number == 1 {
                rcms.edit(|world| world.devices.remove(2));
                walk.expect(Some(29));
            }
        }
        assert_eq!((walk.seen().len(), walk.is_confirmed()), (30 - usize::from(goes), !goes));
    }
}

#[tokio::test]
async fn a_page_of_samples_that_is_shorter_than_others_is_not_the_last() {
    let rcms = StandIn::start().await;
    let (sn, at) = ("RB1".parse().unwrap(), Timestamp::from_unix_ms(1_760_000_000_000));
    let (mut walk, mut read) = (SampleWalk::new(100, 0), 0);
    for (nth, items) in [10, 7, 10, 0].into_iter().enumerate() {
        let samples: Vec<_> =
            (0..items).map(|item| json!({"system": {"uptime": [nth, item]}})).collect();
        let body = json!({"code": 0, "data": samples}).to_string();
        rcms.fault(On::Any, Fault::Body(body), Times::Once);
        let page = walk.next().unwrap();
        read += walk.take(client(&rcms).status_data(&sn, page, at, at).await.unwrap()).len();
    }
    assert_eq!((read, walk.is_whole()), (27, true));
}
