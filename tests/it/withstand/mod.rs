//! What the server bears from outside, and what may change while it runs.
//!
//! Each attack is short here; a variable of the environment, named beside it, makes it long.
mod aborted;
mod canaries;
mod certificate;
mod crowd;
mod injection;
mod line;
mod order;
mod restarts;
mod rotation;
mod slow;
mod smuggling;
mod stopping;
mod systemd;

use std::{
    env,
    io::{Write, stdout},
};

/// How often an attack is made: as often as the variable says, or a few times.
fn trials(variable: &str, few: usize) -> usize {
    env::var(variable).map_or(few, |count| count.parse().unwrap())
}

/// For whoever makes an attack long: what came of it.
fn say(sentence: &str) {
    let mut out = stdout();
    writeln!(out, "{sentence}").unwrap();
}
