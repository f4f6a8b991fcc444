//! Devices beside records, in one store with one writer.
use simdeck::{
    domain::{
        DevicePoll,
        DeviceState::{Offline, Online},
        Filter, FleetTotals, PageSize, Place as At, Walk,
    },
    store::{Opened, StoreError},
};

use super::{
    super::{commit, push, repeated, stored, usage},
    MINUTE_MS, Place, asked, device, fleet, history, keep, listed, poll, sample, samples, sn,
    states, walk,
};

const FIRST_MS: i64 = 1_713_888_842_473;

async fn usage_ids(opened: &Opened) -> Vec<i64> {
    let top = opened.store.top().await.unwrap();
    let walk = Walk { top, place: At::Newest, size: PageSize::LARGEST };
    let rows = opened.store.usage(&Filter::default(), &walk).await.unwrap().rows;
    rows.into_iter().rev().map(|row| row.id).collect()
}

#[tokio::test]
async fn records_and_changes_of_devices_share_one_sequence() {
    let mut place = Place::new();
    place.limits.tail_records_max = 5;
    let mut ids = Vec::new();
    for life in 0..4_i64 {
        let mut opened = place.open().await;
        assert_eq!(opened.is_empty, life == 0);
        for nth in 0..4 {
            let after_ms = (life * 4 + nth) * MINUTE_MS;
            let state = if nth % 2 == 0 { Online } else { Offline };
            let answer = vec![sample(None, &after_ms.to_string())];
            let poll = DevicePoll {
                statuses: asked(after_ms, 1, answer).statuses,
                ..walk(after_ms, vec![listed(1, state), listed(2, Online)], &[])
            };
            keep(&mut opened, poll).await;
            let new: Vec<_> = history(&opened, 1).await.iter().map(|event| event.id).collect();
            ids.extend(new.into_iter().take(2).rev());
            let record = usage(1, FIRST_MS + after_ms, life);
            assert_eq!(commit(&mut opened, &[push(vec![record])]).await, [stored(1)]);
            ids.push(usage_ids(&opened).await.pop().unwrap());
            assert_eq!(opened.store.top().await.unwrap(), ids[ids.len() - 1]);
        }
        opened.store.close().await;
        opened.writer.close().await.unwrap();
    }
    assert_eq!(ids.len(), 48);
    assert!(ids.is_sorted_by(|older, newer| older < newer), "{ids:?}");

    // The summaries are behind by what is in between, and lose nothing.
    let mut opened = place.open().await;
    for nth in 0..16 {
        let record = usage(1, FIRST_MS + nth * MINUTE_MS, nth / 4);
        assert_eq!(commit(&mut opened, &[push(vec![record])]).await, [repeated(1)]);
    }
    let hours = opened.store.quarter_hours(0, i64::MAX).await.unwrap();
    assert_eq!(hours.iter().map(|row| row.records).sum::<i64>(), 16);
    assert_eq!(hours.iter().map(|row| row.data_usage).sum::<i64>(), 24);
}

#[tokio::test]
async fn devices_alone_do_not_make_a_store_that_has_taken_pushes() {
    let place = Place::new();
    let mut opened = place.open().await;
    keep(&mut opened, walk(0, vec![listed(1, Online)], &[])).await;
    assert!(opened.store.top().await.unwrap() > 0);
    assert!(place.open().await.is_empty);
    let test = simdeck::store::Submission { is_test: true, ..push(vec![usage(1, FIRST_MS, 1)]) };
    assert_eq!(commit(&mut opened, &[test]).await, [stored(1)]);
    assert!(!place.open().await.is_empty);
}

#[tokio::test]
async fn a_poll_that_fails_leaves_nothing_and_the_next_one_is_kept() {
    let place = Place::new();
    let mut opened = place.open().await;
    keep(&mut opened, walk(0, vec![listed(1, Online)], &[])).await;
    let before = (device(&opened, 1, 0).await, fleet(&opened, 0).await);
    let top = opened.store.top().await.unwrap();
    let full = |after_ms| DevicePoll {
        totals: Some(FleetTotals { device_total: Some(2), ..FleetTotals::default() }),
        statuses: asked(after_ms, 3, vec![sample(None, "1")]).statuses,
        ..walk(after_ms, vec![listed(1, Offline), listed(2, Online)], &[])
    };
    for refuse in [
        "create trigger refuse before insert on device_history when new.what = 'status'
            begin select raise(abort, 'no'); end",
        "create trigger refuse before update of status_ms on device
            begin select raise(abort, 'no'); end",
    ] {
        place.sql(refuse).await;
        let error = opened.writer.keep_poll(&full(MINUTE_MS)).await.unwrap_err();
        assert!(matches!(error, StoreError::Database(_)) && !error.is_fatal(), "{error}");
        place.sql("drop trigger refuse").await;
        assert_eq!((device(&opened, 1, 0).await, fleet(&opened, 0).await), before);
        assert_eq!(opened.store.device_top().await.unwrap(), 1);
        assert_eq!(states(&opened, 1).await, [(0, Online)]);
        assert_eq!(opened.store.top().await.unwrap(), top);
    }
    keep(&mut opened, full(2 * MINUTE_MS)).await;
    assert_eq!(states(&opened, 1).await, [(0, Online), (2 * MINUTE_MS, Offline)]);
    assert_eq!(samples(&opened, 3).await.len(), 1);
    assert_eq!(opened.store.top().await.unwrap(), top + 3);
    // Records go on behind it.
    assert_eq!(commit(&mut opened, &[push(vec![usage(1, FIRST_MS, 1)])]).await, [stored(1)]);
    assert_eq!(usage_ids(&opened).await, [top + 4]);
}

#[tokio::test]
async fn a_row_that_this_version_cannot_read_is_named() {
    let place = Place::new();
    let mut opened = place.open().await;
    keep(&mut opened, walk(0, vec![listed(1, Online)], &[])).await;
    keep(&mut opened, poll(1)).await;
    place.sql("update device set state = 'asleep'; update device_history set what = 'x'").await;
    let error = opened.store.known_devices(super::freshness(0)).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { table: "device", id: 1 }), "{error}");
    let walk = Walk { top: 9, place: At::Newest, size: PageSize::ONE };
    let error = opened.store.device_history(&sn(1), &Default::default(), &walk).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { table: "device_history", id: 1 }), "{error}");
}
