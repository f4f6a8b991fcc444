//! Puts many devices into a group, one after another, through the running server: it knows in which
//! group each is, and has each change in its audit.
use std::{
    collections::{HashMap, HashSet},
    pin::pin,
    process::ExitCode,
    time::Duration,
};

use clap::Args;
use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::{signal::ctrl_c, time::sleep};

use crate::{
    cli::{
        Failure,
        client::ApiClient,
        output::{self, Output, printable},
        settings::Settings,
        signed::read_text,
    },
    domain::{SerialNumber, counted},
    rcms::GroupName,
};

/// Which devices, and into which group.
#[derive(Args, Debug)]
pub(in crate::cli) struct Regroup {
    /// The group's name
    name: GroupName,
    /// The devices' serial numbers
    #[arg(required_unless_present = "file")]
    sn: Vec<SerialNumber>,
    /// Take serial numbers from a file, one a line, - for standard input
    #[arg(long, value_name = "FILE")]
    file: Option<String>,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Between two changes: RCMS's limits are not known.
const PAUSE: Duration = Duration::from_millis(125);

/// A device, and what becomes of it.
#[derive(Debug, Serialize)]
struct Step {
    sn: String,
    from: Option<String>,
    to: String,
    outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    /// It would be changed.
    Planned,
    /// It is in the group.
    Unchanged,
    Done,
    Failed,
    NotTried,
}

/// Runs it: exit code 0 only when every device is in the group, or would be.
pub(super) async fn run(
    regroup: &Regroup,
    settings: &Settings,
    output: Output,
) -> Result<ExitCode, Failure> {
    let numbers = regroup.numbers()?;
    let client = ApiClient::of_server(settings).await?;
    let mut steps = plan(&client, &numbers, &regroup.name).await?;
    let ended = match regroup.dry_run {
        true => Ok(()),
        false => change(&client, &mut steps).await,
    };
    let rows: Vec<Vec<String>> = steps.iter().map(Step::row).collect();
    output.rows(&["SN", "FROM", "TO", "OUTCOME"], &rows, &steps)?;
    let so_far = |outcome| steps.iter().filter(|step| step.outcome == outcome).count();
    match ended {
        Err(why) => {
            let done = counted(so_far(Outcome::Done) as i128, "device is", "devices are");
            let left = so_far(Outcome::NotTried);
            Err(Failure::new(format!("{why}; {done} changed and {left} not tried")))
        }
        Ok(()) => {
            if !regroup.dry_run {
                output::note("The server's own list shows it after its next poll.");
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Looks for each device before the first is changed: a slip of the pen changes nothing.
async fn plan(
    client: &ApiClient,
    numbers: &[SerialNumber],
    name: &GroupName,
) -> Result<Vec<Step>, Failure> {
    let rows = client.list("/v1/devices", &[], usize::MAX).await?;
    let text = |row: &Value, field: &str| row[field].as_str().map(str::to_owned);
    let listed: HashMap<SerialNumber, Option<String>> = rows
        .iter()
        .filter_map(|row| Some((row["sn"].as_str()?.parse().ok()?, text(row, "group"))))
        .collect();
    let strangers: Vec<_> = numbers.iter().filter(|sn| !listed.contains_key(sn)).collect();
    if let Some(first) = strangers.first() {
        let count = counted(strangers.len() as i128, "number is", "numbers are");
        return Err(Failure::new(format!(
            "nothing was changed: {count} of no device that the server knows; the first is {first}"
        )));
    }
    let step = |sn: &SerialNumber| {
        let (stored, from) = listed.get_key_value(sn).unzip();
        let from = from.cloned().flatten();
        let is_there = from.as_deref() == Some(name.as_str());
        Step {
            sn: stored.unwrap_or(sn).to_string(),
            from,
            to: name.to_string(),
            outcome: if is_there { Outcome::Unchanged } else { Outcome::Planned },
        }
    };
    Ok(numbers.iter().map(step).collect())
}

/// Changes one after another, until one fails or somebody presses Ctrl-C; the one under way is
/// waited for.
async fn change(client: &ApiClient, steps: &mut [Step]) -> Result<(), String> {
    let mut pressed = pin!(ctrl_c());
    let (mut is_first, mut ended) = (true, Ok(()));
    let progress = output::counting("devices changed");
    for step in steps.iter_mut().filter(|step| step.outcome == Outcome::Planned) {
        if ended.is_ok() && !is_first {
            tokio::select! {
                _ = &mut pressed => ended = Err("it was stopped".to_owned()),
                () = sleep(PAUSE) => (),
            }
        }
        if ended.is_err() {
            step.outcome = Outcome::NotTried;
            continue;
        }
        is_first = false;
        let path = format!("/v1/devices/{}/group", step.sn);
        let body = json!({ "groupName": step.to });
        step.outcome = match client.send(Method::PUT, &path, &[], Some(&body)).await {
            Ok(_) => Outcome::Done,
            Err(failure) => {
                ended = Err(format!("{} is not changed: {failure}", step.sn));
                Outcome::Failed
            }
        };
        progress.inc(1);
    }
    progress.finish_and_clear();
    ended
}

impl Regroup {
    /// Each device once.
    fn numbers(&self) -> Result<Vec<SerialNumber>, Failure> {
        let mut numbers = self.sn.clone();
        if let Some(file) = &self.file {
            for (nth, line) in read_text(file)?.lines().enumerate() {
                let line = line.trim_start_matches('\u{feff}').trim();
                if !line.is_empty() {
                    let number = line.parse().map_err(|error| {
                        Failure::new(format!("{file}, line {}: {error}", nth + 1))
                    });
                    numbers.push(number?);
                }
            }
        }
        let mut seen = HashSet::new();
        numbers.retain(|sn| seen.insert(sn.clone()));
        match numbers.is_empty() {
            true => Err(Failure::new("no device is named")),
            false => Ok(numbers),
        }
    }
}

impl Step {
    fn row(&self) -> Vec<String> {
        let outcome = match self.outcome {
            Outcome::Planned => "would change",
            Outcome::Unchanged => "is there already",
            Outcome::Done => "done",
            Outcome::Failed => "FAILED",
            Outcome::NotTried => "not tried",
        };
        let from = self.from.as_deref().map_or("-".to_owned(), printable);
        vec![self.sn.clone(), from, printable(&self.to), outcome.to_owned()]
    }
}
