use std::{error::Error, fmt, io};

use super::settings::SettingsError;

/// Why a command did not do what was asked: one sentence with what to do, and its cause.
#[derive(Debug)]
pub struct Failure {
    sentence: String,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A failure that the sentence tells in full.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), cause: None }
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
        move |cause| Self { sentence: sentence.into(), cause: Some(cause.into()) }
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
            SettingsError::File { source, .. } => Self { sentence, cause: Some(source.into()) },
            _ => Self { sentence, cause: None },
        }
    }
}

impl From<io::Error> for Failure {
    /// Only writing to standard output fails so; everything else says what it was about.
    fn from(err: io::Error) -> Self {
        Self { sentence: "the output could not be written".into(), cause: Some(err.into()) }
    }
}
