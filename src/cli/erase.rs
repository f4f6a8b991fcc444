//! `erase`: takes a SIM out of everything, after it has been shown what that is; `erase list` and
//! `erase lift`. Done by the running server, or under the instance lock.
use std::{io, process::ExitCode};

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Failure,
    client::ApiClient,
    output::{self, Output, cell, counted},
    settings::Settings,
};

const COLUMNS: [&str; 10] = [
    "id",
    "erased_at",
    "data_usage",
    "mo_sms",
    "notifications",
    "held",
    "is_pending",
    "came_again",
    "lifted_at",
    "giccid_hmac",
];

/// What a narrow screen goes without, the first of these first.
const MAY_GO: [&str; 6] =
    ["giccid_hmac", "is_pending", "held", "notifications", "mo_sms", "data_usage"];

/// What an erasure counts.
const KINDS: [&str; 4] = ["data_usage", "mo_sms", "notifications", "held"];

/// Which SIM, or what else to do.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Erase {
    #[command(subcommand)]
    command: Option<Command>,
    /// The number of the SIM
    #[arg(long, value_name = "GICCID", required = true)]
    giccid: Option<String>,
    /// Erase it without asking for its number again
    #[arg(long)]
    yes: bool,
    /// Erase it even if nothing is known of it, so that nothing of it is ever kept
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show whether a SIM was erased and when, and what there is of it
    #[command(after_help = "Example:\n  simdeck erase show 8986001234567890123")]
    Show {
        /// The number of the SIM
        giccid: String,
    },
    /// Show what was erased, the last one first
    #[command(after_help = "Example:\n  simdeck erase list")]
    List,
    /// Keep again what comes of an erased SIM from now on; what was erased stays so
    #[command(after_help = "Example:\n  simdeck erase lift --giccid 8986001234567890123")]
    Lift {
        /// The number of the SIM
        #[arg(long, value_name = "GICCID")]
        giccid: String,
    },
}

/// Runs it.
pub(super) async fn run(
    erase: &Erase,
    settings: &Settings,
    output: Output,
) -> Result<ExitCode, Failure> {
    let api = ApiClient::connect(settings).await?;
    match (&erase.command, &erase.giccid) {
        (Some(Command::List), _) => {
            let rows: Vec<Value> = api.json(Method::GET, "/v1/erasures", &[], None).await?;
            output.records(&COLUMNS, &MAY_GO, &rows)?;
        }
        (Some(Command::Show { giccid }), _) => show(&api, giccid, output).await?,
        (Some(Command::Lift { giccid }), _) => {
            api.send(Method::DELETE, &format!("/v1/erasures/{giccid}"), &[], None).await?;
            let people = "What comes of this SIM from now on is kept.";
            output.text(people, &json!({"giccid": giccid, "lifted": true}))?;
        }
        (None, Some(giccid)) => return erase_sim(&api, giccid, erase, output).await,
        (None, None) => return Err(Failure::new("name the SIM with --giccid".to_owned())),
    }
    Ok(ExitCode::SUCCESS)
}

/// Says whether a SIM was erased, and what there is of it.
async fn show(api: &ApiClient, giccid: &str, output: Output) -> Result<(), Failure> {
    let there: Value = api.json(Method::GET, &format!("/v1/erasures/{giccid}"), &[], None).await?;
    let erased = match (there["erased_at"].as_str(), there["lifted_at"].as_str()) {
        (None, _) => "It was not erased.".to_owned(),
        (Some(at), None) => format!(
            "It was erased at {at}, and what still comes of it is not kept: {} so far.",
            cell(&there["came_again"])
        ),
        (Some(at), Some(lifted)) => {
            format!("It was erased at {at}; what has come of it since {lifted} is kept.")
        }
    };
    output.text(&format!("{}.\n{erased}", told(giccid, &there)), &there)
}

/// What there is of a SIM.
fn told(giccid: &str, there: &Value) -> String {
    format!(
        "SIM {giccid}, name {}: {}, {}, {}, {}; first record {}, last record {}",
        cell(&there["name"]),
        counted(&there["data_usage"], "usage record", "usage records"),
        counted(&there["mo_sms"], "message", "messages"),
        counted(&there["notifications"], "notification", "notifications"),
        counted(&there["held"], "held push", "held pushes"),
        cell(&there["first_record_at"]),
        cell(&there["last_record_at"]),
    )
}

/// Takes a SIM out of everything. What its number is still found in has not been erased.
async fn erase_sim(
    api: &ApiClient,
    giccid: &str,
    erase: &Erase,
    output: Output,
) -> Result<ExitCode, Failure> {
    if !erase.yes {
        confirm(api, giccid, erase.force).await?;
    }
    let body = json!({"giccid": giccid, "force": erase.force});
    let done: Value = api.long("/v1/erase", &[], Some(&body)).await?;
    let is_gone = done["is_in_no_file"] == true;
    let is_nothing = KINDS.iter().all(|kind| done[*kind] == 0);
    let mut people = match done["ended_lift"] == true && is_nothing {
        true => "Nothing to erase; what comes from now on is dropped again, until `simdeck erase \
                 lift`."
            .to_owned(),
        false => format!(
            "Erased {}, {}, {} and {}. What still comes of this SIM is not kept, until `simdeck \
             erase lift`.",
            counted(&done["data_usage"], "usage record", "usage records"),
            counted(&done["mo_sms"], "message", "messages"),
            counted(&done["notifications"], "notification", "notifications"),
            counted(&done["held"], "held push", "held pushes")
        ),
    };
    // Nothing is known of it now, so that only --force erases it once more.
    people += &match done["not_searched"].as_str() {
        Some(reason) => format!(
            "\nBytes of it may be left in the files of the database ({reason}): the server tries again each \
             hour to overwrite them, and with `simdeck prune`."
        ),
        None if is_gone => {
            "\nBackups made before still hold it: a restore takes it out.".to_owned()
        }
        None => {
            "\nThe number is still found in the database: erase it again with --force.".to_owned()
        }
    };
    let not_looked_for = done["not_looked_for"].as_array().into_iter().flatten();
    // Of backups it is told above.
    for what in not_looked_for.map(cell).filter(|what| !what.starts_with("backups")) {
        people += &format!("\nNot looked for: {what}");
    }
    output.text(&people, &done)?;
    Ok(if is_gone { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Shows what would go, and has the number typed once more.
async fn confirm(api: &ApiClient, giccid: &str, is_forced: bool) -> Result<(), Failure> {
    if !(18..=22).contains(&giccid.len()) || !giccid.bytes().all(|it| it.is_ascii_alphanumeric()) {
        // The server says what a number is made of.
        return Ok(());
    }
    let there: Value = api.json(Method::GET, &format!("/v1/erasures/{giccid}"), &[], None).await?;
    // Where nothing is stored of it an erasure still ends a lift.
    let has_work = there["is_known"] == true || there["lifted_at"].is_string() || is_forced;
    if !has_work {
        return Err(Failure::new(match there["erased_at"].as_str() {
            Some(at) => format!(
                "the SIM {giccid} was already erased at {at}, and nothing has been kept of it \
                 since: there is nothing left to erase"
            ),
            None => format!(
                "nothing is known of the SIM {giccid}: check its number, or say --force so that \
                 nothing of it is ever kept"
            ),
        }));
    }
    output::note(&format!(
        "{}.\nThis cannot be undone. Type the number again to erase it:",
        told(giccid, &there)
    ));
    let mut typed = String::new();
    io::stdin().read_line(&mut typed).map_err(Failure::because("the answer cannot be read"))?;
    if typed.trim() != giccid {
        return Err(Failure::new(
            "that is not the number, and nothing was erased: type it again, or say --yes where \
             nobody is there to type"
                .to_owned(),
        ));
    }
    Ok(())
}
