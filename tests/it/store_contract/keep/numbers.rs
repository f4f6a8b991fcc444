//! Numbers that rows refer to each other by.
use std::time::Duration;

use simdeck::store::{Pruning, Retention};

use super::{
    super::{NOW, Place, commit, giccid, push, usage},
    NOW_MS, caller, close, erase,
};

#[tokio::test]
async fn a_number_of_a_sim_that_was_erased_is_never_given_to_another() {
    const LAST: [&str; 2] = ["select max(id) from sim", "select max(id) from card"];
    for reopens in [false, true] {
        let place = Place::new();
        let mut opened = place.open().await;
        let mut before = [0, 0];
        for sim in 1..6 {
            commit(&mut opened, &[push(vec![usage(sim, NOW_MS, 1)])]).await;
            let now = [place.number(LAST[0]).await, place.number(LAST[1]).await];
            assert!(now[0] > before[0] && now[1] > before[1], "{now:?} after {before:?}");
            before = now;
            erase(&mut opened, sim).await;
            if reopens {
                close(opened).await;
                opened = place.open().await;
            }
        }
    }
}

#[tokio::test]
async fn a_record_that_comes_at_any_step_of_an_erasure_is_left_without_its_sim_at_none() {
    // What the front door lets in never is of a SIM that is being erased: this comes past it.
    const RECORD: &str = "
        insert into usage (id, received_ms, sim_id, series_id, start_ms, data_usage, date_push_s, h)
        select last + 1000, 0, sim.id, 1, 0, 0, 0, 7 from seq join sim on sim.id = 1";
    const LOST: &str = "select count(*) from usage where sim_id not in (select id from sim)";
    let (mut steps, mut step) = (1, 0);
    while step < steps {
        let place = Place::new();
        let mut opened = place.open().await;
        let records = vec![usage(1, NOW_MS, 1), usage(2, NOW_MS, 1)];
        commit(&mut opened, &[push(records)]).await;
        let mut erasing = opened.writer.begin_erasure(&giccid(1), &caller(), NOW).await.unwrap();
        let mut nth = 0;
        while !erasing.is_done() {
            assert!(nth < 1_000, "it ends");
            if nth == step {
                place.sql(RECORD).await;
            }
            opened.writer.erase_some(&mut erasing).await.unwrap();
            nth += 1;
        }
        steps = steps.max(nth);
        assert_eq!(place.number(LOST).await, 0, "step {step}");
        close(opened).await;
        step += 1;
    }
    assert!(steps > 10, "{steps}");
}

#[tokio::test]
async fn a_number_of_an_audit_row_is_never_given_to_another() {
    let place = Place::new();
    let mut opened = place.open().await;
    erase(&mut opened, 1).await;
    let last = place.number("select max(id) from audit").await;
    let mut pruning = Pruning::new(&Retention::default(), NOW.plus(Duration::from_secs(1)));
    while !pruning.is_done() {
        opened.writer.prune_some(&mut pruning).await.unwrap();
    }
    assert!(place.number("select count(*) from audit").await <= 1);
    erase(&mut opened, 2).await;
    assert!(place.number("select max(id) from audit").await > last);
}
