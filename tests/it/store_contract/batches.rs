//! What one batch leaves, in the database, in its file and in the writer's memory.
use std::fs;

use simdeck::{
    domain::{HeldClass, HeldReason, NewHeld, Ring},
    store::{Opened, StoreError, Submission},
};

use super::{NOW, Place, commit, notification, push, sms, stored, usage};

const NOW_MS: i64 = NOW.unix_ms();

/// More than all volumes together may be.
fn overflowing() -> Submission {
    push(vec![usage(8, NOW_MS, i64::MAX), usage(9, NOW_MS, 1)])
}

fn held(class: HeldClass, body: Vec<u8>) -> NewHeld {
    NewHeld {
        ring: (class == HeldClass::Refused).then_some(Ring::Plausible),
        reason: HeldReason::FieldMissing,
        field: None,
        kind: "data-usage".parse().unwrap(),
        source: [192, 0, 2, 1].into(),
        body: body.into(),
        signatures: None,
        pushed_at: None,
    }
}

fn aside(bytes: usize) -> Submission {
    let quarantine = vec![held(HeldClass::Quarantined, vec![b'x'; bytes])];
    Submission { quarantine, ..Submission::default() }
}

#[tokio::test]
async fn of_a_batch_that_fails_nothing_is_there_whatever_it_was() {
    let place = Place::new();
    let mut opened = place.open().await;
    opened.writer.keep_refused(&[held(HeldClass::Refused, vec![1])], NOW).await.unwrap();
    let id = place.number("select id from held").await;
    for beside in [
        aside(5),
        Submission { releases: Some(id), ..Submission::default() },
        push(vec![sms(1, NOW_MS)]),
        push(vec![notification(1, NOW_MS)]),
    ] {
        let records = [beside.records.clone(), overflowing().records].concat();
        let in_one = Submission { records, ..beside.clone() };
        for batch in
            [vec![beside.clone(), overflowing()], vec![overflowing(), beside], vec![in_one]]
        {
            let failed = opened.writer.commit(&batch, NOW).await.unwrap_err();
            assert!(matches!(failed, StoreError::VolumeOverflow), "{failed}");
            for (question, number) in [
                ("select count(*) from held", 1),
                ("select id from held", id),
                ("select count(*) from usage", 0),
                ("select count(*) from sms", 0),
                ("select count(*) from notification", 0),
                ("select last from seq", 0),
            ] {
                assert_eq!(place.number(question).await, number, "{question}: {batch:?}");
            }
        }
    }
    assert_eq!(commit(&mut opened, &[push(vec![usage(1, NOW_MS, 1)])]).await, [stored(1)]);
}

#[tokio::test]
async fn the_writer_knows_the_newest_id_that_is_on_disk() {
    let place = Place::new();
    let mut opened = place.open().await;
    assert_eq!(opened.writer.last_id(), Some(0));
    commit(&mut opened, &[push((1..=3).map(|sim| usage(sim, NOW_MS, 1)).collect())]).await;
    assert_eq!(opened.writer.last_id(), Some(3));
    opened.writer.commit(&[overflowing()], NOW).await.unwrap_err();
    assert_eq!(opened.writer.last_id(), Some(3));
}

#[tokio::test]
async fn a_writer_that_was_closed_has_left_nothing_in_the_log() {
    let place = Place::new();
    let Opened { store, mut writer, .. } = place.open().await;
    // While somebody else has the file open, SQLite does not do it by itself.
    let mut other = place.raw().await;
    sqlx::raw_sql("select last from seq").execute(&mut other).await.unwrap();
    writer.commit(&[push(vec![usage(1, NOW_MS, 1)])], NOW).await.unwrap();
    let log = place.database().with_extension("db-wal");
    assert!(fs::metadata(&log).unwrap().len() > 0);
    store.close().await;
    writer.close().await.unwrap();
    assert_eq!(fs::metadata(&log).unwrap().len(), 0);
    drop(other);
}

#[tokio::test]
async fn the_log_grows_while_a_copy_is_made_and_no_longer() {
    let place = Place::with_quarantine_of(64 << 20);
    let mut opened = place.open().await;
    let length = || fs::metadata(place.database()).unwrap().len();
    let before = length();
    opened.writer.hold_checkpoints(true).await.unwrap();
    commit(&mut opened, &[aside(6 << 20)]).await;
    assert_eq!(length(), before);
    opened.writer.hold_checkpoints(false).await.unwrap();
    commit(&mut opened, &[push(vec![usage(1, NOW_MS, 1)])]).await;
    assert!(length() > before + (6 << 20));
}
