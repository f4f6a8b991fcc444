use std::{collections::BTreeMap, ffi::OsString, fs, path::PathBuf};

use super::{
    Setting, SettingsError, Source,
    given::{Given, Item},
    nearest,
};
use crate::domain::without_mark;

const PREFIX: &str = "SIMDECK_";
const CONFIG: &str = "SIMDECK_CONFIG";
/// Read by the build, the compose file and the Caddyfile, so no mistake where they are set.
const NOT_OURS: [&str; 6] = [
    "SIMDECK_COMMIT",
    "SIMDECK_DOMAIN",
    "SIMDECK_EDGE_SUBNET",
    "SIMDECK_HTTPS_PORT",
    "SIMDECK_HTTP_PORT",
    "SIMDECK_UPSTREAM",
];

/// The environment's `SIMDECK_*` variables; a test brings its own.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<String, OsString>);

impl Environment {
    /// The variables of this process.
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .collect()
    }

    /// A sentence for every variable that looks like one of ours and is none.
    pub(super) fn unknown(&self) -> Vec<String> {
        let known: Vec<String> = Setting::all()
            .flat_map(|setting| [Some(setting.variable()), setting.file_variable()])
            .flatten()
            .chain([CONFIG.to_owned()])
            .collect();
        self.0
            .keys()
            .filter(|name| !known.contains(name) && !NOT_OURS.contains(&name.as_str()))
            .map(|name| {
                let hint = nearest::hint(name, known.iter().map(String::as_str));
                format!("the variable {name} is no setting and has no effect{hint}")
            })
            .collect()
    }

    /// The settings file that the environment names.
    pub(super) fn config(&self) -> Result<Option<(PathBuf, &'static str)>, SettingsError> {
        let path = self.text(CONFIG)?.filter(|path| !path.is_empty()).map(PathBuf::from);
        Ok(path.map(|path| (path, "SIMDECK_CONFIG names")))
    }

    /// What the environment says about a setting.
    pub(super) fn given(&self, setting: &'static Setting) -> Result<Option<Given>, SettingsError> {
        let variable = setting.variable();
        let text = self.text(&variable)?;
        if let Some(file_variable) = setting.file_variable()
            && let Some(path) = self.text(&file_variable)?
        {
            if text.is_some() {
                let problem = format!("and {file_variable} are both set: keep one of them");
                return Err(SettingsError::Value { place: variable, problem });
            }
            return secrets_of_file(setting, file_variable, path.into()).map(Some);
        }
        // Compose files pass on what is not set as an empty text. A secret must not vanish so.
        let text = text.filter(|text| !text.is_empty() || setting.secret || setting.may_be_empty);
        Ok(text.map(|text| Given::from_text(setting, text, Source::Environment(variable))))
    }

    fn text(&self, variable: &str) -> Result<Option<&str>, SettingsError> {
        let Some(value) = self.0.get(variable) else { return Ok(None) };
        value.to_str().map(Some).ok_or_else(|| SettingsError::Value {
            place: variable.to_owned(),
            problem: "must be text in UTF-8".to_owned(),
        })
    }
}

impl<K: Into<String>, V: Into<OsString>> FromIterator<(K, V)> for Environment {
    fn from_iter<T: IntoIterator<Item = (K, V)>>(variables: T) -> Self {
        let pairs = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self(pairs.filter(|(name, _)| name.starts_with(PREFIX)).collect())
    }
}

/// One secret a line. Nothing is cut but a byte order mark before the first, and each line's end.
fn secrets_of_file(
    setting: &'static Setting,
    variable: String,
    path: PathBuf,
) -> Result<Given, SettingsError> {
    match fs::read_to_string(&path) {
        Ok(text) => {
            let items = without_mark(&text).lines().map(Item::from).collect();
            Ok(Given { setting, items, source: Source::SecretFile { variable, path } })
        }
        Err(source) => {
            Err(SettingsError::File { place: format!("{variable} names"), path, source })
        }
    }
}
