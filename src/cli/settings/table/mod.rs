mod alert;
mod api;
mod keep;
mod listeners;
mod push;
mod rcms;
mod room;
mod top;

use super::{Settings, SettingsError, given::Given};

/// Every setting, section by section.
const SECTIONS: [&[Setting]; 8] = [
    top::SETTINGS,
    listeners::SETTINGS,
    push::SETTINGS,
    api::SETTINGS,
    rcms::SETTINGS,
    room::SETTINGS,
    alert::SETTINGS,
    keep::SETTINGS,
];

/// One setting: its names, its default, what it is for and where it goes.
#[derive(Debug)]
pub struct Setting {
    /// The section in the file; empty for the top of it.
    pub section: &'static str,
    /// The key in its section.
    pub key: &'static str,
    /// How its value is written.
    pub shape: Shape,
    /// Never shown, never empty, and may come from a file that `…_FILE` names.
    pub secret: bool,
    /// Whether the empty text is a value; elsewhere it counts as not set.
    pub may_be_empty: bool,
    /// What holds where nobody says anything.
    pub default: Option<&'static str>,
    /// A value for the example, in TOML, where there is no default to show.
    pub sample: &'static str,
    /// What stands for the value in the help.
    pub hint: &'static str,
    /// What it is for, in a sentence.
    pub doc: &'static str,
    pub(super) set: fn(&mut Settings, &Given) -> Result<(), SettingsError>,
}

/// How a setting's value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A text.
    Text,
    /// A whole number.
    Number,
    /// A number of bytes, or a text such as `4MiB`.
    Size,
    /// Texts: a list in the file, commas elsewhere; blanks around them do not count.
    List,
    /// Secrets: the same, but every blank counts, and in the file each may have a label.
    Keys,
}

impl Setting {
    /// Every setting there is, in the order of the example.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        SECTIONS.into_iter().flatten()
    }

    /// `public.listen`
    pub fn name(&self) -> String {
        self.joined(".")
    }

    /// `public-listen`
    pub fn flag(&self) -> String {
        self.joined("-").replace('_', "-")
    }

    /// `SIMDECK_PUBLIC_LISTEN`
    pub fn variable(&self) -> String {
        format!("SIMDECK_{}", self.joined("_").to_uppercase())
    }

    /// `SIMDECK_PUSH_KEY_FILE`, for a secret.
    pub fn file_variable(&self) -> Option<String> {
        self.secret.then(|| format!("{}_FILE", self.variable()))
    }

    fn joined(&self, separator: &str) -> String {
        match self.section {
            "" => self.key.to_owned(),
            section => format!("{section}{separator}{}", self.key),
        }
    }
}

/// What a setting is where its line below does not say otherwise.
const PLAIN: Setting = Setting {
    section: "",
    key: "",
    shape: Shape::Text,
    secret: false,
    may_be_empty: false,
    default: None,
    sample: "",
    hint: "TEXT",
    doc: "",
    set: |_, _| Ok(()),
};
