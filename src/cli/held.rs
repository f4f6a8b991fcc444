use std::process::ExitCode;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Failure,
    client::ApiClient,
    output::{Output, cell},
    settings::Settings,
};

const COLUMNS: [&str; 9] =
    ["id", "class", "reason", "field", "kind", "source", "received_at", "bytes", "count"];

/// What to do with pushes that lie aside.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show what lies aside, newest first
    #[command(after_help = "Example:\n  simdeck held list --class quarantined")]
    List(Filter),
    /// Show one with its body
    #[command(after_help = "Example:\n  simdeck held show 17")]
    Show {
        /// The number in `held list`
        id: i64,
    },
    /// Take one in again, after a key was corrected or simdeck was upgraded
    #[command(after_help = "Examples:\n  simdeck held retry 17\n  \
                            simdeck held retry 17 --as data-usage")]
    Retry {
        /// The number in `held list`
        id: i64,
        /// Read it as a push of this kind
        #[arg(long = "as", value_name = "KIND")]
        as_kind: Option<String>,
    },
    /// Throw one away for good
    #[command(after_help = "Example:\n  simdeck held discard 17")]
    Discard {
        /// The number in `held list`
        id: i64,
    },
}

/// Which ones to show.
#[derive(Args, Debug)]
pub(super) struct Filter {
    /// refused (not proved to be from SmartHub) or quarantined (proved, but not readable)
    #[arg(long)]
    class: Option<String>,
    /// Why they lie aside, such as signature_wrong or field_missing
    #[arg(long)]
    reason: Option<String>,
    /// How many at most
    #[arg(long, default_value_t = 100, value_name = "ROWS")]
    limit: usize,
}

/// Runs it.
pub(super) async fn run(
    command: &Command,
    settings: &Settings,
    output: Output,
) -> Result<ExitCode, Failure> {
    let api = ApiClient::connect(settings).await?;
    match command {
        Command::List(filter) => list(&api, filter, output).await?,
        Command::Show { id } => show(&api, *id, output).await?,
        Command::Retry { id, as_kind } => {
            return retry(&api, *id, as_kind.as_deref(), output).await;
        }
        Command::Discard { id } => {
            api.send(Method::DELETE, &format!("/v1/held/{id}"), &[], None).await?;
            let people = format!("Held push {id} is discarded.");
            output.text(&people, &json!({"id": id, "discarded": true}))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(api: &ApiClient, filter: &Filter, output: Output) -> Result<(), Failure> {
    let wanted = [("class", &filter.class), ("reason", &filter.reason)];
    let query: Vec<(&str, &str)> =
        wanted.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
    let rows = api.list("/v1/held", &query, filter.limit).await?;
    output.records(&COLUMNS, &rows)
}

async fn show(api: &ApiClient, id: i64, output: Output) -> Result<(), Failure> {
    let held: Value = api.json(Method::GET, &format!("/v1/held/{id}"), &[], None).await?;
    let facts: Vec<String> =
        COLUMNS.iter().map(|name| format!("{name:<12} {}", cell(&held[*name]))).collect();
    let heading = match held["body_encoding"].as_str() {
        Some("base64") => "the body, which is no text, in base64:\n",
        _ => "",
    };
    let people = format!("{}\n\n{heading}{}", facts.join("\n"), cell(&held["body"]));
    output.text(&people, &held)
}

/// A retry that stores nothing has not done what was asked.
async fn retry(
    api: &ApiClient,
    id: i64,
    as_kind: Option<&str>,
    output: Output,
) -> Result<ExitCode, Failure> {
    let query: Vec<(&str, &str)> = as_kind.map(|kind| ("as", kind)).into_iter().collect();
    let path = format!("/v1/held/{id}/retry");
    let counts: Value = api.json(Method::POST, &path, &query, None).await?;
    let count = |name: &str| counts[name].as_u64().unwrap_or_default();
    let people = format!(
        "Held push {id}: {} stored, {} duplicates, {} quarantined again.",
        count("stored"),
        count("duplicates"),
        count("quarantined")
    );
    output.text(&people, &counts)?;
    Ok(if count("quarantined") == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
