//! The days by which the sums of each SIM are kept.
//!
//! They are those of the store's zone. Where the zone was changed after records had been pruned, the
//! sums of the pruned days cannot be cut anew: up to a border they stay the days of the zone before.
//! Days neither overlap nor leave a gap across a border, and their numbers never fall: the last day
//! before a border may go on behind it, and a number may be left out.
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::domain::{Calendar, Interval, Span};

/// The days of a store. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct StoreDays {
    zone: TimeZone,
    calendar: Calendar,
    earlier: Arc<[Earlier]>,
}

/// Days before a border.
#[derive(Clone, Debug)]
struct Earlier {
    until_ms: i64,
    zone: TimeZone,
    calendar: Calendar,
}

/// The same as the database says it.
#[derive(Debug, Deserialize, Serialize)]
struct EarlierRow {
    zone: String,
    until_ms: i64,
}

/// A day, or the part of one that lies on one side of a border.
#[derive(Clone, Copy)]
struct Part {
    span: Span,
    number: i64,
}

impl StoreDays {
    /// The days of one zone, from ever.
    pub(super) fn of(zone: TimeZone) -> Self {
        let calendar = Calendar::new(zone.clone(), Interval::Day);
        Self { zone, calendar, earlier: Arc::default() }
    }

    /// As the database says: the zone's name, and the zones before it.
    pub(super) fn read(zone: &str, earlier: Option<&str>) -> Result<Self, StoreError> {
        let named = |name: &str| {
            TimeZone::get(name).map_err(|_| StoreError::Corrupt { table: "meta", id: 0 })
        };
        let rows: Vec<EarlierRow> = match earlier {
            Some(text) => serde_json::from_str(text)?,
            None => Vec::new(),
        };
        let earlier = rows.into_iter().map(|row| {
            let zone = named(&row.zone)?;
            let calendar = Calendar::new(zone.clone(), Interval::Day);
            Ok(Earlier { until_ms: row.until_ms, zone, calendar })
        });
        let earlier = earlier.collect::<Result<_, StoreError>>()?;
        Ok(Self { earlier, ..Self::of(named(zone)?) })
    }

    /// The zones before, as the database says them; none where there are none.
    pub(super) fn earlier(&self) -> Result<Option<String>, StoreError> {
        let row = |it: &Earlier| EarlierRow { zone: name_of(&it.zone), until_ms: it.until_ms };
        let rows: Vec<EarlierRow> = self.earlier.iter().map(row).collect();
        Ok(if rows.is_empty() { None } else { Some(serde_json::to_string(&rows)?) })
    }

    /// Those of another zone, from this border on: the start of a day. Without a border, from ever.
    pub(super) fn changed(&self, zone: TimeZone, border_ms: Option<i64>) -> Self {
        let mut earlier = Vec::new();
        if let Some(border_ms) = border_ms {
            earlier.extend(self.earlier.iter().filter(|it| it.until_ms < border_ms).cloned());
            let until = |it: &Earlier| it.until_ms >= border_ms;
            let last = self.earlier.iter().find(|it| until(it));
            let zone = last.map_or(&self.zone, |it| &it.zone).clone();
            let calendar = Calendar::new(zone.clone(), Interval::Day);
            earlier.push(Earlier { until_ms: border_ms, zone, calendar });
        }
        // A zone needs no border to itself.
        while earlier.last().is_some_and(|it| name_of(&it.zone) == name_of(&zone)) {
            earlier.pop();
        }
        Self { earlier: earlier.into(), ..Self::of(zone) }
    }

    /// Whether they are what the database says in these words.
    pub(super) fn are_of(&self, zone: &str, earlier: Option<&str>) -> bool {
        name_of(&self.zone) == zone
            && match earlier {
                None => self.is_of_one_zone(),
                Some(text) => self.earlier().is_ok_and(|own| own.as_deref() == Some(text)),
            }
    }

    /// Whether they are the days of the same zones, with the same borders.
    pub(super) fn are_same(&self, other: &Self) -> bool {
        let borders = |days: &Self| -> Vec<_> {
            days.earlier.iter().map(|it| (it.until_ms, name_of(&it.zone))).collect()
        };
        name_of(&self.zone) == name_of(&other.zone) && borders(self) == borders(other)
    }

    /// The zone of the days now.
    pub(super) fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Whether all days are of that zone.
    pub(super) fn is_of_one_zone(&self) -> bool {
        self.earlier.is_empty()
    }

    /// The day in which a moment lies.
    pub(super) fn span_of(&self, at_ms: i64) -> Span {
        if self.is_of_one_zone() {
            return self.calendar.span_of(at_ms);
        }
        let Part { mut span, number } = self.part(at_ms);
        loop {
            let next = self.part(span.end_ms);
            if next.number != number || next.span.end_ms <= span.end_ms {
                break;
            }
            span.end_ms = next.span.end_ms;
        }
        loop {
            let before = self.part(span.start_ms.saturating_sub(1));
            if before.number != number || before.span.start_ms >= span.start_ms {
                break;
            }
            span.start_ms = before.span.start_ms;
        }
        span
    }

    /// The number of a day: counted from 1970, and the larger the later.
    pub(super) fn number_of(&self, day: Span) -> i64 {
        if self.is_of_one_zone() {
            return self.calendar.day_of(day);
        }
        self.part(day.start_ms).number
    }

    /// The first moment of the first day with this number, or with a larger one.
    pub(super) fn start_of(&self, number: i64) -> i64 {
        const DAYS_AWAY_MAX: i64 = 3;
        let around_ms = number.saturating_sub(DAYS_AWAY_MAX).saturating_mul(super::rollup::DAY_MS);
        let mut day = self.span_of(around_ms);
        while self.number_of(day) < number && !day.is_empty() {
            day = self.span_of(day.end_ms);
        }
        day.start_ms
    }

    fn part(&self, at_ms: i64) -> Part {
        let (mut from_ms, mut last) = (i64::MIN, i64::MIN);
        for Earlier { until_ms, calendar, .. } in self.earlier.iter() {
            if at_ms < *until_ms {
                return part(calendar, at_ms, Span { start_ms: from_ms, end_ms: *until_ms }, last);
            }
            if *until_ms > from_ms {
                let day = calendar.span_of(until_ms.saturating_sub(1));
                last = last.max(calendar.day_of(day));
                from_ms = *until_ms;
            }
        }
        part(&self.calendar, at_ms, Span { start_ms: from_ms, end_ms: i64::MAX }, last)
    }
}

/// What lies between two borders of the day in which a moment lies; its number is not below `last`.
fn part(calendar: &Calendar, at_ms: i64, between: Span, last: i64) -> Part {
    let day = calendar.span_of(at_ms);
    Part { span: day.and(between), number: calendar.day_of(day).max(last) }
}

/// The name that a zone has in the database.
pub(super) fn name_of(zone: &TimeZone) -> String {
    zone.iana_name().unwrap_or("UTC").to_owned()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;
    use crate::store::rollup::{DAY_MS, HOUR_MS};

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    /// Days follow one another without gap, their numbers rise, and each moment of a day knows it.
    fn follow(days: &StoreDays, from_ms: i64, count: usize) -> Vec<(i64, Span)> {
        let mut found: Vec<(i64, Span)> = Vec::new();
        let mut at_ms = from_ms;
        for _ in 0..count {
            let day = days.span_of(at_ms);
            let number = days.number_of(day);
            if let Some((before, last)) = found.last() {
                assert_eq!(last.end_ms, day.start_ms);
                assert!(*before < number, "{before} and then {number}");
            }
            for inside in [day.start_ms, day.start_ms.midpoint(day.end_ms), day.end_ms - 1] {
                assert_eq!(days.span_of(inside), day, "{inside}");
            }
            assert_eq!(days.start_of(number), day.start_ms);
            found.push((number, day));
            at_ms = day.end_ms;
        }
        found
    }

    #[test]
    fn days_meet_at_each_border_whatever_the_zones() {
        let zones =
            ["UTC", "Asia/Shanghai", "Pacific/Kiritimati", "Pacific/Niue", "Asia/Kathmandu"];
        for first in zones {
            for second in zones {
                for third in zones {
                    let one = StoreDays::of(zone(first));
                    let border_ms = one.span_of(20_000 * DAY_MS).start_ms;
                    let two = one.changed(zone(second), Some(border_ms));
                    let later_ms = two.span_of(border_ms + 3 * DAY_MS).start_ms;
                    let three = two.changed(zone(third), Some(later_ms));
                    for days in [&one, &two, &three] {
                        let name = name_of(days.zone());
                        let read = StoreDays::read(&name, days.earlier().unwrap().as_deref());
                        let from_ms = border_ms - 5 * DAY_MS;
                        let found = follow(days, from_ms, 14);
                        assert_eq!(follow(&read.unwrap(), from_ms, 14), found);
                    }
                    let before = |days: &StoreDays| follow(days, border_ms - 5 * DAY_MS, 4);
                    assert_eq!(before(&one), before(&three), "{first}, {second}, {third}");
                }
            }
        }
    }

    #[test]
    fn behind_the_border_the_days_are_those_of_the_new_zone() {
        let one = StoreDays::of(zone("UTC"));
        let border_ms = 20_000 * DAY_MS;
        let two = one.changed(zone("Asia/Shanghai"), Some(border_ms));
        let later_ms = border_ms + 5 * DAY_MS;
        assert_eq!(two.span_of(later_ms), StoreDays::of(zone("Asia/Shanghai")).span_of(later_ms));
        let first = two.span_of(border_ms);
        assert_eq!(first, Span { start_ms: border_ms, end_ms: border_ms + 16 * HOUR_MS });
        let changed = two.changed(zone("UTC"), None);
        assert!(changed.is_of_one_zone());
    }
}
