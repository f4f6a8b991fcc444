//! What stands beside an erased SIM, in the same body or within the number of another.
use simdeck::{
    domain::{Change, NewHeld, NewRecord, Record, Ring},
    store::{Opened, Submission},
};

use super::{
    super::{NOW, Place, commit, giccid, notification, push, sms, stored, usage},
    NOW_MS, changes, close, erase, files_with, quarantined,
};

/// What lies in quarantine and in the rings, the oldest first.
async fn held(opened: &Opened) -> Vec<String> {
    let mut bodies = Vec::new();
    for id in 1..=50 {
        if let Some(held) = opened.store.held_body(id).await.unwrap() {
            bodies.push(String::from_utf8(held.body).unwrap());
        }
    }
    bodies
}

fn record(sim: usize) -> String {
    format!(r#"{{"giccid":"{}","n":1}}"#, giccid(sim))
}

/// Bodies in which two SIMs that are erased, 1 and 2, stand beside another, 3; and what is left.
fn bodies() -> Vec<(String, Option<String>)> {
    let [x, y, a] = [1, 2, 3].map(record);
    let push = |rows: &str| format!(r#"{{"datePush":1,"rows":{rows}}}"#);
    vec![
        (push(&format!("[{x},{x},{a}]")), Some(push(&format!("[{a}]")))),
        (push(&format!("[{x},{y},{a},{x}]")), Some(push(&format!("[{a}]")))),
        (format!("[{x},{a},{y}]"), Some(format!("[{a}]"))),
        (push(&format!("[{x},{y}]")), None),
        (
            format!(r#"{{"giccid":"{}","was":["{}","{}"]}}"#, giccid(3), giccid(1), giccid(2)),
            Some(format!(r#"{{"giccid":"{}"}}"#, giccid(3))),
        ),
        (format!(r#"{{"from":"{}","to":"{}"}}"#, giccid(1), giccid(2)), None),
        (
            format!(r#"{{"from":"{}","to":"{}"}}"#, giccid(1), giccid(3)),
            Some(format!(r#"{{"from":"erased","to":"{}"}}"#, giccid(3))),
        ),
    ]
}

#[tokio::test]
async fn a_body_loses_what_is_about_erased_sims_and_nothing_else_whether_it_came_before_or_after() {
    for erased_first in [true, false] {
        let place = Place::new();
        let mut opened = place.open().await;
        let erase_both = async |opened: &mut Opened| {
            for sim in [1, 2] {
                erase(opened, sim).await;
            }
        };
        if erased_first {
            erase_both(&mut opened).await;
        }
        let mut wanted = Vec::new();
        for (body, left) in bodies() {
            let aside = Submission { quarantine: vec![quarantined(body)], ..Submission::default() };
            opened.writer.commit(&[aside], NOW).await.unwrap();
            wanted.extend(left);
        }
        if !erased_first {
            erase_both(&mut opened).await;
        }
        // The first two are the same now, and are counted as such.
        wanted.remove(1);
        assert_eq!(held(&opened).await, wanted, "erased first: {erased_first}");
        assert_eq!(place.number("select sum(count) from held").await, 5);
        let bytes: usize = wanted.iter().map(String::len).sum();
        let tallies = opened.store.tallies().await.unwrap();
        assert_eq!(tallies.quarantine.bytes, i64::try_from(bytes).unwrap());
        close(opened).await;
        for sim in [1, 2] {
            assert!(files_with(place.folder.path(), giccid(sim).as_str()).is_empty());
        }
    }
}

#[tokio::test]
async fn a_refused_body_keeps_what_is_of_others_with_their_signatures() {
    let [x, a] = [1, 3].map(record);
    let signatures: Vec<u8> = [[1; 32], [2; 32], [3; 32]].concat();
    let refused = || NewHeld {
        ring: Some(Ring::Noise),
        signatures: Some(signatures.clone().into()),
        pushed_at: None,
        ..quarantined(format!("[{x},{a},{x}]"))
    };
    for erased_first in [true, false] {
        let place = Place::new();
        let mut opened = place.open().await;
        if erased_first {
            erase(&mut opened, 1).await;
        }
        opened.writer.keep_refused(&[refused()], NOW).await.unwrap();
        if !erased_first {
            erase(&mut opened, 1).await;
        }
        let left = opened.store.held_body(1).await.unwrap().unwrap();
        assert_eq!(String::from_utf8(left.body).unwrap(), format!("[{a}]"));
        assert_eq!(left.signatures, Some(vec![2; 32]));
        let bytes = place.number("select sum(bytes) from held").await;
        let rings = opened.store.tallies().await.unwrap().rings;
        assert_eq!(rings.iter().map(|ring| ring.bytes).sum::<i64>(), bytes);
    }
}

#[tokio::test]
async fn a_record_of_another_sim_that_mentions_an_erased_one_stays_without_the_mention() {
    let other = |mut new: NewRecord| {
        let told = format!(r#"{{"giccid":"{}","was":"{}","at":7}}"#, giccid(3), giccid(1));
        match &mut new.record {
            Record::Usage(usage) => usage.extra = Some(told.into()),
            Record::Sms(sms) => sms.extra = Some(told.into()),
            Record::Notification(other) => other.payload = told.into(),
        }
        new
    };
    let records = || [usage(3, NOW_MS, 1), sms(3, NOW_MS), notification(3, NOW_MS)].map(other);
    for erased_first in [true, false] {
        let place = Place::new();
        let mut opened = place.open().await;
        if erased_first {
            erase(&mut opened, 1).await;
        }
        assert_eq!(commit(&mut opened, &[push(records().into())]).await, [stored(3)]);
        if !erased_first {
            erase(&mut opened, 1).await;
        }
        let left = format!(r#"{{"giccid":"{}","was":"erased","at":7}}"#, giccid(3));
        let mut told = Vec::new();
        for change in changes(&opened).await {
            match change {
                Change::Usage(row) => told.push(row.record.extra.unwrap().to_string()),
                Change::Sms(row) => told.push(row.record.extra.unwrap().to_string()),
                Change::Notification(row) => told.push(row.record.payload.to_string()),
                _ => (),
            }
        }
        assert_eq!(told, [&*left, &*left, &*left], "erased first: {erased_first}");
        close(opened).await;
        assert!(files_with(place.folder.path(), giccid(1).as_str()).is_empty());
    }
}

#[tokio::test]
async fn sims_whose_numbers_hold_an_erased_number_keep_all_they_have() {
    let place = Place::new();
    let mut opened = place.open().await;
    let within: simdeck::domain::Giccid = "894450150318137799".parse().unwrap();
    let of = |giccid: &simdeck::domain::Giccid| {
        let mut new = notification(1, NOW_MS);
        if let Record::Notification(record) = &mut new.record {
            record.giccid = Some(giccid.clone());
            record.payload = format!(r#"{{"giccid":"{giccid}"}}"#).into();
        }
        new.identity = i64::from(giccid.as_str().bytes().map(u32::from).sum::<u32>());
        let aside = quarantined(format!(r#"{{"giccid":"{giccid}","n":"x"}}"#));
        Submission { records: vec![new], quarantine: vec![aside], ..Submission::default() }
    };
    for last in 0..10 {
        let longer = format!("{within}{last}").parse().unwrap();
        opened.writer.commit(&[of(&longer)], NOW).await.unwrap();
    }
    opened.writer.commit(&[of(&within)], NOW).await.unwrap();
    let caller = super::caller();
    let mut erasing = opened.writer.begin_erasure(&within, &caller, NOW).await.unwrap();
    while !erasing.is_done() {
        opened.writer.erase_some(&mut erasing).await.unwrap();
    }
    assert_eq!((erasing.erased().notifications, erasing.erased().held), (1, 1));
    for last in 0..10 {
        let longer = format!("{within}{last}").parse().unwrap();
        opened.writer.commit(&[of(&longer)], NOW).await.unwrap();
    }
    assert_eq!(place.number("select count(*) from notification").await, 10);
    assert_eq!(place.number("select count(*) from held").await, 10);
    assert_eq!(opened.store.erasures().await.unwrap(), (1, 0));
}
