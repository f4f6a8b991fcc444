//! Which query parameters each route takes, and what they may say. The one place to add a filter.
use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::error::{ApiError, Invalid};
use crate::{
    domain::{Filter, Giccid, HeldClass, HeldReason, Kind, ShortText},
    http::query_string::{self, append, decode, list_item, nearest, split_list},
};

/// The most values that one list may have.
const VALUES_MAX: usize = 100;

/// What a query string asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Question {
    /// Which records.
    pub(super) filter: Filter,
    /// Which held pushes, by class.
    pub(super) class: Vec<HeldClass>,
    /// Which held pushes, by reason.
    pub(super) reason: Vec<HeldReason>,
    /// The number of the page.
    pub(super) page: Option<u64>,
    /// How many rows.
    pub(super) size: Option<u32>,
    /// Where a walk by pages stands.
    pub(super) at: Option<String>,
    /// Where a walk by cursor stands; empty at its start.
    pub(super) cursor: Option<String>,
    /// In which form.
    pub(super) format: Option<Format>,
    /// Cells of a CSV as they are.
    pub(super) raw: bool,
    /// Cells of a CSV so that a spreadsheet keeps long numbers.
    pub(super) excel: bool,
    /// As which kind a held push is to be read.
    pub(super) as_kind: Option<Kind>,
    /// The narrowing parameters as given, one entry a value.
    narrowed_by: Vec<(&'static Param, String)>,
}

/// The form of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// One array.
    Json,
    /// One object a line.
    Ndjson,
    /// A table.
    Csv,
}

/// The parameters of one route.
#[derive(Debug)]
pub(super) struct Route {
    /// How errors call what is asked for.
    pub(super) resource: &'static str,
    /// Groups of parameters; all are allowed.
    params: &'static [&'static [Param]],
}

/// One parameter.
#[derive(Debug)]
struct Param {
    name: &'static str,
    takes: Takes,
    /// Whether it says which rows are meant, not how they are shown.
    narrows: bool,
}

/// Puts a value into its place, or refuses it with what it should have been.
type Put = fn(&mut Question, &str) -> Result<(), &'static str>;

#[derive(Debug)]
enum Takes {
    /// One value.
    One(Put),
    /// Any number of values, of which one must fit: repeated, or separated by commas.
    AnyOf(Put),
    /// Any number of values that may hold commas: repeated.
    Repeated(Put),
}

impl PartialEq for Param {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Param {}

const fn one(name: &'static str, put: Put) -> Param {
    Param { name, takes: Takes::One(put), narrows: false }
}

const fn when(name: &'static str, put: Put) -> Param {
    Param { name, takes: Takes::One(put), narrows: true }
}

const fn any_of(name: &'static str, put: Put) -> Param {
    Param { name, takes: Takes::AnyOf(put), narrows: true }
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
    one("format", |ask, text| format(text).map(|it| ask.format = Some(it))),
    one("raw", |ask, text| flag(text).map(|it| ask.raw = it)),
    one("excel", |ask, text| flag(text).map(|it| ask.excel = it)),
];

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

const GROUP: &[Param] =
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
    Param {
        name: "q",
        takes: Takes::Repeated(|ask, text| words(text).map(|it| ask.filter.q.push(it))),
        narrows: true,
    },
];

const KIND: &[Param] =
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

const AS: &[Param] = &[one("as", |ask, text| kind(text).map(|it| ask.as_kind = Some(it)))];

/// `GET /v1/data-usage`
pub(super) const USAGE: Route =
    Route { resource: "data-usage", params: &[RECORD, GROUP, NETWORK, SHOWN] };
/// `GET /v1/mo-sms`
pub(super) const SMS: Route =
    Route { resource: "mo-sms", params: &[RECORD, GROUP, MESSAGE, SHOWN] };
/// `GET /v1/notifications`
pub(super) const NOTIFICATIONS: Route =
    Route { resource: "notifications", params: &[RECORD, KIND, SHOWN] };
/// `GET /v1/held`
pub(super) const HELD_PUSHES: Route = Route { resource: "held", params: &[HELD, SHOWN] };
/// `POST /v1/held/{id}/retry`
pub(super) const HELD_RETRY: Route = Route { resource: "held", params: &[AS] };

/// Checks the query string of a route that takes no parameter at all.
pub(super) fn read_none(resource: &'static str, query: Option<&str>) -> Result<(), ApiError> {
    Route { resource, params: &[] }.read(query).map(|_| ())
}

impl Route {
    /// Reads a query string. A name that is not in the table is refused, never ignored.
    pub(super) fn read(&self, query: Option<&str>) -> Result<Question, ApiError> {
        let mut question = Question::default();
        let mut single = BTreeSet::new();
        for (name, value) in query_string::parts(query.unwrap_or_default()) {
            let name = decode(name).map_err(|_| self.unknown(name))?;
            let param = self.find(&name).ok_or_else(|| self.unknown(&name))?;
            let refuse = |why: &str| self.invalid(param.name, why);
            let value = decode(value).map_err(|_| refuse("percent-encoded UTF-8"))?;
            let (put, values) = match param.takes {
                Takes::One(_) if !single.insert(param.name) => {
                    return Err(refuse("given once").into());
                }
                Takes::One(put) | Takes::Repeated(put) => (put, vec![value]),
                Takes::AnyOf(put) => (put, split_list(&value)),
            };
            for value in values {
                put(&mut question, &value).map_err(refuse)?;
                if param.narrows {
                    question.narrowed_by.push((param, value));
                }
            }
            let given = question.narrowed_by.iter().filter(|(known, _)| *known == param).count();
            if given > VALUES_MAX {
                return Err(refuse("at most 100 values").into());
            }
        }
        Ok(question)
    }

    /// `field` should be something else.
    pub(super) fn invalid(&self, field: &str, should_be: &str) -> Invalid {
        Invalid::field(self.resource, field, format!("`{field}` should be {should_be}."))
    }

    fn all(&self) -> impl Iterator<Item = &'static Param> {
        self.params.iter().copied().flatten()
    }

    fn find(&self, name: &str) -> Option<&'static Param> {
        self.all().find(|param| param.name == name)
    }

    fn unknown(&self, name: &str) -> Invalid {
        /// The client knows what it sent; there is no need to send all of it back.
        const SHOWN_MAX: usize = 64;
        let shown: String = name.chars().take(SHOWN_MAX).collect();
        let hint = match nearest(name, self.all().map(|param| param.name)) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None if self.params.is_empty() => "it takes none.".to_owned(),
            None => {
                let names: Vec<_> = self.all().map(|param| param.name).collect();
                format!("it takes {}.", names.join(", "))
            }
        };
        let detail = format!("`{shown}` is no parameter of this address; {hint}");
        Invalid::field(self.resource, &shown, detail)
    }
}

impl Question {
    /// A short digest of which rows are meant. It is the same for the same values in any order,
    /// and stays the same over restarts and versions: clients keep cursors for days.
    pub(super) fn digest(&self, resource: &str) -> u64 {
        let values: BTreeSet<(&str, &str)> =
            self.narrowed_by.iter().map(|(param, value)| (param.name, value.as_str())).collect();
        let mut digest = Sha256::new();
        for part in std::iter::once(resource).chain(values.iter().flat_map(|pair| [pair.0, pair.1]))
        {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        let first = digest.finalize();
        first.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// The query string that asks for the same rows in the same form, without place and size.
    pub(super) fn same_rows(&self) -> String {
        let mut query = String::new();
        for (param, value) in &self.narrowed_by {
            match param.takes {
                Takes::AnyOf(_) => append(&mut query, param.name, &list_item(value)),
                Takes::One(_) | Takes::Repeated(_) => append(&mut query, param.name, value),
            }
        }
        if let Some(format) = self.format {
            append(&mut query, "format", format.as_str());
        }
        for (name, _) in [("raw", self.raw), ("excel", self.excel)].iter().filter(|(_, on)| *on) {
            append(&mut query, name, "true");
        }
        query
    }
}

impl Format {
    /// The word for it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
        }
    }
}

fn number<N: std::str::FromStr>(text: &str) -> Result<N, &'static str> {
    const SHOULD_BE: &str = "a whole number";
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(SHOULD_BE);
    }
    text.parse().map_err(|_| SHOULD_BE)
}

fn flag(text: &str) -> Result<bool, &'static str> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("true or false"),
    }
}

fn format(text: &str) -> Result<Format, &'static str> {
    [Format::Json, Format::Ndjson, Format::Csv]
        .into_iter()
        .find(|format| format.as_str() == text)
        .ok_or("one of json, ndjson, csv")
}

fn giccid(text: &str) -> Result<String, &'static str> {
    text.parse::<Giccid>().map(|giccid| giccid.to_string()).map_err(|_| "18 to 22 digits")
}

/// An empty value asks for the rows in which the field was not sent.
fn short(text: &str) -> Result<String, &'static str> {
    ShortText::try_from(text)
        .map(|short| short.to_string())
        .map_err(|_| "a text of at most 256 bytes")
}

fn words(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() { Err("a word or more") } else { short(text) }
}

fn kind(text: &str) -> Result<Kind, &'static str> {
    text.parse().map_err(|_| "1 to 64 small letters, digits or hyphens")
}

/// RFC 3339 or milliseconds since 1970. A `+` that a client forgot to encode arrives as a space
/// and can only have been a `+`.
fn time_ms(text: &str) -> Result<i64, &'static str> {
    const SHOULD_BE: &str = "a time as 2024-09-05T01:30:48Z or in milliseconds since 1970";
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().map_err(|_| SHOULD_BE);
    }
    let text = text.replace(' ', "+");
    let moment: jiff::Timestamp = text.parse().map_err(|_| SHOULD_BE)?;
    Ok(moment.as_millisecond())
}

#[cfg(test)]
#[path = "params_tests.rs"]
mod tests;
