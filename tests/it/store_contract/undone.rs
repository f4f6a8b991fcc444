//! What memory knows after a commit that failed, and of pushes that others come between.
use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use simdeck::{
    domain::{HeldFilter, HeldReason, NewHeld, RetractQuestion, Ring},
    intake::Push,
    store::{Lift, Submission, Verdict},
};
use sqlx::Connection;

use super::{
    NOW, Place,
    failing::{BATCH_RECORDS_MAX, REFUSE_666, caller, lock, outcome, together, wait_for_records},
    giccid,
    intake::{intake, push},
    usage,
};

/// How many pushes of one source a ring holds.
const SHARE: u32 = 2_500;

fn stale(nth: u32) -> NewHeld {
    NewHeld {
        ring: Some(Ring::Stale),
        reason: HeldReason::DateOld,
        field: None,
        kind: "data-usage".parse().unwrap(),
        source: [192, 0, 2, 1].into(),
        body: format!(r#"{{"nth":{nth}}}"#).into_bytes().into(),
        signatures: None,
        pushed_at: None,
    }
}

#[tokio::test]
async fn what_a_failed_commit_pushed_out_of_a_ring_is_still_in_it_and_counted_once() {
    let place = Place::new();
    let mut opened = place.open().await;
    let full = Submission { quarantine: (0..SHARE).map(stale).collect(), ..Submission::default() };
    opened.writer.commit(&[full], NOW).await.unwrap();
    place.sql(REFUSE_666).await;
    let one_more = Submission { quarantine: vec![stale(SHARE)], ..Submission::default() };
    let refused = Submission { records: vec![usage(1, NOW.unix_ms(), 666)], ..one_more.clone() };
    for _ in 0..3 {
        let error = opened.writer.commit(std::slice::from_ref(&refused), NOW).await.unwrap_err();
        assert!(error.is_of_data(), "{error}");
    }
    // The disk has no room, which is no fault of the data.
    place
        .sql(
            "drop trigger refuse;
            create table full_up (id integer primary key autoincrement);
            insert into full_up values (9223372036854775807);
            create trigger fill before insert on usage begin
                insert into full_up values (null); end",
        )
        .await;
    for _ in 0..3 {
        let error = opened.writer.commit(std::slice::from_ref(&refused), NOW).await.unwrap_err();
        assert!(!error.is_of_data(), "{error}");
    }
    opened.writer.commit(&[one_more], NOW).await.unwrap();
    let stale = opened.store.tallies().await.unwrap().stale;
    assert_eq!((stale.pushes, stale.dropped), (i64::from(SHARE), 1));
    // Memory knows how many there are: the next ones find no more room than there is.
    let next = (1..=10).map(|nth| self::stale(SHARE + nth)).collect();
    let next = Submission { quarantine: next, ..Submission::default() };
    opened.writer.commit(&[next], NOW).await.unwrap();
    let stale = opened.store.tallies().await.unwrap().stale;
    assert_eq!((stale.pushes, stale.dropped), (i64::from(SHARE), 11));
}

#[tokio::test]
async fn what_comes_of_an_erased_sim_with_a_push_that_finds_no_room_is_not_counted() {
    let place = Place::with_quarantine_of(10);
    let mut opened = place.open().await;
    let mut erasing = opened.writer.begin_erasure(&giccid(1), &caller(), NOW).await.unwrap();
    while !erasing.is_done() {
        opened.writer.erase_some(&mut erasing).await.unwrap();
    }
    let held = NewHeld { ring: None, body: vec![b' '; 100].into(), ..stale(1) };
    let too_much = Submission {
        records: vec![usage(1, NOW.unix_ms(), 7)],
        quarantine: vec![held],
        ..Submission::default()
    };
    let fits = Submission { quarantine: Vec::new(), ..too_much.clone() };
    for _ in 0..3 {
        let verdicts = opened.writer.commit(std::slice::from_ref(&too_much), NOW).await.unwrap();
        assert_eq!(verdicts, [Verdict::QuarantineFull]);
    }
    assert_eq!(place.number("select came_again from erased").await, 0);
    opened.writer.commit(&[fits], NOW).await.unwrap();
    assert_eq!(place.number("select came_again from erased").await, 1);
}

#[tokio::test]
async fn a_sender_of_many_faults_takes_no_search_from_another_one() {
    let place = Place::new();
    let intake = intake(&place).await;
    place
        .sql(
            "create trigger refuse before insert on usage
            when new.data_usage between 600 and 699
            begin select raise(abort, 'not this one'); end",
        )
        .await;
    let bad: Vec<u32> = (600..700).collect();
    let mut honest: Vec<u32> = (1..64).collect();
    honest.push(666);
    let other: IpAddr = [192, 0, 2, 2].into();
    let pushes = [push(&bad), Push { source: other, ..push(&honest) }];
    let outcomes = together(&place, &intake, &pushes, 164).await;
    assert_eq!(outcomes[1], Some(outcome(63, 0, 1)), "{outcomes:?}");
}

#[tokio::test]
async fn a_push_that_was_read_before_a_retraction_and_comes_after_it_is_set_aside() {
    let place = Place::new();
    let intake = intake(&place).await;
    // What the server asks of the writer by itself at its start must not come between.
    let began = Instant::now();
    while place.number("select count(*) from meta where name = 'room_notes'").await == 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "the room is never noted");
    }
    let other = lock(&place).await;
    let volumes: Vec<_> = (1_000_000..1_000_000 + BATCH_RECORDS_MAX).collect();
    let filling = tokio::spawn({
        let intake = intake.clone();
        async move { intake.accept(push(&volumes)).await }
    });
    // It fills a batch, so that the next push waits behind it.
    wait_for_records(&intake, BATCH_RECORDS_MAX as usize).await;
    let mut late = Box::pin(intake.accept(push(&[1, 2])));
    assert!(late.as_mut().now_or_never().is_none());
    let question = RetractQuestion { date_push_s: NOW.unix_seconds(), source: None };
    let admin = caller();
    let mut retraction = Box::pin(intake.retract(question, &admin));
    assert!(retraction.as_mut().now_or_never().is_none());
    other.close().await.unwrap();
    let (filled, late, counts) = tokio::join!(filling, late, retraction);
    let counts = counts.unwrap();
    assert_eq!(filled.unwrap().unwrap(), outcome(u64::from(BATCH_RECORDS_MAX), 0, 0));
    assert_eq!(late.unwrap(), outcome(0, 0, 1), "it came after the retraction");
    assert_eq!(counts.usage, u64::from(BATCH_RECORDS_MAX));
    assert_eq!(place.number("select count(*) from usage").await, 0);
    let filter = HeldFilter { reason: vec![HeldReason::DateRetracted], ..HeldFilter::default() };
    assert_eq!(intake.count_held(&filter, None).await.unwrap().0, Some(1));
    assert_eq!(intake.accept(push(&[3])).await.unwrap(), outcome(0, 0, 1));
}

#[tokio::test]
async fn a_retraction_that_is_asked_for_again_takes_the_place_of_one_that_was_broken_off() {
    let place = Place::new();
    let mut opened = place.open().await;
    let records = (0..300).map(|nth| usage(1, NOW.unix_ms() - nth, nth)).collect();
    let source = Some([192, 0, 2, 1].into());
    let pushed = Submission { records, source, ..Submission::default() };
    opened.writer.commit(&[pushed], NOW).await.unwrap();
    let question = RetractQuestion { date_push_s: NOW.unix_seconds(), source: None };
    let mut broken = opened.writer.begin_retraction(question, &caller(), NOW).await.unwrap();
    while broken.counts().usage == 0 {
        opened.writer.retract_some(&mut broken).await.unwrap();
    }
    let lift = opened.writer.lift_retraction(broken.counts().id, &caller(), NOW).await.unwrap();
    assert_eq!(lift, Lift::Pending);
    let mut again = opened.writer.begin_retraction(question, &caller(), NOW).await.unwrap();
    while !again.is_done() {
        opened.writer.retract_some(&mut again).await.unwrap();
    }
    assert_eq!(broken.counts().usage + again.counts().usage, 300);
    assert_eq!(place.number("select count(*) from retracted where pending").await, 0);
    let lift = opened.writer.lift_retraction(broken.counts().id, &caller(), NOW).await.unwrap();
    assert_eq!(lift, Lift::Done);
    assert_eq!(place.number("select count(*) from retracted where lifted_ms is null").await, 0);
}
