use std::process::ExitCode;

use clap::Args;

use super::{Failure, client::ApiClient, output::Output, settings::Settings};

const COLUMNS: [&str; 8] =
    ["at", "who", "source", "action", "subject", "outcome", "details", "count"];
/// What a narrow screen goes without, the first of these first.
const MAY_GO: [&str; 4] = ["count", "source", "details", "who"];

/// Which rows to show.
#[derive(Args, Debug)]
pub(super) struct Audit {
    /// What was done, such as sign_in.failed, key.create, export or erase
    #[arg(long)]
    action: Option<String>,
    /// The label of an API key; admin for the admin key
    #[arg(long, value_name = "LABEL")]
    who: Option<String>,
    /// The address that it came from
    #[arg(long, value_name = "ADDRESS")]
    source: Option<String>,
    /// How it ended: begun, done, failed or refused
    #[arg(long)]
    outcome: Option<String>,
    /// At this time or later
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// How many at most
    #[arg(long, default_value_t = 100, value_name = "ROWS")]
    limit: usize,
}

/// Shows who did what, the newest first.
pub(super) async fn run(
    audit: &Audit,
    settings: &Settings,
    output: Output,
) -> Result<ExitCode, Failure> {
    let filters = [
        ("action", &audit.action),
        ("who", &audit.who),
        ("source", &audit.source),
        ("outcome", &audit.outcome),
        ("from", &audit.from),
        ("to", &audit.to),
    ];
    let given = |(name, value): (&'static str, &'_ Option<String>)| Some((name, value.clone()?));
    let query: Vec<(&str, String)> = filters.into_iter().filter_map(given).collect();
    let query: Vec<(&str, &str)> =
        query.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let api = ApiClient::connect(settings).await?;
    let rows = api.list("/v1/audit", &query, audit.limit).await?;
    output.records(&COLUMNS, &MAY_GO, &rows)?;
    Ok(ExitCode::SUCCESS)
}
