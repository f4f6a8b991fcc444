use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::{
    Failure, made,
    named_files::NamedFiles,
    output::{self, Output},
    settings::{self, Environment, Flags, Settings, Source},
};
use crate::domain::{Clock, SystemClock, sentence};

/// What to do with the settings.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say whether the settings and the files that they name can be used; nothing is made
    #[command(after_help = "Example:\n  simdeck config check --config /etc/simdeck.toml")]
    Check,
    /// Show every setting in force and where it comes from; secrets are hidden
    #[command(after_help = "Example:\n  SIMDECK_TIME_ZONE=Asia/Shanghai simdeck config print")]
    Print,
    /// Write a commented settings file with every setting in it
    #[command(after_help = "Example:\n  simdeck config example > simdeck.toml")]
    Example,
}

/// Runs it.
pub(super) fn run(
    command: &Command,
    flags: &Flags,
    environment: &Environment,
    output: Output,
) -> Result<ExitCode, Failure> {
    match command {
        Command::Example => output::text(&settings::example())?,
        Command::Check => check(flags, environment, output)?,
        Command::Print => print(&Settings::load(flags, environment)?, output)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Says what the server would say at its start, as far as the settings alone tell, but every mistake
/// and not only the first.
fn check(flags: &Flags, environment: &Environment, output: Output) -> Result<(), Failure> {
    let (settings, mistakes) = Settings::check(flags, environment);
    let mut mistakes: Vec<Failure> = mistakes.into_iter().map(Failure::from).collect();
    if let Some(key) = &settings.api.key {
        let place = settings.line("api.key").map(|line| line.place()).unwrap_or_default();
        let at_its_place = |mistake| Failure::new(format!("{place}: {mistake}"));
        mistakes.extend(made::refuse_short(key).err().map(at_its_place));
    }
    let files = NamedFiles::look(&settings, SystemClock.now());
    mistakes.extend(files.mistakes);
    if let Some(last) = mistakes.pop() {
        for mistake in mistakes {
            output::note(&format!("error: {mistake}"));
        }
        return Err(last);
    }
    let short = made::warning_of_short(&settings.push.keys);
    let no_token = settings.warning_of_no_token();
    let warnings = settings.warnings.iter().map(String::as_str);
    let warnings = warnings.chain(no_token).chain(short.as_deref());
    let warnings: Vec<&str> = warnings.chain(files.warnings.iter().map(String::as_str)).collect();
    let changed = settings
        .in_force
        .iter()
        .filter(|line| !matches!(line.source, Source::Default | Source::Derived))
        .count();
    let differ = if changed == 1 { "differs" } else { "differ" };
    let mut people = format!("The settings can be used; {changed} {differ} from the defaults.");
    for warning in &warnings {
        people += &format!("\nWarning: {}", sentence(*warning));
    }
    output.text(&people, &json!({"usable": true, "set": changed, "warnings": warnings}))
}

fn print(settings: &Settings, output: Output) -> Result<(), Failure> {
    let rows: Vec<Vec<String>> = settings
        .in_force
        .iter()
        .map(|line| {
            let value = line.value.clone().unwrap_or_else(|| "(not set)".to_owned());
            vec![line.setting.name(), value, line.source.to_string()]
        })
        .collect();
    let json: Vec<_> = settings
        .in_force
        .iter()
        .map(|line| {
            json!({
                "setting": line.setting.name(),
                "value": line.value,
                "source": line.source.to_string(),
            })
        })
        .collect();
    output.rows(&["SETTING", "VALUE", "SOURCE"], &rows, &json)
}
