//! The command line: settings, wiring, one file for each subcommand.
mod completions;
mod config;
mod failure;
mod logging;
mod output;
mod serve;
pub mod settings;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

pub use failure::Failure;

use output::{Format, Output};
use settings::{Environment, Flags, Settings};

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
    /// The settings file; ./simdeck.toml if it is there [SIMDECK_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How results are written; a table on a terminal, JSON elsewhere
    #[arg(long, global = true, value_name = "FORMAT")]
    output: Option<Format>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    #[command(after_help = "Example:\n  simdeck serve --data-dir /var/lib/simdeck")]
    Serve,
    /// Check, print or explain the settings
    #[command(after_help = "Example:\n  simdeck config print")]
    Config {
        #[command(subcommand)]
        command: config::Command,
    },
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
    let matches = command().get_matches();
    let flags = Flags::of_matches(leaf(&matches));
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|err| err.exit());
    let output = Output::new(cli.everywhere.output);
    run(&cli.command, &flags, output).unwrap_or_else(|failure| {
        output::note(&format!("error: {failure}"));
        ExitCode::FAILURE
    })
}

fn run(command: &Command, flags: &Flags, output: Output) -> Result<ExitCode, Failure> {
    let environment = Environment::of_process();
    match command {
        Command::Completions { shell } => return completions::run(*shell),
        Command::Config { command } => {
            return config::run(command, flags, &environment, output);
        }
        _ => {}
    }
    let settings = Settings::load(flags, &environment)?;
    logging::start(&settings, matches!(command, Command::Serve))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::because("the runtime could not be started"))?;
    runtime.block_on(run_with(command, settings, output))
}

async fn run_with(
    command: &Command,
    settings: Settings,
    _output: Output,
) -> Result<ExitCode, Failure> {
    match command {
        Command::Serve => serve::run(settings).await,
        Command::Config { .. } | Command::Completions { .. } => Ok(ExitCode::SUCCESS),
    }
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
