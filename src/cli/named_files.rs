//! What the files hold that settings name, and whether folders can be what they are meant for, without
//! opening a store or making anything.
use std::{
    fs,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access};

use super::{
    Failure, rcms_ca,
    settings::{Settings, Source},
};
use crate::{
    domain::Timestamp,
    http::server::{Tls, TlsError, TlsFiles},
};

/// What would end the start of a server, and what it would warn of.
#[derive(Debug, Default)]
pub(super) struct NamedFiles {
    pub(super) mistakes: Vec<Failure>,
    pub(super) warnings: Vec<String>,
}

impl NamedFiles {
    /// Looks at all of them. A secret's file is read with the settings.
    pub(super) fn look(settings: &Settings, now: Timestamp) -> Self {
        let mut found = Self::default();
        let (public, internal) = (&settings.public, &settings.internal);
        for (section, certificate, key) in [
            ("public", &public.tls_cert, &public.tls_key),
            ("internal", &internal.tls_cert, &internal.tls_key),
        ] {
            if let (Some(certificate), Some(key)) = (certificate, key) {
                found.pair(settings, section, TlsFiles::of(certificate, key), now);
            }
        }
        for (setting, folder) in
            [("data_dir", &settings.data_dir), ("backup.dir", &settings.backup.dir)]
        {
            let problem = is_set(settings, setting).then(|| folder_problem(folder)).flatten();
            found.mistake(settings, setting, problem);
        }
        found.mistake(settings, "rcms.ca_file", rcms_ca::problem(settings));
        let is_folder = is_set(settings, "database_url") && settings.database.is_dir();
        let problem = format!("{} is a folder: name a file", settings.database.display());
        found.mistake(settings, "database_url", is_folder.then_some(problem));
        found
    }

    fn pair(&mut self, settings: &Settings, section: &str, files: TlsFiles, now: Timestamp) {
        let setting = |is_key| format!("{section}.tls_{}", if is_key { "key" } else { "cert" });
        match Tls::open(files.clone()) {
            Ok(tls) => self.warnings.extend(tls.out_of_date(now).map(|it| {
                let place = settings.line(&setting(false)).map(|line| line.place());
                format!("{}: {it}", place.unwrap_or_default())
            })),
            Err(error) => {
                let is_key = match &error {
                    TlsError::File { path, .. } | TlsError::Pem { path, .. } => *path == files.key,
                    TlsError::Torn(_) => true,
                    TlsError::Unusable { .. } => false,
                };
                let problem = Failure::told(&error).to_string();
                self.mistake(settings, &setting(is_key), Some(problem));
            }
        }
    }

    fn mistake(&mut self, settings: &Settings, setting: &str, problem: Option<String>) {
        if let (Some(line), Some(problem)) = (settings.line(setting), problem) {
            self.mistakes.push(Failure::new(format!("{}: {problem}", line.place())));
        }
    }
}

/// Whether it was read, and does not follow from another setting.
fn is_set(settings: &Settings, setting: &str) -> bool {
    settings.line(setting).is_some_and(|line| line.source != Source::Derived)
}

/// Why nothing can be written into a folder, or why it cannot be made.
fn folder_problem(folder: &Path) -> Option<String> {
    let there = nearest_there(folder)?;
    let shown = there.display();
    if !there.is_dir() {
        return Some(format!("{shown} is a file, and must be a folder: move it, or name another"));
    }
    access(&there, Access::WRITE_OK | Access::EXEC_OK).err().map(|error| {
        let user = rustix::process::geteuid().as_raw();
        format!(
            "nothing can be written into {shown} by user {user}, as whom simdeck runs here: \
             {error}"
        )
    })
}

/// The folder, or the one above it that is there already.
fn nearest_there(folder: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(folder).ok()?;
    absolute.ancestors().find(|it| fs::symlink_metadata(it).is_ok()).map(Path::to_owned)
}
