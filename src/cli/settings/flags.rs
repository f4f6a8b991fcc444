use std::{collections::BTreeMap, path::PathBuf};

use clap::{Arg, ArgAction, ArgMatches};

use super::{Setting, SettingsError, Shape, Source, given::Given};

/// What the command line says about settings.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// The settings file to read.
    pub config: Option<PathBuf>,
    /// Values by the flag's name, without the leading hyphens.
    pub values: BTreeMap<String, Vec<String>>,
}

impl Flags {
    /// The flags of [`flag_args`] among what clap found.
    pub fn of_matches(matches: &ArgMatches) -> Self {
        let value_of = |setting: &Setting| {
            let flag = setting.flag();
            let texts = matches.try_get_many::<String>(&flag).ok().flatten()?;
            Some((flag, texts.cloned().collect()))
        };
        Self {
            config: matches.try_get_one::<PathBuf>("config").ok().flatten().cloned(),
            values: Setting::all().filter_map(value_of).collect(),
        }
    }

    /// What the flags say about a setting.
    pub(super) fn given(&self, setting: &'static Setting) -> Result<Option<Given>, SettingsError> {
        let flag = setting.flag();
        let Some(texts) = self.values.get(&flag) else { return Ok(None) };
        let mut given = Given { setting, items: Vec::new(), source: Source::Flag(flag.clone()) };
        for text in texts {
            let source = Source::Flag(flag.clone());
            given.items.extend(Given::from_text(setting, text, source).items);
        }
        Ok(Some(given))
    }
}

/// A flag for every setting.
pub fn flag_args() -> impl Iterator<Item = Arg> {
    Setting::all().map(|setting| {
        let several = matches!(setting.shape, Shape::List | Shape::Keys);
        let default = setting.default.filter(|text| !text.is_empty());
        let default = default.map(|text| format!(" [default: {text}]")).unwrap_or_default();
        Arg::new(setting.flag())
            .long(setting.flag())
            .value_name(setting.hint)
            .help(format!("{}{default} [{}]", setting.doc, setting.variable()))
            .help_heading("Settings")
            .allow_hyphen_values(matches!(setting.shape, Shape::Number | Shape::Keys))
            .action(if several { ArgAction::Append } else { ArgAction::Set })
    })
}
