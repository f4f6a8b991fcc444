//! `backup` and `prune`: done by the running server, or under the instance lock.
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::{
    Failure,
    client::ApiClient,
    output::{Output, cell},
    settings::Settings,
};

/// By which time.
#[derive(Args, Debug)]
pub(super) struct Prune {
    /// Count age from the server's clock, though no authentic push confirms it: for a store that
    /// nothing is pushed to any more
    #[arg(long)]
    by_clock: bool,
}

/// Makes a backup.
pub(super) async fn back_up(settings: &Settings, output: Output) -> Result<ExitCode, Failure> {
    let api = ApiClient::connect(settings).await?;
    let made: Value = api.long("/v1/backup", &[], None).await?;
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
pub(super) async fn prune(
    prune: &Prune,
    settings: &Settings,
    output: Output,
) -> Result<ExitCode, Failure> {
    let api = ApiClient::connect(settings).await?;
    let query: &[(&str, &str)] = if prune.by_clock { &[("by_clock", "true")] } else { &[] };
    let pruned: Value = api.long("/v1/prune", query, None).await?;
    let people = format!(
        "Pruned {} usage records, {} messages, {} notifications, {} quarantined and {} refused \
         pushes, {} audit rows.",
        cell(&pruned["data_usage"]),
        cell(&pruned["mo_sms"]),
        cell(&pruned["notifications"]),
        cell(&pruned["quarantined"]),
        cell(&pruned["refused"]),
        cell(&pruned["audit"])
    );
    output.text(&people, &pruned)?;
    Ok(ExitCode::SUCCESS)
}
