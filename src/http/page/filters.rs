//! What of the fleet a page is about: its filters, which stand in its address, so that a link is a saved
//! view.
use jiff::{RoundMode, ToSpan, Unit, Zoned, ZonedRound};

use super::{call::Call, format::Format, turns::PLACE, words::Words};
use crate::{
    domain::Timestamp,
    http::query_string::{decode_lossy, list_item, parts},
};

/// How far back a page looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Range {
    Hour,
    #[default]
    Day,
    Week,
    Month,
}

impl Range {
    pub(super) const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Week, Self::Month];

    /// The word in the address.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
        }
    }

    /// Into what it is cut, as the API calls it.
    pub(super) fn interval(self) -> &'static str {
        match self {
            Self::Hour | Self::Day => "15m",
            Self::Week => "1h",
            Self::Month => "1d",
        }
    }

    /// When each interval of the range begins, and when the last one ends. The last is the one that
    /// lasts, so that the same question is asked for as long as it does.
    pub(super) fn starts(self, format: &Format) -> Vec<Timestamp> {
        let (count, step) = match self {
            Self::Hour => (4, 15.minutes()),
            Self::Day => (96, 15.minutes()),
            Self::Week => (7 * 24, 1.hour()),
            Self::Month => (30, 1.day()),
        };
        let Some(now) = format.zoned(format.now) else { return Vec::new() };
        let last = match self {
            Self::Month => now.start_of_day(),
            Self::Week => now.round(ZonedRound::new().smallest(Unit::Hour).mode(RoundMode::Floor)),
            _ => now.round(
                ZonedRound::new().smallest(Unit::Minute).increment(15).mode(RoundMode::Floor),
            ),
        };
        let Ok(last) = last else { return Vec::new() };
        let at = |nth: i64| last.checked_add(step.checked_mul(nth).ok()?).ok();
        let ms = |at: Zoned| Timestamp::from_unix_ms(at.timestamp().as_millisecond());
        (1 - count..=1).filter_map(at).map(ms).collect()
    }
}

/// A filter that is in force.
#[derive(Debug)]
pub(super) struct Chip {
    /// What is filtered.
    pub(super) name: &'static str,
    /// By which value.
    pub(super) value: String,
    /// The same page without it.
    pub(super) without: String,
}

/// What a page was asked for.
#[derive(Debug)]
pub(super) struct Filters {
    /// The page with all that it was asked for, to make links from.
    pub(super) here: Call,
    pub(super) range: Range,
    /// Those of the usual ones that are in force.
    pub(super) chips: Vec<Chip>,
    known: &'static [&'static str],
    given: Vec<(String, String)>,
}

/// The filters that the API knows for usage, and pages too.
const KNOWN: [&str; 6] = ["sim_group", "country_code", "mcc", "mnc", "apn", "giccid"];

impl Filters {
    /// Of the query of a page at this path; `others` are its own parameters, which links keep.
    pub(super) fn of(
        path: &'static str,
        query: Option<&str>,
        others: &[&'static str],
        words: &Words,
    ) -> Self {
        Self::among(&KNOWN, path, query, others, words)
    }

    /// The same for a page whose list knows these filters and no others.
    pub(super) fn among(
        known: &'static [&'static str],
        path: &'static str,
        query: Option<&str>,
        others: &[&'static str],
        words: &Words,
    ) -> Self {
        // What cannot be read is passed on as far as it can: left out, it would show everything as if it
        // were filtered.
        let decoded = |(name, value)| (decode_lossy(name), decode_lossy(value));
        let given: Vec<(String, String)> = parts(query.unwrap_or_default()).map(decoded).collect();
        let value = |name: &str| given.iter().find(|(it, _)| it == name).map(|(_, it)| it.clone());
        let asked = value("range");
        let range = Range::ALL.into_iter().find(|it| Some(it.as_str()) == asked.as_deref());
        let mut here = Call::to(path);
        let names = known.iter().chain(others).copied();
        for name in ["range"].into_iter().chain(names) {
            here = here.with_some(name, value(name).filter(|it| !it.is_empty()));
        }
        let top = at_top(&here);
        let chip = |name: &'static str| {
            let value = value(name).filter(|it| !it.is_empty())?;
            // Half a network is none.
            let without = if name == "mcc" { top.clone().without("mnc") } else { top.clone() };
            let without = without.without(name).uri();
            Some(Chip { name: words.filter(name), value, without })
        };
        let chips = known.iter().copied().filter_map(chip).collect();
        Self { here, range: range.unwrap_or_default(), chips, known, given }
    }

    /// The value of a parameter, if it has one.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let found = self.given.iter().find(|(it, _)| it == name)?;
        Some(found.1.as_str()).filter(|it| !it.is_empty())
    }

    /// Whether anything is filtered.
    pub(super) fn is_any(&self) -> bool {
        !self.chips.is_empty()
    }

    /// The same page, without any.
    pub(super) fn cleared(&self) -> String {
        self.known.iter().fold(self.top(), |here, name| here.without(name)).uri()
    }

    /// The same page at the beginning of its list: another filter makes another list, in which the place
    /// of this one is none.
    pub(super) fn top(&self) -> Call {
        at_top(&self.here)
    }

    /// A call with these filters.
    pub(super) fn on(&self, call: Call) -> Call {
        let add =
            |call: Call, name: &&'static str| call.with_some(name, self.value(name).map(list_item));
        self.known.iter().fold(call, add)
    }

    /// A call for a list with these filters, with parameters of the page's own, and for the page of it
    /// that the address names.
    pub(super) fn on_list(&self, call: Call, own: &[&'static str]) -> Call {
        let names = own.iter().copied().chain(PLACE);
        names.fold(self.on(call), |call, name| call.with_some(name, self.value(name)))
    }

    /// When each interval of the range begins, and when the last one ends.
    pub(super) fn starts(&self, format: &Format) -> Vec<Timestamp> {
        self.range.starts(format)
    }

    /// Links to the other ranges.
    pub(super) fn ranges(&self, words: &Words) -> Vec<(&'static str, String, bool)> {
        let link = |range: Range| {
            let here = self.here.clone().set("range", range.as_str()).uri();
            ((words.overview.ranges)(range), here, range == self.range)
        };
        Range::ALL.into_iter().map(link).collect()
    }
}

fn at_top(here: &Call) -> Call {
    PLACE.into_iter().fold(here.clone(), Call::without)
}
