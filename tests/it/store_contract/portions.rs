//! Held bodies are large: a step ends by their bytes, too.
use simdeck::{
    domain::{HeldFilter, HeldReason, NewHeld},
    store::Submission,
};

use super::{Place, commit, stored};

const MIB: usize = 1 << 20;

fn held(nth: u8, bytes: usize) -> Submission {
    let held = NewHeld {
        ring: None,
        reason: HeldReason::FieldMissing,
        field: None,
        kind: "data-usage".parse().unwrap(),
        source: [192, 0, 2, 1].into(),
        body: vec![nth; bytes].into(),
        signatures: None,
        pushed_at: None,
    };
    Submission { quarantine: vec![held], ..Submission::default() }
}

#[tokio::test]
async fn a_step_through_held_bodies_ends_by_their_bytes_and_takes_at_least_one() {
    let place = Place::with_quarantine_of(1 << 30);
    let mut opened = place.open().await;
    let sizes = [3 * MIB, MIB - 1, 1, 1, 9 * MIB, 1, 1, 1, 1];
    for (nth, bytes) in (0..).zip(sizes) {
        let verdicts = commit(&mut opened, &[held(nth, bytes)]).await;
        assert_ne!(verdicts, [stored(0)], "{nth}");
    }
    let (store, filter) = (&opened.store, HeldFilter::default());
    let top = store.held_top().await.unwrap();
    let (mut after, mut steps) = (0, Vec::new());
    loop {
        let ids = store.held_ids(&filter, (after, top), 3).await.unwrap();
        let bodies = store.held_bodies(&filter, (after, top), 3).await.unwrap();
        assert_eq!(bodies.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ids);
        let Some(last) = ids.last() else { break };
        after = *last;
        steps.push(bodies.iter().map(|(_, body)| body.len()).collect::<Vec<_>>());
    }
    let expected = [vec![3 * MIB, MIB - 1, 1], vec![1, 9 * MIB], vec![1, 1, 1], vec![1]];
    assert_eq!(steps, expected);
}
