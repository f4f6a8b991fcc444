use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::{self, IsTerminal},
    panic::{self, PanicHookInfo},
    thread,
};

use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

use super::{
    Failure,
    log_limit::LogLimit,
    settings::{LogFormat, Settings, Source},
};

/// Who logs on their own what the failed request tells us better.
const QUIET: &str = "rustls_platform_verifier=off";

/// Sends the log to standard error. A command that is not the server stays silent about what goes
/// well, unless somebody chose a filter.
pub(super) fn start(settings: &Settings, is_server: bool) -> Result<(), Failure> {
    let chosen = settings
        .in_force
        .iter()
        .any(|line| line.setting.name() == "log" && line.source != Source::Default);
    let filter = if is_server || chosen { &settings.log.filter } else { "warn" };
    let filter = EnvFilter::try_new(format!("{QUIET},{filter}"))
        .map_err(Failure::because("the log filter is wrong"))
        .map_err(Failure::lasting)?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    let lines = match settings.log.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let started = tracing_subscriber::registry().with(filter).with(LogLimit).with(lines).try_init();
    started.map_err(Failure::because("the log could not be started"))?;
    panic::set_hook(Box::new(tell));
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    Ok(())
}

/// A panic is a line of the log like any other. What it says is told where it is the code's own words
/// only: a message that was put together may quote what was at hand, a secret as well as anything.
fn tell(panic: &PanicHookInfo<'_>) {
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then_some(backtrace);
    tracing::error!(
        location = panic.location().map(tracing::field::display),
        thread = thread::current().name(),
        said = panic.payload().downcast_ref::<&'static str>(),
        backtrace = backtrace.map(tracing::field::display),
        "A thread panicked"
    );
}
