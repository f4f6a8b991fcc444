//! In which time zone times are told to a reader: the one that was chosen, else that of the browser,
//! else the server's. It is apart from the zone by whose days the store keeps its sums.
use axum::http::HeaderMap;
use jiff::tz::{self, TimeZone};

use super::words::TimeZones;
use crate::{domain::Timestamp, http::cookie};

/// The cookie with the choice of the reader.
pub(super) const CHOICE: &str = "simdeck_zone";
/// The cookie with the browser's zone, which only the script can tell.
const BROWSER: &str = "simdeck_browser_zone";

/// The words in the cookie that are no zone.
const OF_BROWSER: &str = "browser";
const OF_SERVER: &str = "server";

/// Of zones with the same offset these come first.
const LIKELY: [&str; 3] = ["Asia/Shanghai", "Europe/Berlin", "UTC"];

/// The zone of one reader.
#[derive(Clone, Debug)]
pub(super) struct ReaderZone {
    /// In it times are told.
    pub(super) zone: TimeZone,
    browser: Option<TimeZone>,
    server: TimeZone,
    choice: String,
}

/// One line of the list to choose from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ZoneOption {
    /// What is sent.
    pub(super) value: String,
    /// What a person reads: whose zone it is, its offset and its name.
    pub(super) text: String,
    pub(super) is_chosen: bool,
}

impl ReaderZone {
    pub(super) fn of(headers: &HeaderMap, server: TimeZone) -> Self {
        let browser = cookie::value(headers, BROWSER).and_then(named);
        let choice = cookie::value(headers, CHOICE).filter(|choice| is_choice(choice));
        let choice = choice.unwrap_or(OF_BROWSER).to_owned();
        let zone = match choice.as_str() {
            OF_SERVER => None,
            OF_BROWSER => browser.clone(),
            name => named(name),
        };
        Self { zone: zone.unwrap_or_else(|| server.clone()), browser, server, choice }
    }

    /// Whether it follows the browser.
    pub(super) fn is_of_browser(&self) -> bool {
        self.choice == OF_BROWSER
    }

    /// The lines that name no zone themselves: the browser's and the server's. During a search
    /// nothing is chosen before a zone is found.
    pub(super) fn own(
        &self,
        words: &TimeZones,
        now: Timestamp,
        is_search: bool,
    ) -> [ZoneOption; 2] {
        let option = |value: &str, whose: &str, zone: Option<&TimeZone>| ZoneOption {
            value: value.to_owned(),
            text: match zone {
                Some(zone) => format!("{whose} · {} · {}", offset_of(zone, now), name_of(zone)),
                None => whose.to_owned(),
            },
            is_chosen: !is_search && value == self.choice,
        };
        [
            option(OF_BROWSER, words.of_browser, self.browser.as_ref()),
            option(OF_SERVER, words.of_server, Some(&self.server)),
        ]
    }

    /// The zones of the database that a search means, from west to east, and of those with the same
    /// offset the likely ones first. Without words it is every zone, but for those whose names mean
    /// the opposite of what they say. A search chooses for its reader only where one zone is found.
    pub(super) fn found(&self, words: &str, now: Timestamp) -> Vec<ZoneOption> {
        let wanted = Wanted::of(words);
        let mut zones: Vec<(i32, usize, String, String)> = tz::db()
            .available()
            .filter(|name| !is_inverted(name.as_str()))
            .filter_map(|name| {
                let zone = named(name.as_str())?;
                let (seconds, offset) = (seconds_of(&zone, now), offset_of(&zone, now));
                let is_found = wanted.is(name.as_str(), seconds, &offset);
                let name = name.as_str().to_owned();
                is_found.then(|| (seconds, self.rank(&name), name, offset))
            })
            .collect();
        zones.sort_unstable();
        let is_search = !words.trim().is_empty();
        let is_only = zones.len() == 1;
        let option = |(_, _, value, offset): (i32, usize, String, String)| ZoneOption {
            text: format!("{offset} · {value}"),
            is_chosen: if is_search { is_only } else { value == self.choice },
            value,
        };
        zones.into_iter().map(option).collect()
    }

    /// The place of a zone among those with its offset: the reader's own comes first.
    fn rank(&self, name: &str) -> usize {
        if name == name_of(&self.zone) {
            return 0;
        }
        LIKELY.iter().position(|likely| *likely == name).unwrap_or(LIKELY.len()) + 1
    }
}

/// What a search is for.
enum Wanted {
    /// An offset, in seconds east of UTC.
    Offset(i32),
    /// A part of a name or of an offset.
    Part(String),
}

impl Wanted {
    fn of(words: &str) -> Self {
        let words = words.trim().to_lowercase().replace('\u{2212}', "-");
        match offset_in(&words) {
            Some(seconds) => Self::Offset(seconds),
            None => Self::Part(words.replace(' ', "_")),
        }
    }

    fn is(&self, name: &str, seconds: i32, offset: &str) -> bool {
        match self {
            Self::Offset(wanted) => *wanted == seconds,
            // Each offset begins with the name of a zone: a search for `utc` is not for all of them.
            Self::Part(part) => {
                name.to_lowercase().contains(part)
                    || (part.bytes().any(|byte| byte.is_ascii_digit())
                        && offset.to_lowercase().replace('\u{2212}', "-").contains(part))
            }
        }
    }
}

/// The seconds east of UTC in words such as `+8`, `UTC+05:45` or `gmt-0330`. A `+` in an address is a
/// space when it arrives here, so a number without a sign is east.
fn offset_in(words: &str) -> Option<i32> {
    let signed = words.strip_prefix("utc").or_else(|| words.strip_prefix("gmt")).unwrap_or(words);
    let signed = signed.trim();
    let (sign, digits) = match signed.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, signed.strip_prefix('+').unwrap_or(signed)),
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None if digits.len() == 4 => digits.split_at_checked(2)?,
        None => (digits, "00"),
    };
    if hours.len() > 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    Some(sign * (hours * 60 + minutes) * 60)
}

fn number(digits: &str) -> Option<i32> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// Whether a name has the sign of POSIX, by which `Etc/GMT+8` is eight hours west.
fn is_inverted(name: &str) -> bool {
    let name = name.strip_prefix("Etc/").unwrap_or(name);
    name.strip_prefix("GMT").is_some_and(|sign| sign.starts_with(['+', '-']))
}

/// Its offset now, such as `UTC+05:45`.
pub(super) fn offset_of(zone: &TimeZone, now: Timestamp) -> String {
    let seconds = seconds_of(zone, now);
    let sign = if seconds < 0 { '\u{2212}' } else { '+' };
    let minutes = seconds.unsigned_abs() / 60;
    format!("UTC{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

fn seconds_of(zone: &TimeZone, now: Timestamp) -> i32 {
    jiff::Timestamp::from_millisecond(now.unix_ms()).map_or(0, |now| zone.to_offset(now).seconds())
}

/// Whether a browser may be told to remember it.
pub(super) fn is_choice(text: &str) -> bool {
    matches!(text, OF_BROWSER | OF_SERVER) || named(text).is_some()
}

/// The name of a zone, as the API takes it.
pub(super) fn name_of(zone: &TimeZone) -> &str {
    zone.iana_name().unwrap_or("UTC")
}

fn named(name: &str) -> Option<TimeZone> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-/".contains(&byte);
    if name.len() > 64 || !name.bytes().all(is_plain) {
        return None;
    }
    TimeZone::get(name).ok().filter(|zone| zone.iana_name().is_some())
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, header};

    use super::*;

    fn zone(cookies: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::COOKIE,
            HeaderValue::from_str(cookies).unwrap_or_else(|_| HeaderValue::from_static("")),
        );
        let server = TimeZone::get("Asia/Tokyo").unwrap_or(TimeZone::UTC);
        name_of(&ReaderZone::of(&headers, server).zone).to_owned()
    }

    #[test]
    fn the_choice_comes_before_the_browser_and_the_browser_before_the_server() {
        for (cookies, wanted) in [
            ("", "Asia/Tokyo"),
            ("simdeck_browser_zone=Europe/Berlin", "Europe/Berlin"),
            ("simdeck_browser_zone=Nowhere/Land", "Asia/Tokyo"),
            ("simdeck_browser_zone=../../etc/localtime", "Asia/Tokyo"),
            ("simdeck_zone=server; simdeck_browser_zone=Europe/Berlin", "Asia/Tokyo"),
            ("simdeck_zone=browser; simdeck_browser_zone=Europe/Berlin", "Europe/Berlin"),
            ("simdeck_zone=Asia/Shanghai; simdeck_browser_zone=Europe/Berlin", "Asia/Shanghai"),
            ("simdeck_zone=Moon/Base; simdeck_browser_zone=Europe/Berlin", "Europe/Berlin"),
        ] {
            assert_eq!(zone(cookies), wanted, "{cookies}");
        }
    }

    #[test]
    fn an_offset_is_that_of_the_season() {
        let offset = |name: &str, at: &str| {
            let at: jiff::Timestamp = at.parse().unwrap_or_default();
            let zone = named(name).unwrap_or(TimeZone::UTC);
            offset_of(&zone, Timestamp::from_unix_ms(at.as_millisecond()))
        };
        assert_eq!(offset("Europe/Berlin", "2024-01-05T00:00:00Z"), "UTC+01:00");
        assert_eq!(offset("Europe/Berlin", "2024-07-05T00:00:00Z"), "UTC+02:00");
        assert_eq!(offset("America/St_Johns", "2024-01-05T00:00:00Z"), "UTC\u{2212}03:30");
        assert_eq!(offset("UTC", "2024-01-05T00:00:00Z"), "UTC+00:00");
    }
}
