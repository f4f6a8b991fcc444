//! A row of all that is stored: as its own list shows it, and its kind.
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{
    device_history::{RunOut, parts_of},
    doc::words,
    error::ApiError,
    list::{List, View},
    notifications::{NotificationOut, Notifications},
    sms::{Sms, SmsOut},
    usage::{Usage, UsageOut},
};
use crate::domain::{Change, DeviceEvent, SerialNumber, TestRecord, Timestamp};

/// A row of any kind.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "kind": "data-usage", "id": 1713, "giccid": "8944501503181377993", "data_usage": 1302,
    "start_time": 1_713_888_842_473_i64, "duration": 0, "mcc": "460", "mnc": "10", "country_code": "CN", "apn": "apn1",
    "imsi": "460001234567890", "sim_group": "groupA", "received_at": "2024-04-23T16:14:03.001Z",
    "identity": "5f0c3a9e1b77d2c4", "datePush": "2024-04-23T16:14:03.000Z",
    "push_id": 1713, "source": "192.0.2.1",
    "extra": {}, "url": "http://127.0.0.1:8081/v1/data-usage/1713",
})))]
#[serde(untagged)]
pub(super) enum ChangeOut<'a> {
    /// `data-usage`
    Usage {
        kind: &'static str,
        #[serde(flatten)]
        row: UsageOut<'a>,
    },
    /// `mo-sms`
    Sms {
        kind: &'static str,
        #[serde(flatten)]
        row: SmsOut<'a>,
    },
    /// Any other push, which says its kind itself.
    Notification(NotificationOut<'a>),
    /// `device`
    Device(DeviceOut<'a>),
    /// What one of our own tests brought.
    Test(TestOut<'a>),
    /// That a SIM was erased: whoever has copied what was of it takes it away, too.
    Erased(ErasedOut<'a>),
    /// That records were retracted: whoever has copied what came under this `datePush` (from this
    /// source, where one is named) with a smaller id takes it away, too.
    Retracted(RetractedOut),
}

/// A router's new state, or a whole sample.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeviceChangeOut)]
pub(super) struct DeviceOut<'a> {
    kind: &'static str,
    id: i64,
    sn: &'a str,
    #[schema(format = DateTime)]
    at: String,
    #[schema(schema_with = words::device_event)]
    what: &'static str,
    #[schema(schema_with = words::device_state_or_null)]
    state: Option<&'static str>,
    #[schema(value_type = Option<Object>)]
    sample: Option<&'a RawValue>,
    #[serde(flatten)]
    run: RunOut,
    device_url: String,
}

/// That a test arrived. It is in no list, so there is nothing to link to.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TestOut<'a> {
    kind: &'a str,
    id: i64,
    giccid: Option<&'a str>,
    event_time: i64,
    #[schema(format = DateTime)]
    received_at: String,
    test: bool,
}

/// What is left of an erased SIM.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ErasedChangeOut)]
pub(super) struct ErasedOut<'a> {
    kind: &'static str,
    id: i64,
    /// SHA-256 of its giccid, in hex. Whoever knows most of the giccid can guess the rest from it:
    /// pass on `giccid_hmac` in its place. Null if a restore took it from the list beside the
    /// database, which does not tell it.
    giccid_sha256: Option<&'a str>,
    /// HMAC-SHA-256 of its giccid with a secret of the store, in hex: `/v1/erasures/{giccid}` tells
    /// it of a giccid. Null if only the hash is known.
    giccid_hmac: Option<&'a str>,
}

/// What was retracted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RetractedChangeOut)]
pub(super) struct RetractedOut {
    #[schema(schema_with = words::retracted)]
    kind: &'static str,
    id: i64,
    #[serde(rename = "datePush")]
    #[schema(format = DateTime)]
    date_push: String,
    source: Option<String>,
}

const USAGE: &str = "data-usage";
const SMS: &str = "mo-sms";
const OTHER: &str = "other";

/// What a row is called.
pub(super) fn kind_of(change: &Change) -> &str {
    match change {
        Change::Usage(_) => USAGE,
        Change::Sms(_) => SMS,
        Change::Notification(row) => row.record.kind.as_str(),
        Change::Device(..) => Change::DEVICE,
        Change::Test(test) => kind_of_test(test),
        Change::Erased(_) => Change::ERASED,
        Change::Retracted(_) => Change::RETRACTED,
    }
}

/// A row as JSON.
pub(super) fn out<'a>(change: &'a Change, view: &'a View) -> Result<ChangeOut<'a>, ApiError> {
    Ok(match change {
        Change::Usage(row) => ChangeOut::Usage { kind: USAGE, row: Usage::out(row, view)? },
        Change::Sms(row) => ChangeOut::Sms { kind: SMS, row: Sms::out(row, view)? },
        Change::Notification(row) => ChangeOut::Notification(Notifications::out(row, view)?),
        Change::Device(sn, event) => ChangeOut::Device(device_out(sn, event, view)?),
        Change::Test(test) => ChangeOut::Test(test_out(test)),
        Change::Erased(sim) => ChangeOut::Erased(ErasedOut {
            kind: Change::ERASED,
            id: sim.id,
            giccid_sha256: sim.giccid_sha256.as_deref(),
            giccid_hmac: sim.giccid_hmac.as_deref(),
        }),
        Change::Retracted(pushes) => ChangeOut::Retracted(RetractedOut {
            kind: Change::RETRACTED,
            id: pushes.id,
            date_push: Timestamp::from_unix_ms(pushes.of.date_push_s * 1000).to_string(),
            source: pushes.of.source.map(|source| source.to_string()),
        }),
    })
}

/// Adds a row's JSON.
pub(super) fn write(text: &mut Vec<u8>, change: &Change, view: &View) -> Result<(), ApiError> {
    let corrupt = |source| ApiError::Corrupt { resource: "changes", id: change.id(), source };
    serde_json::to_writer(text, &out(change, view)?).map_err(corrupt)
}

fn device_out<'a>(
    sn: &'a SerialNumber,
    event: &'a DeviceEvent,
    view: &View,
) -> Result<DeviceOut<'a>, ApiError> {
    let (what, state, sample) = parts_of(event)?;
    Ok(DeviceOut {
        kind: Change::DEVICE,
        id: event.id,
        sn: sn.as_str(),
        at: event.at.to_string(),
        what: what.as_str(),
        state,
        sample,
        run: RunOut::of(event),
        device_url: view.base.url(&format!("/v1/devices/{sn}")),
    })
}

/// A test's kind, which must not be taken for a word of ours either.
fn kind_of_test(test: &TestRecord) -> &str {
    if test.kind.is_reserved() { OTHER } else { test.kind.as_str() }
}

fn test_out(test: &TestRecord) -> TestOut<'_> {
    TestOut {
        kind: kind_of_test(test),
        id: test.id,
        giccid: test.giccid.as_ref().map(|giccid| giccid.as_str()),
        event_time: test.own_ms,
        received_at: test.received_at.to_string(),
        test: true,
    }
}
