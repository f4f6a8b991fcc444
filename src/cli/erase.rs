//! `erase`: takes a SIM out of everything, after it has been shown what that is; `erase list` and
//! `erase lift`. Done by the running server, or under the instance lock.
use std::{io, process::ExitCode};

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Failure,
    client::ApiClient,
    output::{self, Output, cell},
    settings::Settings,
};

const COLUMNS: [&str; 5] = ["id", "erased_at", "came_again", "lifted_at", "giccid_hmac"];

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
            output.records(&COLUMNS, &rows)?;
        }
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
    let mut people = format!(
        "Erased {} usage records, {} messages, {} notifications and {} held pushes. What still \
         comes of this SIM is not kept, until `simdeck erase lift`.",
        cell(&done["data_usage"]),
        cell(&done["mo_sms"]),
        cell(&done["notifications"]),
        cell(&done["held"])
    );
    people += match is_gone {
        true => "\nBackups made before still hold it: a restore takes it out.",
        false => "\nThe number is still found in the database: erase it again.",
    };
    for what in done["not_looked_for"].as_array().into_iter().flatten() {
        people += &format!("\nNot looked for: {}", cell(what));
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
    if there["is_known"] != true && !is_forced {
        return Err(Failure::new(format!(
            "nothing is known of the SIM {giccid}: check its number, or say --force so that nothing \
             of it is ever kept"
        )));
    }
    output::note(&format!(
        "SIM {giccid}, name {}: {} usage records, {} messages, {} notifications, {} held pushes; \
         first record {}, last record {}.\nThis cannot be undone. Type the number again to erase it:",
        cell(&there["name"]),
        cell(&there["data_usage"]),
        cell(&there["mo_sms"]),
        cell(&there["notifications"]),
        cell(&there["held"]),
        cell(&there["first_record_at"]),
        cell(&there["last_record_at"]),
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
