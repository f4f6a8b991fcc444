//! Looks at each call that the poller makes, and says in plain words what was understood.
use std::{process::ExitCode, time::Duration};

use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::{
    fleet::ends_all,
    pages::{self, Asked, Listed, Sampled},
};
use crate::{
    cli::{
        Failure,
        finding::{self, Finding},
        output::{Output, printable},
        settings::Settings,
    },
    domain::{
        Clock, DeviceState, FleetTotals, ListedDevice, SerialNumber, StatusFacts, SystemClock,
        counted, sentence,
    },
    rcms::{Client, RawAnswer, RcmsError},
};

/// What to look at.
#[derive(Args, Debug)]
pub(in crate::cli) struct Check {
    /// The device to ask for; otherwise one that is online
    sn: Option<SerialNumber>,
    /// Show RCMS's answers as they came, too
    #[arg(long)]
    verbose: bool,
}

/// From here on two clocks differ.
const CLOCK_FAR_MS: u64 = 60_000;
/// How far back samples are asked for.
const SAMPLES_OF: Duration = Duration::from_secs(6 * 60 * 60);
const REPORT: &str = "Run it again with --verbose, and report to simdeck what RCMS answers.";

/// A call with what came of it.
struct Looked {
    finding: Finding,
    answers: Vec<RawAnswer>,
}

#[derive(Serialize)]
struct RawOut<'a> {
    call: &'a str,
    status: u16,
    body: &'a str,
}

/// Runs it: exit code 0 only when all was understood.
pub(super) async fn run(
    check: &Check,
    client: &Client,
    settings: &Settings,
    output: Output,
) -> Result<ExitCode, Failure> {
    let client = match check.verbose {
        true => client.clone().keeping_answers(),
        false => client.clone(),
    };
    let looked = look(check, &client, settings.rcms.page_size).await;
    let raw: Vec<RawOut<'_>> = looked.iter().flat_map(Looked::raw).collect();
    let shown = raw
        .iter()
        .map(|it| format!("{} (HTTP status {}):\n{}\n", it.call, it.status, printable(it.body)));
    let shown = shown.collect::<Vec<_>>().join("\n");
    let answers = check.verbose.then_some(&raw);
    let findings: Vec<&Finding> = looked.iter().map(|it| &it.finding).collect();
    let is_well = finding::is_well(&findings);
    let json = json!({"well": is_well, "findings": findings, "answers": answers});
    output.report(&finding::HEADINGS, &finding::rows(&findings), &shown, &json)?;
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn look(check: &Check, client: &Client, page_size: u32) -> Vec<Looked> {
    let totals = client.device_total().await;
    let mut looked = vec![Looked::new(client, of_totals(&totals))];
    looked.extend(of_clock(client).map(|finding| Looked { finding, answers: Vec::new() }));
    if totals.as_ref().is_err_and(ends_all) {
        for call in ["devices", "device", "statusData"] {
            let finding = Finding::skipped(call, "Not asked.", "Mend `deviceTotal` first.");
            looked.push(Looked { finding, answers: Vec::new() });
        }
        return looked;
    }
    let expected = totals.ok().and_then(|totals| totals.device_total);
    let listed = pages::devices(client, page_size, expected).await;
    looked.push(Looked::new(client, of_list(&listed, page_size)));
    let devices = listed.map(|listed| listed.devices).unwrap_or_default();
    let is_online = |device: &&ListedDevice| device.state == DeviceState::Online;
    let found = devices.iter().find(is_online).or(devices.first());
    let Some(sn) = check.sn.as_ref().or(found.map(|device| &device.sn)) else {
        for call in ["device", "statusData"] {
            let todo = "Name a router: `simdeck rcms check SN`.";
            let finding = Finding::skipped(call, "Not asked: no router is listed.", todo);
            looked.push(Looked { finding, answers: Vec::new() });
        }
        return looked;
    };
    looked.push(Looked::new(client, of_device(client, sn).await));
    let asked = Asked { sn, since: SAMPLES_OF, page_size };
    let sampled = pages::samples(client, &asked).await;
    looked.push(Looked::new(client, of_samples(&sampled, sn)));
    looked
}

fn of_totals(totals: &Result<FleetTotals, RcmsError>) -> Finding {
    const CALL: &str = "deviceTotal";
    match totals {
        Err(error) => failed(CALL, error),
        Ok(FleetTotals { device_total: None, .. }) => {
            Finding::problem(CALL, "RCMS does not say how many routers it has.", REPORT)
        }
        Ok(FleetTotals { device_total: Some(all), online_total, offline_total, .. }) => {
            let said =
                |count: &Option<i64>| count.map_or("?".to_owned(), |count| count.to_string());
            let (online, offline) = (said(online_total), said(offline_total));
            let all = counted(*all, "router", "routers");
            Finding::ok(CALL, format!("RCMS counts {all}: {online} online, {offline} offline."))
        }
    }
}

/// By the last answer's `Date`.
fn of_clock(client: &Client) -> Option<Finding> {
    const CHECK: &str = "clock";
    let ahead_ms = SystemClock.now().unix_ms() - client.time_there()?.unix_ms();
    let side = if ahead_ms > 0 { "ahead of" } else { "behind" };
    let seconds = ahead_ms.unsigned_abs() / 1000;
    Some(match ahead_ms.unsigned_abs() {
        CLOCK_FAR_MS.. => {
            let finding = format!("This machine's clock is {seconds} s {side} RCMS's.");
            Finding::problem(CHECK, finding, "Set it, and keep it right with NTP.")
        }
        _ => Finding::ok(CHECK, format!("It and RCMS's agree to {} s.", seconds + 1)),
    })
}

fn of_list(listed: &Result<Listed, RcmsError>, page_size: u32) -> Finding {
    const CALL: &str = "devices";
    let Listed { devices, walk, first_page: (items, asked) } = match listed {
        Ok(listed) => listed,
        Err(error) => return failed(CALL, error),
    };
    let states = [DeviceState::Online, DeviceState::Offline, DeviceState::Unknown];
    let [online, offline, unknown] =
        states.map(|state| devices.iter().filter(|device| device.state == state).count());
    let listed = counted(devices.len() as i128, "router", "routers");
    let mut said = vec![format!(
        "RCMS lists {listed}: {online} online, {offline} offline, {unknown} neither."
    )];
    if *asked < page_size {
        said.push(format!("Pages of {page_size} are refused; {asked} were asked for."));
    }
    if items < &(*asked as usize) && devices.len() > *items {
        said.push(format!("A page has {items}, where {asked} were asked for."));
    }
    let (nameless, flags) = walk.unread();
    let mut todo = Vec::new();
    if nameless > 0 {
        let items = counted(nameless as i128, "item has", "items have");
        said.push(format!("{items} no serial number that can be read."));
    }
    if flags > 0 {
        let routers = counted(flags as i128, "router has", "routers have");
        said.push(format!("{routers} an online flag that says neither yes nor no."));
    }
    if nameless > 0 || flags > 0 {
        todo.push(REPORT);
    }
    match walk.counted_and_listed() {
        Some((all, listed)) if all > listed => {
            said.push(format!("It counts {all}: {} are not listed.", all - listed));
            todo.push(
                "Give the client the right to see all groups in RCMS, or name the missing routers in \
                 SIMDECK_RCMS_DEVICES.",
            );
        }
        _ if !walk.is_whole() => {
            said.push("Its end was not found, so some may be missing.".to_owned());
            todo.push(REPORT);
        }
        _ => (),
    }
    let said = said.join(" ");
    if todo.is_empty() {
        Finding::ok(CALL, said)
    } else {
        Finding::problem(CALL, said, todo.join(" "))
    }
}

async fn of_device(client: &Client, sn: &SerialNumber) -> Finding {
    const CALL: &str = "device";
    match client.device_of(sn).await {
        Ok(Some(device)) => {
            let group = device
                .group
                .sent()
                .map_or("in no group".to_owned(), |group| format!("in the group {group}"));
            Finding::ok(CALL, format!("{sn} is {} and {group}.", device.state.as_str()))
        }
        Ok(None) => {
            Finding::problem(CALL, format!("What RCMS says of {sn} is not understood."), REPORT)
        }
        Err(error) => failed(CALL, &error),
    }
}

fn of_samples(sampled: &Result<Sampled, RcmsError>, sn: &SerialNumber) -> Finding {
    const CALL: &str = "statusData";
    let Sampled { samples, walk, is_absent, begin } = match sampled {
        Ok(sampled) => sampled,
        Err(error) => return failed(CALL, error),
    };
    if samples.is_empty() {
        let what = if *is_absent { "no list at all" } else { "an empty list" };
        let finding = format!("RCMS gives {what} of what {sn} told since {begin}.");
        let todo = "Name a router that is online (`simdeck rcms check SN`). If none has any, the client \
                    of RCMS may lack the right to read `statusData`, or routers report nothing.";
        return Finding::problem(CALL, finding, todo);
    }
    let newest = samples.iter().filter_map(|sample| sample.sampled_at).max();
    let timeless = samples.iter().filter(|sample| sample.sampled_at.is_none()).count();
    let has_facts = samples.iter().any(|sample| sample.facts != StatusFacts::default());
    let count = counted(samples.len() as i128, "sample", "samples");
    let mut said = vec![format!("{sn} told {count} since {begin}.")];
    said.extend(newest.map(|at| format!("The newest is of {at}.")));
    let mut todo = Vec::new();
    if timeless > 0 {
        said.push(format!("{timeless} of them say no time that can be read."));
        todo.push("If it has no offset, set SIMDECK_RCMS_TIME_ZONE.");
    }
    if !has_facts {
        said.push("None has a field that simdeck knows; they are kept whole.".to_owned());
        todo.push(REPORT);
    }
    if !walk.is_whole() {
        said.push("Their end was not found.".to_owned());
        todo.push(REPORT);
    }
    let said = said.join(" ");
    if todo.is_empty() {
        Finding::ok(CALL, said)
    } else {
        Finding::problem(CALL, said, todo.join(" "))
    }
}

fn failed(call: &'static str, error: &RcmsError) -> Finding {
    Finding::problem(call, sentence(error.sentence()), REPORT)
}

impl Looked {
    fn new(client: &Client, finding: Finding) -> Self {
        Self { finding, answers: client.take_answers() }
    }

    fn raw(&self) -> impl Iterator<Item = RawOut<'_>> {
        let call = self.finding.check;
        self.answers.iter().map(move |it| RawOut { call, status: it.status, body: &it.body })
    }
}
