//! Asks before something is done that cannot be undone.
use std::io::{self, IsTerminal, Write};

use super::Failure;

/// Whether a person says yes: on the terminal, or beforehand by `--yes`.
pub(super) fn confirmed(question: &str, yes: bool) -> Result<bool, Failure> {
    if yes {
        return Ok(true);
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::new(format!(
            "{question} Nobody is at a terminal to say so: give --yes, or --dry-run to see the count"
        )));
    }
    let cannot_ask = || Failure::because("the terminal cannot be asked");
    let mut stderr = io::stderr();
    write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush()).map_err(cannot_ask())?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(cannot_ask())?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
