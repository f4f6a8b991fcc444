//! `retract`: takes out what somebody attached to a captured signature.
use std::process::ExitCode;

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Failure,
    client::ApiClient,
    confirm::confirmed,
    output::{Output, cell},
    settings::Settings,
};

const PATH: &str = "/v1/retract";

/// What is to be taken out.
#[derive(Args, Debug)]
pub(super) struct Retract {
    /// The second under which it was pushed, as `datePush` of a row shows it
    #[arg(long, value_name = "TIME")]
    date_push: String,
    /// Only what this address sent
    #[arg(long)]
    source: Option<String>,
    /// Only count what would be taken out
    #[arg(long)]
    dry_run: bool,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
}

/// Runs it.
pub(super) async fn run(
    retract: &Retract,
    settings: &Settings,
    output: Output,
) -> Result<ExitCode, Failure> {
    let api = ApiClient::connect(settings).await?;
    let body = |dry_run: bool| {
        let mut body = json!({"datePush": retract.date_push, "dry_run": dry_run});
        if let Some(source) = &retract.source {
            body["source"] = source.as_str().into();
        }
        body
    };
    let found: Value = api.json(Method::POST, PATH, &[], Some(&body(true))).await?;
    let question = format!("{}. Take them out of lists and sums?", records(&found));
    let goes = !retract.dry_run && confirmed(&question, retract.yes)?;
    if !goes {
        output.text(
            &format!("{}; nothing is changed.{}", records(&found), sources(&found)),
            &found,
        )?;
        return Ok(if retract.dry_run { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let done: Value = api.long(PATH, &[], Some(&body(false))).await?;
    let people = format!(
        "Taken out: {}. What still comes under this datePush is held as date_retracted.{}",
        records(&done),
        sources(&done)
    );
    output.text(&people, &done)?;
    Ok(ExitCode::SUCCESS)
}

fn records(counts: &Value) -> String {
    format!(
        "{} usage records, {} messages, {} notifications",
        cell(&counts["data_usage"]),
        cell(&counts["mo_sms"]),
        cell(&counts["notifications"])
    )
}

/// Who had sent them, a line each.
fn sources(counts: &Value) -> String {
    let line = |row: &Value| {
        let source = row["source"].as_str().unwrap_or("a file, or an unknown source");
        format!("\n  from {source}: {}", records(row))
    };
    counts["sources"].as_array().into_iter().flatten().map(line).collect()
}
