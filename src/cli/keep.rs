//! `backup` and `prune`: done by the running server, or under the instance lock.
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::{
    Failure,
    client::ApiClient,
    output::{Output, cell, counted},
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
        "Backup of {}, {}: {}",
        counted(&made["records"], "record", "records"),
        counted(&made["bytes"], "byte", "bytes"),
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
    let mut people = format!(
        "Pruned {}, {}, {}, {}, {}, {}, {}, {} and {}.",
        counted(&pruned["data_usage"], "usage record", "usage records"),
        counted(&pruned["mo_sms"], "message", "messages"),
        counted(&pruned["notifications"], "notification", "notifications"),
        counted(&pruned["quarantined"], "quarantined push", "quarantined pushes"),
        counted(&pruned["stale"], "stale push", "stale pushes"),
        counted(&pruned["refused"], "refused push", "refused pushes"),
        counted(&pruned["audit"], "audit row", "audit rows"),
        counted(&pruned["device_history"], "entry of routers", "entries of routers"),
        counted(&pruned["devices"], "router", "routers")
    );
    if let Some(from) = pruned["counted_from"].as_str() {
        people += &format!(
            "\nAge counts from {from}, the newest time that authentic pushes confirm; this server's \
             clock is more than a day later. Set the clock right if it is wrong. If it is right and \
             nothing is pushed any more, use `simdeck prune --by-clock`."
        );
    }
    output.text(&people, &pruned)?;
    Ok(ExitCode::SUCCESS)
}
