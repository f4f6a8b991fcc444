//! Random steps on a real server and on a plain model of it in memory: pushes of every shape,
//! several clients at once, kill -9, restarts, prunes, erasures, retries, files and a clock that is
//! set. After each step lists, counts, sums in several zones, SIMs, what a follower has seen and what
//! lies in quarantine must be what the model says.
//!
//! A failure is reduced by proptest to the fewest and smallest steps that still fail.
mod compare;
mod push;
mod read;
mod record;
mod run;
mod step;
mod world;

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use proptest::{
    collection::vec,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner},
};

use crate::trials::{tell, trials};

/// How long cases are made; the long run sets `SIMDECK_TEST_MODEL_S`.
const SECONDS: usize = 60;
/// Where the short run begins, so that it says of one change what it says of the next; a long run
/// begins somewhere else each time.
const SEED: u16 = 15;
const STEPS_MAX: usize = 40;

#[test]
fn whatever_happens_the_server_holds_what_a_plain_model_of_it_holds() {
    let seconds = trials("SIMDECK_TEST_MODEL_S", SECONDS);
    let time = Duration::from_secs(seconds as u64);
    let first = if seconds > SECONDS { rand::random() } else { SEED };
    let mut seed = trials("SIMDECK_TEST_MODEL_SEED", first.into()) as u64;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (began, mut cases, count) = (Instant::now(), 0, Cell::new(0));
    while began.elapsed() < time {
        let config = Config {
            cases: 1,
            failure_persistence: None,
            // A case is a second; as many as show what matters.
            max_shrink_time: 120_000,
            max_shrink_iters: 400,
            ..Config::default()
        };
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(config, rng);
        let done = runner.run(&vec(step::step(), 1..STEPS_MAX), |steps| {
            count.set(count.get() + steps.len());
            runtime.block_on(run::run(&steps)).map_err(TestCaseError::fail)
        });
        match done {
            Ok(()) => (),
            Err(TestError::Fail(why, steps)) => {
                let steps: Vec<String> = steps.iter().map(|step| format!("  {step:?}")).collect();
                panic!(
                    "SIMDECK_TEST_MODEL_SEED={seed}\n{why}\nof these steps:\n{}",
                    steps.join("\n")
                );
            }
            Err(TestError::Abort(why)) => panic!("SIMDECK_TEST_MODEL_SEED={seed}: {why}"),
        }
        seed += 1;
        cases += 1;
    }
    tell(&format!("steps against a model, {cases} servers: {} trials, 0 failures", count.get()));
}
