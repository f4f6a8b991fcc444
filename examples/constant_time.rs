//! Whether the time that a signature's check takes tells anything: signatures of two classes are
//! checked in a mixed order, and Welch's t says whether their times differ (as dudect does it). A
//! comparison that ends at the first difference is measured beside it, and must be seen to leak.
//!
//! ```sh
//! cargo run --release --example constant_time
//! ```
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]
use std::{hint::black_box, io::Write, process::ExitCode, time::Instant};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use sha2::{Digest, Sha256};
use simdeck::smarthub::signature::{PushKey, Verifier, decode, sign};

const SECOND: i64 = 1_725_500_000;
const KEYS: [&str; 3] = ["UzE4MDkxNDA2MTE1M", "Qm9yZGVyVGVycmllcg", "a key of another length"];

/// Rounds, and measurements in each.
const ROUNDS: usize = 5;
const MEASUREMENTS: usize = 200_000;
/// Checks that are timed together: the clock's own step is 20 ns or more.
const CHECKS: usize = 8;
/// The slowest part of all measurements is interrupts and says nothing.
const KEPT: f64 = 0.9;

/// Above this a difference is taken for real.
const LEAKS: f64 = 10.0;
/// Below this it is none.
const HOLDS: f64 = 4.5;

type Check<'a> = &'a dyn Fn(&[u8; 32]) -> bool;

/// The right signature of a key.
fn right(key: &str) -> [u8; 32] {
    decode(sign(key, SECOND).as_bytes()).unwrap()
}

/// The signature that a class is checked with. What changes from check to check changes in both.
fn signature(kind: Classes, is_second: bool, rng: &mut StdRng) -> [u8; 32] {
    let random: [u8; 32] = rng.random();
    match (kind, is_second) {
        (Classes::RightOrWrong, false) | (Classes::FirstOrLastKey, false) => right(KEYS[0]),
        (Classes::RightOrWrong, true) => random,
        (Classes::FirstOrLastKey, true) => right(KEYS[KEYS.len() - 1]),
        (Classes::LateOrEarly, false) => {
            let mut late = right(KEYS[0]);
            late[31] ^= 1 + random[31] % 255;
            late
        }
        (Classes::LateOrEarly, true) => {
            let mut early = right(KEYS[0]);
            early[0] ^= 1 + random[0] % 255;
            early
        }
    }
}

/// What the two classes are.
#[derive(Clone, Copy, Debug)]
enum Classes {
    RightOrWrong,
    /// Wrong in the last byte or in the first.
    LateOrEarly,
    FirstOrLastKey,
}

/// Welch's t of one round.
fn round(check: Check<'_>, kind: Classes, rng: &mut StdRng) -> f64 {
    let inputs: Vec<(bool, [u8; 32])> = (0..MEASUREMENTS)
        .map(|_| {
            let is_second = rng.random();
            (is_second, signature(kind, is_second, rng))
        })
        .collect();
    let mut times: Vec<(bool, f64)> = inputs
        .iter()
        .map(|(is_second, signature)| {
            // The same place in memory for both classes.
            let signature = black_box(*signature);
            let began = Instant::now();
            for _ in 0..CHECKS {
                black_box(check(black_box(&signature)));
            }
            (*is_second, began.elapsed().as_secs_f64() * 1e9)
        })
        .collect();
    times.sort_by(|a, b| a.1.total_cmp(&b.1));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a few thousand"
    )]
    times.truncate((times.len() as f64 * KEPT) as usize);
    welch(&times)
}

fn welch(times: &[(bool, f64)]) -> f64 {
    let [first, second] = [false, true].map(|class| {
        let times = times.iter().filter(|time| time.0 == class).map(|time| time.1);
        let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
        for time in times {
            count += 1.0;
            let delta = time - mean;
            mean += delta / count;
            squares += delta * (time - mean);
        }
        (mean, squares / (count - 1.0) / count)
    });
    (first.0 - second.0) / (first.1 + second.1).sqrt()
}

/// The middle of what the rounds give, without its sign.
fn middle(check: Check<'_>, kind: Classes) -> f64 {
    let mut rng = StdRng::seed_from_u64(20_240_905);
    let mut rounds: Vec<f64> = (0..ROUNDS).map(|_| round(check, kind, &mut rng).abs()).collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

/// What a careless verifier does: ends at the first byte that differs, and at the first key that
/// matches.
fn careless(signature: &[u8; 32]) -> bool {
    KEYS.iter().any(|key| {
        let expected = Sha256::digest(format!("{key}{SECOND}"));
        expected.iter().zip(signature).all(|(expected, byte)| black_box(expected) == byte)
    })
}

fn main() -> ExitCode {
    let keys = KEYS.map(|key| PushKey { label: None, key: key.to_owned().into() });
    let verifier = Verifier::new(&keys, 0);
    let mut out = std::io::stdout().lock();
    let mut failures = 0;
    let all = [Classes::RightOrWrong, Classes::LateOrEarly, Classes::FirstOrLastKey];
    for kind in all {
        let ours = middle(&|signature| verifier.verify(SECOND, signature), kind);
        let control = middle(&careless, kind);
        let is_right = ours < HOLDS && control > LEAKS;
        failures += usize::from(!is_right);
        let said = if is_right { "ok" } else { "FAILED" };
        writeln!(
            out,
            "{kind:?}: t = {ours:.1} (must be below {HOLDS}), \
             careless: {control:.1} (must be above {LEAKS}): {said}"
        )
        .unwrap();
    }
    writeln!(
        out,
        "constant time of the signature's check: {} trials, {failures} failures",
        all.len()
    )
    .unwrap();
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
