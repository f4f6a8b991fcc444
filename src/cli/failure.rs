use std::{error::Error, fmt, io, process::ExitCode};

use super::settings::SettingsError;
use crate::store::{FolderError, OpenError};

/// Why a command did not do what was asked: one sentence with what to do, and its cause.
#[derive(Debug)]
pub struct Failure {
    sentence: String,
    cause: Option<Box<dyn Error + Send + Sync>>,
    is_lasting: bool,
}

/// `EX_CONFIG` of sysexits.h.
const WRONG_SETTINGS: u8 = 78;

impl Failure {
    /// A failure that the sentence tells in full.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), cause: None, is_lasting: false }
    }

    /// The same, of what stays as it is until a person changes it: to start again would not help.
    #[must_use]
    pub fn lasting(self) -> Self {
        Self { is_lasting: true, ..self }
    }

    /// How the server ends. Who starts it again, as systemd does, can tell what would fail again.
    pub fn exit_code_of_server(&self) -> ExitCode {
        if self.is_lasting { WRONG_SETTINGS.into() } else { ExitCode::FAILURE }
    }

    /// A failure that the error itself tells, with its causes.
    pub fn told(error: &(dyn Error + 'static)) -> Self {
        let mut sentence = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            sentence.push_str(": ");
            sentence.push_str(&error.to_string());
            cause = error.source();
        }
        Self::new(sentence)
    }

    /// For `map_err`: the sentence, followed by what the error says.
    pub fn because<E: Into<Box<dyn Error + Send + Sync>>>(
        sentence: impl Into<String>,
    ) -> impl FnOnce(E) -> Self {
        move |cause| Self { cause: Some(cause.into()), ..Self::new(sentence) }
    }
}

impl fmt::Display for Failure {
    /// The sentence, then each cause after a colon.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)?;
        let mut cause = self.cause.as_deref().map(|cause| cause as &dyn Error);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl From<SettingsError> for Failure {
    fn from(err: SettingsError) -> Self {
        let sentence = err.to_string();
        match err {
            // It may lie on a disk that is not mounted yet.
            SettingsError::File { source, .. } => {
                Self { cause: Some(source.into()), ..Self::new(sentence) }
            }
            _ => Self::new(sentence).lasting(),
        }
    }
}

impl From<FolderError> for Failure {
    fn from(err: FolderError) -> Self {
        let told = Self::told(&err);
        if err.is_lasting() { told.lasting() } else { told }
    }
}

impl From<OpenError> for Failure {
    fn from(err: OpenError) -> Self {
        let told = Self::told(&err);
        if err.is_lasting() { told.lasting() } else { told }
    }
}

impl From<io::Error> for Failure {
    /// Only writing to standard output fails so; everything else says what it was about.
    fn from(err: io::Error) -> Self {
        Self { cause: Some(err.into()), ..Self::new("the output could not be written") }
    }
}
