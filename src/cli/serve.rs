use std::process::ExitCode;

use super::{Failure, settings::Settings};

/// Runs the server until it is told to stop.
pub(super) async fn run(_settings: Settings) -> Result<ExitCode, Failure> {
    Err(Failure::new("this build has no server"))
}
