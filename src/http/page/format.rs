//! Numbers, volumes and times as a person reads them, in either language.
use std::time::Duration;

use jiff::{Zoned, tz::TimeZone};

use super::words::Words;
use crate::domain::Timestamp;

/// How many bytes a kilobyte has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnitBase {
    /// 1,024.
    #[default]
    Binary,
    /// 1,000, as networks bill.
    Decimal,
}

impl UnitBase {
    /// The number.
    pub const fn bytes(self) -> u32 {
        match self {
            Self::Binary => 1024,
            Self::Decimal => 1000,
        }
    }
}

/// A number that is short enough to be read at a glance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Amount {
    /// Three digits or so.
    pub(super) number: String,
    /// What they count; nothing where that is one.
    pub(super) unit: &'static str,
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.unit {
            "" => f.write_str(&self.number),
            unit => write!(f, "{} {unit}", self.number),
        }
    }
}

/// By how much something is more or less than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// Whether it is more.
    pub(super) is_up: bool,
    /// Such as `6.2%`.
    pub(super) by: String,
}

/// How to tell numbers and times to one browser now.
#[derive(Clone, Debug)]
pub(super) struct Format {
    /// In which words.
    pub(super) words: &'static Words,
    /// The zone in which times are told.
    pub(super) zone: TimeZone,
    /// What a kilobyte is.
    pub(super) base: UnitBase,
    /// What "ago" counts from.
    pub(super) now: Timestamp,
}

impl Format {
    /// A volume.
    pub(super) fn bytes(&self, bytes: i64) -> Amount {
        const UNITS: [&str; 6] = ["KB", "MB", "GB", "TB", "PB", "EB"];
        let base = f64::from(self.base.bytes());
        if bytes.unsigned_abs() < u64::from(self.base.bytes()) {
            return Amount { number: bytes.to_string(), unit: "B" };
        }
        let mut value = as_f64(bytes) / base;
        let mut unit = 0;
        // What would be rounded to a thousand is told in the next unit.
        while value.abs() >= 999.5 && unit + 1 < UNITS.len() {
            value /= base;
            unit += 1;
        }
        Amount { number: three_digits(value), unit: UNITS[unit] }
    }

    /// A volume to the byte.
    pub(super) fn exactly(&self, bytes: i64) -> String {
        format!("{} B", grouped(bytes))
    }

    /// A count: in full as long as that is short.
    pub(super) fn count(&self, count: i64) -> Amount {
        if count.unsigned_abs() < 1_000_000 {
            return Amount { number: grouped(count), unit: "" };
        }
        let (size, unit) = self.words.large(count.unsigned_abs());
        Amount { number: three_digits(as_f64(count) / size), unit }
    }

    /// A count of something that cannot be less than none.
    pub(super) fn number(&self, count: u64) -> String {
        self.count(i64::try_from(count).unwrap_or(i64::MAX)).to_string()
    }

    /// How much more or less it is than before; nothing if there was nothing before.
    pub(super) fn change(&self, now: i64, before: i64) -> Option<Change> {
        if before <= 0 {
            return None;
        }
        let change = (as_f64(now) - as_f64(before)) / as_f64(before) * 100.0;
        let by = if change.abs() >= 999.5 {
            format!("{}×", three_digits(as_f64(now) / as_f64(before)))
        } else {
            format!("{:.1}%", change.abs())
        };
        Some(Change { is_up: change >= 0.0, by })
    }

    /// A part of a whole, in percent.
    pub(super) fn share(&self, part: i64, whole: i64) -> String {
        if whole <= 0 || part <= 0 {
            return "0%".to_owned();
        }
        let share = as_f64(part) / as_f64(whole) * 100.0;
        if share < 1.0 { "<1%".to_owned() } else { format!("{share:.0}%") }
    }

    /// How many times something is as much as usual.
    pub(super) fn times(&self, now: i64, usual: i64) -> Option<String> {
        let times = (usual > 0).then(|| as_f64(now) / as_f64(usual))?;
        Some(if times >= 9.95 { format!("{times:.0}×") } else { format!("{times:.1}×") })
    }

    /// The time of day, without seconds.
    pub(super) fn time(&self, at: Timestamp) -> String {
        self.zoned(at).map_or_else(String::new, |at| at.strftime("%H:%M").to_string())
    }

    /// The time of day with seconds.
    pub(super) fn second(&self, at: Timestamp) -> String {
        self.zoned(at).map_or_else(String::new, |at| at.strftime("%H:%M:%S").to_string())
    }

    /// The day.
    pub(super) fn day(&self, at: Timestamp) -> String {
        self.zoned(at).map_or_else(String::new, |at| self.words.day(&at))
    }

    /// The day and the time; of today only the time.
    pub(super) fn moment(&self, at: Timestamp) -> String {
        let is_today =
            self.zoned(at).map(|at| at.date()) == self.zoned(self.now).map(|at| at.date());
        if is_today { self.time(at) } else { format!("{} {}", self.day(at), self.time(at)) }
    }

    /// The whole moment, for a cell of a table.
    pub(super) fn full(&self, at: Timestamp) -> String {
        self.zoned(at).map_or_else(String::new, |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string())
    }

    /// For how long something has been so.
    pub(super) fn since(&self, at: Timestamp) -> String {
        self.span(self.now.since(at))
    }

    /// A span of time in its largest unit.
    pub(super) fn span(&self, span: Duration) -> String {
        let seconds = span.as_secs();
        let (count, unit) = match seconds {
            0..90 => (seconds, 0),
            90..5_400 => (seconds / 60, 1),
            // Up to two days, so that no count of days is one.
            5_400..172_800 => (seconds / 3_600, 2),
            _ => (seconds / 86_400, 3),
        };
        format!("{count} {}", self.words.common.span_units[unit])
    }

    /// In the zone in which times are told; none if no calendar goes so far.
    pub(super) fn zoned(&self, at: Timestamp) -> Option<Zoned> {
        let at = jiff::Timestamp::from_millisecond(at.unix_ms()).ok()?;
        Some(at.to_zoned(self.zone.clone()))
    }
}

impl Format {
    /// The zone's name, as the API takes it.
    pub(super) fn zone_name(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }
}

/// A moment as the API tells it.
pub(super) fn told(text: &str) -> Option<Timestamp> {
    let at: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp::from_unix_ms(at.as_millisecond()))
}

/// Digits in groups of three.
pub(super) fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = if number < 0 { "-".to_owned() } else { String::new() };
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Three digits, and no zeros behind a point.
fn three_digits(value: f64) -> String {
    let text = match value.abs() {
        size if size < 9.995 => format!("{value:.2}"),
        size if size < 99.95 => format!("{value:.1}"),
        _ => return format!("{value:.0}"),
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The nearest whole number; what is too large for one is told as the largest.
pub(super) fn whole(value: f64) -> i64 {
    format!("{value:.0}").parse().unwrap_or(i64::MAX)
}

/// For drawing and for three digits a double is more than enough.
pub(super) fn as_f64(number: i64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::{
        super::words::{EN, ZH},
        *,
    };

    fn at(text: &str) -> Timestamp {
        told(text).unwrap_or(Timestamp::from_unix_ms(0))
    }

    fn format(words: &'static Words) -> Format {
        let now = at("2024-09-05T02:00:00Z");
        Format {
            words,
            zone: TimeZone::get("Asia/Shanghai").unwrap_or(TimeZone::UTC),
            base: UnitBase::Binary,
            now,
        }
    }

    #[test]
    fn volumes_have_three_digits_and_a_unit() {
        let bytes = |bytes| format(&EN).bytes(bytes).to_string();
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1_023), "1023 B");
        assert_eq!(bytes(1_024), "1 KB");
        assert_eq!(bytes(1_048_575), "1 MB");
        assert_eq!(bytes(19_293_798), "18.4 MB");
        assert_eq!(bytes(2_061_584_302), "1.92 GB");
        assert_eq!(bytes(i64::MAX), "8 EB");
        let decimal = Format { base: UnitBase::Decimal, ..format(&EN) };
        assert_eq!(decimal.bytes(1_690_000).to_string(), "1.69 MB");
    }

    #[test]
    fn large_counts_are_told_in_the_units_of_the_language() {
        assert_eq!(format(&EN).count(171_904).to_string(), "171,904");
        assert_eq!(format(&EN).count(1_690_000).to_string(), "1.69 M");
        assert_eq!(format(&ZH).count(1_690_000).to_string(), "169 万");
        assert_eq!(format(&ZH).count(169_000_000).to_string(), "1.69 亿");
    }

    #[test]
    fn a_change_from_nothing_is_none() {
        let change = |now, before| format(&EN).change(now, before).map(|it| (it.is_up, it.by));
        assert_eq!(change(5, 0), None);
        assert_eq!(change(1_062, 1_000), Some((true, "6.2%".to_owned())));
        assert_eq!(change(989, 1_000), Some((false, "1.1%".to_owned())));
        assert_eq!(change(118_000, 1_000), Some((true, "118×".to_owned())));
    }

    #[test]
    fn times_are_those_of_the_readers_zone() {
        let format = format(&EN);
        assert_eq!(format.moment(at("2024-09-04T16:30:00Z")), "00:30");
        assert_eq!(format.moment(at("2024-09-04T15:30:00Z")), "4 Sep 23:30");
        assert_eq!(format.since(at("2024-09-05T01:18:00Z")), "42 min");
        assert_eq!(format.since(at("2024-09-06T01:18:00Z")), "0 s");
        assert_eq!(format.since(at("2024-09-03T14:00:00Z")), "36 h");
        assert_eq!(format.since(at("2024-09-03T02:00:00Z")), "2 days");
    }
}
