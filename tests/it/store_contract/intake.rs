use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use simdeck::{
    domain::{
        Caller, FixedClock, HeldClass, HeldReason, PageSize, Place as At, Scope, Secret, Walk,
    },
    intake::{Acknowledge, Intake, IntakeOptions, Push},
    smarthub::{
        AgePolicy, IdentityRule,
        signature::{PushKey, Verifier, sign},
    },
    store::Outcome,
};
use tokio_util::sync::CancellationToken;

use super::{NOW, Place};

const PUSH_KEY: &str = "UzE4MDkxNDA2MTE1M";

async fn intake(place: &Place) -> Intake {
    let key = PushKey { label: None, key: Secret::from(PUSH_KEY.to_owned()) };
    let day = Duration::from_secs(24 * 3600);
    let options = IntakeOptions {
        verifier: Verifier::new(&[key], 0),
        age: AgePolicy { max_age: day, max_ahead: day },
        identity: IdentityRule::Content,
        clock: Arc::new(FixedClock(NOW)),
        data_dir: place.folder.path().to_owned(),
        disk_reserve_bytes: 0,
        acknowledge: Acknowledge::AfterCommit,
    };
    let opened = place.open().await;
    let (intake, tasks) = Intake::new(opened, options, CancellationToken::new()).await.unwrap();
    tokio::spawn(tasks.run());
    intake
}

/// A push of usage records with these volumes.
fn push(volumes: &[u32]) -> Push {
    let seconds = NOW.unix_seconds();
    let records: Vec<_> = volumes
        .iter()
        .map(|volume| {
            let time = seconds * 1_000;
            format!(
                r#"{{"giccid":"8986001234567800001","data_usage":{volume},"start_time":{time}}}"#
            )
        })
        .collect();
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

    // The culprit and its strangers wait together, so that one batch takes them.
    let pushes = [vec![1], vec![2, 666, 3], vec![4], vec![666], vec![5, 6]];
    let answers = join_all(pushes.iter().map(|volumes| intake.accept(push(volumes)))).await;
    let outcomes: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    let outcome = |stored, quarantined| Outcome { stored, duplicates: 0, quarantined };
    assert_eq!(
        outcomes,
        [outcome(1, 0), outcome(2, 1), outcome(1, 0), outcome(0, 1), outcome(2, 0)]
    );
    let store = intake.store();
    let top = store.held_top().await.unwrap();
    let walk = Walk { top, place: At::Oldest, size: PageSize::LARGEST };
    let held = store.held(&[HeldClass::Quarantined], &[], &walk).await.unwrap();
    assert!(held.iter().all(|held| held.reason == HeldReason::StoreRefused));
    let [last, first] = &held[..] else { panic!("{held:?}") };
    let body = store.held_body(first.id).await.unwrap().unwrap().body;
    let body = String::from_utf8(body).unwrap();
    assert!(
        body.contains(":666,") && body.contains(":3,") && !body.contains("signature"),
        "{body}"
    );

    // Still refused, both stay; once they are taken, what was stored is a repeat.
    let caller = Caller { label: "a test".into(), scope: Scope::Admin };
    intake.retry(last.id, None, &caller).await.unwrap();
    assert_eq!(store.held_count(&[], &[], top).await.unwrap(), 2);
    place.sql("drop trigger refuse").await;
    let outcome = intake.retry(first.id, None, &caller).await.unwrap();
    assert_eq!(outcome, Outcome { stored: 1, duplicates: 2, quarantined: 0 });
    let outcome = intake.retry(last.id, None, &caller).await.unwrap();
    assert_eq!(outcome, Outcome { stored: 0, duplicates: 1, quarantined: 0 });
    assert_eq!(store.held_count(&[], &[], top).await.unwrap(), 0);
    assert_eq!(store.tallies().await.unwrap().kinds[0].1.records, 7);
}
