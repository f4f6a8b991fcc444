//! What the intake makes of pushes that wait, and of a database that fails.
use std::{
    fs::File,
    time::{Duration, UNIX_EPOCH},
};

use futures_util::{FutureExt, future::join_all};
use simdeck::{
    domain::{Caller, NewRecord, Scope},
    intake::{AcceptError, AdminError, Health, Intake, Push, QueueDepth},
    store::Outcome,
};
use sqlx::{Connection, SqliteConnection};

use super::{
    NOW, Place, giccid,
    intake::{intake, poll, push, push_of},
    usage,
};

/// A usage record of 13 finds the database full: there is no number left for a row of this table.
const FULL_AT_13: &str = "create table full_up (id integer primary key autoincrement);
    insert into full_up values (9223372036854775807);
    create trigger fill before insert on usage when new.data_usage = 13
    begin insert into full_up values (null); end";

/// One of 666 is refused for what it holds.
pub(super) const REFUSE_666: &str =
    "create trigger refuse before insert on usage when new.data_usage = 666
    begin select raise(abort, 'not this one'); end";

/// How many records fill one commit.
pub(super) const BATCH_RECORDS_MAX: u32 = 4_096;

pub(super) fn caller() -> Caller {
    Caller::new("a test", Scope::Admin)
}

pub(super) fn outcome(stored: u64, duplicates: u64, quarantined: u64) -> Outcome {
    Outcome { stored, duplicates, quarantined, erased: 0 }
}

/// Another program that holds the database's write lock.
pub(super) async fn lock(place: &Place) -> SqliteConnection {
    let mut other = place.raw().await;
    sqlx::raw_sql("begin immediate").execute(&mut other).await.unwrap();
    other
}

/// Waits until so many records wait for the writer.
pub(super) async fn wait_for_records(intake: &Intake, records: usize) {
    let wait = async {
        while intake.queue_depth().records != records {
            tokio::task::yield_now().await;
        }
    };
    let done = tokio::time::timeout(Duration::from_secs(20), wait).await;
    assert!(done.is_ok(), "{:?}, not {records} records", intake.queue_depth());
}

/// Has pushes of so many records wait together, so that they are in one batch, and one before them
/// that fills a batch. Gives what was stored of each, or none where it is to be sent again.
pub(super) async fn together(
    place: &Place,
    intake: &Intake,
    pushes: &[Push],
    records: usize,
) -> Vec<Option<Outcome>> {
    let other = lock(place).await;
    let volumes: Vec<_> = (1_000_000..1_000_000 + BATCH_RECORDS_MAX).collect();
    let first = push(&volumes);
    let before = volumes.len();
    let filling = tokio::spawn({
        let intake = intake.clone();
        async move { intake.accept(first).await }
    });
    wait_for_records(intake, before).await;
    let mut waiting: Vec<_> =
        pushes.iter().map(|push| Box::pin(intake.accept(push.clone()))).collect();
    for push in &mut waiting {
        assert!(push.now_or_never().is_none(), "nothing is acknowledged before it is on disk");
    }
    let bodies = pushes.iter().map(|push| push.body.len()).sum::<usize>();
    let depth = intake.queue_depth();
    assert_eq!(depth.records, before + records);
    assert!(depth.bytes > bodies, "{depth:?}: what was read of bodies takes room, too");
    other.close().await.unwrap();
    filling.await.unwrap().unwrap();
    let outcomes = join_all(waiting).await.into_iter().map(|answer| match answer {
        Ok(outcome) => Some(outcome),
        Err(AcceptError::Busy) => None,
        Err(error) => panic!("{error}"),
    });
    let outcomes = outcomes.collect();
    assert_eq!(intake.queue_depth(), QueueDepth::default());
    outcomes
}

#[tokio::test]
async fn pushes_that_wait_together_are_counted_and_stored_together() {
    let place = Place::new();
    let intake = intake(&place).await;
    let pushes: Vec<_> = (0..10).map(|nth| push(&[3 * nth, 3 * nth + 1, 3 * nth + 2])).collect();
    let outcomes = together(&place, &intake, &pushes, 30).await;
    assert_eq!(outcomes, vec![Some(outcome(3, 0, 0)); 10]);
    assert!(intake.received_per_s() >= 0.0, "a rate of what was stored");
    let records = intake.commits().records;
    assert_eq!(records.sum, u64::from(BATCH_RECORDS_MAX) + 30);
    let commits: u64 = records.buckets.iter().map(|(_, commits)| commits).sum();
    assert_eq!(commits, 2);
}

#[tokio::test]
async fn who_waits_for_what_is_new_is_told_of_the_newest() {
    let place = Place::new();
    let intake = intake(&place).await;
    let newest = intake.newest();
    for volumes in [&[1, 2][..], &[3]] {
        intake.accept(push(volumes)).await.unwrap();
        // What is new is told after the answer, and before anything else is done.
        intake.beat().await.unwrap();
        assert_eq!(*newest.borrow(), i64::from(*volumes.last().unwrap()));
    }
}

#[tokio::test]
async fn a_full_database_sends_pushes_away_until_it_takes_them_again() {
    let place = Place::new();
    let intake = intake(&place).await;
    place.sql(FULL_AT_13).await;
    let error = intake.accept(push(&[13])).await.unwrap_err();
    assert!(matches!(error, AcceptError::Busy), "{error}");
    // The answer goes before the note of why.
    intake.beat().await.unwrap();
    let health = intake.health();
    assert!(matches!(health, Health::NotReady(why) if why.contains("the log says why")));
    assert_eq!(intake.disk_trouble(), None);

    let rows: Vec<NewRecord> = [1, 13, 2].map(|volume| usage(1, NOW.unix_ms(), volume)).into();
    let error = intake.keep_history(rows).await.unwrap_err();
    assert!(matches!(&error, AdminError::Store(error) if !error.is_of_data()), "{error}");
    assert_eq!(place.number("select count(*) from usage").await, 0);

    assert_eq!(intake.accept(push(&[1])).await.unwrap(), outcome(1, 0, 0));
    assert_eq!(intake.health(), Health::Ready);
}

#[tokio::test]
async fn where_the_database_is_full_no_push_is_tried_in_parts() {
    let place = Place::new();
    let intake = intake(&place).await;
    place.sql(FULL_AT_13).await;
    let outcomes = together(&place, &intake, &[push(&[1]), push(&[13])], 2).await;
    assert_eq!(outcomes, [None, None]);

    // One that is refused for what it holds has its neighbours tried by themselves, and no more.
    place.sql(REFUSE_666).await;
    let outcomes = together(&place, &intake, &[push(&[3]), push(&[666]), push(&[4, 13])], 4).await;
    assert_eq!(outcomes, [Some(outcome(1, 0, 0)), Some(outcome(0, 0, 1)), None]);
    assert_eq!(place.number("select count(*) from usage where data_usage in (4, 13)").await, 0);

    let error = intake.accept(push(&[666, 13])).await.unwrap_err();
    assert!(matches!(error, AcceptError::Busy), "{error}");
    assert_eq!(place.number("select count(*) from held").await, 1);
}

#[tokio::test]
async fn what_the_database_takes_record_by_record_is_not_held_as_well() {
    let place = Place::new();
    let intake = intake(&place).await;
    // Nothing is held while nothing is stored, so that the push cannot be stored at once.
    place
        .sql(
            "create trigger late before insert on held when (select count(*) from usage) = 0
            begin select raise(abort, 'not yet'); end",
        )
        .await;
    let time = NOW.unix_ms();
    let giccid = giccid(1);
    let good = format!(r#"{{"giccid":"{giccid}","data_usage":1,"start_time":{time}}}"#);
    let unreadable = format!(r#"{{"giccid":"{giccid}","start_time":{time}}}"#);
    let answer = intake.accept(push_of(&[good, unreadable])).await.unwrap();
    assert_eq!(answer, outcome(1, 0, 1));
    assert_eq!(place.number("select count(*) from held").await, 1);
}

#[tokio::test]
async fn a_retry_of_which_each_record_is_taken_is_held_no_longer() {
    let place = Place::new();
    let intake = intake(&place).await;
    place.sql(REFUSE_666).await;
    assert_eq!(intake.accept(push(&[666])).await.unwrap(), outcome(0, 0, 1));
    place
        .sql(
            "drop trigger refuse;
            create trigger late before delete on held when (select count(*) from usage) = 0
            begin select raise(abort, 'not yet'); end",
        )
        .await;
    let id = place.number("select id from held").await;
    assert_eq!(intake.retry(id, None, &caller()).await.unwrap(), outcome(1, 0, 0));
    assert_eq!(place.number("select count(*) from held").await, 0);
}

#[tokio::test]
async fn a_test_of_which_a_record_is_refused_is_in_no_total() {
    let place = Place::new();
    let intake = intake(&place).await;
    place
        .sql(
            "create trigger refuse before insert on test_record when new.own_ms % 2 = 1
            begin select raise(abort, 'not this one'); end",
        )
        .await;
    let record = |ms: i64| {
        let (giccid, time) = (giccid(1), NOW.unix_ms() + ms);
        format!(r#"{{"giccid":"{giccid}","data_usage":1,"start_time":{time}}}"#)
    };
    let (nonce, _) = intake.issue_test_nonce(1);
    let push = Push { test_nonce: Some(nonce), ..push_of(&[record(0), record(1)]) };
    assert_eq!(intake.accept(push).await.unwrap(), outcome(1, 0, 1));
    assert_eq!(place.number("select count(*) from test_record").await, 1);
    assert_eq!(place.number("select count(*) from usage").await, 0);
}

#[tokio::test]
async fn a_change_that_finds_the_file_damaged_ends_the_writer() {
    let place = Place::new();
    let intake = intake(&place).await;
    // A table that lies where an index does.
    place
        .sql(
            "create table spoilt (id integer primary key, text text);
            create index spoilt_text on spoilt (text);
            pragma writable_schema = on;
            update sqlite_schema set rootpage =
                (select rootpage from sqlite_schema where name = 'spoilt_text')
            where name = 'spoilt'",
        )
        .await;
    place
        .sql(
            "create trigger spoil before insert on device
            begin insert into spoilt (text) values ('x'); end",
        )
        .await;
    let error = intake.keep_poll(poll()).await.unwrap_err();
    assert!(matches!(error, AdminError::Ended), "{error}");
    let error = intake.beat().await.unwrap_err();
    assert!(matches!(error, AdminError::Ended), "{error}");
}

#[tokio::test]
async fn a_revoked_key_ends_and_no_other() {
    let place = Place::new();
    let intake = intake(&place).await;
    let digests = [[1; 32], [2; 32], [3; 32]];
    let mut ids = Vec::new();
    for (label, digest) in ["a", "b", "c"].into_iter().zip(digests) {
        let key = intake.create_key(label, Scope::Read, digest, &caller()).await.unwrap();
        ids.push(key.id);
    }
    assert!(intake.revoke_key(ids[1], &caller()).await.unwrap());
    assert!(!intake.revoke_key(ids[1], &caller()).await.unwrap());
    let live = digests.map(|digest| intake.caller(&digest).map(|caller| caller.label));
    assert_eq!(live, [Some("a".to_owned()), None, Some("c".to_owned())]);
}

#[tokio::test]
async fn an_erasure_takes_copies_along_and_says_where_the_number_is_still_in_the_file() {
    let place = Place::new();
    let intake = intake(&place).await;
    let copy = place.database().with_extension("db.before-3");
    let moment = UNIX_EPOCH + Duration::from_millis(NOW.unix_ms().unsigned_abs());
    File::create(&copy).unwrap().set_modified(moment).unwrap();
    let erasure = intake.erase(&giccid(1), &caller()).await.unwrap();
    assert!(erasure.is_in_no_file && !copy.exists());

    place.sql("create table strange as select '8986001234567800002' as note").await;
    let erasure = intake.erase(&giccid(2), &caller()).await.unwrap();
    assert!(!erasure.is_in_no_file);
    assert!(intake.erase(&giccid(1), &caller()).await.unwrap().is_in_no_file);
}
