//! Looks at everything that can be wrong with an installation, and says what to do about it.
mod backup;
mod canary;
mod disk;
mod place;
mod rcms;
mod server;

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::{
    Failure,
    finding::{self, Finding},
    output::Output,
    settings::{Settings, Source},
};

/// What to look at.
#[derive(Args, Debug)]
pub(super) struct Doctor {
    /// Compare every index with its table, and read all of the newest backup; takes minutes on a large
    /// database
    #[arg(long)]
    thorough: bool,
}

/// Runs it: exit code 0 only when no problem was found.
pub(super) async fn run(
    doctor: &Doctor,
    settings: &Settings,
    output: Output,
) -> Result<ExitCode, Failure> {
    let mut findings = place::permissions(settings);
    let server = server::ask(settings).await;
    findings.push(disk::look(settings, server.disk.as_ref()).await);
    findings.extend(place::database(settings, doctor.thorough).await);
    findings.extend(backup::look(settings, doctor.thorough).await);
    findings.push(rcms::look(settings, server.rcms.as_ref()).await);
    findings.extend(server.findings);
    // The address in the settings may be one that only others can reach: whoever wants it tried
    // says so.
    let is_asked = settings
        .in_force
        .iter()
        .any(|line| line.setting.name() == "public.url" && matches!(line.source, Source::Flag(_)));
    findings.push(match (&server.client, is_asked) {
        (_, false) => Finding::skipped(
            "front door",
            "Not tried.",
            "Give --public-url with the address that SmartHub has, to send a test push through it.",
        ),
        (None, true) => Finding::problem(
            "front door",
            "Not tried: no server of ours answers.",
            "See `server` above.",
        ),
        (Some(client), true) => canary::send(client, settings).await,
    });
    let is_well = finding::is_well(&findings);
    let json = json!({"well": is_well, "findings": findings});
    output.rows(&finding::HEADINGS, &finding::rows(&findings), &json)?;
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
