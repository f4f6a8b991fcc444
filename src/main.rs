//! The door: an allocator and an exit code.
use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

/// Gives back what a burst took, which glibc's keeps. How it is set stands in `.cargo/config.toml`.
/// C libraries keep glibc's: a preloaded clock that allocates, such as libfaketime's, would wait for
/// jemalloc, which asks for the time before it is ready.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    simdeck::cli::main()
}
