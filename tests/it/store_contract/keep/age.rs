//! What goes by age.
use std::time::Duration;

use simdeck::{
    domain::{
        Change, ChangeFilter, Filter, GroupBy, HeldReason, Interval, NO_DATE_PUSH_S, NewHeld,
        NewRecord, Record, Ring, Timestamp,
    },
    store::{Opened, Pruned, Pruning, Retention, StoreError, Submission},
};

use super::{
    super::{NOW, Place, commit, giccid, notification, push, repeated, sms, stored, usage},
    AggregateQuestion, DAY_MS, NOW_MS, changes, close, listed, quarantined, question, volume,
};

const DAY: Duration = Duration::from_secs(86_400);
const RETENTION: Retention = Retention {
    records: Duration::from_secs(10 * 86_400),
    messages: Duration::from_secs(10 * 86_400),
    refused: Duration::from_secs(2 * 86_400),
    audit: Duration::from_secs(10 * 86_400),
    devices: Duration::from_secs(10 * 86_400),
};

/// Takes away what is older than ten days.
async fn prune(opened: &mut Opened) -> Pruned {
    prune_at(opened, NOW).await
}

async fn prune_at(opened: &mut Opened, now: Timestamp) -> Pruned {
    let mut pruning = Pruning::new(&RETENTION, now);
    while !pruning.is_done() {
        opened.writer.prune_some(&mut pruning).await.unwrap();
    }
    pruning.pruned()
}

#[tokio::test]
async fn what_is_too_old_goes_and_counts_and_sums_stay_right() {
    let place = Place::new();
    let mut opened = place.open().await;
    let old = NOW_MS - 11 * DAY_MS;
    let new = NOW_MS - 9 * DAY_MS;
    let records = vec![
        usage(1, old, 1),
        usage(2, new, 2),
        usage(1, old + 1, 4),
        sms(1, old),
        sms(1, new),
        notification(1, old),
        notification(2, new),
    ];
    commit(&mut opened, &[push(records)]).await;
    let before = volume(&opened, &question(None, false)).await.unwrap();
    assert_eq!(listed(&opened, &Filter::default()).await, (3, 3));

    let gone = Pruned { usage: 2, sms: 1, notifications: 1, ..Pruned::default() };
    assert_eq!(prune(&mut opened).await, gone);
    assert_eq!(prune(&mut opened).await, Pruned::default());

    for opened in [opened, place.open().await] {
        assert_eq!(listed(&opened, &Filter::default()).await, (1, 1));
        let of_sim = Filter { giccid: vec![giccid(1).to_string()], ..Filter::default() };
        assert_eq!(listed(&opened, &of_sim).await, (0, 0));
        let by_time = Filter { from_ms: Some(old - DAY_MS), ..Filter::default() };
        assert_eq!(listed(&opened, &by_time).await, (1, 1));
        assert_eq!(volume(&opened, &question(None, false)).await.unwrap(), before);
        assert_eq!(changes(&opened).await.len(), 3);
        let of_messages = AggregateQuestion { group_by: vec![], ..question(None, false) };
        let messages = opened.store.sms_aggregate(&of_messages).await.unwrap();
        assert_eq!(messages.iter().map(|row| row.records).sum::<i64>(), 2);
        close(opened).await;
    }
    assert_eq!(place.number("select count(*) from usage_key").await, 1);
    assert_eq!(place.number("select sum(records) from usage_block").await, 1);
    assert_eq!(place.number("select sum(records) from usage_block_series").await, 1);
}

#[tokio::test]
async fn an_old_record_goes_though_summaries_end_before_and_behind_it() {
    let mut place = Place::new();
    place.limits.tail_records_max = 9;
    place.limits.sums_tail_records_max = 5;
    let mut opened = place.open().await;
    for nth in 1..=12 {
        let age = if nth == 7 { 11 * DAY_MS } else { 0 };
        commit(&mut opened, &[push(vec![usage(1, NOW_MS - age - nth, nth)])]).await;
    }
    let ends = "select count(*) from usage_block where 7 between first_id and last_id
        and last_id > (select min(complete_to) from mark)";
    assert_eq!(place.number(ends).await, 1, "the test is of no use");
    assert_eq!(prune(&mut opened).await, Pruned { usage: 1, ..Pruned::default() });
    assert_eq!(listed(&opened, &Filter::default()).await, (11, 11));
}

#[tokio::test]
async fn a_sum_that_would_need_pruned_records_is_refused_with_the_date_from_which_there_is_one() {
    let place = Place::new();
    let mut opened = place.open().await;
    let (old, new) = (NOW_MS - 11 * DAY_MS, NOW_MS - 9 * DAY_MS);
    let records = vec![usage(1, old, 1), usage(2, new, 2), sms(1, old), sms(1, new)];
    commit(&mut opened, &[push(records)]).await;
    assert_eq!(volume(&opened, &question(None, true)).await.unwrap(), 3);
    prune(&mut opened).await;

    // Not from the cut of the prune on: nothing is gone that is newer than what it removed.
    let kept_from = old + 1;
    let refused = |from_ms| {
        let opened = &opened;
        async move {
            match volume(opened, &question(from_ms, true)).await {
                Err(StoreError::Pruned { what: "data-usage", from_ms }) => from_ms,
                other => panic!("{other:?}"),
            }
        }
    };
    assert_eq!(refused(None).await, kept_from);
    assert_eq!(refused(Some(kept_from - 1)).await, kept_from);
    assert_eq!(volume(&opened, &question(Some(kept_from), true)).await.unwrap(), 2);
    // A border within a quarter of an hour needs records, too; one between does not.
    assert!(volume(&opened, &question(Some(old - 1), false)).await.is_err());
    let even = old.div_euclid(900_000) * 900_000;
    assert_eq!(volume(&opened, &question(Some(even), false)).await.unwrap(), 3);
    let by_sim = AggregateQuestion { group_by: vec![GroupBy::Giccid], ..question(None, true) };
    assert!(matches!(
        opened.store.sms_aggregate(&by_sim).await,
        Err(StoreError::Pruned { what: "mo-sms", from_ms }) if from_ms == kept_from
    ));
}

#[tokio::test]
async fn the_largest_sims_since_a_time_that_is_kept_are_told_though_their_day_is_not_all_kept() {
    let place = Place::new();
    let mut opened = place.open().await;
    let cut = NOW_MS - 10 * DAY_MS;
    let day = cut.div_euclid(DAY_MS) * DAY_MS;
    let mut records = vec![usage(9, day, 1_000), usage(9, cut - 1, 1_000)];
    records.extend((1..=5).map(|sim| usage(sim, cut + 5_000, i64::try_from(sim).unwrap())));
    commit(&mut opened, &[push(records)]).await;
    let largest = AggregateQuestion {
        group_by: vec![GroupBy::Giccid],
        interval: Interval::Whole,
        top: Some(3),
        ..question(Some(cut + 5_000), true)
    };
    let expected = opened.store.usage_aggregate(&largest).await.unwrap();
    // In order of their numbers, and the rest.
    assert_eq!(expected.iter().map(|row| row.data_usage).collect::<Vec<_>>(), [3, 4, 5, 3]);
    prune(&mut opened).await;
    assert_eq!(opened.store.usage_aggregate(&largest).await.unwrap(), expected);
    let before = AggregateQuestion {
        filter: Filter { from_ms: Some(cut - 1), ..Filter::default() },
        ..largest
    };
    assert!(matches!(
        opened.store.usage_aggregate(&before).await,
        Err(StoreError::Pruned { from_ms, .. }) if from_ms == cut
    ));
}

#[tokio::test]
async fn a_store_of_which_a_prune_by_a_wrong_clock_said_too_much_takes_new_records_again() {
    let place = Place::new();
    let mut opened = place.open().await;
    let records = |at| vec![usage(1, at, 1), sms(1, at), notification(1, at)];
    let pushed = |at| Submission { pushed_at: Some(NOW), ..push(records(at)) };
    commit(&mut opened, &[pushed(NOW_MS - DAY_MS)]).await;
    prune_at(&mut opened, NOW.plus(500 * DAY)).await;
    close(opened).await;
    // As versions before this one did.
    place.sql("update kept set from_ms = from_ms + 490 * 86400000").await;
    let mut opened = place.open().await;
    assert_eq!(commit(&mut opened, &[pushed(NOW_MS)]).await, [stored(3)]);
    let gone = opened.writer.commit(&[pushed(NOW_MS - DAY_MS)], NOW).await.unwrap_err();
    assert!(matches!(gone, StoreError::TooOld), "{gone}");
}

#[tokio::test]
async fn retention_counts_from_what_is_pushed_and_where_nothing_ever_was_from_the_newest_record() {
    let place = Place::new();
    let mut opened = place.open().await;
    let ahead = NOW.plus(500 * DAY);
    assert_eq!(
        opened.writer.retention_now(ahead).await.unwrap(),
        ahead,
        "there is nothing to lose"
    );
    let mut old = notification(1, NOW_MS - 3 * DAY_MS);
    old.date_push_s = NO_DATE_PUSH_S;
    let history = Submission { is_history: true, ..push(vec![old]) };
    opened.writer.commit(&[history], ahead).await.unwrap();
    assert_eq!(opened.writer.retention_now(ahead).await.unwrap(), NOW.minus(3 * DAY));
    for (days, now) in [(2, ahead), (1, ahead), (2, NOW)] {
        let pushed_at = Some(NOW.minus(days * DAY));
        let new = notification(7, NOW_MS - i64::from(days));
        let submission = Submission { pushed_at, ..push(vec![new]) };
        opened.writer.commit(&[submission], now).await.unwrap();
    }
    close(opened).await;
    // It is remembered, an older one says nothing, and neither does one ahead of our clock.
    let mut opened = place.open().await;
    assert_eq!(opened.writer.retention_now(ahead).await.unwrap(), NOW.minus(DAY));
    let late = Submission { pushed_at: Some(ahead), ..push(vec![notification(8, NOW_MS)]) };
    opened.writer.commit(&[late], NOW).await.unwrap();
    assert_eq!(opened.writer.retention_now(ahead).await.unwrap(), NOW);
    let before = NOW.minus(40 * DAY);
    assert_eq!(opened.writer.retention_now(before).await.unwrap(), before);
}

#[tokio::test]
async fn a_record_older_than_what_is_kept_is_refused_since_nobody_knows_whether_it_was_there() {
    let place = Place::new();
    let mut opened = place.open().await;
    let old = NOW_MS - 11 * DAY_MS;
    let records = || vec![usage(1, old, 1), sms(1, old), notification(1, old)];
    commit(&mut opened, &[push(records())]).await;
    assert_eq!(commit(&mut opened, &[push(records())]).await, [repeated(3)]);
    prune(&mut opened).await;
    for record in records() {
        let refused = opened.writer.commit(&[push(vec![record])], NOW).await.unwrap_err();
        assert!(matches!(refused, StoreError::TooOld) && refused.is_of_data(), "{refused}");
    }
    let just_kept = NOW_MS - 10 * DAY_MS;
    let new = vec![usage(1, just_kept, 1), sms(1, just_kept), notification(1, just_kept)];
    assert_eq!(commit(&mut opened, &[push(new)]).await, [stored(3)]);
    assert_eq!(volume(&opened, &question(None, false)).await.unwrap(), 2);
}

#[tokio::test]
async fn who_follows_the_changes_is_told_what_it_missed_and_nobody_else_is() {
    let place = Place::new();
    let mut opened = place.open().await;
    let (old, new) = (NOW_MS - 11 * DAY_MS, NOW_MS);
    commit(&mut opened, &[push(vec![usage(1, old, 1), usage(1, old + 1, 2)])]).await;
    commit(&mut opened, &[push(vec![usage(1, new, 3)])]).await;
    let before = opened.store.generation().await.unwrap();
    prune(&mut opened).await;
    let after = opened.store.generation().await.unwrap();
    let store = &opened.store;
    for (at, since, missed) in
        [(0, before, true), (1, before, true), (2, before, false), (0, after, false)]
    {
        assert_eq!(store.has_missed(at, since).await.unwrap(), missed, "{at} since {since}");
    }
    // One more prune, further on: both are remembered, by as few rows as tell it.
    prune_at(&mut opened, NOW.plus(11 * DAY)).await;
    assert!(opened.store.has_missed(2, after).await.unwrap());
    assert_eq!(place.number("select count(*) from removed").await, 1);
}

#[tokio::test]
async fn what_lies_aside_goes_by_the_time_at_which_it_came() {
    let place = Place::new();
    let mut opened = place.open().await;
    let refused = |body: &str| NewHeld {
        ring: Some(Ring::Noise),
        reason: HeldReason::SignatureWrong,
        ..quarantined(body.to_owned())
    };
    for (age, body) in [(11, "old"), (9, "new")] {
        let came = NOW.minus(age * DAY);
        let aside =
            Submission { quarantine: vec![quarantined(body.to_owned())], ..Submission::default() };
        opened.writer.commit(&[aside], came).await.unwrap();
        opened.writer.keep_refused(&[refused(body)], came).await.unwrap();
    }
    opened.writer.keep_refused(&[refused("now")], NOW).await.unwrap();
    let gone = Pruned { quarantined: 1, refused: 2, ..Pruned::default() };
    assert_eq!(prune(&mut opened).await, gone);
    let tallies = opened.store.tallies().await.unwrap();
    assert_eq!((tallies.quarantine.pushes, tallies.quarantine.bytes), (1, 3));
    assert_eq!(tallies.rings.iter().map(|ring| ring.pushes).sum::<i64>(), 1);
}

#[tokio::test]
async fn more_goes_than_fits_into_one_step() {
    let place = Place::new();
    let mut opened = place.open().await;
    let old = NOW_MS - 11 * DAY_MS;
    let records = (0..5_000).map(|nth| usage(1, old + nth, nth)).chain([usage(1, NOW_MS, 1)]);
    commit(&mut opened, &[push(records.collect())]).await;
    assert_eq!(prune(&mut opened).await, Pruned { usage: 5_000, ..Pruned::default() });
    assert_eq!(listed(&opened, &Filter::default()).await, (1, 1));
}

#[tokio::test]
async fn what_comes_too_old_while_a_prune_goes_on_is_for_the_next_one() {
    let mut place = Place::new();
    place.limits.sums_tail_records_max = 5;
    let mut opened = place.open().await;
    let old = |nth| push(vec![usage(1, NOW_MS - 11 * DAY_MS + nth, nth)]);
    commit(&mut opened, &[old(0)]).await;
    let mut pruning = Pruning::new(&RETENTION, NOW);
    // The three summaries, and a look whether there is another.
    for _ in 0..4 {
        opened.writer.prune_some(&mut pruning).await.unwrap();
    }
    for nth in 1..=5 {
        commit(&mut opened, &[old(nth)]).await;
    }
    let behind = "select count(*) from usage_block
        where last_id > (select min(complete_to) from mark)";
    assert_eq!(place.number(behind).await, 1, "the test is of no use");
    while !pruning.is_done() {
        opened.writer.prune_some(&mut pruning).await.unwrap();
    }
    assert_eq!(pruning.pruned(), Pruned { usage: 1, ..Pruned::default() });
    assert_eq!(prune(&mut opened).await, Pruned { usage: 5, ..Pruned::default() });
}

#[tokio::test]
async fn a_batch_of_which_one_part_is_too_old_leaves_no_other() {
    let place = Place::new();
    let mut opened = place.open().await;
    let old = || notification(2, NOW_MS - 11 * DAY_MS);
    commit(&mut opened, &[push(vec![sms(1, NOW_MS), old()])]).await;
    prune(&mut opened).await;
    let batch = [push(vec![sms(1, NOW_MS + 1)]), push(vec![old()])];
    let refused = opened.writer.commit(&batch, NOW).await.unwrap_err();
    assert!(matches!(refused, StoreError::TooOld), "{refused}");
    assert_eq!(place.number("select count(*) from sms").await, 1);
}

#[tokio::test]
async fn what_tells_no_time_of_its_own_goes_by_the_time_of_its_push() {
    let place = Place::new();
    let mut opened = place.open().await;
    let pushed = |days: i64| {
        let NewRecord { record: Record::Notification(mut timeless), identity, .. } =
            notification(1, 0)
        else {
            unreachable!()
        };
        timeless.event_ms = None;
        let date_push_s = (NOW_MS - days * DAY_MS) / 1_000;
        NewRecord { record: Record::Notification(timeless), identity, date_push_s }
    };
    let records: Vec<_> = [12, 11, 9].map(pushed).into();
    let test = Submission { is_test: true, ..push(records.clone()) };
    commit(&mut opened, &[push(records), test]).await;
    assert_eq!(prune(&mut opened).await, Pruned { notifications: 2, ..Pruned::default() });
    assert_eq!(place.number("select sum(gone) from tally where kind = 'sim-status'").await, 2);
    let mut times = Vec::new();
    let filter = ChangeFilter { with_tests: true, ..ChangeFilter::default() };
    for change in opened.store.changes(&filter, 0, 9).await.unwrap().rows {
        match change {
            Change::Notification(kept) => assert_eq!(kept.date_push_s, pushed(9).date_push_s),
            Change::Test(test) => times.push(test.own_ms),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(times, [12, 11, 9].map(|days| NOW_MS / 1_000 * 1_000 - days * DAY_MS));
}
