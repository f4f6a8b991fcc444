//! The calls of the protocol page, answered from the world.
use serde_json::{Value, json};

use super::{Seen, World, answer::Answer};

/// The call that a method and a path mean.
#[derive(Debug)]
pub(super) enum Call {
    DeviceTotal,
    DeviceList,
    Device(String),
    StatusData(String),
    Group(String),
    Unknown,
}

impl Call {
    pub(super) fn of(seen: &Seen, world: &World) -> Self {
        let Some(path) = seen.path.strip_prefix(&world.prefix) else { return Self::Unknown };
        let parts: Vec<_> = path.split('/').collect();
        match (seen.method.as_str(), parts.as_slice()) {
            ("GET", ["", "api", "link", "dashboard", "deviceTotal"]) => Self::DeviceTotal,
            ("GET", ["", "api", "link", "device", "devices"]) => Self::DeviceList,
            ("GET", ["", "api", "link", "device", "devices", sn]) => Self::Device((*sn).into()),
            ("GET", ["", "api", "link", "device", "devices", sn, "statusData"]) => {
                Self::StatusData((*sn).into())
            }
            ("PUT", ["", "api", "link", "devices", sn, "group"]) => Self::Group((*sn).into()),
            _ => Self::Unknown,
        }
    }
}

/// An answer without fault; the verdict of the signature is part of it.
pub(super) fn answer(call: &Call, seen: &Seen, world: &mut World) -> Answer {
    if matches!(call, Call::Unknown) {
        return Answer::html(404, "Not Found");
    }
    if seen.verdict.is_err() {
        return Answer::signature_refused();
    }
    if world.says_nothing {
        return Answer::envelope(0, "Success", &Value::Null);
    }
    let data = match call {
        Call::DeviceTotal => Ok(world.totals.clone().unwrap_or_else(|| totals(&world.devices))),
        Call::DeviceList => {
            page(&world.devices, seen, world).map(|items| world.container.around(items.into()))
        }
        Call::Device(sn) => known(sn, world).cloned(),
        Call::StatusData(sn) => status_data(sn, seen, world),
        Call::Group(sn) => set_group(sn, &seen.body, world),
        Call::Unknown => Err("no such call"),
    };
    match data {
        Ok(data) => Answer::envelope(0, "Success", &data),
        Err(problem) => Answer::envelope(-1, problem, &Value::Null),
    }
}

fn totals(devices: &[Value]) -> Value {
    let online = |device: &&Value| {
        let flag = device.get("onlineStatus").or_else(|| device.get("deviceOnLineStatus"));
        flag.is_some_and(|flag| *flag == 1 || *flag == "1")
    };
    let online_total = devices.iter().filter(online).count();
    json!({
        "deviceTotal": devices.len(),
        "onlineTotal": online_total,
        "offlineTotal": devices.len() - online_total,
        "registeredTotal": devices.len(),
        "unRegisteredTotal": 0,
        "userTotal": 1,
    })
}

/// The part of the items that `pageNum` and `pageSize` ask for, as this server understands them.
fn page<T: Clone>(items: &[T], seen: &Seen, world: &World) -> Result<Vec<T>, &'static str> {
    let number = |key, default| match seen.pair(key).map(str::parse::<usize>) {
        None => Ok(default),
        Some(Ok(number)) if number > 0 => Ok(number),
        Some(_) => Err("pageNum and pageSize count from 1"),
    };
    let (page_num, asked) = (number("pageNum", 1)?, number("pageSize", 10)?);
    if world.page_size_refused_above.is_some_and(|largest| asked > largest) {
        return Err("pageSize is too large");
    }
    let size = asked.min(world.page_size_max.unwrap_or(asked));
    let pages_before = if world.ignore_paging { 0 } else { page_num - 1 };
    let start = pages_before.saturating_mul(size.saturating_sub(world.overlap));
    Ok(items.iter().skip(start).take(size).cloned().collect())
}

fn known<'a>(sn: &str, world: &'a World) -> Result<&'a Value, &'static str> {
    world.devices.iter().find(|device| device["sn"] == sn).ok_or("device does not exist")
}

fn status_data(sn: &str, seen: &Seen, world: &World) -> Result<Value, &'static str> {
    let samples = match world.samples.get(sn) {
        Some(samples) => samples.as_slice(),
        None => known(sn, world).map(|_| [].as_slice())?,
    };
    let edge = |key, default| match seen.pair(key).map(str::parse::<i64>) {
        None => Ok(default),
        Some(time) => time.map_err(|_| "beginTime and endTime are epoch milliseconds"),
    };
    let window = edge("beginTime", i64::MIN)?..=edge("endTime", i64::MAX)?;
    // What is still to come is not there yet.
    let now_ms = (world.now_ms)() + world.clock_skew_ms;
    let within: Vec<_> = samples
        .iter()
        .filter(|sample| window.contains(&sample.at_ms) && sample.at_ms <= now_ms)
        .map(|sample| sample.body.clone())
        .collect();
    page(&within, seen, world).map(Value::from)
}

fn set_group(sn: &str, body: &[u8], world: &mut World) -> Result<Value, &'static str> {
    let body: Value = serde_json::from_slice(body).map_err(|_| "the body is not JSON")?;
    let group = body["groupName"].as_str().ok_or("groupName is missing")?;
    known(sn, world)?;
    for device in world.devices.iter_mut().filter(|device| device["sn"] == sn) {
        let key = if device.get("deviceGroup").is_some() { "deviceGroup" } else { "groupName" };
        device[key] = group.into();
    }
    Ok(Value::Null)
}
