//! The fuzz targets of `fuzz/`, fed by a simple fuzzer: it knows no coverage, and needs no build of
//! its own. `tests/attack fuzz` lets a better one run for longer.
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use crate::trials::{tell, trials};

#[expect(unreachable_pub, reason = "it is a crate of its own, too")]
#[path = "../../fuzz/src/lib.rs"]
mod targets;

/// How long each target is fed; the long run sets `SIMDECK_TEST_FUZZ_S`.
const SECONDS: usize = 10;
const LENGTH_MAX: usize = 4_096;

/// What readers stumble over.
const WORDS: [&[u8]; 24] = [
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"null",
    b"1e999",
    b"-0",
    b"9223372036854775808",
    b"\xff",
    b"\xed\xa0\x80",
    b"%",
    b"%2C",
    b"&",
    b"=",
    b"+",
    b"::",
    b"\0",
    b"\r\n",
];

fn mutate(data: &mut Vec<u8>, seeds: &[&str], rng: &mut StdRng) {
    for _ in 0..rng.random_range(1..8) {
        let at = rng.random_range(0..=data.len());
        match rng.random_range(0..7) {
            0 => data.insert(at, rng.random()),
            1 => drop(data.splice(at..at, WORDS.choose(rng).unwrap().iter().copied())),
            2 if at < data.len() => data[at] = rng.random(),
            3 if at < data.len() => data[at] ^= 1 << rng.random_range(0..8),
            4 => {
                let end = (at + rng.random_range(0..24)).min(data.len());
                data.drain(at..end);
            }
            5 => {
                let end = (at + rng.random_range(0..64)).min(data.len());
                let piece = data[at..end].to_vec();
                let to = rng.random_range(0..=data.len());
                data.splice(to..to, piece);
            }
            _ => {
                let other = seeds.choose(rng).unwrap().as_bytes();
                let from = rng.random_range(0..=other.len());
                data.splice(at.., other[from..].iter().copied());
            }
        }
    }
    data.truncate(LENGTH_MAX);
}

/// Feeds a target for as long as it has; gives how often.
fn feed(target: &targets::Target) -> usize {
    let time = Duration::from_secs(trials("SIMDECK_TEST_FUZZ_S", SECONDS) as u64);
    let (mut rng, began, mut count) = (StdRng::from_rng(&mut rand::rng()), Instant::now(), 0);
    let mut data: Vec<u8> = Vec::new();
    while count % 64 != 0 || began.elapsed() < time {
        // Now and then a seed again; else on from what there is.
        if count % 16 == 0 {
            data = target.seeds.choose(&mut rng).unwrap().as_bytes().to_vec();
        }
        mutate(&mut data, target.seeds, &mut rng);
        let fed = std::panic::catch_unwind(|| (target.feed)(&data));
        assert!(fed.is_ok(), "{} fails for {:?}", target.name, data.escape_ascii().to_string());
        count += 1;
    }
    count
}

fn must_take_anything(name: &str) {
    let target = targets::TARGETS.iter().find(|target| target.name == name).unwrap();
    for seed in target.seeds {
        (target.feed)(seed.as_bytes());
    }
    tell(&format!("fuzz {name}: {} trials, 0 failures", feed(target)));
}

#[test]
fn any_body_of_a_push_is_read_or_refused() {
    must_take_anything("envelope");
}

#[test]
fn any_text_for_a_date_is_read_or_refused() {
    must_take_anything("date");
}

#[test]
fn any_text_for_a_signature_is_read_or_refused() {
    must_take_anything("hex");
}

#[test]
fn any_forwarded_for_is_read_or_passed_over() {
    must_take_anything("forwarded_for");
}

#[test]
fn any_query_string_is_read_or_refused() {
    must_take_anything("query");
}

#[test]
fn any_answer_of_rcms_is_read_or_refused() {
    must_take_anything("rcms_answer");
}

#[test]
fn the_fuzzer_finds_a_reader_that_breaks() {
    let broken = targets::Target {
        name: "broken",
        feed: |data| assert!(!data.windows(2).any(|pair| pair == b"{{")),
        seeds: &["{}"],
    };
    assert!(std::panic::catch_unwind(|| feed(&broken)).is_err(), "the fuzzer is too weak to tell");
}
