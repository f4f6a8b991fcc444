//! What `benches/run` calls simdeck without rollups: records are appended and their keys kept in
//! memory, but key tree and sums are never written. It shows what those cost.
use std::process::ExitCode;

use simdeck::cli::{self, Experiment};

fn main() -> ExitCode {
    cli::main_with(Experiment {
        tail_records_max: usize::MAX,
        sums_tail_records_max: usize::MAX,
        ..Experiment::default()
    })
}
