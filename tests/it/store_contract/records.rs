use simdeck::{
    domain::{Filter, PageSize, Place as At, Walk},
    store::{Opened, StoreError},
};

use super::{Place, commit, giccid, notification, push, repeated, sms, stored, usage};

const DAY_MS: i64 = 86_400_000;
const FIRST_MS: i64 = 1_713_888_842_473;

/// The ids on one page of usage.
async fn page(opened: &Opened, filter: &Filter, top: i64, place: At, size: u32) -> Vec<i64> {
    let size = PageSize::within(size, PageSize::MAX).unwrap();
    let rows = opened.store.usage(filter, &Walk { top, place, size }).await.unwrap().rows;
    rows.into_iter().map(|row| row.id).collect()
}

async fn all(opened: &Opened, filter: &Filter) -> Vec<i64> {
    let top = opened.store.top().await.unwrap();
    page(opened, filter, top, At::Newest, PageSize::MAX).await
}

/// 23 usage records among others, by three commits.
async fn filled(opened: &mut Opened) -> Vec<i64> {
    for nth in 0..23 {
        let own_ms = FIRST_MS + i64::from(nth);
        let records = vec![notification(1, own_ms), usage(1, own_ms, 1), sms(2, own_ms)];
        commit(opened, &[push(records)]).await;
    }
    all(opened, &Filter::default()).await
}

#[tokio::test]
async fn pages_meet_without_gap_or_overlap_while_records_arrive() {
    let place = Place::new();
    let mut opened = place.open().await;
    let rows = filled(&mut opened).await;
    assert_eq!(rows.len(), 23);
    assert!(rows.is_sorted_by(|newer, older| newer > older));
    let top = opened.store.top().await.unwrap();
    let none = &Filter::default();

    for size in [1, 4, 23, 24] {
        let mut down = page(&opened, none, top, At::Newest, size).await;
        let mut skipped = page(&opened, none, top, At::Skip(0), size).await;
        while down.len() < rows.len() {
            // What comes later is not part of this walk.
            let later = usage(9, FIRST_MS + i64::from(size), i64::try_from(down.len()).unwrap());
            commit(&mut opened, &[push(vec![later])]).await;
            let last = *down.last().unwrap();
            down.extend(page(&opened, none, top, At::OlderThan(last), size).await);
            let skip = u32::try_from(skipped.len()).unwrap();
            skipped.extend(page(&opened, none, top, At::Skip(skip), size).await);
        }
        assert_eq!(down, rows, "by {size}");
        assert_eq!(skipped, rows, "by {size}");

        let mut up = page(&opened, none, top, At::Oldest, size).await;
        while up.len() < rows.len() {
            let newer = page(&opened, none, top, At::NewerThan(up[0]), size).await;
            up.splice(0..0, newer);
        }
        assert_eq!(up, rows, "upwards by {size}");
        for beyond in [At::OlderThan(rows[22]), At::NewerThan(rows[0])] {
            assert!(page(&opened, none, top, beyond, size).await.is_empty());
        }
    }
}

#[tokio::test]
async fn ids_are_in_the_order_of_commit_and_never_used_twice() {
    let place = Place::new();
    let mut last = 0;
    for life in 0..4 {
        let mut opened = place.open().await;
        assert_eq!(opened.is_empty, life == 0);
        let own_ms = FIRST_MS + life * 1_000;
        let batch = [push(vec![usage(1, own_ms, 1), usage(2, own_ms, 1), sms(1, own_ms)])];
        assert_eq!(commit(&mut opened, &batch).await, [stored(3)]);
        let newest = all(&opened, &Filter::default()).await[0];
        assert!(newest > last, "{newest} after {last}");
        // Repeats use ids up, and the next life must not give them out again.
        assert_eq!(commit(&mut opened, &batch).await, [repeated(3)]);
        last = opened.store.top().await.unwrap();
        assert!(last > newest);
        opened.store.close().await;
        opened.writer.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_sims_history_equals_a_scan_before_and_after_the_mark() {
    let mut place = Place::new();
    place.limits.tail_records_max = 10;
    let mut opened = place.open().await;
    for nth in 0..47_usize {
        let number = i64::try_from(nth).unwrap();
        let start_ms = FIRST_MS + (number * 7 % 5) * DAY_MS + number;
        commit(&mut opened, &[push(vec![usage(nth % 4, start_ms, number), sms(nth, start_ms)])])
            .await;
        scan_agrees(&opened).await;
    }
}

/// Compares filters by SIM with a look at every row.
async fn scan_agrees(opened: &Opened) {
    let top = opened.store.top().await.unwrap();
    let walk = Walk { top, place: At::Newest, size: PageSize::LARGEST };
    let rows = opened.store.usage(&Filter::default(), &walk).await.unwrap().rows;
    let between = Some((FIRST_MS + DAY_MS, FIRST_MS + 3 * DAY_MS + 20));
    let before_all = Some((0, FIRST_MS));
    for (sims, span) in [
        (vec![0], None),
        (vec![1, 3], None),
        (vec![2], between),
        (vec![0, 1, 2, 3], between),
        (vec![1], before_all),
        (vec![99], None),
    ] {
        let filter = Filter {
            giccid: sims.iter().map(|sim| giccid(*sim).as_str().to_owned()).collect(),
            from_ms: span.map(|(from, _)| from),
            to_ms: span.map(|(_, to)| to),
            ..Filter::default()
        };
        let wanted: Vec<_> = rows
            .iter()
            .filter(|row| {
                let is_in = span.is_none_or(|(from, to)| (from..to).contains(&row.record.start_ms));
                is_in && sims.iter().any(|sim| giccid(*sim) == row.record.giccid)
            })
            .map(|row| row.id)
            .collect();
        assert_eq!(all(opened, &filter).await, wanted, "{sims:?} {span:?}");
        let count = opened.store.usage_count(&filter, top).await.unwrap();
        assert_eq!(count, wanted.len() as u64, "{sims:?} {span:?}");
    }
}

#[tokio::test]
async fn a_count_equals_the_rows_that_a_walk_gives() {
    let place = Place::new();
    let mut opened = place.open().await;
    filled(&mut opened).await;
    let top = opened.store.top().await.unwrap();
    commit(&mut opened, &[push(vec![usage(3, FIRST_MS, 5), notification(3, FIRST_MS)])]).await;

    let of_iot = Filter { apn: vec!["iot".into()], ..Filter::default() };
    let late = Filter { from_ms: Some(FIRST_MS + 20), ..Filter::default() };
    for (filter, rows) in [(Filter::default(), 23), (of_iot, 23), (late, 3)] {
        assert_eq!(opened.store.usage_count(&filter, top).await.unwrap(), rows);
        assert_eq!(page(&opened, &filter, top, At::Newest, 100).await.len() as u64, rows);
    }
    let none = Filter::default();
    assert_eq!(opened.store.sms_count(&none, top).await.unwrap(), 23);
    assert_eq!(opened.store.notification_count(&none, top).await.unwrap(), 23);
    let newest = opened.store.top().await.unwrap();
    assert_eq!(opened.store.usage_count(&none, newest).await.unwrap(), 24);
    assert_eq!(opened.store.notification_count(&none, newest).await.unwrap(), 24);
}

#[tokio::test]
async fn a_store_keeps_its_epoch() {
    let place = Place::new();
    let epoch = place.open().await.store.epoch();
    assert_eq!(place.open().await.store.epoch(), epoch);
    assert_ne!(Place::new().open().await.store.epoch(), epoch);
}

#[tokio::test]
async fn the_sum_of_all_volumes_never_overflows() {
    const MOST: i64 = 1_000_000_000_000_000;
    let place = Place::new();
    place.open().await;
    // As after 9,223 records of the largest volume: the sum has room for one more, and 7.
    place.sql("insert into tally (kind, records, data_usage, repeats, repeats_redated, last_received_ms) values ('data-usage', 9222, 9222372036854775800, 0, 0, 0)").await;
    let mut opened = place.open().await;

    let large = |nth| push(vec![usage(1, FIRST_MS + nth, MOST)]);
    assert_eq!(commit(&mut opened, &[large(0)]).await, [stored(1)]);
    for batch in [vec![large(1)], vec![push(vec![usage(2, FIRST_MS, 1)]), large(1)]] {
        let error = opened.writer.commit(&batch, super::NOW).await.unwrap_err();
        assert!(matches!(error, StoreError::VolumeOverflow), "{error}");
        assert!(error.is_of_data() && !error.is_fatal());
    }
    // Nothing of a refused batch is there, and what fits still does.
    assert_eq!(all(&opened, &Filter::default()).await.len(), 1);
    assert_eq!(commit(&mut opened, &[push(vec![usage(2, FIRST_MS, 7)])]).await, [stored(1)]);
    let error = opened.writer.commit(&[push(vec![usage(2, FIRST_MS, 1)])], super::NOW).await;
    assert!(matches!(error, Err(StoreError::VolumeOverflow)));
    let hours = opened.store.quarter_hours(0, i64::MAX).await.unwrap();
    assert_eq!(hours.iter().map(|row| row.data_usage).sum::<i64>(), MOST + 7);
}
