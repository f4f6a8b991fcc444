use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Failure,
    client::ApiClient,
    output::{Output, cell},
    settings::Settings,
};

/// What to do with the API keys.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a key; it is shown this once
    #[command(after_help = "Example:\n  simdeck key create --label grafana --scope read")]
    Create {
        /// A name that tells what the key is for
        #[arg(long, value_name = "NAME")]
        label: String,
        /// What the key allows
        #[arg(long, value_enum, default_value = "read")]
        scope: ScopeWord,
    },
    /// Show all keys, but not the keys themselves
    #[command(after_help = "Example:\n  simdeck key list")]
    List,
    /// End a key's life
    #[command(after_help = "Example:\n  simdeck key revoke 3")]
    Revoke {
        /// The number in `key list`
        id: i64,
    },
}

/// What a key allows.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum ScopeWord {
    /// To look
    Read,
    /// To look and act
    Admin,
}

/// Runs it.
pub(super) async fn run(
    command: &Command,
    settings: &Settings,
    output: Output,
) -> Result<ExitCode, Failure> {
    let api = match command {
        Command::Create { .. } => ApiClient::connect_to_add(settings).await?,
        Command::List | Command::Revoke { .. } => ApiClient::connect(settings).await?,
    };
    match command {
        Command::Create { label, scope } => {
            let scope = match scope {
                ScopeWord::Read => "read",
                ScopeWord::Admin => "admin",
            };
            let body = json!({"label": label, "scope": scope});
            let made: Value = api.json(Method::POST, "/v1/keys", &[], Some(&body)).await?;
            let people = format!("{}\nKeep it now: it is not shown again.", cell(&made["key"]));
            output.text(&people, &made)?;
        }
        Command::List => {
            let keys: Vec<Value> = api.json(Method::GET, "/v1/keys", &[], None).await?;
            let fields = ["id", "label", "scope", "created_at", "revoked_at"];
            output.records(&fields, &["revoked_at", "scope"], &keys)?;
        }
        Command::Revoke { id } => {
            api.send(Method::DELETE, &format!("/v1/keys/{id}"), &[], None).await?;
            output.text(&format!("Key {id} is revoked."), &json!({"id": id, "revoked": true}))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
