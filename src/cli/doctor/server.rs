//! The running server: whether it answers, is ready and well.
use reqwest::Method;
use serde::Deserialize;

use crate::{
    cli::{Failure, client::ApiClient, finding::Finding, settings::Settings},
    domain::{Clock, ConditionKind, SystemClock, sentence},
};

const CHECK: &str = "server";
/// Two machines' clocks may differ by so many seconds.
const CLOCKS_DIFFER_MAX_S: i64 = 60;

/// What the server said.
pub(super) struct Server {
    pub(super) findings: Vec<Finding>,
    /// How it says that its disk stands.
    pub(super) disk: Option<Disk>,
    /// How it says that it goes with RCMS.
    pub(super) rcms: Option<Rcms>,
    /// None where it did not answer.
    pub(super) client: Option<ApiClient>,
}

/// The disk of the database.
pub(super) struct Disk {
    pub(super) free_bytes: Option<u64>,
    pub(super) reserve_bytes: u64,
    /// Whether pushes are answered 503 for lack of room.
    pub(super) is_low: bool,
}

/// What the server says of RCMS.
#[derive(Clone, Deserialize)]
pub(super) struct Rcms {
    pub(super) state: String,
    pub(super) error: Option<String>,
    pub(super) last_success_at: Option<String>,
    #[serde(default)]
    pub(super) devices_counted: Option<u64>,
    #[serde(default)]
    pub(super) devices_listed: Option<u64>,
}

/// What matters of `/v1/status`.
#[derive(Deserialize)]
struct Status {
    version: String,
    now: String,
    reason: Option<String>,
    disk: DiskSaid,
    rcms: Rcms,
    conditions: Vec<Condition>,
}

#[derive(Deserialize)]
struct DiskSaid {
    free_bytes: Option<u64>,
    reserve_bytes: u64,
}

#[derive(Deserialize)]
struct Condition {
    name: String,
    on: bool,
    kind: Option<String>,
    sentence: Option<String>,
    todo: Option<String>,
}

/// Asks it how it is.
pub(super) async fn ask(settings: &Settings) -> Server {
    match status(settings).await {
        Ok((client, status)) => {
            let (disk, rcms) = (Some(status.disk()), Some(status.rcms.clone()));
            Server { findings: judge(settings, status), disk, rcms, client: Some(client) }
        }
        Err(failure) => {
            let finding = sentence(format!("It did not say how it is: {failure}"));
            let todo = "Start `simdeck serve`, or name the right server with --internal-url and its \
                        key with SIMDECK_API_KEY. All else was looked at without it.";
            let findings = vec![Finding::problem(CHECK, finding, todo)];
            Server { findings, disk: None, rcms: None, client: None }
        }
    }
}

impl Status {
    fn disk(&self) -> Disk {
        let DiskSaid { free_bytes, reserve_bytes } = self.disk;
        let low = ConditionKind::DiskLow.as_str();
        let is_low = self.conditions.iter().any(|it| it.on && it.name == low);
        Disk { free_bytes, reserve_bytes, is_low }
    }
}

async fn status(settings: &Settings) -> Result<(ApiClient, Status), Failure> {
    let client = ApiClient::of_server(settings).await?;
    let answer = client.send(Method::GET, "/v1/status", &[], None).await?;
    let cannot = "it is another version, or no simdeck: its answer cannot be read";
    let status = answer.json().await.map_err(Failure::because(cannot))?;
    Ok((client, status))
}

fn judge(settings: &Settings, status: Status) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (ours, theirs) = (env!("CARGO_PKG_VERSION"), &status.version);
    if theirs != ours {
        let finding = format!("The server is simdeck {theirs}, and this is {ours}.");
        findings.push(Finding::problem("versions", finding, "Use the same version for both."));
    }
    let theirs_s = status.now.parse().map_or(0, jiff::Timestamp::as_second);
    let ahead_s = (theirs_s - SystemClock.now().unix_seconds()).abs();
    if ahead_s > CLOCKS_DIFFER_MAX_S {
        let finding = format!("The server's clock and this one differ by {ahead_s} s.");
        let todo = "Set both clocks, and keep them right with NTP.";
        findings.push(Finding::problem("clock", finding, todo));
    }
    if let Some(reason) = status.reason {
        let finding = "It runs, and stores nothing.";
        findings.push(Finding::problem(CHECK, finding, sentence(format!("This is why: {reason}"))));
    }
    // What fails of RCMS is told on a line of its own.
    let failing = ConditionKind::RcmsFailing.as_str();
    let told = |condition: &Condition| condition.on && condition.name != failing;
    for condition in status.conditions.into_iter().filter(told) {
        let kind = condition.kind.map(|kind| format!(" ({kind})")).unwrap_or_default();
        let says = condition.sentence.unwrap_or(condition.name);
        let todo = condition.todo.unwrap_or_else(|| "Look at /v1/status.".to_owned());
        findings.push(Finding::problem("state", format!("{says}{kind}"), todo));
    }
    if findings.is_empty() {
        let url = settings.internal_url();
        findings.push(Finding::ok(CHECK, format!("The one at {url} is ready and well.")));
    }
    findings
}
