use std::process::ExitCode;

use clap_complete::Shell;

use super::{Failure, output};

/// Writes the script that completes simdeck's commands in a shell.
pub(super) fn run(shell: Shell) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut super::command(), "simdeck", &mut script);
    output::text(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
