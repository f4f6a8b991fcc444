//! Which parameters each route takes. The one place to add a filter: its name, what its values may be
//! and one sentence about it, from which the OpenAPI document is made.
use super::{
    Format, Param, Put, Route, Shape, Takes,
    sims::{SIM_FILTER, ZONE},
    sums::{SMS_GROUPS, SUMS, USAGE_GROUPS},
    values::{PAGE_MAX, date_push_s, flag, format, giccid, kind, number, short, time_ms, words},
};
use crate::domain::{DeviceEventWord, DeviceState, HeldClass, HeldReason, PageSize};

pub(super) const fn one(name: &'static str, shape: Shape, says: &'static str, put: Put) -> Param {
    Param { name, shape, says, takes: Takes::One(put), narrows: false, is_required: false }
}

pub(super) const fn when(name: &'static str, shape: Shape, says: &'static str, put: Put) -> Param {
    Param { name, shape, says, takes: Takes::One(put), narrows: true, is_required: false }
}

pub(super) const fn any_of(
    name: &'static str,
    shape: Shape,
    says: &'static str,
    put: Put,
) -> Param {
    Param { name, shape, says, takes: Takes::AnyOf(put), narrows: true, is_required: false }
}

pub(super) const fn repeated(
    name: &'static str,
    shape: Shape,
    says: &'static str,
    put: Put,
) -> Param {
    Param { name, shape, says, takes: Takes::Repeated(put), narrows: true, is_required: false }
}

pub(super) const SIZE: Shape = Shape::Number { min: 1, max: PageSize::MAX, example: 100 };

/// How a list is shown.
pub(super) const SHOWN: &[Param] = &[
    one(
        "page",
        Shape::Page,
        "The page, from `SIMDECK_API_FIRST_PAGE` on (0 unless set). Not together with `cursor`.",
        |ask, text| number(text, 0..=PAGE_MAX).map(|it| ask.page = Some(it)),
    ),
    one(
        "size",
        SIZE,
        "Rows on a page: at most 100, or 1000 with `cursor`; 20 if not given.",
        |ask, text| number(text, 1..=PageSize::MAX).map(|it| ask.size = Some(it)),
    ),
    one(
        "at",
        Shape::At,
        "Where a walk by pages stands: opaque, taken over from a `Link`.",
        |ask, text| {
            ask.at = Some(text.to_owned());
            Ok(())
        },
    ),
    one(
        "cursor",
        Shape::Cursor,
        "Walks by cursor: empty to begin, then as `Link`, rel `next`, has it.",
        |ask, text| {
            ask.cursor = Some(text.to_owned());
            Ok(())
        },
    ),
    FORMAT,
    RAW,
    EXCEL,
    COUNT,
];

pub(super) const FORMAT: Param = one(
    "format",
    Shape::OneOf(|| Format::ALL.map(Format::as_str).to_vec()),
    "The form, before what `Accept` says. `ndjson` and `csv` stream the whole list, unless \
     `page`, `size`, `at` or `cursor` is given.",
    |ask, text| format(text).map(|it| ask.format = Some(it)),
);
pub(super) const RAW: Param = one(
    "raw",
    Shape::Flag,
    "In CSV, cells as they are, for programs; else one that a spreadsheet would run begins \
     with `'`.",
    |ask, text| flag(text).map(|it| ask.raw = it),
);
pub(super) const EXCEL: Param = one(
    "excel",
    Shape::Flag,
    "In CSV, long numbers as `=\"…\"`, so that Excel keeps every digit.",
    |ask, text| flag(text).map(|it| ask.excel = it),
);

pub(super) const COUNT: Param = one(
    "count",
    Shape::Flag,
    "Ends NDJSON with a line `{\"rows\":n}` and CSV with a row `rows,n`, so that a cut is \
         seen.",
    |ask, text| flag(text).map(|it| ask.count = it),
);

/// What every record has.
const RECORD: &[Param] = &[
    any_of("giccid", Shape::Giccid, "SIMs.", |ask, text| {
        giccid(text).map(|it| ask.filter.giccid.push(it))
    }),
    any_of("imsi", Shape::Short("460001234567890"), "Subscribers.", |ask, text| {
        short(text).map(|it| ask.filter.imsi.push(it))
    }),
    when("from", Shape::Time, "The record's own time, from this one on.", |ask, text| {
        time_ms(text).map(|it| ask.filter.from_ms = Some(it))
    }),
    when("to", Shape::Time, "The record's own time, before this one.", |ask, text| {
        time_ms(text).map(|it| ask.filter.to_ms = Some(it))
    }),
    when(
        "received_from",
        Shape::Time,
        "Received by simdeck at this time or later.",
        |ask, text| time_ms(text).map(|it| ask.filter.received_from_ms = Some(it)),
    ),
    when("received_to", Shape::Time, "Received by simdeck before this time.", |ask, text| {
        time_ms(text).map(|it| ask.filter.received_to_ms = Some(it))
    }),
];

/// What tells a record that was attached to somebody else's signature.
const PUSH: &[Param] = &[
    any_of(
        "datePush",
        Shape::Time,
        "Pushed under these seconds, as `datePush` of a row says.",
        |ask, text| date_push_s(text).map(|it| ask.filter.date_push_s.push(it)),
    ),
    any_of("push_id", Shape::RowOrNone, "Came with these pushes.", |ask, text| {
        number(text, 0..=i64::MAX).map(|it| ask.filter.push_id.push(it))
    }),
];

pub(super) const GROUP: &[Param] =
    &[any_of("sim_group", Shape::Short("groupA"), "Your groups of SIMs.", |ask, text| {
        short(text).map(|it| ask.filter.sim_group.push(it))
    })];

const NETWORK: &[Param] = &[
    any_of("country_code", Shape::Short("CN"), "Visited countries.", |ask, text| {
        short(text).map(|it| ask.filter.country_code.push(it))
    }),
    any_of("mcc", Shape::Short("460"), "Visited networks, the country's part.", |ask, text| {
        short(text).map(|it| ask.filter.mcc.push(it))
    }),
    any_of("mnc", Shape::Short("10"), "Visited networks, their own part.", |ask, text| {
        short(text).map(|it| ask.filter.mnc.push(it))
    }),
    any_of("apn", Shape::Short("apn1"), "Access point names.", |ask, text| {
        short(text).map(|it| ask.filter.apn.push(it))
    }),
];

const MESSAGE: &[Param] = &[
    any_of("from_msisdn", Shape::Short("882360010341361"), "Senders.", |ask, text| {
        short(text).map(|it| ask.filter.from_msisdn.push(it))
    }),
    any_of("to_msisdn", Shape::Short("449086237252"), "Recipients.", |ask, text| {
        short(text).map(|it| ask.filter.to_msisdn.push(it))
    }),
    repeated(
        "q",
        Shape::Words("alarm"),
        "Texts in the fields that simdeck does not know.",
        |ask, text| words(text).map(|it| ask.filter.q.push(it)),
    ),
];

pub(super) const KIND: &[Param] = &[any_of("kind", Shape::Kind, "Kinds of push.", |ask, text| {
    kind(text).map(|it| ask.filter.kind.push(it.to_string()))
})];

const HELD: &[Param] = &[
    any_of(
        "class",
        Shape::OneOf(|| HeldClass::ALL.map(HeldClass::as_str).to_vec()),
        "Refused; authentic and in quarantine; or authentic and stale: too old to be fresh, or retracted.",
        |ask, text| {
            let class = text.parse().map_err(|_| "one of refused, quarantined, stale")?;
            ask.held.class.push(class);
            Ok(())
        },
    ),
    any_of(
        "reason",
        Shape::OneOf(|| HeldReason::ALL.map(HeldReason::as_str).to_vec()),
        "Why it lies aside.",
        |ask, text| {
            let reason = text.parse().map_err(|_| {
                "one of signature_missing, signature_unreadable, signature_wrong, date_missing, \
             date_unreadable, not_json, date_old, date_retracted, date_ahead, field_missing, field_invalid, \
             repeated_key, unreadable, store_refused"
            })?;
            ask.held.reason.push(reason);
            Ok(())
        },
    ),
    any_of(
        "source",
        Shape::Short("192.0.2.1"),
        "Addresses that sent them. A discard by these leaves a push that others sent too: it stays as \
         theirs.",
        |ask, text| short(text).map(|it| ask.held.source.push(it)),
    ),
    when("received_from", Shape::Time, "First received at this time or later.", |ask, text| {
        time_ms(text).map(|it| ask.held.received_from_ms = Some(it))
    }),
    when("received_to", Shape::Time, "First received before this time.", |ask, text| {
        time_ms(text).map(|it| ask.held.received_to_ms = Some(it))
    }),
];

const DRY_RUN: &[Param] =
    &[one("dry_run", Shape::Flag, "Only counts what would be done.", |ask, text| {
        flag(text).map(|it| ask.dry_run = it)
    })];

const THROUGH: &[Param] = &[one(
    "through",
    Shape::RowOrNone,
    "The last number that is meant: what a count with `dry_run` gave as `through`. Held pushes that \
     came later stay as they are.",
    |ask, text| number(text, 0..=i64::MAX).map(|it| ask.through = Some(it)),
)];

const DEVICE: &[Param] = &[
    any_of(
        "state",
        Shape::OneOf(|| DeviceState::ALL.map(DeviceState::as_str).to_vec()),
        "States as of now.",
        |ask, text| {
            let state = text.parse().map_err(|_| "one of online, offline, unknown")?;
            ask.devices.state.push(state);
            Ok(())
        },
    ),
    any_of("model", Shape::Short("R1520-4L"), "Models.", |ask, text| {
        short(text).map(|it| ask.devices.model.push(it))
    }),
    any_of("group", Shape::Short("groupA"), "RCMS's groups.", |ask, text| {
        short(text).map(|it| ask.devices.group.push(it))
    }),
    repeated(
        "q",
        Shape::Words("roof"),
        "Texts in serial number, name or description, whatever the case.",
        |ask, text| words(text).map(|it| ask.devices.q.push(it)),
    ),
];

const HISTORY: &[Param] = &[
    when(
        "kind",
        Shape::OneOf(|| DeviceEventWord::ALL.map(DeviceEventWord::as_str).to_vec()),
        "Only changes of state, or only samples.",
        |ask, text| {
            ask.history.only = Some(text.parse().map_err(|_| "one of state, status")?);
            Ok(())
        },
    ),
    when("from", Shape::Time, "From this time on.", |ask, text| {
        time_ms(text).map(|it| ask.history.from_ms = Some(it))
    }),
    when("to", Shape::Time, "Before this time.", |ask, text| {
        time_ms(text).map(|it| ask.history.to_ms = Some(it))
    }),
];

const WORDS: &[Param] = &[Param {
    is_required: true,
    ..one(
        "q",
        Shape::Words("89445015"),
        "A giccid, IMSI, number, serial number or name, or a part of one.",
        |ask, text| words(text).map(|it| ask.search = Some(it)),
    )
}];

const AS: &[Param] = &[one(
    "as",
    Shape::Kind,
    "The kind to read it as, where it came to a wrong address.",
    |ask, text| kind(text).map(|it| ask.as_kind = Some(it)),
)];

const CLOCK: &[Param] = &[one(
    "by_clock",
    Shape::Flag,
    "Counts age from the server's clock, whatever authentic pushes say: for a store that nothing is \
     pushed to any more. Look at the clock first.",
    |ask, text| flag(text).map(|it| ask.by_clock = it),
)];

const FILE: &[Param] = &[
    one("kind", Shape::Kind, "The kind of rows that do not say theirs.", |ask, text| {
        kind(text).map(|it| ask.as_kind = Some(it))
    }),
    one(
        "format",
        Shape::OneOf(|| vec!["ndjson", "csv"]),
        "Lines of JSON or a table; if not given, what `Content-Type` says.",
        |ask, text| {
            ask.format = Some(match text {
                "ndjson" => Format::Ndjson,
                "csv" => Format::Csv,
                _ => return Err("one of ndjson, csv"),
            });
            Ok(())
        },
    ),
    RAW_CELLS,
    EXCEL_CELLS,
];

const RAW_CELLS: Param =
    Param { says: "Takes the cells of a table as they are: it was exported with `raw`.", ..RAW };
const EXCEL_CELLS: Param = Param {
    says: "With `raw`: it was exported with `excel` too. Without, both forms are known by themselves.",
    ..EXCEL
};

const CELLS: &[Param] = &[RAW_CELLS, EXCEL_CELLS];

const SINCE: &[Param] = &[when(
    "from",
    Shape::Time,
    "Where the span begins that ends now; 24 hours ago if not given.",
    |ask, text| time_ms(text).map(|it| ask.filter.from_ms = Some(it)),
)];

/// `GET /v1/summary`
pub(in crate::http::api) const SUMMARY: Route = Route { resource: "summary", params: &[SINCE] };
/// `GET /v1/data-usage`
pub(in crate::http::api) const USAGE: Route =
    Route { resource: "data-usage", params: &[RECORD, PUSH, GROUP, NETWORK, SHOWN] };
/// `GET /v1/mo-sms`
pub(in crate::http::api) const SMS: Route =
    Route { resource: "mo-sms", params: &[RECORD, PUSH, GROUP, MESSAGE, SHOWN] };
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
    Route { resource: "notifications", params: &[RECORD, PUSH, KIND, SHOWN] };
/// `GET /v1/held`
pub(in crate::http::api) const HELD_PUSHES: Route =
    Route { resource: "held", params: &[HELD, SHOWN] };
/// `POST /v1/held/{id}/retry`
pub(in crate::http::api) const HELD_RETRY: Route = Route { resource: "held", params: &[AS] };
/// `POST /v1/held/retry`
pub(in crate::http::api) const HELD_RETRY_MANY: Route =
    Route { resource: "held", params: &[HELD, AS, DRY_RUN, THROUGH] };
/// `POST /v1/held/discard`
pub(in crate::http::api) const HELD_DISCARD_MANY: Route =
    Route { resource: "held", params: &[HELD, DRY_RUN, THROUGH] };
/// `POST /v1/prune`
pub(in crate::http::api) const PRUNE: Route = Route { resource: "prune", params: &[CLOCK] };
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
/// `POST /v1/sims/import`
pub(in crate::http::api) const SIM_IMPORT: Route = Route { resource: "sims", params: &[CELLS] };
/// `GET /v1/sims/{giccid}/timeline`
pub(in crate::http::api) const SIM_TIMELINE: Route =
    Route { resource: "sim-timeline", params: &[SHOWN] };
/// `GET /v1/search`
pub(in crate::http::api) const SEARCH: Route = Route { resource: "search", params: &[WORDS] };
