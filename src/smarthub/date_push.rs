//! `datePush`: when the platform pushed, in every form that stands for one second.
//!
//! SmartHub's documents show none. Their general rule for times prints as
//! `2024-09-05T01:30:48+0000`, so the neighbours of that form count too, and numbers since 1970.
//! More forms cost no safety: the signature is made over the second, so a form that is read as
//! another second than the sender meant does not verify.
use jiff::{civil::Date, tz::Offset};

/// The earliest second that can be hashed: ten digits.
pub const SECONDS_MIN: i64 = 1_000_000_000;
/// The last second that can be hashed: ten digits.
pub const SECONDS_MAX: i64 = 9_999_999_999;

/// A `datePush` that could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Whole seconds since 1970; a fraction is cut.
    pub seconds: i64,
    /// How it was written.
    pub form: Form,
}

/// How a `datePush` is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `1725499848`, `1725499848.123`, `1.725499848E9`
    Seconds,
    /// `1725499848123`
    Milliseconds,
    /// `1725499848123456`
    Microseconds,
    /// `1725499848123456789`
    Nanoseconds,
    /// `2024-09-05T01:30:48+0000` and its neighbours.
    DateTime,
    /// The same without a zone: in UTC.
    DateTimeWithoutZone,
}

impl Form {
    /// The form in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seconds => "seconds since 1970",
            Self::Milliseconds => "milliseconds since 1970",
            Self::Microseconds => "microseconds since 1970",
            Self::Nanoseconds => "nanoseconds since 1970",
            Self::DateTime => "a date and time with its zone",
            Self::DateTimeWithoutZone => "a date and time without a zone, in UTC",
        }
    }
}

/// Reads a number as JSON writes one: seconds since 1970, or parts of them, told apart by how many
/// digits stand before the point.
pub fn read_number(number: &str) -> Option<Reading> {
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            let places: i16 = are_digits(digits).then(|| digits.parse().ok()).flatten()?;
            (mantissa, if exponent.starts_with('-') { -places } else { places })
        }
        None => (number, 0),
    };
    let (whole, fraction) = match mantissa.split_once(['.', ',']) {
        Some((whole, fraction)) if are_digits(fraction) => (whole, fraction),
        Some(_) => return None,
        None => (mantissa, ""),
    };
    if !are_digits(whole) {
        return None;
    }
    let form = match i16::try_from(whole.len()).ok()?.checked_add(exponent)? {
        10 => Form::Seconds,
        13 => Form::Milliseconds,
        16 => Form::Microseconds,
        19 => Form::Nanoseconds,
        _ => return None,
    };
    let digits = whole.bytes().chain(fraction.bytes()).chain(std::iter::repeat(b'0'));
    let seconds = digits.take(10).fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
    Some(Reading { seconds: in_range(seconds)?, form })
}

/// Reads a text: a number as [`read_number`] does, or a date and time.
pub fn read_text(text: &str) -> Option<Reading> {
    let text = text.trim_ascii();
    read_number(text).or_else(|| read_date_time(text.as_bytes()))
}

/// The second that a number stands for.
pub fn parse_number(number: &str) -> Option<i64> {
    read_number(number).map(|reading| reading.seconds)
}

/// The second that a text stands for.
pub fn parse_text(text: &str) -> Option<i64> {
    read_text(text).map(|reading| reading.seconds)
}

/// The second, if it has the ten digits that the signature is made over.
pub fn in_range(seconds: i64) -> Option<i64> {
    (SECONDS_MIN..=SECONDS_MAX).contains(&seconds).then_some(seconds)
}

/// `2024-09-05T01:30[:48[.999]][Z|±hh[[:]mm]][[zone]]`, or without what separates the digits.
fn read_date_time(text: &[u8]) -> Option<Reading> {
    let mut rest = Cursor(text);
    let year = rest.number(4)?;
    let mark = rest.one_of(b"-/");
    let month = rest.number(2)?;
    if rest.one_of(b"-/") != mark {
        return None;
    }
    let day = rest.number(2)?;
    let is_separated = rest.one_of(b"Tt ").is_some();
    if mark.is_some() && !is_separated {
        return None;
    }
    let hour = rest.number(2)?;
    let colon = rest.one_of(b":");
    if colon.is_some() != mark.is_some() {
        return None;
    }
    let minute = rest.number(2)?;
    let second = match colon {
        Some(_) if rest.one_of(b":").is_none() => 0,
        _ => rest.number(2)?,
    };
    if rest.one_of(b".,").is_some() {
        rest.skip_digits()?;
    }
    let (offset_s, form) = zone(rest.0)?;
    let (month, day) = (i8::try_from(month).ok()?, i8::try_from(day).ok()?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let date = Date::new(year, month, day).ok()?;
    let day_s = (i32::from(hour) * 60 + i32::from(minute)) * 60 + i32::from(second);
    let midnight = Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()?.as_second();
    let seconds = in_range(midnight + i64::from(day_s) - i64::from(offset_s))?;
    Some(Reading { seconds, form })
}

/// The seconds east of UTC; a time without a zone is in UTC.
fn zone(text: &[u8]) -> Option<(i32, Form)> {
    let text = without_name(text.strip_prefix(b" ").unwrap_or(text));
    if text.is_empty() {
        return Some((0, Form::DateTimeWithoutZone));
    }
    if [&b"Z"[..], b"UTC", b"GMT"].iter().any(|utc| text.eq_ignore_ascii_case(utc)) {
        return Some((0, Form::DateTime));
    }
    let mut rest = Cursor(text);
    let sign = if rest.one_of(b"+-")? == b'+' { 1 } else { -1 };
    let hours = rest.number(2)?;
    let minutes = match (rest.one_of(b":"), rest.0) {
        (None, []) => 0,
        _ => rest.number(2)?,
    };
    let is_offset = hours < 24 && minutes < 60 && rest.0.is_empty();
    let offset_s = sign * (i32::from(hours) * 3600 + i32::from(minutes) * 60);
    is_offset.then_some((offset_s, Form::DateTime))
}

/// Cuts `[Asia/Shanghai]` behind an offset, which says all that is needed.
fn without_name(text: &[u8]) -> &[u8] {
    let open = text.iter().position(|byte| *byte == b'[');
    match open.filter(|open| *open > 0 && text.ends_with(b"]") && open + 2 < text.len()) {
        Some(open) => &text[..open],
        None => text,
    }
}

fn are_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What is left of a text.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    /// Takes so many digits.
    fn number(&mut self, digits: usize) -> Option<i16> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        number.iter().try_fold(0, |number: i16, byte| {
            byte.is_ascii_digit().then(|| number * 10 + i16::from(byte - b'0'))
        })
    }

    /// Takes one of these characters, if one of them comes next.
    fn one_of(&mut self, marks: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first().filter(|(first, _)| marks.contains(first))?;
        self.0 = rest;
        Some(*first)
    }

    /// Takes at least one digit.
    fn skip_digits(&mut self) -> Option<()> {
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.0 = &self.0[digits..];
        (digits > 0).then_some(())
    }
}
