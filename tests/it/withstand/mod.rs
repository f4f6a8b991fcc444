//! What the server bears from outside, and what may change while it runs.
//!
//! Each attack is short here; a variable of the environment, named beside it, makes it long.
mod aborted;
mod broken_reader;
mod canaries;
pub(crate) mod certificate;
mod crowd;
mod early;
mod fronts;
mod half_closed;
mod injection;
mod inside;
mod java;
mod last;
mod left;
mod line;
mod log_lines;
mod memory;
pub(crate) mod old_store;
mod order;
mod proxies;
mod questions;
mod restarts;
mod rotation;
mod slow;
mod smuggling;
mod stopping;
mod systemd;
mod unit;

use std::{
    env, fs,
    io::{Write, stdout},
};

use crate::server::Simdeck;

/// How often an attack is made: as often as the variable says, or a few times.
fn trials(variable: &str, few: usize) -> usize {
    env::var(variable).map_or(few, |count| count.parse().unwrap())
}

/// The most memory that it has had.
fn most_memory(simdeck: &Simdeck) -> u64 {
    let pid = simdeck.pid().as_raw_nonzero();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}

/// For whoever makes an attack long: what came of it.
fn say(sentence: &str) {
    let mut out = stdout();
    writeln!(out, "{sentence}").unwrap();
}
