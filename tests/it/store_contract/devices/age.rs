//! What is known of routers goes by age, and routers that are gone are forgotten.
use std::time::Duration;

use simdeck::{
    domain::{
        DevicePoll,
        DeviceState::{Offline, Online, Unknown},
        Listing, StatusSample,
    },
    store::{Forgetting, Opened, Pruned, Pruning, Retention},
};

use super::{
    GOOD_FOR, MINUTE_MS, Place, asked, at, device, freshness, history, keep, listed, poll, sample,
    samples, sn, states, walk,
};

const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// Takes away what is older than ten days, by a clock that is so long after NOW.
async fn prune(opened: &mut Opened, after_ms: i64) -> Pruned {
    let day = Duration::from_secs(86_400);
    let long = 4_000 * day;
    let retention =
        Retention { records: long, messages: long, refused: long, audit: long, devices: 10 * day };
    let mut pruning = Pruning::new(&retention, at(after_ms));
    for _ in 0..1_000 {
        if pruning.is_done() {
            return pruning.pruned();
        }
        opened.writer.prune_some(&mut pruning).await.unwrap();
    }
    panic!("the prune does not end: {pruning:?}");
}

/// Asks the first router on this day; it says this.
async fn says(opened: &mut Opened, day: i64, word: &str) {
    let taken = Some(at(day * DAY_MS));
    let whole = sample(taken, &format!("{word} on {day}")).whole;
    let sample = StatusSample { whole, ..sample(taken, word) };
    keep(opened, asked(day * DAY_MS, 1, vec![sample])).await;
}

/// A poll whose list lacks this router.
fn gone(after_ms: i64, nth: usize) -> DevicePoll {
    let listing = Listing { is_complete: true, gone: vec![sn(nth)], ..Listing::default() };
    DevicePoll { listing: Some(listing), ..poll(after_ms) }
}

async fn words(opened: &Opened, nth: usize) -> Vec<String> {
    samples(opened, nth).await.into_iter().map(|(_, whole)| whole).collect()
}

#[tokio::test]
async fn a_history_goes_by_age_but_for_what_held_since_and_the_newest_of_each_kind() {
    let place = Place::new();
    let mut opened = place.open().await;
    keep(&mut opened, walk(0, vec![listed(1, Online), listed(2, Online)], &[])).await;
    keep(&mut opened, asked(0, 2, vec![sample(Some(at(0)), "x")])).await;
    keep(&mut opened, walk(DAY_MS, vec![listed(1, Offline)], &[])).await;
    for (day, word) in [(0, "a"), (1, "b"), (5, "c"), (30, "c"), (31, "d")] {
        says(&mut opened, day, word).await;
    }
    let back = vec![listed(1, Online), listed(2, Online)];
    keep(&mut opened, walk(31 * DAY_MS, back, &[])).await;
    let before = history(&opened, 1).await.len() + history(&opened, 2).await.len();

    // Our clock alone makes nothing old: RCMS was last heard on day 31.
    let pruned = prune(&mut opened, 500 * DAY_MS).await;
    let told = |words: &[&str]| -> Vec<_> {
        words.iter().map(|word| format!(r#"{{"uptime":"{word}"}}"#)).collect()
    };
    assert_eq!(words(&opened, 1).await, told(&["c on 5", "d on 31"]));
    assert_eq!(words(&opened, 2).await, told(&["x"]));
    // What was before the present state tells that it was seen to begin.
    let lapsed_ms = DAY_MS + i64::try_from(GOOD_FOR.as_millis()).unwrap();
    let expected = [(lapsed_ms, Unknown), (31 * DAY_MS, Online)];
    assert_eq!(states(&opened, 1).await, expected);
    assert_eq!(states(&opened, 2).await, expected[1..]);
    let after = history(&opened, 1).await.len() + history(&opened, 2).await.len();
    let device_history = (before - after) as u64;
    assert_eq!(pruned, Pruned { device_history, ..Pruned::default() });
    assert_eq!(prune(&mut opened, 31 * DAY_MS).await, Pruned::default());
    // What is told of a router is as it was.
    let newest = device(&opened, 2, 31 * DAY_MS).await.status.unwrap();
    assert_eq!((newest.as_of, &*newest.facts.uptime), (at(0), "x"));
}

#[tokio::test]
async fn a_router_that_is_gone_is_forgotten_with_the_last_of_its_history() {
    let place = Place::new();
    let mut opened = place.open().await;
    let all = (1..=3).map(|nth| listed(nth, Online)).collect();
    keep(&mut opened, walk(0, all, &[])).await;
    keep(&mut opened, asked(0, 3, vec![sample(Some(at(0)), "z")])).await;
    keep(&mut opened, gone(DAY_MS, 3)).await;
    assert!(!device(&opened, 3, DAY_MS).await.is_listed);
    keep(&mut opened, walk(10 * DAY_MS, Vec::new(), &[1, 2])).await;
    assert_eq!(prune(&mut opened, 10 * DAY_MS).await.devices, 0, "it was there nine days ago");
    keep(&mut opened, walk(12 * DAY_MS, vec![listed(1, Online), listed(2, Online)], &[])).await;
    assert_eq!(prune(&mut opened, 12 * DAY_MS).await.devices, 1);
    assert_eq!(opened.store.device(&sn(3), freshness(0)).await.unwrap(), None);
    assert_eq!(history(&opened, 3).await, []);
    assert_eq!(opened.store.device_top().await.unwrap(), 2);
    // Its number is not another's, and it is a new one when it comes again.
    let new = vec![listed(4, Online), listed(3, Online)];
    keep(&mut opened, walk(13 * DAY_MS, new, &[])).await;
    let ids = [device(&opened, 4, 0).await.id, device(&opened, 3, 0).await.id];
    assert_eq!(ids, [4, 5]);
    assert_eq!(states(&opened, 3).await, [(13 * DAY_MS, Online)]);
}

#[tokio::test]
async fn a_router_is_forgotten_as_asked_unless_rcms_lists_it() {
    let place = Place::new();
    let mut opened = place.open().await;
    keep(&mut opened, walk(0, vec![listed(1, Online), listed(2, Online)], &[])).await;
    let many = (0..300).map(|nth| sample(Some(at(nth * 1_000 - 400_000)), &nth.to_string()));
    keep(&mut opened, asked(0, 2, many.collect())).await;
    let forget = async |opened: &mut Opened, nth, after_ms| {
        opened.writer.forget_device(&sn(nth), at(after_ms)).await.unwrap()
    };
    assert_eq!(forget(&mut opened, 7, 0).await, Forgetting::Unknown);
    assert_eq!(forget(&mut opened, 2, 0).await, Forgetting::Listed);
    keep(&mut opened, gone(MINUTE_MS, 2)).await;
    assert_eq!(forget(&mut opened, 2, MINUTE_MS).await, Forgetting::Begun(256));
    assert_eq!(forget(&mut opened, 2, MINUTE_MS).await, Forgetting::Done(46), "and two states");
    assert_eq!(forget(&mut opened, 2, MINUTE_MS).await, Forgetting::Unknown);
    assert_eq!(history(&opened, 2).await, []);
    // Nobody knows whether a router is there of which no list was read for long.
    assert_eq!(forget(&mut opened, 1, 2 * DAY_MS).await, Forgetting::Done(1));
    assert_eq!(opened.store.device_top().await.unwrap(), 0);
}
