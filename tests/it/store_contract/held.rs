use std::net::Ipv4Addr;

use simdeck::{
    domain::{HeldClass, HeldFilter, HeldReason, NewHeld, PageSize, Place as At, Ring, Walk},
    store::{Opened, Outcome, RingTally, Submission, Verdict},
};

use super::{NOW, Place, commit, push, stored, usage};

/// A quarter of a ring, which is what one source may take.
const SHARE: usize = 2_500;
const SHARE_BYTES: usize = 16 << 20;

fn refused(ring: Ring, source: u8, nth: usize) -> NewHeld {
    let body = format!("{source} {nth}").into_bytes();
    held(HeldClass::Refused, HeldReason::SignatureWrong, ring, source, body)
}

fn quarantined(nth: u8, bytes: usize) -> NewHeld {
    held(HeldClass::Quarantined, HeldReason::FieldMissing, Ring::Plausible, 1, vec![nth; bytes])
}

fn held(class: HeldClass, reason: HeldReason, ring: Ring, source: u8, body: Vec<u8>) -> NewHeld {
    NewHeld {
        ring: (class == HeldClass::Refused).then_some(ring),
        reason,
        field: None,
        kind: "data-usage".parse().unwrap(),
        source: Ipv4Addr::new(192, 0, 2, source).into(),
        body: body.into(),
        signatures: None,
        pushed_at: None,
    }
}

async fn rings(opened: &Opened) -> [RingTally; 2] {
    opened.store.tallies().await.unwrap().rings.try_into().unwrap()
}

async fn bodies(opened: &Opened, class: HeldClass) -> Vec<(i64, i64, String)> {
    let top = opened.store.held_top().await.unwrap();
    let walk = Walk { top, place: At::Oldest, size: PageSize::LARGEST };
    let rows = opened
        .store
        .held(&HeldFilter { class: vec![class], ..HeldFilter::default() }, &walk)
        .await
        .unwrap();
    let mut told = Vec::new();
    for row in rows.into_iter().rev() {
        let body = opened.store.held_body(row.id).await.unwrap().unwrap().body;
        told.push((row.id, row.count, String::from_utf8_lossy(&body).into_owned()));
    }
    told
}

#[tokio::test]
async fn one_source_takes_a_quarter_of_a_ring_and_loses_its_own_oldest() {
    let place = Place::new();
    let mut opened = place.open().await;
    let stranger = refused(Ring::Plausible, 9, 0);
    opened.writer.keep_refused(std::slice::from_ref(&stranger), NOW).await.unwrap();
    let flood: Vec<_> = (0..SHARE + 3).map(|nth| refused(Ring::Plausible, 1, nth)).collect();
    opened.writer.keep_refused(&flood, NOW).await.unwrap();

    let [plausible, noise] = rings(&opened).await;
    assert_eq!((plausible.pushes, plausible.dropped), (2_501, 3));
    assert_eq!((noise.pushes, noise.dropped), (0, 0));
    let left = bodies(&opened, HeldClass::Refused).await;
    assert_eq!(left[0].2, "9 0", "a stranger's was lost");
    assert_eq!(left[1].2, "1 3");

    // The very same raises a count and takes no room, also in the next life.
    opened.store.close().await;
    drop(opened);
    let mut opened = place.open().await;
    let again = [stranger, refused(Ring::Plausible, 1, SHARE + 3)];
    opened.writer.keep_refused(&again, NOW).await.unwrap();
    let [plausible, _] = rings(&opened).await;
    assert_eq!((plausible.pushes, plausible.dropped), (2_501 + 1, 4));
    let left = bodies(&opened, HeldClass::Refused).await;
    assert_eq!((left[0].1, &*left[1].2), (2, "1 4"));
}

#[tokio::test]
async fn a_full_ring_makes_room_at_the_cost_of_who_has_most_in_it() {
    let place = Place::new();
    let mut opened = place.open().await;
    let flood: Vec<_> = (0..SHARE * 4)
        .map(|nth| refused(Ring::Noise, u8::try_from(nth / SHARE).unwrap(), nth % SHARE))
        .collect();
    opened.writer.keep_refused(&flood, NOW).await.unwrap();
    let [plausible, noise] = rings(&opened).await;
    assert_eq!((noise.pushes, noise.dropped), (10_000, 0));

    let newcomers: Vec<_> = (0..7).map(|nth| refused(Ring::Noise, 200 + nth, 0)).collect();
    opened.writer.keep_refused(&newcomers, NOW).await.unwrap();
    let [_, noise] = rings(&opened).await;
    assert_eq!((noise.pushes, noise.dropped), (10_000, 7));
    assert_eq!((plausible.pushes, plausible.dropped), (0, 0));
    let top = opened.store.held_top().await.unwrap();
    let walk = Walk { top, place: At::Newest, size: PageSize::LARGEST };
    let newest = opened
        .store
        .held(&HeldFilter { class: vec![HeldClass::Refused], ..HeldFilter::default() }, &walk)
        .await
        .unwrap();
    assert!((0..7).all(|nth| newest[nth].source == format!("192.0.2.{}", 206 - nth)));

    // It is as full in the next life.
    opened.store.close().await;
    drop(opened);
    let mut opened = place.open().await;
    opened.writer.keep_refused(&[refused(Ring::Noise, 210, 0)], NOW).await.unwrap();
    let [_, noise] = rings(&opened).await;
    assert_eq!((noise.pushes, noise.dropped), (10_000, 8));
}

#[tokio::test]
async fn a_ring_that_is_full_of_bytes_is_so_in_the_next_life() {
    let place = Place::new();
    let mut opened = place.open().await;
    let first: Vec<_> = (1..=4).map(|source| refused(Ring::Noise, source, 0)).collect();
    opened.writer.keep_refused(&first, NOW).await.unwrap();
    opened.store.close().await;
    drop(opened);
    // As if each body were the largest that one source may leave.
    place.sql("update held set bytes = 16777216").await;
    let mut opened = place.open().await;
    opened.writer.keep_refused(&[refused(Ring::Noise, 5, 0)], NOW).await.unwrap();
    let [_, noise] = rings(&opened).await;
    assert_eq!((noise.pushes, noise.dropped), (4, 1));
}

#[tokio::test]
async fn what_is_taken_out_of_a_ring_leaves_room_in_it() {
    for ring in [Ring::Plausible, Ring::Noise] {
        let place = Place::new();
        let mut opened = place.open().await;
        let half = |nth| {
            let body = vec![nth; SHARE_BYTES / 2];
            held(HeldClass::Refused, HeldReason::NotJson, ring, 1, body)
        };
        opened.writer.keep_refused(&[half(1), half(2)], NOW).await.unwrap();
        let first = place.number("select min(id) from held").await;
        let release = Submission { releases: Some(first), ..Submission::default() };
        commit(&mut opened, &[release]).await;
        opened.writer.keep_refused(&[half(3)], NOW).await.unwrap();
        let told = rings(&opened).await.map(|ring| (ring.pushes, ring.dropped));
        assert!(told.contains(&(2, 0)) && told.contains(&(0, 0)), "{told:?}");
    }
}

#[tokio::test]
async fn a_ring_is_bounded_in_bytes_too() {
    let place = Place::new();
    let mut opened = place.open().await;
    let large = |nth, bytes| {
        held(HeldClass::Refused, HeldReason::NotJson, Ring::Noise, 1, vec![nth; bytes])
    };
    opened.writer.keep_refused(&[large(0, SHARE_BYTES)], NOW).await.unwrap();
    let [_, noise] = rings(&opened).await;
    assert_eq!((noise.pushes, noise.bytes, noise.dropped), (1, SHARE_BYTES as i64, 0));
    let alone = place.number("select id from held").await;
    let release = Submission { releases: Some(alone), ..Submission::default() };
    commit(&mut opened, &[release]).await;
    let bodies = [large(1, SHARE_BYTES + 1), large(2, SHARE_BYTES / 2), large(3, SHARE_BYTES / 2)];
    opened.writer.keep_refused(&bodies, NOW).await.unwrap();
    let [_, noise] = rings(&opened).await;
    assert_eq!((noise.pushes, noise.bytes, noise.dropped), (2, SHARE_BYTES as i64, 1));
    opened.writer.keep_refused(&[large(4, 1)], NOW).await.unwrap();
    let [_, noise] = rings(&opened).await;
    assert_eq!((noise.pushes, noise.bytes, noise.dropped), (2, SHARE_BYTES as i64 / 2 + 1, 2));
}

#[tokio::test]
async fn what_nobody_had_time_to_keep_is_counted_once() {
    let place = Place::new();
    let mut opened = place.open().await;
    opened.writer.count_dropped(Ring::Noise, HeldReason::NotJson, 5, NOW);
    for nth in 0..2 {
        opened.writer.keep_refused(&[refused(Ring::Plausible, 1, nth)], NOW).await.unwrap();
        assert_eq!(rings(&opened).await.map(|ring| ring.dropped), [0, 5]);
    }
}

#[tokio::test]
async fn a_full_quarantine_refuses_the_push_that_needs_it_and_no_other() {
    let place = Place::with_quarantine_of(100);
    let mut opened = place.open().await;
    let needs = |nth, bytes| Submission {
        records: vec![usage(1, 1_713_888_842_473, i64::from(nth))],
        quarantine: vec![quarantined(nth, bytes)],
        ..Submission::default()
    };
    let kept = Verdict::Stored(Outcome { stored: 1, quarantined: 1, ..Outcome::default() });
    let stranger = push(vec![usage(2, 1_713_888_842_473, 1)]);
    let batch = [needs(1, 60), needs(2, 41), stranger, needs(3, 40)];
    assert_eq!(commit(&mut opened, &batch).await, [kept, Verdict::QuarantineFull, stored(1), kept]);
    // Of the refused one nothing is there, so that sent again it is new.
    assert_eq!(opened.store.tallies().await.unwrap().quarantine.bytes, 100);
    opened.store.close().await;
    drop(opened);
    let mut opened = place.open().await;
    assert_eq!(commit(&mut opened, &[needs(2, 41)]).await, [Verdict::QuarantineFull]);

    // What lies there already needs no room.
    let again = Verdict::Stored(Outcome { quarantined: 1, duplicates: 1, ..Outcome::default() });
    assert_eq!(commit(&mut opened, &[needs(3, 40)]).await, [again]);

    let first = bodies(&opened, HeldClass::Quarantined).await[0].0;
    let release = Submission { releases: Some(first), ..needs(2, 41) };
    assert_eq!(commit(&mut opened, &[release]).await, [kept]);
    assert_eq!(opened.store.tallies().await.unwrap().quarantine.bytes, 81);
}

#[tokio::test]
async fn a_retry_that_quarantine_has_no_room_for_leaves_the_held_push_where_it_is() {
    let place = Place::with_quarantine_of(10);
    let mut opened = place.open().await;
    opened.writer.keep_refused(&[refused(Ring::Plausible, 1, 0)], NOW).await.unwrap();
    let held = bodies(&opened, HeldClass::Refused).await;
    let retry = Submission {
        quarantine: vec![quarantined(1, 11)],
        releases: Some(held[0].0),
        ..Submission::default()
    };
    assert_eq!(commit(&mut opened, &[retry]).await, [Verdict::QuarantineFull]);
    assert_eq!(bodies(&opened, HeldClass::Refused).await, held);
    let [plausible, _] = rings(&opened).await;
    assert_eq!((plausible.pushes, plausible.dropped), (1, 0));
}

#[tokio::test]
async fn what_others_sent_too_takes_room_until_it_is_released_for_all_of_them() {
    let place = Place::with_quarantine_of(100);
    let mut opened = place.open().await;
    let from =
        |source| NewHeld { source: Ipv4Addr::new(192, 0, 2, source).into(), ..quarantined(1, 60) };
    for source in [1, 2] {
        let push = Submission { quarantine: vec![from(source)], ..Submission::default() };
        commit(&mut opened, &[push]).await;
    }
    let [first, second] = [1, 2].map(|source| Some(Ipv4Addr::new(192, 0, 2, source).into()));
    let id = bodies(&opened, HeldClass::Quarantined).await[0].0;
    let release = |also_from| Submission {
        records: vec![usage(1, 1_713_888_842_473, 1)],
        quarantine: vec![quarantined(2, 60)],
        source: first,
        also_from,
        releases: Some(id),
        ..Submission::default()
    };
    assert_eq!(commit(&mut opened, &[release(vec![])]).await, [Verdict::QuarantineFull]);
    let all = Outcome { stored: 1, duplicates: 1, quarantined: 1, ..Outcome::default() };
    assert_eq!(commit(&mut opened, &[release(vec![second])]).await, [Verdict::Stored(all)]);
    assert_eq!(opened.store.tallies().await.unwrap().quarantine.bytes, 60);
    assert_eq!(bodies(&opened, HeldClass::Quarantined).await.len(), 1);
}
