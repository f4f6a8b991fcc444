//! What RCMS answers, read as the protocol page says: what is known is read whatever its type, what
//! is not is kept or passed over, and nothing is guessed.
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    error::RcmsError,
    lasting::lasting,
    sample_time::{LocalZone, Span},
};
use crate::domain::{
    DeviceState, FleetTotals, ListedDevice, SerialNumber, ShortText, StatusFacts, StatusSample,
    Timestamp,
};

/// The code of success.
const SUCCESS: i64 = 0;
/// The code of a signature that does not hold.
const SIGNATURE_REFUSED: i64 = 40002;
/// More items than any page that we ask for has.
const ITEMS_MAX: usize = 100_000;
/// How much of RCMS's own words is passed on.
const MSG_CHARS_MAX: usize = 256;

/// The names of the flag that says whether a device is online.
const ONLINE_FLAGS: [&str; 2] = ["onlineStatus", "deviceOnLineStatus"];
/// Under which names a sample may say when RCMS took it in.
pub(super) const OWN_TIMES: [&str; 3] = ["time", "timestamp", "createTime"];

/// The members of an object, each as it was written.
type Members<'a> = BTreeMap<String, &'a RawValue>;

/// A page of the device list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DevicePage {
    /// The devices on it that could be read.
    pub devices: Vec<ListedDevice>,
    /// How many items it had, with those that could not.
    pub items: usize,
    /// How many of the devices have an online flag that says neither yes nor no.
    pub unknown_flags: usize,
    /// How many devices the whole list has, where the answer says so.
    pub total: Option<usize>,
}

/// A page of a device's samples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusPage {
    /// In RCMS's order.
    pub samples: Vec<StatusSample>,
    /// There was no list at all, not even an empty one.
    pub is_absent: bool,
    /// How many items it had.
    pub items: usize,
}

/// `{"msg":…,"code":…,"data":…}`
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    code: Option<&'a RawValue>,
    #[serde(borrow, default)]
    msg: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

/// Reads the body of an answer as counts, as routers and as samples; gives how many of these it can
/// be. It needs no RCMS, which is what a fuzzer wants.
pub fn read_every_way(body: &[u8], begin: Timestamp, end: Timestamp) -> Result<usize, RcmsError> {
    let data = open(body, None)?;
    let data = data.as_deref();
    let readable = [
        totals(data.unwrap_or(RawValue::NULL)).is_ok(),
        device_page(data).is_ok(),
        status_page(data, Span { begin, end }, &LocalZone::default()).is_ok(),
    ];
    Ok(readable.into_iter().filter(|readable| *readable).count())
}

/// Opens an answer's envelope. `clock_ahead_ms` is what the answer's `Date` says of our clock.
pub(super) fn open(
    body: &[u8],
    clock_ahead_ms: Option<i64>,
) -> Result<Option<Box<RawValue>>, RcmsError> {
    // JSON has no mark of its byte order, but some who write it put one.
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if body.trim_ascii().is_empty() {
        return Err(RcmsError::Unreadable("nothing"));
    }
    // One name in another encoding is no reason to read nothing of the rest.
    let body = &*String::from_utf8_lossy(body);
    let envelope: Envelope<'_> = serde_json::from_str(body).map_err(|_| {
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(body).is_ok();
        RcmsError::Unreadable(if is_json { "JSON of another shape" } else { "something not JSON" })
    })?;
    match envelope.code.and_then(integer) {
        Some(SUCCESS) => Ok(envelope.data.map(ToOwned::to_owned)),
        Some(SIGNATURE_REFUSED) => Err(RcmsError::Signature { clock_ahead_ms }),
        Some(code) => {
            let msg = envelope.msg.and_then(text).unwrap_or_default();
            let msg = msg.chars().filter(|letter| !letter.is_control());
            Err(RcmsError::Code { code, msg: msg.take(MSG_CHARS_MAX).collect() })
        }
        None => Err(RcmsError::Unreadable("JSON without a `code`")),
    }
}

/// Reads the data of `deviceTotal`. A count that is not there is none, and no zero.
pub(super) fn totals(data: &RawValue) -> Result<FleetTotals, RcmsError> {
    let members = members(data).ok_or(RcmsError::Unreadable("counts that are no object"))?;
    let count = |name: &str| members.get(name).copied().and_then(integer);
    let totals = FleetTotals {
        device_total: count("deviceTotal"),
        online_total: count("onlineTotal"),
        offline_total: count("offlineTotal"),
        registered_total: count("registeredTotal"),
        un_registered_total: count("unRegisteredTotal"),
        user_total: count("userTotal"),
    };
    match totals == FleetTotals::default() {
        true => Err(RcmsError::Unreadable("counts of which none is known")),
        false => Ok(totals),
    }
}

/// Reads a page of the device list. An item without a serial number is counted and passed over.
pub(super) fn device_page(data: Option<&RawValue>) -> Result<DevicePage, RcmsError> {
    let items = items(data, |members| members.contains_key("sn"))?;
    let devices: Vec<_> = items.iter().filter_map(|item| device_and_flag(item)).collect();
    let unknown_flags = devices.iter().filter(|(_, has_unknown_flag)| *has_unknown_flag).count();
    let devices = devices.into_iter().map(|(device, _)| device).collect();
    let total = data.and_then(members).and_then(|container| integer(container.get("total")?));
    let total = total.and_then(|total| usize::try_from(total).ok());
    Ok(DevicePage { devices, items: items.len(), unknown_flags, total })
}

/// Reads a page of samples that were asked for of this span.
pub(super) fn status_page(
    data: Option<&RawValue>,
    span: Span,
    zone: &LocalZone,
) -> Result<StatusPage, RcmsError> {
    let is_sample = |members: &Members<'_>| {
        ["system", "active_link"].iter().any(|name| members.contains_key(*name))
            || members.get("data").is_some_and(|data| data.get().starts_with('{'))
    };
    let items = items(data, is_sample)?;
    let (mut samples, own_times): (Vec<_>, Vec<_>) = items.iter().map(|item| sample(item)).unzip();
    let moments = zone.moments(&time_texts(&samples, &own_times), span);
    for (sample, moment) in samples.iter_mut().zip(moments) {
        sample.sampled_at = moment;
    }
    let is_absent = data.is_none_or(|data| data.get() == "null");
    Ok(StatusPage { samples, is_absent, items: items.len() })
}

/// Dates those of a walk's samples that no page alone was enough for.
pub(super) fn date_by_all(
    mut samples: Vec<StatusSample>,
    span: Span,
    zone: &LocalZone,
) -> Vec<StatusSample> {
    let own_times: Vec<ShortText> = samples.iter().map(|it| own_time_of(&it.whole)).collect();
    let moments = zone.moments(&time_texts(&samples, &own_times), span);
    for (sample, moment) in samples.iter_mut().zip(moments) {
        sample.sampled_at = sample.sampled_at.or(moment);
    }
    samples
}

/// What the samples say of their times.
fn time_texts<'a>(samples: &'a [StatusSample], own_times: &'a [ShortText]) -> Vec<Vec<&'a str>> {
    let both = |(sample, own): (&'a StatusSample, &'a ShortText)| -> Vec<&'a str> {
        vec![&*sample.facts.system_time, &**own]
    };
    samples.iter().zip(own_times).map(both).collect()
}

/// The items of a list: a bare array, the array in one of these members of an object, or the one item
/// that an object is. No data at all is an empty list, and so is a member that holds none.
fn items(
    data: Option<&RawValue>,
    is_item: impl Fn(&Members<'_>) -> bool,
) -> Result<Vec<&RawValue>, RcmsError> {
    const NO_LIST: RcmsError = RcmsError::Unreadable("data that is no list");
    const CONTAINERS: [&str; 7] = ["list", "records", "data", "rows", "items", "content", "result"];
    let Some(data) = data.filter(|data| data.get() != "null") else { return Ok(Vec::new()) };
    let array = match members(data) {
        None => Some(data),
        Some(members) if is_item(&members) => return Ok(vec![data]),
        Some(members) => {
            let held = |name| members.get(name).copied().filter(|value| value.get() != "null");
            let array = CONTAINERS.into_iter().find_map(held);
            if array.is_none() && CONTAINERS.iter().any(|name| members.contains_key(*name)) {
                return Ok(Vec::new());
            }
            array
        }
    };
    let items: Vec<&RawValue> =
        serde_json::from_str(array.ok_or(NO_LIST)?.get()).map_err(|_| NO_LIST)?;
    if items.len() > ITEMS_MAX {
        return Err(RcmsError::Unreadable("a page of more than 100,000 items"));
    }
    Ok(items)
}

/// Reads what RCMS says of one device; none without a serial number that can be read.
pub(super) fn device(item: &RawValue) -> Option<ListedDevice> {
    device_and_flag(item).map(|(device, _)| device)
}

/// The same, and whether it has an online flag that says neither yes nor no.
fn device_and_flag(item: &RawValue) -> Option<(ListedDevice, bool)> {
    let mut members = members(item)?;
    let sn: SerialNumber = short(members.get("sn")?)?.trim().parse().ok()?;
    members.remove("sn");
    let mut take = |names: &[&str]| {
        let found = names.iter().find_map(|name| {
            let text = short(members.get(*name)?)?;
            members.remove(*name);
            Some(text)
        });
        found.unwrap_or_default()
    };
    let name = take(&["deviceName"]);
    let model = take(&["deviceModel"]);
    let group = take(&["deviceGroup", "groupName"]);
    let firmware_version = take(&["deviceFirmWareVersion"]);
    let description = take(&["deviceDesc"]);
    let create_time = take(&["createTime"]);
    members.retain(|_, value| value.get() != "null");
    let state = ONLINE_FLAGS.iter().find_map(|name| {
        let state = state(members.get(*name)?)?;
        members.remove(*name);
        Some(state)
    });
    let has_unknown_flag =
        state.is_none() && ONLINE_FLAGS.iter().any(|name| members.contains_key(*name));
    let state = state.unwrap_or(DeviceState::Unknown);
    let extra = (!members.is_empty()).then(|| serde_json::to_string(&members).ok()).flatten();
    let device = ListedDevice {
        sn,
        name,
        model,
        group,
        firmware_version,
        description,
        create_time,
        state,
        extra: extra.map(Into::into),
    };
    Some((device, has_unknown_flag))
}

/// The online flag in each of its usual forms. Any other says nothing, and stays where it is.
fn state(flag: &RawValue) -> Option<DeviceState> {
    let word = text(flag).unwrap_or_else(|| flag.get().to_owned());
    match word.trim().to_ascii_lowercase().as_str() {
        "1" | "1.0" | "true" | "online" => Some(DeviceState::Online),
        "0" | "0.0" | "false" | "offline" => Some(DeviceState::Offline),
        _ => None,
    }
}

/// A sample, not yet with its time, and the time that stands beside its data.
fn sample(item: &RawValue) -> (StatusSample, ShortText) {
    let whole = item.get();
    let outer = members(item).unwrap_or_default();
    let own_time = OWN_TIMES.iter().find_map(|name| short(outer.get(*name)?)).unwrap_or_default();
    let inner = outer.get("data").copied().and_then(members).unwrap_or(outer);
    let section = |name: &str| inner.get(name).copied().and_then(members).unwrap_or_default();
    let (system, link) = (section("system"), section("active_link"));
    let fact = |section: &Members<'_>, name: &str| {
        section.get(name).copied().and_then(short).unwrap_or_default()
    };
    let facts = StatusFacts {
        system_time: fact(&system, "system_time"),
        device_model: fact(&system, "device_model"),
        firmware_version: fact(&system, "firmware_version"),
        uptime: fact(&system, "uptime"),
        ip: fact(&link, "ip"),
        gateway: fact(&link, "gateway"),
        link_uptime: fact(&link, "link_uptime"),
    };
    let sample =
        StatusSample { sampled_at: None, facts, whole: whole.into(), lasting: lasting(item) };
    (sample, own_time)
}

/// The time that stands beside the data of a sample.
fn own_time_of(whole: &str) -> ShortText {
    let item: Option<&RawValue> = serde_json::from_str(whole).ok();
    item.map(|item| sample(item).1).unwrap_or_default()
}

pub(super) fn members(value: &RawValue) -> Option<Members<'_>> {
    value.get().starts_with('{').then(|| serde_json::from_str(value.get()).ok()).flatten()
}

/// A text, or a number as its digits.
pub(super) fn text(value: &RawValue) -> Option<String> {
    let json = value.get();
    match json.as_bytes().first()? {
        b'"' => serde_json::from_str(json).ok(),
        b'-' | b'0'..=b'9' => Some(json.to_owned()),
        _ => None,
    }
}

/// A text that has its place in a column.
fn short(value: &RawValue) -> Option<ShortText> {
    ShortText::try_from(text(value)?.as_str()).ok()
}

/// A whole number, or a text of one.
fn integer(value: &RawValue) -> Option<i64> {
    text(value)?.trim().parse().ok()
}
