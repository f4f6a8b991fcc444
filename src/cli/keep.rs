//! `backup` and `prune`: done by the running server, or under the instance lock.
use std::process::ExitCode;

use serde_json::Value;

use super::{
    Failure,
    client::ApiClient,
    output::{Output, cell},
    settings::Settings,
};

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
