//! One JSON object read as a record of its kind.
use std::time::Duration;

use super::{
    fields::{self, Invalid},
    identity::{DATE_PUSH, SIGNATURE},
    json::Value,
    read::{Fault, ReadRules},
};
use crate::domain::{
    HeldReason, Notification, ShortText, SmsRecord, TIME_MS_MIN, Timestamp, UsageRecord,
};

/// How far after now a record's own time may lie.
const OWN_TIME_AHEAD_MAX: Duration = Duration::from_secs(2 * 24 * 3600);

/// The latest time that is lifted out of a notification: the end of the year 9999. It does not move
/// with the clock, because a time that is lifted is part of what makes two notifications the same.
const LIFTED_TIME_MS_MAX: i64 = 253_402_300_799_999;

/// The member of `extra` that holds what stood beside the container of a record.
const BESIDE: &str = "_push";

/// Reads one `data-usage` record.
pub(super) fn usage(
    record: Value<'_>,
    beside: Option<&[u8]>,
    now: Timestamp,
) -> Result<UsageRecord, Fault> {
    const NAMES: [&str; 10] = [
        "giccid",
        "data_usage",
        "start_time",
        "duration",
        "mcc",
        "mnc",
        "country_code",
        "apn",
        "imsi",
        "sim_group",
    ];
    let (fields, extra) = split(record, NAMES);
    let [giccid, data_usage, start_time, duration, mcc, mnc, country_code, apn, imsi, sim_group] =
        fields;
    Ok(UsageRecord {
        giccid: giccid.required(fields::giccid)?,
        data_usage: data_usage.required(fields::volume)?,
        start_ms: start_time.required(|value| own_time(value, now))?,
        duration: duration.optional(fields::volume)?,
        mcc: mcc.text()?,
        mnc: mnc.text()?,
        country_code: country_code.text()?,
        apn: apn.text()?,
        imsi: imsi.text()?,
        sim_group: sim_group.text()?,
        extra: extra.finish(beside)?,
    })
}

/// Reads one `mo-sms` record.
pub(super) fn sms(
    record: Value<'_>,
    beside: Option<&[u8]>,
    now: Timestamp,
) -> Result<SmsRecord, Fault> {
    const NAMES: [&str; 6] =
        ["giccid", "event_time", "from_msisdn", "to_msisdn", "imsi", "sim_group"];
    let (fields, extra) = split(record, NAMES);
    let [giccid, event_time, from_msisdn, to_msisdn, imsi, sim_group] = fields;
    Ok(SmsRecord {
        giccid: giccid.required(fields::giccid)?,
        event_ms: event_time.required(|value| own_time(value, now))?,
        from_msisdn: from_msisdn.text()?,
        to_msisdn: to_msisdn.text()?,
        imsi: imsi.text()?,
        sim_group: sim_group.text()?,
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
    let mut payload = Extra::of(record);
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

/// Tells the fields that have these names from all others.
fn split<'a, const N: usize>(
    record: Value<'a>,
    names: [&'static str; N],
) -> ([Field<'a>; N], Extra) {
    let mut fields = names.map(|name| Field { name, value: None });
    let mut extra = Extra::of(record);
    for (key, value) in record.members() {
        let name = key.unescaped();
        match fields.iter_mut().find(|field| field.name.as_bytes() == &*name) {
            Some(field) => field.value = fields::sent(value),
            None => extra.add(&name, key, value),
        }
    }
    (fields, extra)
}

/// A field that has a column.
#[derive(Clone, Copy)]
struct Field<'a> {
    name: &'static str,
    value: fields::Field<'a>,
}

impl<'a> Field<'a> {
    fn required<T>(self, read: impl Fn(Value<'a>) -> Result<T, Invalid>) -> Result<T, Fault> {
        self.optional(read)?.ok_or(self.fault(HeldReason::FieldMissing))
    }

    fn optional<T>(
        self,
        read: impl Fn(Value<'a>) -> Result<T, Invalid>,
    ) -> Result<Option<T>, Fault> {
        self.value.map(read).transpose().map_err(|Invalid| self.fault(HeldReason::FieldInvalid))
    }

    fn text(self) -> Result<ShortText, Fault> {
        fields::short_text(self.value).map_err(|Invalid| self.fault(HeldReason::FieldInvalid))
    }

    fn fault(self, reason: HeldReason) -> Fault {
        Fault { reason, field: Some(self.name) }
    }
}

/// The members of a record that have no column, as the source wrote them.
struct Extra {
    json: Vec<u8>,
    /// Their text is no longer than that of the record, and needs to be copied but once.
    bytes_max: usize,
    /// A member has the name under which we keep what stood beside the container.
    name_taken: bool,
}

impl Extra {
    fn of(record: Value<'_>) -> Self {
        Self { json: Vec::new(), bytes_max: record.source().len(), name_taken: false }
    }

    fn add(&mut self, name: &[u8], key: Value<'_>, value: Value<'_>) {
        if !matches!(name, DATE_PUSH | SIGNATURE) {
            self.name_taken |= name == BESIDE.as_bytes();
            self.member(key.source(), value.source());
        }
    }

    fn finish(mut self, beside: Option<&[u8]>) -> Result<Option<Box<str>>, Fault> {
        if let Some(beside) = beside {
            let underscore = if self.name_taken { "_" } else { "" };
            let name = format!("\"{underscore}{BESIDE}\"");
            self.bytes_max += name.len() + beside.len() + 3;
            self.json.reserve_exact(self.bytes_max - self.json.len());
            self.member(name.as_bytes(), beside);
        }
        if self.json.is_empty() {
            return Ok(None);
        }
        self.json.push(b'}');
        let text = String::from_utf8(self.json).map_err(|_| Fault::from(HeldReason::Unreadable))?;
        Ok(Some(text.into()))
    }

    fn member(&mut self, key: &[u8], value: &[u8]) {
        if self.json.is_empty() {
            self.json.reserve_exact(self.bytes_max);
        }
        self.json.push(if self.json.is_empty() { b'{' } else { b',' });
        self.json.extend(key);
        self.json.push(b':');
        // Only between parts can there be a line break. A record has to fit on a line of an export.
        self.json.extend(value.iter().map(|byte| match byte {
            b'\r' | b'\n' => b' ',
            byte => *byte,
        }));
    }
}
