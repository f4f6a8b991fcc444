//! The door: an exit code.
use std::process::ExitCode;

fn main() -> ExitCode {
    simdeck::cli::main()
}
