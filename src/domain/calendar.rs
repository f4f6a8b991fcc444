//! Where the intervals of a zone's calendar begin and end, in milliseconds since 1970, UTC.
use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, Time},
    tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneTransition},
};

use super::TIME_MS_MIN;

const QUARTER_HOUR_MS: i64 = 15 * 60 * 1000;
const HOUR_MS: i64 = 60 * 60 * 1000;
/// No zone's rules are asked further than this: 2100-01-01.
const RULES_END_MS: i64 = 4_102_444_800_000;

/// Into what a range of time is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interval {
    /// Quarters of an hour of the local clock.
    QuarterHour,
    /// Hours of the local clock. Where a clock is moved by less than an hour, the hour ends there.
    Hour,
    /// Local days, which have 23 to 25 hours where clocks are moved.
    Day,
    /// Weeks of local days; they begin on Monday.
    Week,
    /// Months of local days.
    Month,
    /// Not at all.
    #[default]
    Whole,
}

/// From one moment up to another, which is not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Where it begins.
    pub start_ms: i64,
    /// Where the next begins.
    pub end_ms: i64,
}

impl Span {
    /// All time there is.
    pub const ALL: Self = Self { start_ms: i64::MIN, end_ms: i64::MAX };

    /// Whether the moment is in it.
    pub fn contains(self, at_ms: i64) -> bool {
        (self.start_ms..self.end_ms).contains(&at_ms)
    }

    /// Whether there is no moment in it.
    pub fn is_empty(self) -> bool {
        self.start_ms >= self.end_ms
    }

    /// What it has in common with another.
    pub fn and(self, other: Self) -> Self {
        let start_ms = self.start_ms.max(other.start_ms);
        Self { start_ms, end_ms: self.end_ms.min(other.end_ms) }
    }
}

/// A part of a range that is cut evenly: into one interval, or at every `step_ms` from `origin_ms`,
/// which is not after its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The part.
    pub span: Span,
    /// A border of intervals.
    pub origin_ms: i64,
    /// How long each is.
    pub step_ms: i64,
}

/// The intervals of one length in one zone.
#[derive(Clone, Debug)]
pub struct Calendar {
    zone: TimeZone,
    interval: Interval,
}

impl Calendar {
    /// The intervals of this length in this zone.
    pub fn new(zone: TimeZone, interval: Interval) -> Self {
        Self { zone, interval }
    }

    /// The interval in which a moment lies. Intervals neither overlap nor leave a gap. A day begins
    /// at its first moment, even where the clock then goes back behind midnight once more.
    pub fn span_of(&self, at_ms: i64) -> Span {
        match self.interval {
            Interval::QuarterHour => self.on_clock(at_ms, QUARTER_HOUR_MS),
            Interval::Hour => self.on_clock(at_ms, HOUR_MS),
            Interval::Day => self.of_days(at_ms, |date| (date, date.tomorrow())),
            Interval::Week => self.of_days(at_ms, |date| {
                let since_monday = i64::from(date.weekday().to_monday_zero_offset());
                let monday = date.saturating_sub(SignedDuration::from_hours(24 * since_monday));
                (monday, monday.checked_add(SignedDuration::from_hours(24 * 7)))
            }),
            Interval::Month => {
                self.of_days(at_ms, |date| (date.first_of_month(), date.last_of_month().tomorrow()))
            }
            Interval::Whole => Span::ALL,
        }
    }

    /// The local date at a moment.
    pub fn date_at(&self, at_ms: i64) -> Date {
        self.zone.to_datetime(moment(at_ms)).date()
    }

    /// The day in which a moment lies, in days since 1970. Only where the interval is a day.
    pub fn day_of(&self, span: Span) -> i64 {
        let since_1970 = Date::constant(1970, 1, 1).duration_until(self.date_at(span.start_ms));
        since_1970.as_hours() / 24
    }

    /// The moment that had the same local time so many weeks before. A local time that was skipped
    /// then is taken as far behind the gap.
    pub fn weeks_before(&self, at_ms: i64, weeks: i32) -> i64 {
        let here = self.zone.to_datetime(moment(at_ms));
        let then = here.saturating_sub(jiff::Span::new().days(7 * i64::from(weeks)));
        let then = self.zone.to_timestamp(then).map(|then| then.as_millisecond());
        then.unwrap_or(at_ms.saturating_sub(i64::from(weeks) * 7 * 24 * HOUR_MS))
    }

    /// A range as runs, in order.
    pub fn runs(&self, range: Span) -> Vec<Run> {
        let mut runs = Vec::new();
        let mut at_ms = range.start_ms;
        while at_ms < range.end_ms {
            let rest = Span { start_ms: at_ms, end_ms: range.end_ms };
            let run = match self.interval {
                Interval::QuarterHour => self.even_run(rest, QUARTER_HOUR_MS),
                Interval::Hour => self.even_run(rest, HOUR_MS),
                _ => {
                    let span = self.span_of(at_ms).and(rest);
                    let step_ms = span.end_ms.saturating_sub(span.start_ms);
                    Run { span, origin_ms: span.start_ms, step_ms }
                }
            };
            at_ms = run.span.end_ms.max(at_ms.saturating_add(1));
            runs.push(run);
        }
        runs
    }

    /// Whether no quarter of an hour (UTC) in which a record can lie is cut by a border.
    pub fn keeps_quarter_hours(&self) -> bool {
        let is_even = |offset: Offset| ms(offset).rem_euclid(QUARTER_HOUR_MS) == 0;
        let first = moment(TIME_MS_MIN);
        self.interval == Interval::Whole
            || is_even(self.zone.to_offset(first))
                && self
                    .zone
                    .following(first)
                    .take_while(|change| change.timestamp().as_millisecond() < RULES_END_MS)
                    .all(|change| is_even(change.offset()) && !self.cuts_a_quarter_hour(&change))
    }

    /// Whether a change of the clock is a border, and one within a quarter of an hour: because the
    /// hours are others after it, or because it skips midnight.
    fn cuts_a_quarter_hour(&self, change: &TimeZoneTransition<'_>) -> bool {
        let at_ms = change.timestamp().as_millisecond();
        if at_ms.rem_euclid(QUARTER_HOUR_MS) == 0 {
            return false;
        }
        let before = moment(at_ms - 1);
        let (old, new) = (ms(self.zone.to_offset(before)), ms(change.offset()));
        let skips_midnight = new > old && self.date_at(at_ms - 1) != self.date_at(at_ms);
        (new - old).rem_euclid(HOUR_MS) != 0 || skips_midnight
    }

    /// The interval of a local clock that strikes every `step_ms`.
    fn on_clock(&self, at_ms: i64, step_ms: i64) -> Span {
        let at = moment(at_ms);
        let grid_ms = self.grid(at, step_ms);
        let start_ms = at_ms.saturating_sub((at_ms.saturating_sub(grid_ms)).rem_euclid(step_ms));
        let mut span = Span { start_ms, end_ms: start_ms.saturating_add(step_ms) };
        let here = at.saturating_add(SignedDuration::from_nanos(1)).unwrap_or(at);
        for change in self.zone.preceding(here) {
            let change_ms = change.timestamp().as_millisecond();
            if change_ms <= span.start_ms {
                break;
            }
            if self.grid(moment(change_ms - 1), step_ms) != grid_ms {
                span.start_ms = change_ms;
                break;
            }
        }
        span.end_ms = span.end_ms.min(self.other_grid(at, step_ms, span.end_ms));
        span
    }

    fn even_run(&self, rest: Span, step_ms: i64) -> Run {
        let at = moment(rest.start_ms);
        let into = rest.start_ms.saturating_sub(self.grid(at, step_ms)).rem_euclid(step_ms);
        let end_ms = self.other_grid(at, step_ms, rest.end_ms);
        let span = Span { start_ms: rest.start_ms, end_ms };
        Run { span, origin_ms: rest.start_ms.saturating_sub(into), step_ms }
    }

    /// Where in a step of UTC the local clock strikes.
    fn grid(&self, at: Timestamp, step_ms: i64) -> i64 {
        (-ms(self.zone.to_offset(at))).rem_euclid(step_ms)
    }

    /// When the local clock begins to strike at other moments, if that is before `end_ms`.
    fn other_grid(&self, at: Timestamp, step_ms: i64, end_ms: i64) -> i64 {
        let grid_ms = self.grid(at, step_ms);
        self.zone
            .following(at)
            .take_while(|change| change.timestamp().as_millisecond() < end_ms)
            .find(|change| (-ms(change.offset())).rem_euclid(step_ms) != grid_ms)
            .map_or(end_ms, |change| change.timestamp().as_millisecond())
    }

    /// The interval from the first moment of one date to that of another.
    fn of_days(
        &self,
        at_ms: i64,
        dates: impl Fn(Date) -> (Date, Result<Date, jiff::Error>),
    ) -> Span {
        let span = |date| {
            let (first, next) = dates(date);
            let next = next.unwrap_or(Date::MAX);
            (next, Span { start_ms: self.start_of(first), end_ms: self.start_of(next) })
        };
        let (next, found) = span(self.date_at(at_ms));
        // The clock went back behind midnight: the date is the old one, the day has begun.
        if at_ms >= found.end_ms { span(next).1 } else { found }
    }

    /// The first moment of a date. One that the zone skips begins where the next does.
    fn start_of(&self, date: Date) -> i64 {
        let midnight = date.to_datetime(Time::midnight());
        let at = |offset: Offset| offset.to_timestamp(midnight).ok();
        let start = match self.zone.to_ambiguous_timestamp(midnight).offset() {
            AmbiguousOffset::Unambiguous { offset } => at(offset),
            AmbiguousOffset::Fold { before, .. } => at(before),
            AmbiguousOffset::Gap { after, .. } => at(after)
                .and_then(|earlier| self.zone.following(earlier).next())
                .map(|change| change.timestamp()),
        };
        let end = if date.year() < 0 { Timestamp::MIN } else { Timestamp::MAX };
        start.unwrap_or(end).as_millisecond()
    }
}

fn ms(offset: Offset) -> i64 {
    i64::from(offset.seconds()) * 1000
}

/// A moment that a calendar can tell, the nearest one.
fn moment(at_ms: i64) -> Timestamp {
    let end = if at_ms < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(at_ms).unwrap_or(end)
}

#[cfg(test)]
#[path = "calendar_tests.rs"]
mod tests;
