use std::process::ExitCode;

use super::{Failure, output, settings::Settings};
use crate::http::{DocumentSettings, openapi};

/// Writes the document as a server with these settings would answer it.
pub(super) fn run(settings: &Settings) -> Result<ExitCode, Failure> {
    output::json(&openapi(&DocumentSettings {
        first_page: settings.api.first_page,
        internal_url: settings.internal.url.clone(),
    }))?;
    Ok(ExitCode::SUCCESS)
}
