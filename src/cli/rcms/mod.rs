mod check;
mod fleet;
mod forget;
mod pages;
mod probe;
mod raw;
mod regroup;
mod sign;

use std::{process::ExitCode, sync::Arc, time::Duration};

use clap::Subcommand;

use super::{
    Failure,
    output::Output,
    rcms_ca,
    settings::{self, Settings},
};
use crate::{
    domain::{SerialNumber, SystemClock},
    rcms::{Account, Client, ClientOptions, GroupName, Method, RcmsError, Refusal},
};
use raw::Parameter;

/// How often a read is asked again that failed for a reason which may pass: somebody waits.
const RETRIES: usize = 2;

/// What to ask RCMS.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show RCMS's counts of its devices and users
    #[command(after_help = "Example:\n  simdeck rcms total")]
    Total,
    /// Show every device on RCMS's list
    #[command(after_help = "Example:\n  simdeck rcms devices --output json > devices.json")]
    Devices,
    /// Show all that RCMS says of one device
    #[command(after_help = "Example:\n  simdeck rcms device RB0000000000001")]
    Device {
        /// Its serial number
        sn: SerialNumber,
    },
    /// Show what a device told about itself
    #[command(after_help = "Example:\n  simdeck rcms status RB0000000000001 --since 6h")]
    Status {
        /// Its serial number
        sn: SerialNumber,
        /// How far back
        #[arg(long, default_value = "1h", value_name = "DURATION", value_parser = span)]
        since: Duration,
    },
    /// Put a device into a group
    #[command(after_help = "Example:\n  simdeck rcms group RB0000000000001 Demo")]
    Group {
        /// Its serial number
        sn: SerialNumber,
        /// The group's name
        name: GroupName,
    },
    /// Forget a device that RCMS lists no more, and its history
    #[command(after_help = "Example:\n  simdeck rcms forget RB0000000000001")]
    Forget {
        /// Its serial number
        sn: SerialNumber,
    },
    /// Put many devices into a group, through the running server, which records each
    #[command(
        after_help = "Examples:\n  simdeck rcms regroup Demo RB0000000000001 RB0000000000002\n  \
        simdeck rcms regroup Demo --file serials.txt --dry-run"
    )]
    Regroup(regroup::Regroup),
    /// Ask for any path, and write the answer's data
    #[command(after_help = "Example:\n  \
        simdeck rcms get /api/link/device/devices --query pageNum=1 --query pageSize=10")]
    Get {
        /// The path, without parameters
        path: String,
        /// A parameter, key=value
        #[arg(long, value_name = "KEY=VALUE")]
        query: Vec<Parameter>,
    },
    /// Change what any path names, and write the answer's data
    #[command(after_help = "Example:\n  \
        simdeck rcms put /api/link/devices/RB0000000000001/group --body '{\"groupName\":\"Demo\"}'")]
    Put {
        /// The path, without parameters
        path: String,
        /// What to send, - for standard input
        #[arg(long, value_name = "JSON")]
        body: String,
    },
    /// Send something to any path, and write the answer's data
    #[command(after_help = "Example, with a path that Robustel names:\n  \
        simdeck rcms post /api/PATH --body '{\"name\":\"Demo\"}'")]
    Post {
        /// The path, without parameters
        path: String,
        /// What to send, - for standard input
        #[arg(long, value_name = "JSON")]
        body: Option<String>,
    },
    /// Remove what any path names, and write the answer's data
    #[command(
        after_help = "Example, with a path that Robustel names:\n  simdeck rcms delete /api/PATH"
    )]
    Delete {
        /// The path, without parameters
        path: String,
        /// A parameter, key=value
        #[arg(long, value_name = "KEY=VALUE")]
        query: Vec<Parameter>,
    },
    /// Show how a request would be signed; nothing is sent
    #[command(after_help = "Example:\n  simdeck rcms sign GET /api/link/dashboard/deviceTotal")]
    Sign(sign::Sign),
    /// Look at each call, and say what was understood of its answer
    #[command(after_help = "Examples:\n  simdeck rcms check\n  \
        simdeck rcms check RB0000000000001 --verbose")]
    Check(check::Check),
    /// Try each variant of the signature once, and name the one that works
    #[command(after_help = "Example:\n  simdeck rcms probe")]
    Probe,
}

/// Runs it. But for `forget` it asks RCMS by itself: no server and no data directory is needed.
pub(super) async fn run(
    command: &Command,
    settings: &Settings,
    output: Output,
) -> Result<ExitCode, Failure> {
    let asking = || client(account(settings)?, settings, RETRIES);
    match command {
        Command::Forget { sn } => return forget::run(sn, settings, output).await,
        Command::Regroup(regroup) => return regroup::run(regroup, settings, output).await,
        Command::Probe => return probe::run(account(settings)?, settings, output).await,
        Command::Check(check) => {
            return check::run(check, &asking()?, settings, output).await;
        }
        Command::Sign(sign) => sign::run(sign, &account(settings)?, output)?,
        Command::Total => fleet::total(&asking()?, output).await?,
        Command::Devices => {
            let page_size = settings.rcms.page_size;
            fleet::devices(&asking()?, page_size, output).await?;
        }
        Command::Device { sn } => fleet::device(&asking()?, sn, output).await?,
        Command::Status { sn, since } => {
            let asked = pages::Asked { sn, since: *since, page_size: settings.rcms.page_size };
            let client = asking()?;
            fleet::status(&client, asked, output).await?;
        }
        Command::Group { sn, name } => {
            fleet::group(&asking()?, sn, name, output).await?;
        }
        Command::Get { path, query } => {
            let request = raw::request(Method::Get, path, query, None)?;
            raw::call(&asking()?, &request).await?;
        }
        Command::Put { path, body } => {
            let request = raw::request(Method::Put, path, &[], Some(body))?;
            raw::call(&asking()?, &request).await?;
        }
        Command::Post { path, body } => {
            let request = raw::request(Method::Post, path, &[], body.as_deref())?;
            raw::call(&asking()?, &request).await?;
        }
        Command::Delete { path, query } => {
            let request = raw::request(Method::Delete, path, query, None)?;
            raw::call(&asking()?, &request).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The account of the settings.
pub(super) fn account(settings: &Settings) -> Result<Account, Failure> {
    settings.rcms.account().ok_or_else(|| {
        Failure::new(
            "RCMS is not set up: set SIMDECK_RCMS_CLIENT_ID and SIMDECK_RCMS_CLIENT_SECRET to what \
             RCMS gave you",
        )
    })
}

/// Asks with it, as often as that again where a failure may pass.
pub(super) fn client(
    account: Account,
    settings: &Settings,
    retries: usize,
) -> Result<Client, Failure> {
    let total_time_max = ClientOptions::TOTAL_TIME_MAX;
    let authorities = rcms_ca::read(settings)?;
    let clock = Arc::new(SystemClock);
    let options = ClientOptions { clock, total_time_max, retries, authorities };
    let client = Client::new(account, options).map_err(|error| Failure::told(&error))?;
    Ok(client.in_zone(settings.rcms.time_zone.clone()))
}

fn span(text: &str) -> Result<Duration, String> {
    settings::duration(text).map_err(|wanted| format!("must be {wanted}"))
}

impl From<RcmsError> for Failure {
    fn from(error: RcmsError) -> Self {
        Self::new(error.sentence())
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::told(&refusal)
    }
}
