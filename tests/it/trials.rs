//! How long an attack goes on: as long as a change can wait for it, or as long as `tests/attack` says.
use std::{env, io::Write};

/// The number that the long run sets in this variable, or the short run's.
pub(crate) fn trials(variable: &str, short: usize) -> usize {
    match env::var(variable) {
        Ok(number) => number.parse().unwrap_or_else(|_| panic!("{variable} is no number")),
        Err(_) => short,
    }
}

/// Writes a line that a long run ends with.
pub(crate) fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
}
