//! Settings: read once, at the top, and handed down as plain values.
//!
//! [`Setting::all`] has them all. Flags, environment, `simdeck.toml`, the commented
//! example and `config print` all come from it.
mod environment;
mod error;
mod example;
mod exposed;
mod file;
mod flags;
mod given;
mod nearest;
mod table;
mod together;
mod typed;
mod values;
mod words;

use std::path::PathBuf;

pub use environment::Environment;
pub use error::SettingsError;
pub use example::example;
pub use exposed::WideFile;
pub use flags::{Flags, flag_args};
pub use given::Source;
pub use table::{Setting, Shape};
pub use typed::{
    Alert, Api, Disk, Internal, Log, Public, Push, Quarantine, Rcms, Settings, push_url, reached_at,
};
pub use words::{AllowMode, LogFormat, Probe};

pub(super) use values::duration;
pub(super) use words::Words;

use given::{Found, Given, in_file};

/// The settings file that is read where none is named, if it is there.
pub const FILE_NAME: &str = "simdeck.toml";

/// One line of `config print`: a setting as it is in force.
#[derive(Clone, Debug)]
pub struct InForce {
    /// Which.
    pub setting: &'static Setting,
    /// Its value; a secret as `***`; none where it is not set.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: Source,
}

impl InForce {
    /// What to correct where the value is wrong: the flag, the variable, or key, file and line.
    pub(super) fn place(&self) -> String {
        let name = self.setting.name();
        match &self.source {
            Source::File { path, line } => in_file(&name, path, *line),
            Source::Default | Source::Derived => format!("`{name}`"),
            source => source.to_string(),
        }
    }
}

impl Settings {
    /// The line of `config print` of a setting; none of a setting that could not be read.
    pub(super) fn line(&self, name: &str) -> Option<&InForce> {
        self.in_force.iter().find(|line| line.setting.name() == name)
    }

    /// Reads all settings: flags before environment before file before defaults. The first mistake
    /// ends it.
    pub fn load(flags: &Flags, environment: &Environment) -> Result<Self, SettingsError> {
        let mut mistakes = Vec::new();
        let settings = Self::read(flags, environment, &mut mistakes);
        match mistakes.into_iter().next() {
            Some(first) => Err(first),
            None => Ok(settings),
        }
    }

    /// The same, with every mistake. Settings that depend on one that could not be read are not
    /// judged.
    pub fn check(flags: &Flags, environment: &Environment) -> (Self, Vec<SettingsError>) {
        let mut mistakes = Vec::new();
        let settings = Self::read(flags, environment, &mut mistakes);
        (settings, mistakes)
    }

    fn read(flags: &Flags, environment: &Environment, mistakes: &mut Vec<SettingsError>) -> Self {
        let mut settings = Self::blank();
        settings.warnings = environment.unknown();
        let mut found = Found::default();
        match Self::file_path(flags, environment) {
            Ok(Some((path, named_by))) => found = file::read(&path, named_by, mistakes),
            Ok(None) => (),
            Err(mistake) => mistakes.push(mistake),
        }
        let mut unread = found.unread;
        for setting in Setting::all() {
            let name = setting.name();
            let given = match (flags.given(setting), environment.given(setting)) {
                (Err(mistake), _) | (Ok(None), Err(mistake)) => Err(mistake),
                (Ok(Some(given)), _) | (Ok(None), Ok(Some(given))) => Ok(Some(given)),
                (Ok(None), Ok(None)) if unread.contains(&name) => continue,
                (Ok(None), Ok(None)) => Ok(found.given.remove(&name)),
            };
            let given = given.map(|given| given.or_else(|| Given::default_of(setting)));
            if let Err(mistake) = given.and_then(|given| settings.take(setting, given)) {
                mistakes.push(mistake);
                unread.insert(name);
            }
        }
        settings.finish(&unread, mistakes);
        settings.warn_of_wide_files();
        settings
    }

    fn take(
        &mut self,
        setting: &'static Setting,
        given: Option<Given>,
    ) -> Result<(), SettingsError> {
        let Some(given) = given else {
            self.in_force.push(InForce { setting, value: None, source: Source::Default });
            return Ok(());
        };
        if setting.secret {
            given.check_not_empty()?;
            given.check_visible()?;
            self.warnings.extend(given.blanks_at_the_edge());
            self.warnings.extend(given.secret_in_arguments());
        }
        (setting.set)(self, &given)?;
        self.in_force.push(InForce { setting, value: given.shown(), source: given.source });
        Ok(())
    }

    /// The settings file, and what named it, with a verb.
    fn file_path(
        flags: &Flags,
        environment: &Environment,
    ) -> Result<Option<(PathBuf, &'static str)>, SettingsError> {
        if let Some(path) = &flags.config {
            return Ok(Some((path.clone(), "--config names")));
        }
        if let Some(found) = environment.config()? {
            return Ok(Some(found));
        }
        let path = PathBuf::from(FILE_NAME);
        // Whatever is there under that name is meant to be read, even if it turns out unreadable.
        let is_there = path.symlink_metadata().is_ok();
        Ok(is_there.then_some((path, "the folder in which simdeck runs has a")))
    }
}
