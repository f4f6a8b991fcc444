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
mod typed;
mod values;
mod words;

use std::{collections::BTreeMap, path::PathBuf};

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

use given::Given;

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

impl Settings {
    /// Reads all settings: flags before environment before file before defaults.
    pub fn load(flags: &Flags, environment: &Environment) -> Result<Self, SettingsError> {
        let mut settings = Self::blank();
        settings.warnings = environment.unknown();
        let from_file = match Self::file_path(flags, environment)? {
            Some(path) => file::read(&path)?,
            None => BTreeMap::new(),
        };
        for setting in Setting::all() {
            let given = match (flags.given(setting)?, environment.given(setting)?) {
                (Some(given), _) | (None, Some(given)) => Some(given),
                (None, None) => from_file.get(&setting.name()).cloned(),
            };
            settings.take(setting, given.or_else(|| Given::default_of(setting)))?;
        }
        settings.finish()?;
        settings.warn_of_wide_files();
        Ok(settings)
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

    fn file_path(
        flags: &Flags,
        environment: &Environment,
    ) -> Result<Option<PathBuf>, SettingsError> {
        if let Some(path) = &flags.config {
            return Ok(Some(path.clone()));
        }
        if let Some(path) = environment.config()? {
            return Ok(Some(path));
        }
        let path = PathBuf::from(FILE_NAME);
        // Whatever is there under that name is meant to be read, even if it turns out unreadable.
        Ok(path.symlink_metadata().is_ok().then_some(path))
    }
}
