//! The calls that simdeck itself makes.
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{json, value::RawValue};

use super::pages::{self, Asked, Listed, Sampled};
use crate::{
    cli::{
        Failure,
        output::{self, Output, printable},
        table::Table,
    },
    domain::{FleetTotals, ListedDevice, PollFailureKind, SerialNumber, ShortText, StatusSample},
    rcms::{Client, GroupName, RcmsError},
};

/// A device as a command shows it.
#[derive(Serialize)]
struct DeviceOut<'a> {
    sn: &'a str,
    name: Option<&'a str>,
    model: Option<&'a str>,
    group: Option<&'a str>,
    state: &'a str,
    firmware_version: Option<&'a str>,
    description: Option<&'a str>,
    create_time: Option<&'a str>,
    extra: Option<&'a RawValue>,
}

pub(super) async fn total(client: &Client, output: Output) -> Result<(), Failure> {
    let totals = client.device_total().await?;
    let FleetTotals {
        device_total,
        online_total,
        offline_total,
        registered_total,
        un_registered_total,
        user_total,
    } = totals;
    let headings = ["DEVICES", "ONLINE", "OFFLINE", "REGISTERED", "UNREGISTERED", "USERS"];
    let counts = [
        device_total,
        online_total,
        offline_total,
        registered_total,
        un_registered_total,
        user_total,
    ];
    let row = counts.map(|count| count.map_or("-".to_owned(), |count| count.to_string()));
    let json = json!({
        "deviceTotal": device_total,
        "onlineTotal": online_total,
        "offlineTotal": offline_total,
        "registeredTotal": registered_total,
        "unRegisteredTotal": un_registered_total,
        "userTotal": user_total,
    });
    output.rows(&headings, &[row.to_vec()], &json)
}

/// Walks the whole list, to an empty page or one with nothing new.
pub(super) async fn devices(
    client: &Client,
    page_size: u32,
    output: Output,
) -> Result<(), Failure> {
    let expected = match client.device_total().await {
        Ok(totals) => totals.device_total,
        Err(error) if ends_all(&error) => return Err(error.into()),
        Err(error) => {
            output::note(&format!("deviceTotal has no answer: {}", error.sentence()));
            None
        }
    };
    let Listed { devices, walk, .. } = pages::devices(client, page_size, expected).await?;
    let rows: Vec<Vec<String>> = devices.iter().map(row_of).collect();
    let json: Vec<DeviceOut<'_>> = devices.iter().map(DeviceOut::from).collect();
    let table = Table {
        headings: &["SN", "NAME", "MODEL", "GROUP", "STATE", "FIRMWARE"],
        rows: &rows,
        may_go: &["FIRMWARE", "MODEL", "GROUP"],
    };
    output.table(table, &json)?;
    if !walk.is_whole() {
        let of = expected.map(|count| format!(" of {count}")).unwrap_or_default();
        output::note(&format!(
            "RCMS's list ended after {}{of} devices, so some may be missing.",
            devices.len()
        ));
    }
    Ok(())
}

pub(super) async fn device(
    client: &Client,
    sn: &SerialNumber,
    output: Output,
) -> Result<(), Failure> {
    let data = client.device(sn).await?;
    let data = data.as_deref().unwrap_or(RawValue::NULL);
    let people = match serde_json::from_str::<BTreeMap<String, &RawValue>>(data.get()) {
        Ok(members) if !members.is_empty() => {
            let width = members.keys().map(|name| name.chars().count()).max().unwrap_or_default();
            let line = |(name, value): (&String, &&RawValue)| {
                format!("{:width$}  {}", printable(name), cell(value))
            };
            members.iter().map(line).collect::<Vec<_>>().join("\n")
        }
        _ => printable(data.get()),
    };
    output.text(&people, data)
}

pub(super) async fn status(
    client: &Client,
    asked: Asked<'_>,
    output: Output,
) -> Result<(), Failure> {
    let Sampled { samples, walk, begin, .. } = pages::samples(client, &asked).await?;
    let sn = asked.sn;
    let headings = ["TIME", "MODEL", "FIRMWARE", "UPTIME", "IP", "GATEWAY", "LINK UPTIME"];
    let rows: Vec<Vec<String>> = samples.iter().map(sample_row).collect();
    let wholes: Result<Vec<&RawValue>, _> =
        samples.iter().map(|sample| serde_json::from_str(&sample.whole)).collect();
    let wholes = wholes.map_err(Failure::because("RCMS's samples cannot be written"))?;
    let may_go = ["MODEL", "FIRMWARE", "GATEWAY", "LINK UPTIME"];
    output.table(Table { headings: &headings, rows: &rows, may_go: &may_go }, &wholes)?;
    if samples.is_empty() {
        output::note(&format!("RCMS has nothing from {sn} since {begin}."));
    }
    if !walk.is_whole() {
        output::note(&format!(
            "RCMS's pages could not be read to their end, so samples of {sn} may be missing: ask for \
             a shorter time."
        ));
    }
    Ok(())
}

pub(super) async fn group(
    client: &Client,
    sn: &SerialNumber,
    name: &GroupName,
    output: Output,
) -> Result<(), Failure> {
    client.set_group(sn, name).await?;
    let people = format!("RCMS has put {sn} into the group {}.", printable(name.as_str()));
    output.text(&people, &json!({"sn": sn.as_str(), "group": name.as_str()}))?;
    output::note("A server's own list shows it after its next poll.");
    Ok(())
}

/// Whether the next question would fail in the same way.
pub(super) fn ends_all(error: &RcmsError) -> bool {
    matches!(error.kind(), PollFailureKind::Transport | PollFailureKind::Signature)
}

impl<'a> From<&'a ListedDevice> for DeviceOut<'a> {
    fn from(device: &'a ListedDevice) -> Self {
        Self {
            sn: device.sn.as_str(),
            name: device.name.sent(),
            model: device.model.sent(),
            group: device.group.sent(),
            state: device.state.as_str(),
            firmware_version: device.firmware_version.sent(),
            description: device.description.sent(),
            create_time: device.create_time.sent(),
            extra: device.extra.as_deref().and_then(|json| serde_json::from_str(json).ok()),
        }
    }
}

fn row_of(device: &ListedDevice) -> Vec<String> {
    vec![
        device.sn.to_string(),
        shown(&device.name),
        shown(&device.model),
        shown(&device.group),
        device.state.as_str().to_owned(),
        shown(&device.firmware_version),
    ]
}

fn sample_row(sample: &StatusSample) -> Vec<String> {
    let facts = &sample.facts;
    let time = match sample.sampled_at {
        Some(moment) => moment.to_string(),
        None => shown(&facts.system_time),
    };
    vec![
        time,
        shown(&facts.device_model),
        shown(&facts.firmware_version),
        shown(&facts.uptime),
        shown(&facts.ip),
        shown(&facts.gateway),
        shown(&facts.link_uptime),
    ]
}

fn shown(text: &ShortText) -> String {
    text.sent().map_or("-".to_owned(), printable)
}

/// A member's value as people read it: a text without its quotes, the rest as it came.
fn cell(value: &RawValue) -> String {
    match serde_json::from_str::<String>(value.get()) {
        Ok(text) => printable(&text),
        Err(_) => printable(value.get()),
    }
}
