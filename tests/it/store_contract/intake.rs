use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use simdeck::{
    domain::{
        AuditAction, AuditNote, AuditOutcome, Caller, DevicePoll, DeviceStatus, FixedClock,
        Freshness, HeldClass, HeldFilter, HeldReason, PageSize, Place as At, Scope, Secret,
        SerialNumber, Walk,
    },
    intake::{Acknowledge, AdminError, Health, Intake, IntakeOptions, KeepOptions, Push},
    smarthub::{
        AgePolicy, IdentityRule,
        signature::{PushKey, Verifier, sign},
    },
    store::Outcome,
};
use tokio_util::sync::CancellationToken;

use super::{NOW, Place};

pub(super) const PUSH_KEY: &str = "UzE4MDkxNDA2MTE1M";

pub(super) async fn intake(place: &Place) -> Intake {
    intake_with(place, 0, CancellationToken::new()).await
}

async fn intake_with(place: &Place, disk_reserve_bytes: u64, stop: CancellationToken) -> Intake {
    let key = PushKey { label: None, key: Secret::from(PUSH_KEY.to_owned()) };
    let day = Duration::from_secs(24 * 3600);
    let options = IntakeOptions {
        verifier: Verifier::new(&[key], 0),
        age: AgePolicy { max_age: day, max_ahead: day },
        identity: IdentityRule::Content,
        clock: Arc::new(FixedClock(NOW)),
        data_dir: place.folder.path().to_owned(),
        disk_reserve_bytes,
        keep: KeepOptions::usual(place.database()),
        acknowledge: Acknowledge::AfterCommit,
    };
    let opened = place.open().await;
    let (intake, tasks) = Intake::new(opened, options, stop).await.unwrap();
    tokio::spawn(tasks.run());
    intake
}

/// A push of usage records with these volumes.
pub(super) fn push(volumes: &[u32]) -> Push {
    let time = NOW.unix_seconds() * 1_000;
    let record = |volume| {
        format!(r#"{{"giccid":"8986001234567800001","data_usage":{volume},"start_time":{time}}}"#)
    };
    push_of(&volumes.iter().map(record).collect::<Vec<_>>())
}

/// A push of these records.
pub(super) fn push_of(records: &[String]) -> Push {
    let seconds = NOW.unix_seconds();
    let body = format!(
        r#"{{"datePush":{seconds},"signature":"{}","cdrs":[{}]}}"#,
        sign(PUSH_KEY, seconds),
        records.join(",")
    );
    let source = [192, 0, 2, 1].into();
    Push { kind: "data-usage".parse().unwrap(), body: body.into(), source, test_nonce: None }
}

#[tokio::test]
async fn one_record_that_the_database_refuses_fails_no_strangers() {
    let place = Place::new();
    let intake = intake(&place).await;
    place
        .sql(
            "create trigger refuse before insert on usage when new.data_usage = 666
            begin select raise(abort, 'not this one'); end",
        )
        .await;

    // The refused record and those of strangers wait together, so that one batch takes them.
    let pushes = [vec![1], vec![2, 666, 3], vec![4], vec![666], vec![5, 6]];
    let answers = join_all(pushes.iter().map(|volumes| intake.accept(push(volumes)))).await;
    let outcomes: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    let outcome = |stored, quarantined| Outcome { stored, quarantined, ..Outcome::default() };
    assert_eq!(
        outcomes,
        [outcome(1, 0), outcome(2, 1), outcome(1, 0), outcome(0, 1), outcome(2, 0)]
    );
    let store = intake.store();
    let top = store.held_top().await.unwrap();
    let walk = Walk { top, place: At::Oldest, size: PageSize::LARGEST };
    let held = store
        .held(&HeldFilter { class: vec![HeldClass::Quarantined], ..HeldFilter::default() }, &walk)
        .await
        .unwrap();
    assert!(held.iter().all(|held| held.reason == HeldReason::StoreRefused));
    // The record lies aside by itself, and the very same of the other push is counted.
    let [refused] = &held[..] else { panic!("{held:?}") };
    assert_eq!(refused.count, 2);
    let body = store.held_body(refused.id).await.unwrap().unwrap().body;
    let body = String::from_utf8(body).unwrap();
    assert!(
        body.contains(":666,") && !body.contains(":3,") && !body.contains("signature"),
        "{body}"
    );

    // Still refused, it stays, and that is said.
    let caller = Caller::new("a test", Scope::Admin);
    assert_eq!(intake.retry(refused.id, None, &caller).await.unwrap(), outcome(0, 1));
    assert_eq!(store.held_count(&HeldFilter::default(), top).await.unwrap(), 1);
    place.sql("drop trigger refuse").await;
    assert_eq!(intake.retry(refused.id, None, &caller).await.unwrap(), outcome(1, 0));
    assert_eq!(store.held_count(&HeldFilter::default(), top).await.unwrap(), 0);
    assert_eq!(store.tallies().await.unwrap().kinds[0].1.records, 7);
}

fn sn() -> SerialNumber {
    "RB1".parse().unwrap()
}

pub(super) fn poll() -> DevicePoll {
    let status = DeviceStatus { sn: sn(), asked_to: NOW, samples: Vec::new() };
    let freshness = Freshness { now: NOW, good_for: Duration::from_secs(180) };
    DevicePoll { freshness, rcms_time: None, totals: None, listing: None, statuses: vec![status] }
}

#[tokio::test]
async fn a_poll_that_the_database_refuses_fails_alone() {
    let place = Place::new();
    let intake = intake(&place).await;
    place
        .sql("create trigger refuse before insert on device begin select raise(abort, 'no'); end")
        .await;
    let error = intake.keep_poll(poll()).await.unwrap_err();
    assert!(matches!(error, AdminError::Store(_)), "{error}");
    assert_eq!(intake.health(), Health::Ready);
    assert_eq!(intake.accept(push(&[1])).await.unwrap().stored, 1);

    place.sql("drop trigger refuse").await;
    let (poll, push) = tokio::join!(intake.keep_poll(poll()), intake.accept(push(&[2])));
    poll.unwrap();
    assert_eq!(push.unwrap().stored, 1);
    assert_eq!(intake.store().device_top().await.unwrap(), 1);
}

#[tokio::test]
async fn who_moved_a_device_to_another_group_is_written_down() {
    let place = Place::new();
    let intake = intake(&place).await;
    let caller = Caller::new("a test", Scope::Admin);
    let note = AuditNote::by(&caller, AuditAction::DeviceGroup, "RB1");
    let begun = intake.begin_audit(note.clone()).await.unwrap();
    const BEGUN: &str = "select count(*) from audit where outcome = 'begun' and target = 'RB1'";
    const DONE: &str = "select count(*) from audit where outcome = 'done' and details = 'into B'
        and who = 'a test' and action = 'device.group' and target = 'RB1'";
    const CUT: &str = "select count(*) from audit where outcome = 'failed'
        and details = 'cut short'";
    assert_eq!(place.number(BEGUN).await, 1);
    begun.end(AuditOutcome::Done, "into B".to_owned()).await;
    assert_eq!((place.number(BEGUN).await, place.number(DONE).await), (0, 1));
    // Whoever goes away without a word has not seen the end.
    drop(intake.begin_audit(note).await.unwrap());
    while place.number(CUT).await == 0 {
        intake.beat().await.unwrap();
    }
}

#[tokio::test]
async fn an_audit_row_that_the_database_refuses_fails_no_push() {
    let place = Place::new();
    let intake = intake(&place).await;
    place
        .sql("create trigger refuse before insert on audit begin select raise(abort, 'no'); end")
        .await;
    let note = AuditNote::by(&Caller::new("a test", Scope::Admin), AuditAction::Export, "sims");
    let (audited, pushed) = tokio::join!(intake.audit(note.clone()), intake.accept(push(&[1])));
    assert!(matches!(audited, Err(AdminError::Store(_))), "{audited:?}");
    assert_eq!(pushed.unwrap().stored, 1);
    intake
        .audit_failed_sign_ins(vec![(Some(std::net::IpAddr::from([192, 0, 2, 1]).into()), 3)])
        .await;
    assert_eq!(intake.health(), Health::Ready);
    assert_eq!(intake.accept(push(&[2])).await.unwrap().stored, 1);
    place.sql("drop trigger refuse").await;
    intake.audit(note).await.unwrap();
    assert_eq!(place.number("select count(*) from audit").await, 1);
}

#[tokio::test]
async fn a_poll_is_refused_while_the_disk_has_no_room_or_we_stop() {
    let place = Place::new();
    let full = intake_with(&place, u64::MAX, CancellationToken::new()).await;
    let reason = loop {
        match full.health() {
            Health::NotReady(reason) => break reason,
            Health::Ready => tokio::task::yield_now().await,
        }
    };
    let error = full.keep_poll(poll()).await.unwrap_err();
    assert!(matches!(error, AdminError::NotReady(_)), "{error}");
    assert_eq!(error.to_string(), reason);

    let place = Place::new();
    let stop = CancellationToken::new();
    let stopping = intake_with(&place, 0, stop.clone()).await;
    stopping.keep_poll(poll()).await.unwrap();
    stop.cancel();
    // Whether it was before or after the writer ended, nobody waits for it.
    loop {
        match stopping.keep_poll(poll()).await {
            Ok(()) => tokio::task::yield_now().await,
            Err(error) => break assert!(matches!(error, AdminError::Stopping), "{error}"),
        }
    }
}
