//! Volumes, spans and moments as people read them.
use jiff::tz::TimeZone;

pub(super) use crate::domain::span;
use crate::domain::{Giccid, Timestamp};

/// Tells moments by the clock of the store's zone.
pub(super) struct Wording {
    pub(super) now: Timestamp,
    pub(super) zone: TimeZone,
}

impl Wording {
    /// Such as `at 02:10`, or, of another day, `at 02:10 on 2024-09-04`.
    pub(super) fn at(&self, at: Timestamp) -> String {
        let local = |at: Timestamp| {
            let moment = jiff::Timestamp::from_millisecond(at.unix_ms()).ok()?;
            Some(self.zone.to_datetime(moment))
        };
        let (Some(then), Some(now)) = (local(at), local(self.now)) else {
            return format!("at {at}");
        };
        let clock = format!("at {:02}:{:02}", then.hour(), then.minute());
        if then.date() == now.date() { clock } else { format!("{clock} on {}", then.date()) }
    }
}

/// The SIM by its last digits.
pub(super) fn sim(giccid: &Giccid) -> String {
    let digits = giccid.to_string();
    let from = digits.len().saturating_sub(4);
    format!("SIM …{}", digits.get(from..).unwrap_or_default())
}

/// Three digits and a unit of 1024s: `1.92 GB`.
pub(super) fn volume(bytes: i64) -> String {
    const UNITS: [&str; 5] = ["KB", "MB", "GB", "TB", "PB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // Hundredths, rounded; what would round up to 1024 is 1 of the next unit.
    let in_hundredths = |unit: i128| (i128::from(bytes) * 100 + unit / 2) / unit;
    let (mut unit, mut name) = (1 << 10, 0);
    while in_hundredths(unit) >= 102_350 && name + 1 < UNITS.len() {
        (unit, name) = (unit << 10, name + 1);
    }
    let hundredths = in_hundredths(unit);
    let number = match hundredths {
        0..1000 => format!("{}.{:02}", hundredths / 100, hundredths % 100),
        1000..10_000 => {
            let tenths = (hundredths + 5) / 10;
            format!("{}.{}", tenths / 10, tenths % 10)
        }
        _ => ((hundredths + 50) / 100).to_string(),
    };
    let number = match number.contains('.') {
        true => number.trim_end_matches('0').trim_end_matches('.'),
        false => &number,
    };
    format!("{number} {}", UNITS[name])
}

/// `1 push`, `2 pushes`.
pub(super) fn number(count: u64, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_have_three_digits_and_a_unit_of_1024s() {
        let told = [0, 1023, 1024, 1536, 16 << 20, 2_061_584_302, (1 << 20) - 1, i64::MAX];
        let expected = ["0 B", "1023 B", "1 KB", "1.5 KB", "16 MB", "1.92 GB", "1 MB", "8192 PB"];
        assert_eq!(told.map(volume), expected);
    }
}
