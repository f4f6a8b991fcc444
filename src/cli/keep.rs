//! `backup`, `prune` and `erase`: done by the running server, or under the instance lock.
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::{
    Failure,
    client::ApiClient,
    output::{Output, cell},
    settings::Settings,
};

/// Which SIM.
#[derive(Args, Debug)]
pub(super) struct Erase {
    /// The number of the SIM
    #[arg(long, value_name = "GICCID")]
    giccid: String,
}

/// Makes a backup.
pub(super) async fn back_up(settings: &Settings, output: Output) -> Result<ExitCode, Failure> {
    let api = ApiClient::connect(settings).await?;
    let made: Value = api.long("/v1/backup", None).await?;
    let people = format!(
        "Backup of {} records, {} bytes: {}",
        cell(&made["records"]),
        cell(&made["bytes"]),
        cell(&made["path"])
    );
    output.text(&people, &made)?;
    Ok(ExitCode::SUCCESS)
}

/// Takes away what is too old.
pub(super) async fn prune(settings: &Settings, output: Output) -> Result<ExitCode, Failure> {
    let api = ApiClient::connect(settings).await?;
    let pruned: Value = api.long("/v1/prune", None).await?;
    let people = format!(
        "Pruned {} usage records, {} messages, {} notifications, {} quarantined and {} refused \
         pushes.",
        cell(&pruned["data_usage"]),
        cell(&pruned["mo_sms"]),
        cell(&pruned["notifications"]),
        cell(&pruned["quarantined"]),
        cell(&pruned["refused"])
    );
    output.text(&people, &pruned)?;
    Ok(ExitCode::SUCCESS)
}

/// Takes a SIM out of everything. What its number is still found in has not been erased.
pub(super) async fn erase(
    erase: &Erase,
    settings: &Settings,
    output: Output,
) -> Result<ExitCode, Failure> {
    let api = ApiClient::connect(settings).await?;
    let done: Value = api.long("/v1/erase", Some(&json!({"giccid": erase.giccid}))).await?;
    let is_gone = done["is_in_no_file"] == true;
    let mut people = format!(
        "Erased {} usage records, {} messages, {} notifications and {} held pushes. What still \
         comes of this SIM is not kept.",
        cell(&done["data_usage"]),
        cell(&done["mo_sms"]),
        cell(&done["notifications"]),
        cell(&done["held"])
    );
    people += match is_gone {
        true => "\nBackups made before still hold it: a restore takes it out.",
        false => "\nThe number is still found in a file of the database: erase it again.",
    };
    output.text(&people, &done)?;
    Ok(if is_gone { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
