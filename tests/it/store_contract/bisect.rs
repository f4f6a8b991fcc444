//! Pushes of which some records cannot be stored, beside pushes of strangers.
use futures_util::future::join_all;
use simdeck::{
    domain::{Caller, HeldClass, HeldFilter, HeldReason, PageSize, Place as At, Scope, Walk},
    intake::{Intake, Push},
    store::Outcome,
};

use super::{
    NOW, Place, commit, giccid,
    intake::{intake, push, push_of},
    push as submission, usage,
};

const DAY_MS: i64 = 86_400_000;

fn record(nth: i64, start_ms: i64, volume: i64) -> String {
    let sim = giccid(usize::try_from(nth).unwrap() % 50);
    format!(r#"{{"giccid":"{sim}","data_usage":{volume},"start_time":{start_ms}}}"#)
}

fn outcome(stored: u64, duplicates: u64, quarantined: u64) -> Outcome {
    Outcome { stored, duplicates, quarantined, erased: 0 }
}

fn commits(intake: &Intake) -> u64 {
    intake.commits().records.buckets.iter().map(|(_, commits)| commits).sum()
}

/// The rows in quarantine: how often each came, and its body.
async fn quarantined(intake: &Intake) -> Vec<(i64, String)> {
    let store = intake.store();
    let walk =
        Walk { top: store.held_top().await.unwrap(), place: At::Oldest, size: PageSize::LARGEST };
    let filter = HeldFilter { class: vec![HeldClass::Quarantined], ..HeldFilter::default() };
    let mut found = Vec::new();
    for held in store.held(&filter, &walk).await.unwrap() {
        assert_eq!(held.reason, HeldReason::StoreRefused);
        let body = store.held_body(held.id).await.unwrap().unwrap().body;
        found.push((held.count, String::from_utf8(body).unwrap()));
    }
    found
}

/// A store from which a record of 401 days ago was pruned.
async fn pruned(place: &Place) -> Intake {
    let intake = intake(place).await;
    let old = record(1, NOW.unix_ms() - 401 * DAY_MS, 1);
    assert_eq!(intake.accept(push_of(&[old])).await.unwrap(), outcome(1, 0, 0));
    assert_eq!(intake.prune(None, false).await.unwrap().usage, 1);
    intake
}

#[tokio::test]
async fn one_record_of_thousands_that_is_too_old_lies_aside_alone_and_costs_no_commit_of_its_own() {
    for records in [3_000, 10_000] {
        let place = Place::new();
        let intake = pruned(&place).await;
        let rows: Vec<String> = (0..records)
            .map(|nth| {
                let age_ms = if nth == records / 3 { 402 * DAY_MS } else { nth };
                record(nth, NOW.unix_ms() - age_ms, 7)
            })
            .collect();
        let many = push_of(&rows);
        let good = u64::try_from(records).unwrap() - 1;
        for again in [false, true] {
            let before = commits(&intake);
            let strangers: Vec<Push> =
                (0..20).map(|nth| push(&[100 + nth + if again { 50 } else { 0 }])).collect();
            let (many, strangers) = tokio::join!(
                intake.accept(many.clone()),
                join_all(strangers.into_iter().map(|push| intake.accept(push)))
            );
            let expected = if again { outcome(0, good, 1) } else { outcome(good, 0, 1) };
            assert_eq!(many.unwrap(), expected);
            assert!(strangers.into_iter().all(|one| one.unwrap() == outcome(1, 0, 0)));
            // The push, and the strangers before, beside or behind it.
            let taken = commits(&intake) - before;
            assert!(taken <= 21, "{taken} commits for 21 pushes");
        }
        let [(2, body)] = &quarantined(&intake).await[..] else { panic!("one, and again") };
        assert_eq!(body.matches("giccid").count(), 1, "{body}");
        assert!(!body.contains("signature") && body.contains("datePush"), "{body}");
    }
}

#[tokio::test]
async fn one_record_that_the_database_refuses_costs_as_many_commits_as_its_push_can_be_halved() {
    let place = Place::new();
    let intake = intake(&place).await;
    place
        .sql(
            "create trigger refuse before insert on usage when new.data_usage = 666
            begin select raise(abort, 'not this one'); end",
        )
        .await;
    let volumes: Vec<u32> = (0..4_000).map(|nth| 1_000 + nth).collect();
    let mut faulty = volumes.clone();
    faulty[1_234] = 666;
    let before = commits(&intake);
    let (faulty, stranger) =
        tokio::join!(intake.accept(push(&faulty)), intake.accept(push(&[1, 2])));
    assert_eq!(faulty.unwrap(), outcome(3_999, 0, 1));
    assert_eq!(stranger.unwrap(), outcome(2, 0, 0));
    let taken = commits(&intake) - before;
    assert!(taken <= 16, "{taken} commits, and 4,000 records are halved 12 times");
    assert_eq!(quarantined(&intake).await.len(), 1);
    // What was undone left no trace: nothing that was stored is taken for new, nor the other way.
    place.sql("drop trigger refuse").await;
    assert_eq!(intake.accept(push(&volumes)).await.unwrap(), outcome(1, 3_999, 0));
    assert_eq!(intake.accept(push(&[666, 1])).await.unwrap(), outcome(1, 1, 0));
    assert_eq!(place.number("select count(*) from usage").await, 4_003);
    let tallied = "select records + repeats from tally where kind = 'data-usage'";
    assert_eq!(place.number(tallied).await, 4_003 + 4_000);
}

#[tokio::test]
async fn where_far_more_are_at_fault_than_can_be_searched_they_lie_aside_and_the_rest_is_stored() {
    let place = Place::new();
    let mut opened = place.open().await;
    commit(&mut opened, &[submission(vec![usage(1, NOW.unix_ms(), 1)])]).await;
    opened.store.close().await;
    opened.writer.close().await.unwrap();
    // The sum of all volumes has room for 223 of the records below.
    place.sql("update tally set data_usage = 9000000000000000000").await;
    let intake = intake(&place).await;
    let rows: Vec<String> =
        (0..1_000).map(|nth| record(nth, NOW.unix_ms() - nth, 1_000_000_000_000_000)).collect();
    let before = commits(&intake);
    let (full, stranger) = tokio::join!(intake.accept(push_of(&rows)), intake.accept(push(&[0])));
    let Outcome { stored, duplicates, quarantined: aside, .. } = full.unwrap();
    assert_eq!((stored, duplicates, aside), (223, 0, 777));
    assert_eq!(stranger.unwrap(), outcome(1, 0, 0));
    let taken = commits(&intake) - before;
    assert!(taken <= 35, "{taken} commits");
    // A retry of what is still refused says so, and it stays.
    let before = quarantined(&intake).await;
    let top = intake.store().held_top().await.unwrap();
    let caller = Caller::new("a test", Scope::Admin);
    let id = place.number("select max(id) from held").await;
    assert_eq!(intake.retry(id, None, &caller).await.unwrap(), outcome(0, 0, 1));
    assert_eq!(quarantined(&intake).await, before);
    assert_eq!(intake.store().held_top().await.unwrap(), top);
}
