use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use serde_json::json;

use super::{
    Failure,
    keys::{API_KEY_FILE, PUSH_KEY_FILE},
    output::{Output, passing_notes},
    settings::Settings,
};
use crate::{
    domain::counted,
    store::{DataFolder, Limits, OpenOptions, Restored, kept_secret, restore_telling},
};

/// Which backup, and how.
#[derive(Args, Debug)]
pub(super) struct Restore {
    /// The backup
    file: PathBuf,
    /// Check every index and every sum first; it takes longer
    #[arg(long)]
    verify: bool,
}

/// Puts a backup in the database's place. No server may run on the data directory.
pub(super) async fn run(
    command: &Restore,
    settings: &Settings,
    output: Output,
) -> Result<ExitCode, Failure> {
    let ours = DataFolder::take(&settings.data_dir, &settings.database)
        .map_err(|error| Failure::told(&error))?;
    let options = OpenOptions {
        database: settings.database.clone(),
        time_zone: settings.time_zone.clone(),
        limits: Limits {
            disk_reserve_bytes: settings.disk.reserve_bytes,
            ..Limits::of_quarantine(settings.quarantine.max_bytes)
        },
    };
    let restored = restore_telling(&command.file, &options, command.verify, &passing_notes())
        .await
        .map_err(|error| Failure::told(&error))?;
    ours.note_database(&settings.database);
    let missing = missing_secrets(settings, &restored);
    let backed_up_at = restored.backed_up_at.map(|at| at.to_string());
    let mut people = format!(
        "Restored {}, as of {}. Cursors from before are no longer good.",
        counted(restored.records, "record", "records"),
        backed_up_at.as_deref().unwrap_or("an unknown time")
    );
    let (schema_from, schema) = restored.migrated.unzip();
    if let Some((from, to)) = restored.migrated {
        people += &format!(
            "\nThe backup is of an older version of simdeck: its schema was brought from {from} to {to}."
        );
    }
    if let Some(replaced) = &restored.replaced {
        people += &format!("\nThe database that was there is now {}.", replaced.display());
    }
    if !restored.has_list {
        people += "\nNo list of erased SIMs lies beside the backup: those that were erased after it was made \
                   are back.";
    }
    for secret in &missing {
        people += &format!("\nNot in the backup: {secret}.");
    }
    let whole = json!({
        "records": restored.records,
        "last_id": restored.last_id,
        "backed_up_at": backed_up_at,
        "schema_before_migration": schema_from,
        "schema_after_migration": schema,
        "has_list_of_erased_sims": restored.has_list,
        "replaced": restored.replaced.map(|path| path.display().to_string()),
        "missing": missing,
    });
    output.text(&people, &whole)?;
    Ok(ExitCode::SUCCESS)
}

/// The secrets that no backup brings and that are not here either, and what to do.
fn missing_secrets(settings: &Settings, restored: &Restored) -> Vec<String> {
    let has = |name: &str| {
        kept_secret(&settings.data_dir, name).ok().flatten().is_some_and(|it| !it.is_empty())
    };
    let mut missing = Vec::new();
    if settings.push.keys.is_empty() && !has(PUSH_KEY_FILE) {
        missing.push("the push key: set SIMDECK_PUSH_KEY to the one in SmartHub".to_owned());
    }
    if settings.api.key.is_none() && !has(API_KEY_FILE) {
        missing.push("the admin API key: the next start makes another".to_owned());
    }
    if settings.public.path_tokens.is_empty() {
        missing.push("path tokens: set SIMDECK_PUBLIC_PATH_TOKEN if there were any".to_owned());
    }
    if settings.rcms.client_secret.is_none() {
        missing.push("the RCMS secret: set SIMDECK_RCMS_CLIENT_SECRET if there was one".to_owned());
    }
    let key =
        |label: &String| format!("the API key `{label}`: make it again with `simdeck key create`");
    missing.extend(restored.api_keys.iter().map(key));
    missing
}
