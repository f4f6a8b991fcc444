//! Which parameters each route takes. The one place to add a filter.
use super::{
    Param, Put, Route, Takes,
    values::{
        flag, format, giccid, interval, kind, number, short, sort, span, time_ms, top, words,
    },
};
use crate::domain::GroupBy;

pub(super) const fn one(name: &'static str, put: Put) -> Param {
    Param { name, takes: Takes::One(put), narrows: false }
}

const fn when(name: &'static str, put: Put) -> Param {
    Param { name, takes: Takes::One(put), narrows: true }
}

pub(super) const fn any_of(name: &'static str, put: Put) -> Param {
    Param { name, takes: Takes::AnyOf(put), narrows: true }
}

const fn repeated(name: &'static str, put: Put) -> Param {
    Param { name, takes: Takes::Repeated(put), narrows: true }
}

/// How a list is shown.
const SHOWN: &[Param] = &[
    one("page", |ask, text| number(text).map(|it| ask.page = Some(it))),
    one("size", |ask, text| number(text).map(|it| ask.size = Some(it))),
    one("at", |ask, text| {
        ask.at = Some(text.to_owned());
        Ok(())
    }),
    one("cursor", |ask, text| {
        ask.cursor = Some(text.to_owned());
        Ok(())
    }),
    FORMAT,
    RAW,
    EXCEL,
];

const FORMAT: Param = one("format", |ask, text| format(text).map(|it| ask.format = Some(it)));
const RAW: Param = one("raw", |ask, text| flag(text).map(|it| ask.raw = it));
const EXCEL: Param = one("excel", |ask, text| flag(text).map(|it| ask.excel = it));

/// Into which sums.
const SUMS: &[Param] = &[
    one("interval", |ask, text| interval(text).map(|it| ask.sums.interval = it)),
    one("tz", |ask, text| {
        ask.sums.tz = Some(text.to_owned());
        Ok(())
    }),
    one("top", |ask, text| top(text).map(|it| ask.sums.top = Some(it))),
    FORMAT,
    RAW,
    EXCEL,
];

const USAGE_GROUPS: &[Param] = &[any_of("group_by", |ask, text| {
    let group_by = match text {
        "giccid" => GroupBy::Giccid,
        "sim_group" => GroupBy::SimGroup,
        "country_code" => GroupBy::CountryCode,
        "network" => GroupBy::Network,
        "apn" => GroupBy::Apn,
        _ => return Err("up to two of giccid, sim_group, country_code, network, apn"),
    };
    ask.sums.group_by(group_by)
})];

const SMS_GROUPS: &[Param] = &[any_of("group_by", |ask, text| {
    let group_by = match text {
        "giccid" => GroupBy::Giccid,
        "sim_group" => GroupBy::SimGroup,
        _ => return Err("giccid, sim_group or both"),
    };
    ask.sums.group_by(group_by)
})];

/// What every record has.
const RECORD: &[Param] = &[
    any_of("giccid", |ask, text| giccid(text).map(|it| ask.filter.giccid.push(it))),
    any_of("imsi", |ask, text| short(text).map(|it| ask.filter.imsi.push(it))),
    when("from", |ask, text| time_ms(text).map(|it| ask.filter.from_ms = Some(it))),
    when("to", |ask, text| time_ms(text).map(|it| ask.filter.to_ms = Some(it))),
    when("received_from", |ask, text| {
        time_ms(text).map(|it| ask.filter.received_from_ms = Some(it))
    }),
    when("received_to", |ask, text| time_ms(text).map(|it| ask.filter.received_to_ms = Some(it))),
];

pub(super) const GROUP: &[Param] =
    &[any_of("sim_group", |ask, text| short(text).map(|it| ask.filter.sim_group.push(it)))];

const NETWORK: &[Param] = &[
    any_of("country_code", |ask, text| short(text).map(|it| ask.filter.country_code.push(it))),
    any_of("mcc", |ask, text| short(text).map(|it| ask.filter.mcc.push(it))),
    any_of("mnc", |ask, text| short(text).map(|it| ask.filter.mnc.push(it))),
    any_of("apn", |ask, text| short(text).map(|it| ask.filter.apn.push(it))),
];

const MESSAGE: &[Param] = &[
    any_of("from_msisdn", |ask, text| short(text).map(|it| ask.filter.from_msisdn.push(it))),
    any_of("to_msisdn", |ask, text| short(text).map(|it| ask.filter.to_msisdn.push(it))),
    repeated("q", |ask, text| words(text).map(|it| ask.filter.q.push(it))),
];

pub(super) const KIND: &[Param] =
    &[any_of("kind", |ask, text| kind(text).map(|it| ask.filter.kind.push(it.to_string())))];

const HELD: &[Param] = &[
    any_of("class", |ask, text| {
        let class = text.parse().map_err(|_| "one of refused, quarantined")?;
        ask.class.push(class);
        Ok(())
    }),
    any_of("reason", |ask, text| {
        let reason = text.parse().map_err(|_| {
            "one of signature_missing, signature_unreadable, signature_wrong, date_missing, \
             date_unreadable, not_json, date_old, date_ahead, field_missing, field_invalid, \
             repeated_key, unreadable, store_refused"
        })?;
        ask.reason.push(reason);
        Ok(())
    }),
];

const DEVICE: &[Param] = &[
    any_of("state", |ask, text| {
        let state = text.parse().map_err(|_| "one of online, offline, unknown")?;
        ask.devices.state.push(state);
        Ok(())
    }),
    any_of("model", |ask, text| short(text).map(|it| ask.devices.model.push(it))),
    any_of("group", |ask, text| short(text).map(|it| ask.devices.group.push(it))),
    repeated("q", |ask, text| words(text).map(|it| ask.devices.q.push(it))),
];

const HISTORY: &[Param] = &[
    when("kind", |ask, text| {
        ask.history.only = Some(text.parse().map_err(|_| "one of state, status")?);
        Ok(())
    }),
    when("from", |ask, text| time_ms(text).map(|it| ask.history.from_ms = Some(it))),
    when("to", |ask, text| time_ms(text).map(|it| ask.history.to_ms = Some(it))),
];

const SIM_FILTER: &[Param] = &[
    any_of("sim_group", |ask, text| short(text).map(|it| ask.sims.sim_group.push(it))),
    any_of("country_code", |ask, text| short(text).map(|it| ask.sims.country_code.push(it))),
    any_of("mcc", |ask, text| short(text).map(|it| ask.sims.mcc.push(it))),
    any_of("mnc", |ask, text| short(text).map(|it| ask.sims.mnc.push(it))),
    any_of("apn", |ask, text| short(text).map(|it| ask.sims.apn.push(it))),
    any_of("name", |ask, text| short(text).map(|it| ask.sims.name.push(it))),
    any_of("device_sn", |ask, text| short(text).map(|it| ask.sims.device_sn.push(it))),
    when("silent_for", |ask, text| span(text).map(|it| ask.sims.silent_for = Some(it))),
    repeated("q", |ask, text| words(text).map(|it| ask.sims.q.push(it))),
    when("sort", |ask, text| sort(text).map(|it| ask.sort = it)),
];

const ZONE: &[Param] = &[when("tz", |ask, text| short(text).map(|it| ask.tz = Some(it)))];

const WORDS: &[Param] = &[one("q", |ask, text| words(text).map(|it| ask.search = Some(it)))];

const AS: &[Param] = &[one("as", |ask, text| kind(text).map(|it| ask.as_kind = Some(it)))];

const FILE: &[Param] =
    &[one("kind", |ask, text| kind(text).map(|it| ask.as_kind = Some(it))), FORMAT, RAW];

/// `GET /v1/data-usage`
pub(in crate::http::api) const USAGE: Route =
    Route { resource: "data-usage", params: &[RECORD, GROUP, NETWORK, SHOWN] };
/// `GET /v1/mo-sms`
pub(in crate::http::api) const SMS: Route =
    Route { resource: "mo-sms", params: &[RECORD, GROUP, MESSAGE, SHOWN] };
/// `GET /v1/data-usage/aggregate`
pub(in crate::http::api) const USAGE_SUMS: Route = Route {
    resource: "data-usage-aggregate",
    params: &[RECORD, GROUP, NETWORK, USAGE_GROUPS, SUMS],
};
/// `GET /v1/mo-sms/aggregate`
pub(in crate::http::api) const SMS_SUMS: Route =
    Route { resource: "mo-sms-aggregate", params: &[RECORD, GROUP, MESSAGE, SMS_GROUPS, SUMS] };
/// `GET /v1/notifications`
pub(in crate::http::api) const NOTIFICATIONS: Route =
    Route { resource: "notifications", params: &[RECORD, KIND, SHOWN] };
/// `GET /v1/held`
pub(in crate::http::api) const HELD_PUSHES: Route =
    Route { resource: "held", params: &[HELD, SHOWN] };
/// `POST /v1/held/{id}/retry`
pub(in crate::http::api) const HELD_RETRY: Route = Route { resource: "held", params: &[AS] };
/// `POST /v1/import`
pub(in crate::http::api) const IMPORT: Route = Route { resource: "import", params: &[FILE] };
/// `GET /v1/devices`
pub(in crate::http::api) const DEVICES: Route =
    Route { resource: "devices", params: &[DEVICE, SHOWN] };
/// `GET /v1/devices/{sn}/history`
pub(in crate::http::api) const DEVICE_HISTORY: Route =
    Route { resource: "device-history", params: &[HISTORY, SHOWN] };
/// `GET /v1/sims`
pub(in crate::http::api) const SIMS: Route =
    Route { resource: "sims", params: &[SIM_FILTER, ZONE, SHOWN] };
/// `GET /v1/sims/{giccid}`
pub(in crate::http::api) const SIM: Route = Route { resource: "sims", params: &[ZONE] };
/// `GET /v1/sims/{giccid}/timeline`
pub(in crate::http::api) const SIM_TIMELINE: Route =
    Route { resource: "sim-timeline", params: &[SHOWN] };
/// `GET /v1/search`
pub(in crate::http::api) const SEARCH: Route = Route { resource: "search", params: &[WORDS] };
