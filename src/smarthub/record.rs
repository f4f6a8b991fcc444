//! One JSON object read as a record of its kind.
use std::time::Duration;

use super::{
    fields::{self, Field, Invalid},
    identity::{DATE_PUSH, SIGNATURE},
    json::Value,
    read::{Fault, ReadRules},
};
use crate::domain::{HeldReason, Notification, SmsRecord, TIME_MS_MIN, Timestamp, UsageRecord};

/// How far after now a record's own time may lie.
const OWN_TIME_AHEAD_MAX: Duration = Duration::from_secs(2 * 24 * 3600);

/// The latest time that is lifted out of a notification: the end of the year 9999. It does not move
/// with the clock, because a time that is lifted is part of what makes two notifications the same.
const LIFTED_TIME_MS_MAX: i64 = 253_402_300_799_999;

/// The member of `extra` that holds what stood beside the container of a record.
const BESIDE: &str = "_push";

#[derive(Default)]
struct UsageFields<'a> {
    giccid: Field<'a>,
    data_usage: Field<'a>,
    start_time: Field<'a>,
    duration: Field<'a>,
    mcc: Field<'a>,
    mnc: Field<'a>,
    country_code: Field<'a>,
    apn: Field<'a>,
    imsi: Field<'a>,
    sim_group: Field<'a>,
}

/// Reads one `data-usage` record.
pub(super) fn usage(
    record: Value<'_>,
    beside: Option<&[u8]>,
    now: Timestamp,
) -> Result<UsageRecord, Fault> {
    let mut sent = UsageFields::default();
    let mut extra = Extra::default();
    for (key, value) in record.members() {
        let field = match &*key.unescaped() {
            b"giccid" => &mut sent.giccid,
            b"data_usage" => &mut sent.data_usage,
            b"start_time" => &mut sent.start_time,
            b"duration" => &mut sent.duration,
            b"mcc" => &mut sent.mcc,
            b"mnc" => &mut sent.mnc,
            b"country_code" => &mut sent.country_code,
            b"apn" => &mut sent.apn,
            b"imsi" => &mut sent.imsi,
            b"sim_group" => &mut sent.sim_group,
            name => {
                extra.add(name, key, value);
                continue;
            }
        };
        *field = fields::sent(value);
    }
    let text = |name, field| fields::short_text(field).map_err(invalid(name));
    Ok(UsageRecord {
        giccid: required("giccid", sent.giccid, fields::giccid)?,
        data_usage: required("data_usage", sent.data_usage, fields::volume)?,
        start_ms: required("start_time", sent.start_time, |value| own_time(value, now))?,
        duration: sent.duration.map(fields::volume).transpose().map_err(invalid("duration"))?,
        mcc: text("mcc", sent.mcc)?,
        mnc: text("mnc", sent.mnc)?,
        country_code: text("country_code", sent.country_code)?,
        apn: text("apn", sent.apn)?,
        imsi: text("imsi", sent.imsi)?,
        sim_group: text("sim_group", sent.sim_group)?,
        extra: extra.finish(beside)?,
    })
}

#[derive(Default)]
struct SmsFields<'a> {
    giccid: Field<'a>,
    event_time: Field<'a>,
    from_msisdn: Field<'a>,
    to_msisdn: Field<'a>,
    imsi: Field<'a>,
    sim_group: Field<'a>,
}

/// Reads one `mo-sms` record.
pub(super) fn sms(
    record: Value<'_>,
    beside: Option<&[u8]>,
    now: Timestamp,
) -> Result<SmsRecord, Fault> {
    let mut sent = SmsFields::default();
    let mut extra = Extra::default();
    for (key, value) in record.members() {
        let field = match &*key.unescaped() {
            b"giccid" => &mut sent.giccid,
            b"event_time" => &mut sent.event_time,
            b"from_msisdn" => &mut sent.from_msisdn,
            b"to_msisdn" => &mut sent.to_msisdn,
            b"imsi" => &mut sent.imsi,
            b"sim_group" => &mut sent.sim_group,
            name => {
                extra.add(name, key, value);
                continue;
            }
        };
        *field = fields::sent(value);
    }
    let text = |name, field| fields::short_text(field).map_err(invalid(name));
    Ok(SmsRecord {
        giccid: required("giccid", sent.giccid, fields::giccid)?,
        event_ms: required("event_time", sent.event_time, |value| own_time(value, now))?,
        from_msisdn: text("from_msisdn", sent.from_msisdn)?,
        to_msisdn: text("to_msisdn", sent.to_msisdn)?,
        imsi: text("imsi", sent.imsi)?,
        sim_group: text("sim_group", sent.sim_group)?,
        extra: extra.finish(beside)?,
    })
}

/// Nothing of a notification is required: its fields are not documented. What has the name and the
/// form of a field that we know from the documented kinds is lifted out, the rest stays as it is.
pub(super) fn notification(
    record: Value<'_>,
    beside: Option<&[u8]>,
    rules: &ReadRules<'_>,
) -> Result<Notification, Fault> {
    let mut payload = Extra::default();
    let (mut giccid, mut imsi, mut event_time, mut start_time) = (None, None, None, None);
    for (key, value) in record.members() {
        let name = key.unescaped();
        match &*name {
            b"giccid" => giccid = Some(value),
            b"imsi" => imsi = Some(value),
            b"event_time" => event_time = Some(value),
            b"start_time" => start_time = Some(value),
            _ => (),
        }
        payload.add(&name, key, value);
    }
    let event_ms = [event_time, start_time]
        .into_iter()
        .flatten()
        .find_map(|value| fields::time_ms(value, TIME_MS_MIN, LIFTED_TIME_MS_MAX).ok());
    Ok(Notification {
        kind: rules.kept_as.as_ref().unwrap_or(rules.kind).clone(),
        pushed_as: rules.kept_as.is_some().then(|| rules.kind.clone()),
        giccid: giccid.and_then(|value| fields::giccid(value).ok()),
        imsi: fields::short_text(imsi).unwrap_or_default(),
        event_ms,
        payload: payload.finish(beside)?.unwrap_or_else(|| "{}".into()),
    })
}

/// A record's own time: after the year 2000 and at most two days ahead of our clock.
fn own_time(value: Value<'_>, now: Timestamp) -> Result<i64, Invalid> {
    fields::time_ms(value, TIME_MS_MIN, now.plus(OWN_TIME_AHEAD_MAX).unix_ms())
}

fn required<'a, T>(
    name: &'static str,
    field: Field<'a>,
    read: impl Fn(Value<'a>) -> Result<T, Invalid>,
) -> Result<T, Fault> {
    let missing = Fault { reason: HeldReason::FieldMissing, field: Some(name) };
    read(field.ok_or(missing)?).map_err(invalid(name))
}

fn invalid(name: &'static str) -> impl Fn(Invalid) -> Fault {
    move |Invalid| Fault { reason: HeldReason::FieldInvalid, field: Some(name) }
}

/// The members of a record that have no column, as the source wrote them.
#[derive(Default)]
struct Extra {
    json: Vec<u8>,
    /// A member has the name under which we keep what stood beside the container.
    name_taken: bool,
}

impl Extra {
    fn add(&mut self, name: &[u8], key: Value<'_>, value: Value<'_>) {
        if !matches!(name, DATE_PUSH | SIGNATURE) {
            self.name_taken |= name == BESIDE.as_bytes();
            self.member(key.source(), value.source());
        }
    }

    fn finish(mut self, beside: Option<&[u8]>) -> Result<Option<Box<str>>, Fault> {
        if let Some(beside) = beside {
            let underscore = if self.name_taken { "_" } else { "" };
            self.member(format!("\"{underscore}{BESIDE}\"").as_bytes(), beside);
        }
        if self.json.is_empty() {
            return Ok(None);
        }
        self.json.push(b'}');
        let text = String::from_utf8(self.json).map_err(|_| Fault::from(HeldReason::Unreadable))?;
        Ok(Some(text.into()))
    }

    fn member(&mut self, key: &[u8], value: &[u8]) {
        self.json.push(if self.json.is_empty() { b'{' } else { b',' });
        self.json.extend(key);
        self.json.push(b':');
        self.json.extend(value);
    }
}
