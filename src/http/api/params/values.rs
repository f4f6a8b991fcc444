//! What a parameter may say. Who cannot read a value says what it should have been.
use std::{ops::RangeInclusive, str::FromStr, time::Duration};

use jiff::fmt::temporal::Pieces;

use super::Format;
use crate::domain::{Giccid, Interval, Kind, ShortText, SimSort};

/// The last page that can be named: more than any list has.
pub(super) const PAGE_MAX: u64 = 2_147_483_647;
/// The longest text that a parameter may hold, in characters: as many as a pushed text has bytes.
pub(super) const TEXT_CHARACTERS_MAX: usize = ShortText::BYTES_MAX;
/// The most digits of a time in milliseconds.
pub(super) const TIME_DIGITS_MAX: usize = 18;
/// A time of so many digits is in seconds.
const SECOND_DIGITS: usize = 10;
/// The most digits of a time with a unit.
pub(super) const SPAN_DIGITS_MAX: usize = 9;
/// The most groups that stand for themselves.
pub(super) const GROUPS_SHOWN_MAX: u32 = 1000;

/// The intervals and their words.
pub(super) const INTERVALS: [(&str, Interval); 6] = [
    ("15m", Interval::QuarterHour),
    ("1h", Interval::Hour),
    ("1d", Interval::Day),
    ("1w", Interval::Week),
    ("1M", Interval::Month),
    ("none", Interval::Whole),
];
/// The orders of SIMs and their words.
pub(super) const SORTS: [(&str, SimSort); 3] = [
    ("newest", SimSort::Newest),
    ("last_seen", SimSort::LastSeen),
    ("data_usage", SimSort::DataUsage),
];

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

pub(super) fn interval(text: &str) -> Result<Interval, &'static str> {
    let known = INTERVALS.into_iter().find(|(word, _)| *word == text);
    known.map(|(_, interval)| interval).ok_or("one of 15m, 1h, 1d, 1w, 1M (month), none")
}

/// How many groups stand for themselves.
pub(super) fn top(text: &str) -> Result<usize, &'static str> {
    let groups = number(text, 1..=GROUPS_SHOWN_MAX).map_err(|_| "from 1 to 1000")?;
    usize::try_from(groups).map_err(|_| "from 1 to 1000")
}

pub(super) fn sort(text: &str) -> Result<SimSort, &'static str> {
    let known = SORTS.into_iter().find(|(word, _)| *word == text);
    known.map(|(_, sort)| sort).ok_or("one of newest, last_seen, data_usage")
}

/// A whole number and its unit.
pub(super) fn span(text: &str) -> Result<Duration, &'static str> {
    const SHOULD_BE: &str = "a time such as 90s, 30m, 24h, 7d or 2w";
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
    if digits.len() > SPAN_DIGITS_MAX {
        return Err(SHOULD_BE);
    }
    number::<u64>(digits, 0..=u64::MAX)
        .map(|many| Duration::from_secs(many * seconds))
        .map_err(|_| SHOULD_BE)
}

pub(super) fn giccid(text: &str) -> Result<String, &'static str> {
    text.parse::<Giccid>().map(|giccid| giccid.to_string()).map_err(|_| Giccid::EXPECTED)
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

/// RFC 3339, or seconds or milliseconds since 1970. A `+` that a client forgot to encode arrives as a space
/// and can only have been a `+`.
pub(super) fn time_ms(text: &str) -> Result<i64, &'static str> {
    const SHOULD_BE: &str =
        "a time as 2024-09-05T01:30:48Z, or in seconds (10 digits) or milliseconds since 1970";
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let fits = digits.len() <= TIME_DIGITS_MAX;
        let number: i64 = text.parse().ok().filter(|_| fits).ok_or(SHOULD_BE)?;
        // Milliseconds of so few digits lie in the first months of 1970: nobody means those.
        return Ok(if digits.len() == SECOND_DIGITS { number * 1000 } else { number });
    }
    rfc_3339_ms(&text.replace(' ', "+")).ok_or(SHOULD_BE)
}

/// A second as `datePush` names one: a time of which the part below the second is cut.
pub(in crate::http::api) fn date_push_s(text: &str) -> Result<i64, &'static str> {
    time_ms(text).map(|ms| ms.div_euclid(1000))
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
