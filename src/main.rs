//! The door: an allocator and an exit code.
use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

/// Gives back what a burst took, which glibc's keeps; SQLite's memory comes from it as well. How it
/// is set stands in `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    simdeck::cli::main()
}
