//! Looks at everything that can be wrong with an installation, and says what to do about it.
mod backup;
mod canary;
mod disk;
mod place;
mod server;

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::{
    Failure,
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

/// What was looked at, what was found and what to do.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    state: State,
    finding: String,
    todo: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Problem,
    /// Nobody looked.
    Skipped,
}

impl Finding {
    fn ok(check: &'static str, finding: impl Into<String>) -> Self {
        let todo = "Nothing to do.".to_owned();
        Self { check, state: State::Ok, finding: finding.into(), todo }
    }

    fn problem(check: &'static str, finding: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { check, state: State::Problem, finding: finding.into(), todo: todo.into() }
    }

    fn skipped(check: &'static str, finding: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { check, state: State::Skipped, finding: finding.into(), todo: todo.into() }
    }
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Problem => "PROBLEM",
            Self::Skipped => "skipped",
        }
    }
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
    let is_well = findings.iter().all(|finding| finding.state != State::Problem);
    let rows: Vec<Vec<String>> = findings
        .iter()
        .map(|it| {
            vec![
                it.check.to_owned(),
                it.state.as_str().to_owned(),
                it.finding.clone(),
                it.todo.clone(),
            ]
        })
        .collect();
    let headings = ["CHECK", "STATE", "FINDING", "WHAT TO DO"];
    output.rows(&headings, &rows, &json!({"well": is_well, "findings": findings}))?;
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
