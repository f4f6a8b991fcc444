//! Secrets that others on this machine can read: in a process's arguments, or in a file.
use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::{Settings, Source, given::Given};

/// What a file with secrets may let others do: nothing; and its group no more than read it.
const TOO_WIDE: u32 = 0o027;

/// A file with secrets that others can use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WideFile {
    /// The file.
    pub path: PathBuf,
    /// Its mode.
    pub mode: u32,
}

impl WideFile {
    /// The file, if it is too wide.
    pub fn of(path: &Path) -> io::Result<Option<Self>> {
        let mode = fs::metadata(path)?.permissions().mode() & 0o7777;
        Ok((mode & TOO_WIDE != 0).then(|| Self { path: path.to_owned(), mode }))
    }
}

impl Settings {
    /// The files of secrets and private keys that others can use, each once.
    pub fn wide_files(&self) -> Vec<WideFile> {
        let secrets = self.in_force.iter().filter(|line| line.setting.secret);
        let named = secrets.filter_map(|line| match &line.source {
            Source::SecretFile { path, .. } | Source::File { path, .. } => Some(path),
            _ => None,
        });
        let keys = [&self.public.tls_key, &self.internal.tls_key];
        let mut paths: Vec<&PathBuf> = named.chain(keys.into_iter().flatten()).collect();
        paths.sort();
        paths.dedup();
        // One that cannot be looked at is told of by who reads it.
        paths.into_iter().filter_map(|path| WideFile::of(path).ok().flatten()).collect()
    }

    /// A sentence for each of them.
    pub(super) fn warn_of_wide_files(&mut self) {
        for WideFile { path, mode } in self.wide_files() {
            let shown = path.display();
            self.warnings.push(format!(
                "{shown} holds a secret and others can use it (its mode is {mode:04o}): run \
                 `chmod 600 {shown}`"
            ));
        }
    }
}

impl Given {
    /// Warns of a secret that anybody on this machine can see.
    pub(super) fn secret_in_arguments(&self) -> Option<String> {
        let Source::Flag(flag) = &self.source else { return None };
        let file = self.setting.file_variable()?;
        Some(format!(
            "--{flag}: every user of this machine can read a secret in the arguments of a command \
             (`ps`): put it into a file and name that with {file}"
        ))
    }
}
