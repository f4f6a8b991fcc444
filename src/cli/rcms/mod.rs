mod fleet;
mod forget;
mod probe;
mod raw;
mod sign;

use std::{process::ExitCode, sync::Arc, time::Duration};

use clap::Subcommand;

use super::{
    Failure,
    output::Output,
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
    if let Command::Forget { sn } = command {
        return forget::run(sn, settings, output).await;
    }
    let account = account(settings)?;
    match command {
        Command::Forget { .. } => (),
        Command::Probe => return probe::run(account, output).await,
        Command::Sign(sign) => sign::run(sign, &account, output)?,
        Command::Total => fleet::total(&client(account, RETRIES)?, output).await?,
        Command::Devices => {
            let page_size = settings.rcms.page_size;
            fleet::devices(&client(account, RETRIES)?, page_size, output).await?;
        }
        Command::Device { sn } => fleet::device(&client(account, RETRIES)?, sn, output).await?,
        Command::Status { sn, since } => {
            let asked = fleet::Asked { sn, since: *since, page_size: settings.rcms.page_size };
            let client = client(account, RETRIES)?.in_zone(settings.rcms.time_zone.clone());
            fleet::status(&client, asked, output).await?;
        }
        Command::Group { sn, name } => {
            fleet::group(&client(account, RETRIES)?, sn, name, output).await?;
        }
        Command::Get { path, query } => {
            let request = raw::request(Method::Get, path, query, None)?;
            raw::call(&client(account, RETRIES)?, &request).await?;
        }
        Command::Put { path, body } => {
            let request = raw::request(Method::Put, path, &[], Some(body))?;
            raw::call(&client(account, RETRIES)?, &request).await?;
        }
        Command::Post { path, body } => {
            let request = raw::request(Method::Post, path, &[], body.as_deref())?;
            raw::call(&client(account, RETRIES)?, &request).await?;
        }
        Command::Delete { path, query } => {
            let request = raw::request(Method::Delete, path, query, None)?;
            raw::call(&client(account, RETRIES)?, &request).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn account(settings: &Settings) -> Result<Account, Failure> {
    settings.rcms.account().ok_or_else(|| {
        Failure::new(
            "RCMS is not set up: set SIMDECK_RCMS_CLIENT_ID and SIMDECK_RCMS_CLIENT_SECRET to what \
             RCMS gave you",
        )
    })
}

fn client(account: Account, retries: usize) -> Result<Client, Failure> {
    let total_time_max = ClientOptions::TOTAL_TIME_MAX;
    let options = ClientOptions { clock: Arc::new(SystemClock), total_time_max, retries };
    Client::new(account, options).map_err(|error| Failure::told(&error))
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
