//! RCMS as it may be: its habits in a table and at random, hours of each in simulated time, and what
//! must hold whatever they are.
//!
//! 1. No listed router changes its state unless RCMS says so.
//! 2. Each sample is stored once, with the time that it says, and none is missing: in a row of its own, or in
//!    that of the one before, which says the same, and until when, and how many said so.
//! 3. Each router that has answers is asked within 15 minutes, or it is told that it is not.
//! 4. RCMS is not asked more often than it bears.
mod habits;
mod run;

use std::time::Duration;

use self::habits::{Flag, Habits, Order, SampleTime, Total};
use crate::trials::{tell, trials};

/// So many habits at random, where nothing else is said, and the same ones each time: whoever asks for more
/// has others.
const AT_RANDOM: usize = 4;
const SEED: usize = 1;

const USUAL: Habits = Habits::USUAL;

async fn holds(habits: Habits) {
    run::run(habits).await.unwrap_or_else(|broken| panic!("{habits:?}: {broken}"));
}

#[tokio::test]
async fn nothing_is_lost_or_made_up_where_rcms_is_as_documented() {
    holds(USUAL).await;
}

#[tokio::test]
async fn nothing_is_lost_or_made_up_where_pages_are_smaller_than_asked() {
    for cap in [10, 50] {
        for total in [Total::Right, Total::Fails(404), Total::Empty, Total::Is(40), Total::Is(500)]
        {
            holds(Habits { cap: Some(cap), total, ..USUAL }).await;
        }
    }
}

#[tokio::test]
async fn nothing_is_lost_or_made_up_where_pages_of_100_are_refused() {
    holds(Habits { refused_above: Some(50), ..USUAL }).await;
    holds(Habits { refused_above: Some(10), total: Total::Fails(404), ..USUAL }).await;
}

#[tokio::test]
async fn nothing_is_made_up_where_the_count_or_all_calls_fail_for_a_cycle() {
    holds(Habits { cap: Some(50), total: Total::FailsNowAndThen(500), ..USUAL }).await;
    holds(Habits { has_null_cycles: true, ..USUAL }).await;
    let total = Total::FailsNowAndThen(500);
    holds(Habits { has_null_cycles: true, total, ..USUAL }).await;
}

#[tokio::test]
async fn each_sample_has_the_time_that_it_says_in_whatever_form_and_order() {
    for time in [SampleTime::EpochS, SampleTime::Offset, SampleTime::Local] {
        for order in [Order::OldestFirst, Order::NewestFirst] {
            holds(Habits { time, order, ..USUAL }).await;
        }
    }
    let ahead = Duration::from_secs(600);
    holds(Habits { ahead, ..USUAL }).await;
}

#[tokio::test]
async fn samples_that_say_the_same_are_told_by_one_row_in_whatever_form_and_order() {
    for (order, time) in [
        (Order::NewestFirst, SampleTime::EpochMs),
        (Order::OldestFirst, SampleTime::EpochMs),
        (Order::NewestFirst, SampleTime::Local),
    ] {
        holds(Habits { order, time, is_steady: true, ..USUAL }).await;
    }
}

#[tokio::test]
async fn each_usual_form_of_the_online_flag_is_read() {
    for flag in [Flag::Text, Flag::Word, Flag::Truth] {
        holds(Habits { flag, ..USUAL }).await;
    }
}

#[tokio::test]
async fn routers_without_answers_cost_the_others_nothing() {
    for (failing, status) in [(30, 404), (50, 404), (50, 500)] {
        holds(Habits { failing, failing_with: status, ..USUAL }).await;
    }
}

#[tokio::test]
async fn short_cycles_outlive_their_own_pauses() {
    let cycle = Duration::from_secs(10);
    holds(Habits { cycle, failing: 5, failing_with: 500, ..USUAL }).await;
}

#[tokio::test]
async fn a_slow_or_strict_rcms_is_read_as_far_as_it_lets_us_and_no_state_is_made_up() {
    let page_takes = Duration::from_secs(14);
    holds(Habits { cap: Some(10), page_takes, ..USUAL }).await;
    holds(Habits { cap: Some(10), a_minute: Some(25), ..USUAL }).await;
}

#[tokio::test]
async fn nothing_is_lost_or_made_up_whatever_comes_together() {
    let count = trials("SIMDECK_TEST_RCMS", AT_RANDOM);
    let any = if count > AT_RANDOM { rand::random_range(0..1 << 30) } else { SEED };
    let first = trials("SIMDECK_TEST_RCMS_SEED", any);
    for seed in first..first + count {
        let habits = Habits::at_random(seed as u64);
        run::run(habits).await.unwrap_or_else(|broken| panic!("seed {seed}, {habits:?}: {broken}"));
    }
    tell(&format!("habits of RCMS: {count} trials, 0 failures"));
}
