//! `retract`: takes out what somebody attached to a captured signature, after it has been shown what
//! that is; `retract list` and `retract lift`.
use std::process::ExitCode;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Failure,
    client::ApiClient,
    confirm::confirmed,
    output::{Output, counted},
    settings::Settings,
};

const PATH: &str = "/v1/retract";
const LIST: &str = "/v1/retractions";
const COLUMNS: [&str; 10] = [
    "id",
    "retracted_at",
    "datePush",
    "source",
    "data_usage",
    "mo_sms",
    "notifications",
    "kept",
    "is_pending",
    "lifted_at",
];
/// What a narrow screen goes without, the first of these first.
const MAY_GO: [&str; 6] = ["is_pending", "kept", "notifications", "mo_sms", "data_usage", "source"];

/// What is to be taken out, or what else to do.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Retract {
    #[command(subcommand)]
    command: Option<Command>,
    /// The second under which it was pushed, as `datePush` of a row shows it
    #[arg(long, value_name = "TIME", required = true)]
    date_push: Option<String>,
    /// Only what this address sent
    #[arg(long)]
    source: Option<String>,
    /// Only count what would be taken out
    #[arg(long)]
    dry_run: bool,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
    /// Do it even if nothing came under it, so that nothing of it is ever stored
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what was retracted, the last one first
    #[command(after_help = "Example:\n  simdeck retract list")]
    List,
    /// Store again what comes under a retracted datePush from now on; what was taken out stays out
    #[command(after_help = "Example:\n  simdeck retract lift --id 1714")]
    Lift {
        /// Its number, as `simdeck retract list` shows it
        #[arg(long)]
        id: u64,
    },
}

/// Runs it.
pub(super) async fn run(
    retract: &Retract,
    settings: &Settings,
    output: Output,
) -> Result<ExitCode, Failure> {
    let api = ApiClient::connect(settings).await?;
    match (&retract.command, &retract.date_push) {
        (Some(Command::List), _) => {
            let rows: Vec<Value> = api.json(Method::GET, LIST, &[], None).await?;
            output.records(&COLUMNS, &MAY_GO, &rows)?;
        }
        (Some(Command::Lift { id }), _) => {
            api.send(Method::DELETE, &format!("{LIST}/{id}"), &[], None).await?;
            let people = "What comes under this datePush from now on is stored.";
            output.text(people, &json!({"id": id, "lifted": true}))?;
        }
        (None, Some(date_push)) => return take_out(&api, date_push, retract, output).await,
        (None, None) => {
            return Err(Failure::new("name the second with --date-push".to_owned()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn take_out(
    api: &ApiClient,
    date_push: &str,
    retract: &Retract,
    output: Output,
) -> Result<ExitCode, Failure> {
    let body = |dry_run: bool| {
        let mut body = json!({"datePush": date_push, "dry_run": dry_run, "force": retract.force});
        if let Some(source) = &retract.source {
            body["source"] = source.as_str().into();
        }
        body
    };
    let found: Value = api.json(Method::POST, PATH, &[], Some(&body(true))).await?;
    if retract.dry_run {
        let people =
            format!("{}; nothing is changed.{}{}", records(&found), sources(&found), held(&found));
        output.text(&people, &found)?;
        return Ok(ExitCode::SUCCESS);
    }
    if !retract.force
        && let Some(refusal) = nothing_to_retract(&found, date_push)
    {
        return Err(refusal);
    }
    let question = format!(
        "{}{}{}\nThey are deleted for good: out of lists, sums and SIMs. What still comes under this \
         datePush is held as date_retracted and not stored, until `simdeck retract lift`. Delete them?",
        records(&found),
        sources(&found),
        held(&found)
    );
    if !confirmed(&question, retract.yes)? {
        let people = format!("{}; nothing is changed.", records(&found));
        output.text(&people, &found)?;
        return Ok(ExitCode::FAILURE);
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

/// Why there is nothing to retract, if there is not.
fn nothing_to_retract(found: &Value, date_push: &str) -> Option<Failure> {
    let (at, source) = (found["retracted_at"].as_str(), found["retracted_source"].as_str());
    let is_nothing = KINDS.iter().all(|(name, ..)| found[*name] == 0);
    let refusal = match (at, source) {
        (Some(at), None) if is_nothing => format!(
            "what came under the datePush {date_push} was already retracted at {at}, and nothing of \
             it has been stored since: there is nothing left to retract"
        ),
        _ if found["is_known"] == true => return None,
        (Some(at), Some(source)) => format!(
            "what came under the datePush {date_push} was already retracted at {at} for source \
             {source}, and nothing came from others: say --force so that nothing of it is ever \
             stored from any source"
        ),
        _ if found["held"].is_null() => format!(
            "nothing is stored under the datePush {date_push}, and what is held is too \
             much to look through: check it, or say --force so that nothing of it is ever stored"
        ),
        _ => format!(
            "nothing came under the datePush {date_push}: check it, or say --force so that nothing \
             of it is ever stored"
        ),
    };
    Some(Failure::new(refusal))
}

/// What is counted, and what one and many of it are called.
const KINDS: [(&str, &str, &str); 3] = [
    ("data_usage", "usage record", "usage records"),
    ("mo_sms", "message", "messages"),
    ("notifications", "notification", "notifications"),
];

fn records(counts: &Value) -> String {
    if counts["data_usage"].is_null() {
        return "more records than can be counted in a second".to_owned();
    }
    let kept = match counts["kept"].as_u64() {
        None | Some(0) => String::new(),
        Some(1) => " (1 more record stays: another push brought it, too)".to_owned(),
        Some(kept) => format!(" ({kept} more records stay: other pushes brought them, too)"),
    };
    let records = KINDS.map(|(name, one, many)| counted(&counts[name], one, many));
    records.join(", ") + &kept
}

/// What lies aside under the same second.
fn held(counts: &Value) -> String {
    let Some(held) = counts.get("held") else { return String::new() };
    match held.as_u64() {
        Some(0) => String::new(),
        Some(1) => "\n1 held push of this second stays held.".to_owned(),
        Some(held) => format!("\n{held} held pushes of this second stay held."),
        None => "\nToo many pushes are held to look for those of this second; they stay held."
            .to_owned(),
    }
}

/// Who had sent them, a line each.
fn sources(counts: &Value) -> String {
    let line = |row: &Value| {
        let source = row["source"].as_str().unwrap_or("a file, or an unknown source");
        format!("\n  from {source}: {}", records(row))
    };
    counts["sources"].as_array().into_iter().flatten().map(line).collect()
}
