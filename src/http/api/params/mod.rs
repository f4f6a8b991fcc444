//! Query parameters, read once: [`table`] says which each route takes, [`values`] what they may say.
use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::error::{ApiError, Invalid};
use crate::{
    domain::{
        AuditFilter, DeviceFilter, Filter, GroupBy, HeldFilter, HistoryFilter, Interval, Kind,
        SimFilter, SimSort, sentence,
    },
    http::query_string::{self, append, decode, list_item, nearest, split_list},
};

mod audit;
mod live;
mod shape;
mod sims;
mod sums;
mod table;
mod values;

pub(super) use audit::AUDIT;
pub(super) use live::{CHANGES, LiveQuestion, PUSHES, STREAM};
pub(super) use shape::Shape;
pub(super) use table::{
    DEVICE_HISTORY, DEVICES, HELD_DISCARD_MANY, HELD_PUSHES, HELD_RETRY, HELD_RETRY_MANY, IMPORT,
    NOTIFICATIONS, PRUNE, SEARCH, SIM, SIM_IMPORT, SIM_TIMELINE, SIMS, SMS, SMS_SUMS, SUMMARY,
    USAGE, USAGE_SUMS,
};
pub(super) use values::date_push_s;

/// The most values that one list may have.
const VALUES_MAX: usize = 100;

/// What a query string asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Question {
    /// Which records.
    pub(super) filter: Filter,
    /// Which routers.
    pub(super) devices: DeviceFilter,
    /// Which entries of a router's history.
    pub(super) history: HistoryFilter,
    /// Which SIMs.
    pub(super) sims: SimFilter,
    /// In which order.
    pub(super) sort: SimSort,
    /// The name of the zone in which days and months are meant.
    pub(super) tz: Option<String>,
    /// What is looked for.
    pub(super) search: Option<String>,
    /// Which held pushes.
    pub(super) held: HeldFilter,
    /// Which rows of the audit.
    pub(super) audit: AuditFilter,
    /// Whether it is only told what would be done.
    pub(super) dry_run: bool,
    /// The last number that is meant.
    pub(super) through: Option<i64>,
    /// Into which sums.
    pub(super) sums: Sums,
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
    /// An export ends with the number of its rows.
    pub(super) count: bool,
    /// As which kind a held push, or a file, is to be read.
    pub(super) as_kind: Option<Kind>,
    /// Whether a person vouches for the server's clock.
    pub(super) by_clock: bool,
    /// What only the live routes ask.
    pub(super) live: LiveQuestion,
    /// The narrowing parameters as given, one entry a value.
    narrowed_by: Vec<(&'static Param, String)>,
}

/// Into which sums records are added up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    /// By which time …
    pub(super) interval: Interval,
    /// … of which zone, as it was named.
    pub(super) tz: Option<String>,
    /// By what else.
    pub(super) group_by: Vec<GroupBy>,
    /// How many groups stand for themselves.
    pub(super) top: Option<usize>,
    /// Whether it is told what they usually are.
    pub(super) has_usual: bool,
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
pub(super) struct Param {
    name: &'static str,
    shape: Shape,
    /// What it is for, in a sentence.
    says: &'static str,
    takes: Takes,
    /// Whether it says which rows are meant, not how they are shown.
    narrows: bool,
    /// Whether there is no answer without it.
    is_required: bool,
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

/// Reads a query string as every list does, and gives for each that takes it the query string that
/// asks for the same rows. It needs no store, which is what a fuzzer wants.
pub fn read_as_every_list(query: &str) -> Vec<Option<String>> {
    let lists: [&Route; 13] = [
        &AUDIT,
        &CHANGES,
        &STREAM,
        &PUSHES,
        &DEVICES,
        &DEVICE_HISTORY,
        &HELD_PUSHES,
        &NOTIFICATIONS,
        &SEARCH,
        &SIMS,
        &SMS,
        &USAGE,
        &USAGE_SUMS,
    ];
    lists.map(|list| list.read(Some(query)).ok().map(|question| question.same_rows())).into()
}

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
                put(&mut question, &value).map_err(|why| match param.shape.words() {
                    Some(words) if !words.contains(&value.as_str()) => {
                        refuse(&one_of(&words, &value))
                    }
                    _ => refuse(why),
                })?;
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
        let detail = sentence(format!("`{field}` should be {should_be}"));
        Invalid::field(self.resource, field, detail)
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

/// One of these words, and which one may have been meant.
fn one_of(words: &[&'static str], given: &str) -> String {
    let all = words.join(", ");
    match nearest(given, words.iter().copied()) {
        Some(meant) => format!("one of {all}; did you mean `{meant}`?"),
        None => format!("one of {all}"),
    }
}

impl Sums {
    /// Adds something to group by. Saying it twice changes nothing.
    fn group_by(&mut self, group_by: GroupBy) -> Result<(), &'static str> {
        if self.group_by.contains(&group_by) {
            return Ok(());
        }
        self.group_by.push(group_by);
        if self.group_by.len() > sums::GROUPS_MAX { Err("no more than two") } else { Ok(()) }
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

    /// Whether not all rows are meant, so that finding some may take a walk through many.
    pub(super) fn is_narrowed(&self) -> bool {
        !self.narrowed_by.is_empty()
    }

    /// By what the rows are narrowed, each name once.
    pub(super) fn narrowed_by(&self) -> Vec<&'static str> {
        let mut names: Vec<&str> = self.narrowed_by.iter().map(|(param, _)| param.name).collect();
        names.dedup();
        names
    }

    fn flags(&self) -> [(&'static str, bool); 3] {
        [("raw", self.raw), ("excel", self.excel), ("count", self.count)]
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
        for (name, _) in self.flags().iter().filter(|(_, on)| *on) {
            append(&mut query, name, "true");
        }
        query
    }
}

impl Format {
    /// Every form.
    pub(super) const ALL: [Self; 3] = [Self::Json, Self::Ndjson, Self::Csv];

    /// The word for it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
        }
    }
}

#[cfg(test)]
mod tests;
