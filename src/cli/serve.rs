use std::{
    error::Error,
    io::{self, IsTerminal},
    net::SocketAddr,
    process::ExitCode,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{
    Experiment, Failure, demo,
    keys::{API_KEY_FILE, PUSH_KEY_FILE},
    log_limit, output,
    reload::Reread,
    settings::Settings,
    systemd,
    wiring::Server,
};
use crate::http::InternalState;

/// Runs the server until it is told to stop.
pub(super) async fn run(
    settings: Settings,
    reread: Reread,
    experiment: Experiment,
    is_demo: bool,
) -> Result<ExitCode, Failure> {
    leave_no_core();
    raise_descriptors();
    let no_token = settings.warning_of_no_token().filter(|_| !is_demo);
    let (settings, reread) = match is_demo {
        true => (demo::settings(settings), demo::reread(reread)),
        false => (settings, reread),
    };
    let server = Server::open(settings, reread, experiment, is_demo).await?;
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone())?;
    if let Some(warning) = no_token {
        tracing::warn!("{warning}");
    }
    if server.tell_demo(&stop).await? {
        greet(&server);
    }
    match server.public {
        Some(public) => {
            tracing::info!(public.address = %public, internal.address = %server.internal, "Ready");
        }
        None => tracing::info!(internal.address = %server.internal, "Ready, with a demo"),
    }
    systemd::ready();
    tokio::spawn(log_limit::tell_each_minute());
    let ended = server.run(stop).await;
    log_limit::tell_left_out(true);
    ended?;
    tracing::info!("Stopped");
    Ok(ExitCode::SUCCESS)
}

/// A crash must not write the keys in memory to a disk. Where it is not allowed, as in our systemd unit,
/// whoever forbids it sets the limit.
fn leave_no_core() {
    let nothing = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, nothing) {
        tracing::debug!(error = &error as &dyn Error, "Core dumps cannot be turned off here");
    }
}

/// A shell's usual limit, 1,024, is for programs that cannot bear more descriptors, and leaves so few
/// places for connections that two sources can take all of them.
fn raise_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(error = &error as &dyn Error, "Cannot raise the limit of open files");
    }
}

/// Says what to do next. Secrets are shown on a terminal, and only when they were made just now;
/// a log is read by others.
fn greet(server: &Server) {
    let made = &server.secrets.made;
    if io::stderr().is_terminal() {
        output::note(&match server.public {
            Some(public) => format!(
                "simdeck takes pushes at http://{public}/v1/… and answers questions at http://{}/v1",
                server.internal
            ),
            None => format!("simdeck shows a demo at http://{}", server.internal),
        });
        if made.contains(&PUSH_KEY_FILE)
            && let Some(key) = server.secrets.push_keys.first()
        {
            output::note(&format!("push key (enter it in SmartHub): {}", key.key.expose()));
        }
        if made.contains(&API_KEY_FILE) {
            output::note(&format!("admin API key: {}", server.secrets.api_key.expose()));
        }
        output::note(match server.public {
            Some(_) => "`simdeck welcome` shows the addresses to register and a first push.",
            None => "`simdeck welcome` shows another link to it.",
        });
        tokio::spawn(invite(server.state(), server.internal));
    } else if !made.is_empty() {
        tracing::info!(
            files = ?made,
            "Made secrets in the data directory; `simdeck welcome` shows them and what to do next"
        );
    }
}

/// Shows the way to the page, once the store takes the link.
async fn invite(state: InternalState, internal: SocketAddr) {
    let url =
        state.settings.internal_url.as_deref().map(|url| url.trim_end_matches('/').to_owned());
    let scheme = if state.settings.is_encrypted { "https" } else { "http" };
    let url = url.unwrap_or_else(|| format!("{scheme}://{internal}"));
    match state.first_sign_in_link(&url).await {
        Ok(Some(link)) => {
            output::note(&format!("the page, for 15 minutes and once: {}", link.expose()));
        }
        Ok(None) => (),
        Err(error) => tracing::warn!(error = &error as &dyn Error, "There is no sign-in link"),
    }
}

/// TERM and INT stop the server in good order; a second one stops it at once.
fn stop_on_signals(stop: CancellationToken) -> Result<(), Failure> {
    let cannot = |error: io::Error| Failure::because("cannot listen for signals")(error);
    let mut term = signal(SignalKind::terminate()).map_err(cannot)?;
    let mut int = signal(SignalKind::interrupt()).map_err(cannot)?;
    tokio::spawn(async move {
        for asked_before in [false, true] {
            tokio::select! {
                _ = term.recv() => (),
                _ = int.recv() => (),
            }
            if asked_before {
                tracing::warn!("Stopped at once, as asked twice");
                std::process::exit(1);
            }
            systemd::stopping();
            tracing::info!("Stopping: answering what is in flight");
            stop.cancel();
        }
    });
    Ok(())
}
