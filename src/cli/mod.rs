//! The command line: settings, wiring, one file for each subcommand.
mod alert;
mod announcement;
mod audit;
mod client;
mod completions;
mod config;
mod confirm;
mod counted;
mod demo;
mod doctor;
mod ending;
mod erase;
mod export;
mod failure;
mod finding;
mod healthcheck;
mod held;
mod identity_rule;
mod import;
mod indented;
mod instance;
mod keep;
mod key;
mod keys;
mod listeners;
mod log_limit;
mod logging;
mod made;
mod named_files;
mod openapi;
mod output;
mod push;
mod rcms;
mod rcms_ca;
mod rebuild;
mod recorded;
mod reload;
mod restore;
mod retract;
mod serve;
pub mod settings;
mod sign;
mod signed;
mod systemd;
mod table;
mod test_push;
mod told;
mod verify;
mod welcome;
mod wiring;

use std::{num::NonZero, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

pub use failure::Failure;

use output::{Format, Output};
use settings::{Environment, Flags, Settings};
use tokio::runtime::Runtime;

use crate::{
    domain::{Clock, SystemClock},
    intake::Acknowledge,
    store::Limits,
};

const ABOUT_SETTINGS: &str = "\
Every setting has a flag, an environment variable and a line in simdeck.toml: see
`simdeck serve --help` and `simdeck config example`.";

/// Keeps what SmartHub pushes about a fleet's SIM cards, and answers questions about it.
#[derive(Debug, Parser)]
#[command(
    name = "simdeck",
    version = concat!(env!("CARGO_PKG_VERSION"), " (", env!("SIMDECK_COMMIT"), ")"),
    after_help = ABOUT_SETTINGS,
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    everywhere: Everywhere,
}

/// Flags that every subcommand takes, besides those of the settings.
#[derive(Args, Debug)]
struct Everywhere {
    /// The settings file; SIMDECK_CONFIG or ./simdeck.toml if not given
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How results are written; a table on a terminal, JSON elsewhere
    #[arg(long, global = true, value_name = "FORMAT")]
    output: Option<Format>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    #[command(after_help = "Examples:\n  simdeck serve --data-dir /var/lib/simdeck\n  \
        simdeck serve --demo")]
    Serve {
        /// Show a made-up fleet, in the folder `demo` of the data directory, at 127.0.0.1:8082
        /// unless --internal-listen says otherwise; nothing is received
        #[arg(long)]
        demo: bool,
    },
    /// Show the addresses to register in SmartHub, the push key and how to try it
    #[command(after_help = "Example:\n  simdeck welcome --public-url https://push.example.com")]
    Welcome,
    /// Send signed pushes, marked as tests; also the load tool
    #[command(after_help = "Examples:\n  simdeck push\n  \
        simdeck push --kind mo-sms --body sms.json\n  \
        simdeck push --count 100000 --concurrency 64 --rate 5000")]
    Push(push::Push),
    /// Make the signature for a time, or sign a body
    #[command(after_help = "Examples:\n  simdeck sign --date-push 2024-09-05T01:30:48+0000\n  \
        simdeck sign --body record.json | curl -d @- http://127.0.0.1:8080/v1/data-usage")]
    Sign(sign::Sign),
    /// Say whether a pushed body is signed with a live key, and if not, why
    #[command(after_help = "Examples:\n  simdeck verify body.json\n  \
        simdeck verify --explain --key 'the push key' < body.json")]
    Verify(verify::Verify),
    /// Check or print the settings, or write an example
    #[command(after_help = "Example:\n  simdeck config print")]
    Config {
        #[command(subcommand)]
        command: config::Command,
    },
    /// Make, show and revoke API keys
    #[command(after_help = "Example:\n  simdeck key create --label grafana --scope read")]
    Key {
        #[command(subcommand)]
        command: key::Command,
    },
    /// Look after pushes that were refused or could not be read
    #[command(after_help = "Example:\n  simdeck held list --class quarantined")]
    Held {
        #[command(subcommand)]
        command: held::Command,
    },
    /// Ask RCMS about routers, by itself: no server is needed
    #[command(after_help = "Examples:\n  simdeck rcms total\n  simdeck rcms probe")]
    Rcms {
        #[command(subcommand)]
        command: rcms::Command,
    },
    /// Write out records as they are stored
    #[command(after_help = "Examples:\n  \
        simdeck export data-usage --format csv --out usage.csv\n  \
        simdeck export notifications --kind sim-status --from 2024-09-01T00:00:00Z")]
    Export(export::Export),
    /// Write the OpenAPI document of the query API; no server is needed
    #[command(after_help = "Example:\n  simdeck openapi > openapi.json")]
    Openapi,
    /// Read in history: records that were exported, or that were never pushed here
    #[command(after_help = "Examples:\n  \
        simdeck import usage.csv --kind data-usage\n  \
        simdeck export mo-sms | simdeck import - --kind mo-sms --internal-url http://other:8081\n\n\
        A record that is there already is not stored again. `identity` says which record an\n\
        exported row is: take it out of rows that you change.")]
    Import(import::Import),
    /// Look at everything that can be wrong here, and say what to do about it
    #[command(after_help = "Examples:\n  simdeck doctor\n  \
        simdeck doctor --public-url https://push.example.com\n\n\
        With --public-url it sends a signed test push through the real front door, twice, to see it\n\
        arrive once. Exit code 0 only when all is well.")]
    Doctor(doctor::Doctor),
    /// Copy the database while the server runs, without keys and refused pushes
    #[command(after_help = "Example:\n  simdeck backup --backup-dir /mnt/backups")]
    Backup,
    /// Put a backup in the database's place; stop the server first
    #[command(after_help = "Example:\n  \
        simdeck restore --verify data/backups/simdeck-20240905T013048000Z-1.db")]
    Restore(restore::Restore),
    /// Make the sums by day anew, by the days of --time-zone; stop the server first
    #[command(after_help = "Example:\n  simdeck rebuild --time-zone Asia/Shanghai")]
    Rebuild,
    /// Take away now what is older than SIMDECK_RETENTION_… says
    #[command(after_help = "Example:\n  simdeck prune")]
    Prune(keep::Prune),
    /// Erase one SIM's data permanently
    #[command(after_help = "Examples:\n  simdeck erase --giccid 8986001234567890123\n  \
                            simdeck erase list\n  \
                            simdeck erase lift --giccid 8986001234567890123")]
    Erase(erase::Erase),
    /// Take out what was pushed under one datePush, by somebody who captured its signature
    #[command(
        after_help = "Examples:\n  simdeck retract --date-push 2024-09-05T01:30:48Z --dry-run\n  \
                      simdeck retract list\n  simdeck retract lift --id 1714"
    )]
    Retract(retract::Retract),
    /// Show who changed what or took it away, and who came in, the newest first
    #[command(after_help = "Examples:\n  simdeck audit --action sign_in.failed\n  \
        simdeck audit --who grafana --from 2024-09-01T00:00:00Z --output json")]
    Audit(audit::Audit),
    /// Ask the public listener whether it is alive; for containers
    #[command(after_help = "Example:\n  simdeck healthcheck || echo 'not well'")]
    Healthcheck,
    /// Write the script that completes commands in a shell
    #[command(after_help = "Example:\n  simdeck completions bash > \
                            /usr/share/bash-completion/completions/simdeck")]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// Runs what the command line asks for: 0 when it did it, 1 when not, 2 when it was not understood.
pub fn main() -> ExitCode {
    main_with(Experiment::default())
}

/// What an experiment changes about the server. No setting leads here.
#[derive(Clone, Copy, Debug)]
pub struct Experiment {
    /// When a push is acknowledged: the control of the attack on durability.
    pub acknowledge: Acknowledge,
    /// How many records the summaries are behind at most: without end, to measure what they cost.
    pub tail_records_max: usize,
    /// The same for the sums by time and network.
    pub sums_tail_records_max: usize,
    /// By what listeners and intake tell the time: what is to panic asks it first.
    pub clock: fn() -> Arc<dyn Clock>,
}

impl Default for Experiment {
    /// The product.
    fn default() -> Self {
        Self {
            acknowledge: Acknowledge::AfterCommit,
            tail_records_max: Limits::TAIL_RECORDS_MAX,
            sums_tail_records_max: Limits::SUMS_TAIL_RECORDS_MAX,
            clock: || Arc::new(SystemClock),
        }
    }
}

/// The same as [`main`], but for what the experiment changes.
pub fn main_with(experiment: Experiment) -> ExitCode {
    let matches = command().get_matches();
    let flags = Flags::of_matches(leaf(&matches));
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|err| err.exit());
    let output = Output::new(cli.everywhere.output);
    run(&cli.command, &flags, output, experiment).unwrap_or_else(|failure| {
        output::note(&format!("error: {failure}"));
        match &cli.command {
            Command::Serve { .. } => failure.exit_code_of_server(),
            _ => ExitCode::FAILURE,
        }
    })
}

fn run(
    command: &Command,
    flags: &Flags,
    output: Output,
    experiment: Experiment,
) -> Result<ExitCode, Failure> {
    let environment = Environment::of_process();
    let settings = || -> Result<Settings, Failure> {
        let settings = Settings::load(flags, &environment)?;
        logging::start(&settings, matches!(command, Command::Serve { .. }))?;
        Ok(settings)
    };
    match command {
        Command::Completions { shell } => completions::run(*shell),
        Command::Config { command } => config::run(command, flags, &environment, output),
        Command::Serve { demo } => {
            let (flags, environment) = (flags.clone(), environment.clone());
            let reread = Box::new(move || Settings::load(&flags, &environment));
            block_on(serve::run(settings()?, reread, experiment, *demo))
        }
        Command::Openapi => openapi::run(&settings()?),
        Command::Doctor(doctor) => block_on(doctor::run(doctor, &settings()?, output)),
        Command::Healthcheck => healthcheck::run(&settings()?),
        Command::Welcome => block_on(welcome::run(&settings()?, output)),
        Command::Sign(sign) => sign::run(sign, &settings()?, output),
        Command::Verify(verify) => verify::run(verify, &settings()?, output),
        Command::Push(push) => block_on(push::run(push, &settings()?, output)),
        Command::Key { command } => block_on(key::run(command, &settings()?, output)),
        Command::Held { command } => block_on(held::run(command, &settings()?, output)),
        Command::Rcms { command } => block_on(rcms::run(command, &settings()?, output)),
        Command::Import(import) => block_on(import::run(import, &settings()?, output)),
        Command::Backup => block_on(keep::back_up(&settings()?, output)),
        Command::Prune(prune) => block_on(keep::prune(prune, &settings()?, output)),
        Command::Retract(retract) => block_on(retract::run(retract, &settings()?, output)),
        Command::Audit(audit) => block_on(audit::run(audit, &settings()?, output)),
        Command::Erase(erase) => block_on(erase::run(erase, &settings()?, output)),
        Command::Rebuild => block_on(rebuild::run(&settings()?, output)),
        Command::Restore(command) => block_on(restore::run(command, &settings()?, output)),
        Command::Export(export) => block_on(export::run(export, &settings()?)),
    }
}

/// How long the end waits for what other threads do. One may hang on a disk that does not answer.
const END_WAIT: Duration = Duration::from_secs(2);

fn block_on(work: impl Future<Output = Result<ExitCode, Failure>>) -> Result<ExitCode, Failure> {
    let runtime = runtime()?;
    let done = runtime.block_on(work);
    runtime.shutdown_timeout(END_WAIT);
    done
}

/// How many tasks run between two looks at the sockets. A commit wakes all who waited for it at once;
/// answering them one after another costs fewer looks.
const TASKS_BETWEEN_LOOKS: u32 = 255;

/// SQLite writes on a thread of its own: one core is left to it.
fn runtime() -> Result<Runtime, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.saturating_sub(1).max(1))
        .event_interval(TASKS_BETWEEN_LOOKS)
        .enable_all()
        .build()
        .map_err(Failure::because("the runtime could not be started"))
}

/// The whole command line. Only `serve` shows the flags of the settings, which all of them take.
fn command() -> clap::Command {
    Cli::command()
        .args(settings::flag_args().map(|flag| flag.global(true).hide(true)))
        .mut_subcommand("serve", |serve| {
            serve.args(settings::flag_args().map(|flag| flag.global(true)))
        })
}

/// The matches of the innermost subcommand, to which clap hands down the global flags.
fn leaf(matches: &clap::ArgMatches) -> &clap::ArgMatches {
    match matches.subcommand() {
        Some((_, inner)) => leaf(inner),
        None => matches,
    }
}
