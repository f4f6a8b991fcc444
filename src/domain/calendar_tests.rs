use jiff::{Zoned, civil::DateTime};

use super::*;

fn calendar(zone: &str, interval: Interval) -> Calendar {
    Calendar::new(TimeZone::get(zone).expect("a zone"), interval)
}

fn at(text: &str) -> i64 {
    text.parse::<Timestamp>().expect("a moment").as_millisecond()
}

/// The interval around a moment, as it reads on the zone's clock.
fn local(zone: &str, interval: Interval, moment: &str) -> (String, String) {
    let span = calendar(zone, interval).span_of(at(moment));
    assert!(span.contains(at(moment)), "{moment} is not in its own interval");
    let show = |ms| {
        let zoned: Zoned =
            Timestamp::from_millisecond(ms).expect("in range").in_tz(zone).expect("");
        zoned.strftime("%Y-%m-%d %H:%M %:z").to_string()
    };
    (show(span.start_ms), show(span.end_ms))
}

fn hours(zone: &str, interval: Interval, moment: &str) -> i64 {
    let span = calendar(zone, interval).span_of(at(moment));
    (span.end_ms - span.start_ms) / HOUR_MS
}

#[test]
fn a_day_has_23_or_25_hours_where_the_clock_is_moved() {
    assert_eq!(hours("Europe/Berlin", Interval::Day, "2024-03-31T12:00:00Z"), 23);
    assert_eq!(hours("Europe/Berlin", Interval::Day, "2024-10-27T12:00:00Z"), 25);
    assert_eq!(hours("Europe/Berlin", Interval::Day, "2024-10-28T12:00:00Z"), 24);
    assert_eq!(hours("Europe/Berlin", Interval::Week, "2024-10-27T12:00:00Z"), 7 * 24 + 1);
}

#[test]
fn weeks_begin_on_monday_and_months_on_their_first_local_day() {
    let week = local("Asia/Kathmandu", Interval::Week, "2024-09-08T18:14:59Z");
    let days = ("2024-09-02 00:00 +05:45".to_owned(), "2024-09-09 00:00 +05:45".to_owned());
    assert_eq!(week, days);
    let month = local("Asia/Shanghai", Interval::Month, "2024-02-29T15:59:59Z");
    let days = ("2024-02-01 00:00 +08:00".to_owned(), "2024-03-01 00:00 +08:00".to_owned());
    assert_eq!(month, days);
}

#[test]
fn hours_strike_with_the_local_clock() {
    let hour = local("Asia/Kathmandu", Interval::Hour, "2024-09-05T00:14:59Z");
    assert_eq!(hour.0, "2024-09-05 05:00 +05:45");
    // The hour that comes twice is two hours.
    let first = local("Europe/Berlin", Interval::Hour, "2024-10-27T00:30:00Z");
    let second = local("Europe/Berlin", Interval::Hour, "2024-10-27T01:30:00Z");
    assert_eq!((first.1.as_str(), second.0.as_str()), ("2024-10-27 02:00 +01:00", &*first.1));
    // Lord Howe moves its clock by half an hour, at 2:00: the second half hour stands alone.
    let whole = local("Australia/Lord_Howe", Interval::Hour, "2024-04-06T14:59:00Z");
    assert_eq!(whole, ("2024-04-07 01:00 +11:00".into(), "2024-04-07 01:30 +10:30".into()));
    let half = local("Australia/Lord_Howe", Interval::Hour, "2024-04-06T15:01:00Z");
    assert_eq!(half, ("2024-04-07 01:30 +10:30".into(), "2024-04-07 02:00 +10:30".into()));
}

#[test]
fn a_day_that_a_zone_skips_has_no_moment() {
    let before = local("Pacific/Apia", Interval::Day, "2011-12-30T09:59:59Z");
    assert_eq!(before, ("2011-12-29 00:00 -10:00".into(), "2011-12-31 00:00 +14:00".into()));
    let after = local("Pacific/Apia", Interval::Day, "2011-12-30T10:00:00Z");
    assert_eq!(after.0, before.1);
}

#[test]
fn a_day_begins_once_even_where_the_clock_goes_back_behind_midnight() {
    // At 00:01 of the 7th the clock went back to 23:01 of the 6th.
    let zone = "America/St_Johns";
    let day = local(zone, Interval::Day, "2010-11-07T02:45:00Z");
    assert_eq!(day, ("2010-11-07 00:00 -02:30".into(), "2010-11-08 00:00 -03:30".into()));
    assert_eq!(hours(zone, Interval::Day, "2010-11-07T02:45:00Z"), 25);
}

#[test]
fn a_day_whose_midnight_is_skipped_begins_where_the_clock_goes_on() {
    let day = local("America/Sao_Paulo", Interval::Day, "2018-11-04T12:00:00Z");
    assert_eq!(day.0, "2018-11-04 01:00 -02:00");
    assert_eq!(hours("America/Sao_Paulo", Interval::Day, "2018-11-04T12:00:00Z"), 23);
}

#[test]
fn days_are_those_of_the_calendar_library_wherever_that_has_them_in_order() {
    for zone in ["Europe/Berlin", "Asia/Tehran", "America/Santiago", "Africa/Cairo", "Asia/Gaza"] {
        let calendar = calendar(zone, Interval::Day);
        let start: DateTime = "2000-01-01T00:00".parse().expect("a date");
        let mut day = start.in_tz(zone).expect("in range").start_of_day().expect("in range");
        while day.year() < 2030 {
            let next = day.tomorrow().and_then(|next| next.start_of_day()).expect("in range");
            let span = calendar.span_of(day.timestamp().as_millisecond());
            assert_eq!(span.start_ms, day.timestamp().as_millisecond(), "{day}");
            assert_eq!(span.end_ms, next.timestamp().as_millisecond(), "{day}");
            day = next;
        }
    }
}

#[test]
fn runs_cover_their_range_and_cut_it_where_intervals_end() {
    for zone in ["UTC", "Australia/Lord_Howe", "America/Caracas", "Asia/Kathmandu", "Asia/Gaza"] {
        for interval in [Interval::Hour, Interval::Day, Interval::Week, Interval::Whole] {
            let calendar = calendar(zone, interval);
            let range =
                Span { start_ms: at("2007-11-01T00:07:00Z"), end_ms: at("2008-05-01T00:00:00Z") };
            let mut at_ms = range.start_ms;
            for Run { span, origin_ms, step_ms } in calendar.runs(range) {
                assert_eq!(span.start_ms, at_ms);
                at_ms = span.end_ms;
                let mut start_ms = origin_ms;
                while start_ms < span.end_ms {
                    let middle_ms = start_ms + step_ms / 2;
                    let piece = Span { start_ms, end_ms: start_ms + step_ms }.and(span);
                    let whole = calendar.span_of(middle_ms.clamp(piece.start_ms, piece.end_ms - 1));
                    assert_eq!(whole.and(span), piece, "{zone}");
                    start_ms += step_ms;
                }
            }
            assert_eq!(at_ms, range.end_ms);
        }
    }
}

#[test]
fn current_zones_keep_quarters_of_an_hour_whole() {
    for zone in jiff::tz::db().available() {
        let zone = zone.as_str();
        for interval in [Interval::QuarterHour, Interval::Hour, Interval::Day, Interval::Month] {
            assert!(calendar(zone, interval).keeps_quarter_hours(), "{zone} {interval:?}");
        }
    }
}
