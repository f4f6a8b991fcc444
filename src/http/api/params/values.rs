//! What a parameter may say. Who cannot read a value says what it should have been.
use std::{ops::RangeInclusive, str::FromStr};

use jiff::fmt::temporal::Pieces;

use super::Format;
use crate::domain::{Giccid, Kind, ShortText};

/// The last page that can be named: more than any list has.
pub(super) const PAGE_MAX: u64 = 2_147_483_647;
/// The longest text that a parameter may hold, in characters: as many as a pushed text has bytes.
pub(super) const TEXT_CHARACTERS_MAX: usize = ShortText::BYTES_MAX;
/// The most digits of a time in milliseconds.
pub(super) const TIME_DIGITS_MAX: usize = 18;

pub(super) fn number<N: FromStr + PartialOrd>(
    text: &str,
    range: RangeInclusive<N>,
) -> Result<N, &'static str> {
    const SHOULD_BE: &str = "a whole number in the range that the documentation names";
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("a whole number");
    }
    text.parse().ok().filter(|number| range.contains(number)).ok_or(SHOULD_BE)
}

pub(super) fn flag(text: &str) -> Result<bool, &'static str> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("true or false"),
    }
}

pub(super) fn format(text: &str) -> Result<Format, &'static str> {
    Format::ALL.into_iter().find(|format| format.as_str() == text).ok_or("one of json, ndjson, csv")
}

pub(super) fn giccid(text: &str) -> Result<String, &'static str> {
    text.parse::<Giccid>().map(|giccid| giccid.to_string()).map_err(|_| "18 to 22 digits")
}

/// An empty value asks for the rows in which the field was not sent.
pub(super) fn short(text: &str) -> Result<String, &'static str> {
    let fits = text.chars().count() <= TEXT_CHARACTERS_MAX;
    if fits { Ok(text.to_owned()) } else { Err("a text of at most 256 characters") }
}

pub(super) fn words(text: &str) -> Result<String, &'static str> {
    if text.is_empty() { Err("a text of 1 to 256 characters") } else { short(text) }
}

pub(super) fn kind(text: &str) -> Result<Kind, &'static str> {
    text.parse().map_err(|_| "1 to 64 small letters, digits or hyphens")
}

/// RFC 3339 or milliseconds since 1970. A `+` that a client forgot to encode arrives as a space
/// and can only have been a `+`.
pub(super) fn time_ms(text: &str) -> Result<i64, &'static str> {
    const SHOULD_BE: &str = "a time as 2024-09-05T01:30:48Z or in milliseconds since 1970";
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let fits = digits.len() <= TIME_DIGITS_MAX;
        return text.parse().ok().filter(|_| fits).ok_or(SHOULD_BE);
    }
    rfc_3339_ms(&text.replace(' ', "+")).ok_or(SHOULD_BE)
}

/// By hand from its pieces, so that the ends of the years 0000 and 9999 can be named in any zone.
fn rfc_3339_ms(text: &str) -> Option<i64> {
    const SECOND_MS: i64 = 1000;
    const DAY_MS: i64 = 24 * 60 * 60 * SECOND_MS;
    let text = without_tiny_fraction(text);
    let pieces = Pieces::parse(&text).ok()?;
    let (date, time, offset) = (pieces.date(), pieces.time()?, pieces.to_numeric_offset()?);
    let epoch = jiff::civil::date(1970, 1, 1);
    let days = i64::from(epoch.until(date).ok()?.get_days());
    let seconds = (i64::from(time.hour()) * 60 + i64::from(time.minute())) * 60
        + i64::from(time.second())
        - i64::from(offset.seconds());
    Some(days * DAY_MS + seconds * SECOND_MS + i64::from(time.millisecond()))
}

/// RFC 3339 allows any number of digits behind the second; a nanosecond is all that is read.
fn without_tiny_fraction(text: &str) -> String {
    const DIGITS_READ: usize = 9;
    let Some((whole, rest)) = text.split_once('.') else { return text.to_owned() };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (fraction, zone) = rest.split_at(digits);
    format!("{whole}.{}{zone}", &fraction[..digits.min(DIGITS_READ)])
}
