use std::{io, path::PathBuf};

/// Why the settings cannot be used: one sentence that names what to correct.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A value does not fit.
    #[error("{place} {problem}")]
    Value {
        /// The flag, the variable, or key, file and line.
        place: String,
        /// What is wrong with it, and what it must be.
        problem: String,
    },
    /// The file has a key that is no setting.
    #[error("unknown key `{key}` in {path}, line {line}{hint}", path = path.display())]
    UnknownKey {
        /// The key with its section.
        key: String,
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What may have been meant, or nothing.
        hint: String,
    },
    /// The file is no TOML.
    #[error("{path}, line {line}, is not valid TOML: {problem}", path = path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What the TOML parser says.
        problem: String,
    },
    /// A file that was named cannot be read.
    #[error(
        "{place} {path}, which cannot be read{advice}",
        path = path.display(),
        advice = advice(source)
    )]
    File {
        /// What named it, with a verb.
        place: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Two settings that do not go together.
    #[error("{0}")]
    Together(String),
}

/// A secret that is mounted into a container often belongs to somebody else.
fn advice(error: &io::Error) -> String {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return String::new();
    }
    let user = rustix::process::geteuid().as_raw();
    format!("; simdeck runs as user {user}, so let it own the file: `sudo chown {user}` it")
}
