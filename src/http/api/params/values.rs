//! What a parameter may say. Who cannot read a value says what it should have been.
use std::time::Duration;

use super::Format;
use crate::domain::{Giccid, Interval, Kind, ShortText, SimSort};

pub(super) fn number<N: std::str::FromStr>(text: &str) -> Result<N, &'static str> {
    const SHOULD_BE: &str = "a whole number";
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(SHOULD_BE);
    }
    text.parse().map_err(|_| SHOULD_BE)
}

pub(super) fn flag(text: &str) -> Result<bool, &'static str> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("true or false"),
    }
}

pub(super) fn format(text: &str) -> Result<Format, &'static str> {
    [Format::Json, Format::Ndjson, Format::Csv]
        .into_iter()
        .find(|format| format.as_str() == text)
        .ok_or("one of json, ndjson, csv")
}

pub(super) fn interval(text: &str) -> Result<Interval, &'static str> {
    Ok(match text {
        "15m" => Interval::QuarterHour,
        "1h" => Interval::Hour,
        "1d" => Interval::Day,
        "1w" => Interval::Week,
        "1M" => Interval::Month,
        "none" => Interval::Whole,
        _ => return Err("one of 15m, 1h, 1d, 1w, 1M (month), none"),
    })
}

/// How many groups stand for themselves.
pub(super) fn top(text: &str) -> Result<usize, &'static str> {
    const GROUPS_MAX: usize = 1000;
    let groups = number(text).ok().filter(|groups| (1..=GROUPS_MAX).contains(groups));
    groups.ok_or("from 1 to 1000")
}

pub(super) fn sort(text: &str) -> Result<SimSort, &'static str> {
    match text {
        "newest" => Ok(SimSort::Newest),
        "last_seen" => Ok(SimSort::LastSeen),
        "data_usage" => Ok(SimSort::DataUsage),
        _ => Err("one of last_seen, data_usage, giccid"),
    }
}

/// A whole number and its unit.
pub(super) fn span(text: &str) -> Result<Duration, &'static str> {
    const SHOULD_BE: &str = "a time such as 90s, 30m, 24h, 7d or 2w";
    const DIGITS_MAX: usize = 9;
    let unit = text.chars().last().ok_or(SHOULD_BE)?;
    let digits = text.strip_suffix(unit).unwrap_or_default();
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        'w' => 7 * 24 * 60 * 60,
        _ => return Err(SHOULD_BE),
    };
    if digits.len() > DIGITS_MAX {
        return Err(SHOULD_BE);
    }
    number::<u64>(digits).map(|many| Duration::from_secs(many * seconds)).map_err(|_| SHOULD_BE)
}

pub(super) fn giccid(text: &str) -> Result<String, &'static str> {
    text.parse::<Giccid>().map(|giccid| giccid.to_string()).map_err(|_| "18 to 22 digits")
}

/// An empty value asks for the rows in which the field was not sent.
pub(super) fn short(text: &str) -> Result<String, &'static str> {
    ShortText::try_from(text)
        .map(|short| short.to_string())
        .map_err(|_| "a text of at most 256 bytes")
}

pub(super) fn words(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() { Err("a word or more") } else { short(text) }
}

pub(super) fn kind(text: &str) -> Result<Kind, &'static str> {
    text.parse().map_err(|_| "1 to 64 small letters, digits or hyphens")
}

/// Seconds, of which a part may be asked for.
pub(super) fn seconds(text: &str, max: u8) -> Option<Duration> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    if !digits(whole) || !digits(part) {
        return None;
    }
    let seconds: f64 = text.parse().ok()?;
    (seconds <= f64::from(max)).then(|| Duration::from_secs_f64(seconds))
}

/// RFC 3339 or milliseconds since 1970. A `+` that a client forgot to encode arrives as a space
/// and can only have been a `+`.
pub(super) fn time_ms(text: &str) -> Result<i64, &'static str> {
    const SHOULD_BE: &str = "a time as 2024-09-05T01:30:48Z or in milliseconds since 1970";
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().map_err(|_| SHOULD_BE);
    }
    let text = text.replace(' ', "+");
    let moment: jiff::Timestamp = text.parse().map_err(|_| SHOULD_BE)?;
    Ok(moment.as_millisecond())
}
