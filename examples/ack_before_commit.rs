//! The control of the attack on durability: simdeck, but a push is acknowledged before it is on
//! disk. The test that kills the server must find that this one loses what it promised; if it does
//! not, the test could not tell.
use std::process::ExitCode;

use simdeck::{
    cli::{self, Experiment},
    intake::Acknowledge,
};

fn main() -> ExitCode {
    let acknowledge = Acknowledge::BeforeCommit;
    cli::main_with(Experiment { acknowledge, ..Experiment::default() })
}
