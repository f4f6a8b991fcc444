//! `datePush`: when the platform pushed, in every textual form that SmartHub's documents allow.
//!
//! They show none. Their general rule for times prints as `2024-09-05T01:30:48+0000`, so the
//! neighbours of that form count too, and epoch seconds and milliseconds as number or text.
use jiff::{civil::Date, tz::Offset};

/// The earliest second that can be hashed: ten digits.
pub const SECONDS_MIN: i64 = 1_000_000_000;
/// The last second that can be hashed: ten digits.
pub const SECONDS_MAX: i64 = 9_999_999_999;

/// Reads a number as it stands in the JSON text, or a text of digits: ten digits are seconds,
/// thirteen milliseconds, cut to seconds.
pub fn parse_digits(digits: &str) -> Option<i64> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds = match digits.len() {
        10 => digits.parse().ok()?,
        13 => digits[..10].parse().ok()?,
        _ => return None,
    };
    in_range(seconds)
}

/// Reads a text: digits as [`parse_digits`] does, or a date and time with its offset, whose
/// fraction of a second is cut. Gives whole seconds since 1970.
pub fn parse_text(text: &str) -> Option<i64> {
    parse_digits(text).or_else(|| parse_date_time(text.as_bytes()))
}

/// The second, if it has the ten digits that the signature is made over.
pub fn in_range(seconds: i64) -> Option<i64> {
    (SECONDS_MIN..=SECONDS_MAX).contains(&seconds).then_some(seconds)
}

/// `2024-09-05T01:30:48[.999](Z|+0000|+00:00)`
fn parse_date_time(text: &[u8]) -> Option<i64> {
    let (date_time, rest) = text.split_at_checked(19)?;
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if marks.iter().any(|&(at, mark)| date_time[at] != mark) {
        return None;
    }
    let field = |from: usize, to: usize| two_to_four_digits(&date_time[from..to]);
    let narrow = |number: i16| i8::try_from(number).ok();
    let date = Date::new(field(0, 4)?, narrow(field(5, 7)?)?, narrow(field(8, 10)?)?).ok()?;
    let (hour, minute, second) =
        (narrow(field(11, 13)?)?, narrow(field(14, 16)?)?, narrow(field(17, 19)?)?);
    if !(0..24).contains(&hour) || !(0..60).contains(&minute) || !(0..60).contains(&second) {
        return None;
    }
    let offset = parse_offset(skip_fraction(rest)?)?;
    let moment = offset.to_timestamp(date.at(hour, minute, second, 0)).ok()?;
    in_range(moment.as_second())
}

/// Cuts `.` and the digits behind it.
fn skip_fraction(text: &[u8]) -> Option<&[u8]> {
    let Some(fraction) = text.strip_prefix(b".") else { return Some(text) };
    let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (digits > 0).then(|| &fraction[digits..])
}

fn parse_offset(text: &[u8]) -> Option<Offset> {
    let (sign, hours, minutes) = match text {
        b"Z" => return Some(Offset::UTC),
        [sign, hours @ .., b':', m1, m2] if hours.len() == 2 => (sign, hours, [*m1, *m2]),
        [sign, h1, h2, m1, m2] => (sign, &[*h1, *h2][..], [*m1, *m2]),
        _ => return None,
    };
    let sign = match sign {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = (two_to_four_digits(hours)?, two_to_four_digits(&minutes)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    Offset::from_seconds(sign * (i32::from(hours) * 3600 + i32::from(minutes) * 60)).ok()
}

fn two_to_four_digits(text: &[u8]) -> Option<i16> {
    text.iter().try_fold(0, |number: i16, byte| {
        byte.is_ascii_digit().then(|| number * 10 + i16::from(byte - b'0'))
    })
}
