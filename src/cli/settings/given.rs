use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
};

use super::{Setting, SettingsError, Shape};
use crate::domain::{BLANK_EDGE, has_blank_edge, invisible_in};

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody said anything.
    Default,
    /// Nobody, but other settings tell.
    Derived,
    /// The settings file, at this line.
    File {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// This environment variable.
    Environment(String),
    /// A file that this environment variable names.
    SecretFile {
        /// The variable.
        variable: String,
        /// The file.
        path: PathBuf,
    },
    /// This flag.
    Flag(String),
}

/// A setting's value as somebody wrote it down, before it is understood.
#[derive(Clone)]
pub(super) struct Given {
    pub(super) setting: &'static Setting,
    pub(super) items: Vec<Item>,
    pub(super) source: Source,
}

/// What a settings file says, by [`Setting::name`].
#[derive(Default)]
pub(super) struct Found {
    pub(super) given: BTreeMap<String, Given>,
    /// What stands there, or may stand there, but could not be read.
    pub(super) unread: BTreeSet<String>,
}

/// One value, or one of a list.
#[derive(Clone)]
pub(super) struct Item {
    pub(super) label: Option<String>,
    pub(super) text: String,
    /// The line in the file, where it comes from one.
    pub(super) line: Option<usize>,
}

impl From<&str> for Item {
    fn from(text: &str) -> Self {
        Self { label: None, text: text.to_owned(), line: None }
    }
}

impl Given {
    /// A value written as one text, as in a flag or the environment: a list has commas.
    pub(super) fn from_text(setting: &'static Setting, text: &str, source: Source) -> Self {
        let items = match setting.shape {
            Shape::Keys => text.split(',').map(Item::from).collect(),
            Shape::List => text.split(',').map(|item| Item::from(item.trim())).collect(),
            Shape::Text | Shape::Number | Shape::Size => vec![Item::from(text)],
        };
        Self { setting, items, source }
    }

    /// The default, where there is one.
    pub(super) fn default_of(setting: &'static Setting) -> Option<Self> {
        let text = setting.default?;
        Some(Self { setting, items: vec![Item::from(text)], source: Source::Default })
    }

    /// The one value.
    pub(super) fn one<T>(
        &self,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, SettingsError> {
        match self.items.as_slice() {
            [item] => self.parse(item, &parse),
            _ => Err(self.error(None, "must be one value, not several".into())),
        }
    }

    /// Every value of a list.
    pub(super) fn all<T>(
        &self,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Vec<T>, SettingsError> {
        self.items.iter().map(|item| self.parse(item, &parse)).collect()
    }

    /// Every key of a list with its label.
    pub(super) fn labelled(&self) -> impl Iterator<Item = (Option<String>, String)> {
        self.items.iter().map(|item| (item.label.clone(), item.text.clone()))
    }

    /// A secret that is set but empty is a mistake that would open a door.
    pub(super) fn check_not_empty(&self) -> Result<(), SettingsError> {
        let empty = "is set but empty: give it a value or leave it out";
        if self.items.is_empty() {
            return Err(self.error(None, empty.into()));
        }
        match self.items.iter().position(|item| item.text.trim().is_empty()) {
            None => Ok(()),
            Some(_) if self.items.len() == 1 => Err(self.error(self.items[0].line, empty.into())),
            Some(at) => {
                let problem = format!("has an empty entry, number {}: fill or remove it", at + 1);
                Err(self.error(self.items[at].line, problem))
            }
        }
    }

    /// A character in a secret that nobody sees makes every push 401 without a word why.
    pub(super) fn check_visible(&self) -> Result<(), SettingsError> {
        for (nth, item) in self.items.iter().enumerate() {
            if let Some(invisible) = invisible_in(&item.text) {
                let which = match self.items.len() {
                    1 => String::new(),
                    _ => format!(" of value {}", nth + 1),
                };
                let problem = format!("holds {invisible}{which}: remove it");
                return Err(self.error(item.line, problem));
            }
        }
        Ok(())
    }

    /// Warns about blanks around a secret. They are part of it, since the other side may have been
    /// given it so, and rarely meant: then nothing that is signed with it verifies.
    pub(super) fn blanks_at_the_edge(&self) -> Option<String> {
        let at = self.items.iter().position(|item| has_blank_edge(&item.text))?;
        Some(format!("{}: value {} {BLANK_EDGE}", self.place(self.items[at].line), at + 1))
    }

    /// The value for people: secrets masked, no value as none.
    pub(super) fn shown(&self) -> Option<String> {
        let shown = |item: &Item| match (&item.label, self.setting.secret) {
            (Some(label), true) => format!("{label}: ***"),
            (None, true) => "***".to_owned(),
            (_, false) => item.text.clone(),
        };
        let texts: Vec<String> = self.items.iter().map(shown).collect();
        (!texts.is_empty()).then(|| texts.join(", "))
    }

    fn parse<T>(
        &self,
        item: &Item,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, SettingsError> {
        // A URL with an @ may hold a password.
        let quotable = !self.setting.secret && !item.text.contains('@');
        parse(&item.text).map_err(|wanted| match quotable {
            true => self.error(item.line, format!("must be {wanted}, not `{}`", item.text)),
            false => self.error(item.line, format!("must be {wanted}")),
        })
    }

    fn error(&self, line: Option<usize>, problem: String) -> SettingsError {
        SettingsError::Value { place: self.place(line), problem }
    }

    fn place(&self, line_of_item: Option<usize>) -> String {
        match &self.source {
            Source::File { path, line } => {
                in_file(&self.setting.name(), path, line_of_item.unwrap_or(*line))
            }
            Source::Default | Source::Derived => {
                format!("the default of --{}", self.setting.flag())
            }
            source => source.to_string(),
        }
    }
}

/// How an error calls a key in the settings file.
pub(super) fn in_file(key: &str, path: &Path, line: usize) -> String {
    format!("`{key}` in {}, line {line},", path.display())
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Derived => f.write_str("derived"),
            Self::File { path, line } => write!(f, "{}, line {line}", path.display()),
            Self::Environment(variable) => f.write_str(variable),
            Self::SecretFile { variable, path } => write!(f, "{variable} ({})", path.display()),
            Self::Flag(flag) => write!(f, "--{flag}"),
        }
    }
}
