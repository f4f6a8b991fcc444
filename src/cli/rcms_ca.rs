//! The file with the authorities of RCMS's certificate.
use std::fs;

use super::{Failure, settings::Settings};
use crate::rcms::Authorities;

/// Reads it, where one is set.
pub(super) fn read(settings: &Settings) -> Result<Option<Authorities>, Failure> {
    let failure = |problem| {
        let place = settings.line("rcms.ca_file").map(|line| line.place()).unwrap_or_default();
        Failure::new(format!("{place}: {problem}")).lasting()
    };
    match problem_or_authorities(settings) {
        None => Ok(None),
        Some(Ok(authorities)) => Ok(Some(authorities)),
        Some(Err(problem)) => Err(failure(problem)),
    }
}

/// What is wrong with it, if anything is.
pub(super) fn problem(settings: &Settings) -> Option<String> {
    problem_or_authorities(settings)?.err()
}

fn problem_or_authorities(settings: &Settings) -> Option<Result<Authorities, String>> {
    let path = settings.rcms.ca_file.as_ref()?;
    let shown = path.display();
    Some(match fs::read(path) {
        Err(error) => Err(format!("{shown} cannot be read: {error}")),
        Ok(text) => {
            Authorities::from_pem(&text).map_err(|error| format!("{shown} cannot be used: {error}"))
        }
    })
}
