//! What a SIM used on each of the last 30 days, before what is usual on such a day.
use std::collections::HashMap;

use serde::Deserialize;

use super::{Call, Filters, Format, Giccid, Refused, Source, Visitor};
use crate::{
    domain::Timestamp,
    http::page::{
        ask::Answer,
        chart::{Bars, Interval, XTick},
        filters::Range,
        format::{as_f64, told, whole},
    },
};

/// The chart, in words and as a table too.
pub(super) struct Chart {
    pub(super) bars: Bars,
    pub(super) x_ticks: Vec<XTick>,
    pub(super) summary: String,
    /// The same as a table, where that is asked for.
    pub(super) table: Option<Vec<Line>>,
    /// To the table, or back.
    pub(super) other_view: String,
    pub(super) has_usual: bool,
    pub(super) source: Source,
}

/// A row of the table.
pub(super) struct Line {
    pub(super) day: String,
    pub(super) used: String,
    pub(super) exactly: String,
    pub(super) usual: String,
}

/// What is known of one day.
struct Day {
    start: Timestamp,
    used: Option<i64>,
    usual: Option<(i64, i64)>,
    is_partial: bool,
}

#[derive(Deserialize)]
struct DayIn {
    start: Option<String>,
    data_usage: i64,
    records: i64,
    usual_p10: Option<i64>,
    usual_p90: Option<i64>,
}

impl Chart {
    pub(super) async fn ask(
        visitor: &Visitor,
        giccid: &Giccid,
        filters: &Filters,
        here: &Call,
    ) -> Result<Self, Refused> {
        let format = visitor.format();
        let starts = Range::Month.starts(&format);
        let call = Call::to("/v1/data-usage/aggregate").with("interval", "1d");
        let call = call.with("giccid", giccid).with("usual", "true");
        let call = call.with_some("from", starts.first()).with_some("to", starts.last());
        let call = call.with("tz", format.zone_name());
        let answer = visitor.api.get_recent(&call).await?;
        let days = days(&starts, &answer, &format);
        let is_table = filters.value("view") == Some("table");
        let other = here.clone().without("view").with_some("view", (!is_table).then_some("table"));
        let label = |value: f64| format.bytes(whole(value)).to_string();
        let intervals: Vec<_> = days.iter().map(|day| day.interval(&format)).collect();
        let bars = Bars::of(&intervals, f64::from(format.base.bytes()), label);
        Ok(Self {
            x_ticks: x_ticks(&days, &format),
            summary: summary(&days, bars.above, &format),
            table: is_table.then(|| days.iter().map(|day| day.line(&format)).collect()),
            other_view: format!("{}#usage", other.uri()),
            has_usual: days.iter().any(|day| day.usual.is_some()),
            source: visitor.source(&call),
            bars,
        })
    }
}

fn days(starts: &[Timestamp], answer: &Answer<Vec<DayIn>>, format: &Format) -> Vec<Day> {
    let start_ms = |day: &DayIn| Some(told(day.start.as_deref()?)?.unix_ms());
    let known = answer.body.iter().filter_map(|day| Some((start_ms(day)?, day)));
    let known: HashMap<i64, &DayIn> = known.collect();
    let arrived = answer.header("simdeck-arrived-through").and_then(told).unwrap_or(format.now);
    let day = |span: &[Timestamp]| {
        let known = known.get(&span[0].unix_ms());
        Day {
            start: span[0],
            used: known.filter(|day| day.records > 0).map(|day| day.data_usage),
            usual: known.and_then(|day| Some((day.usual_p10?, day.usual_p90?))),
            is_partial: span[1] > arrived,
        }
    };
    starts.windows(2).map(day).collect()
}

impl Day {
    fn told(&self, format: &Format) -> String {
        match self.used {
            Some(used) => format.bytes(used).to_string(),
            None => format.words.overview.gap.to_owned(),
        }
    }

    fn told_usual(&self, format: &Format) -> Option<String> {
        let (least, most) = self.usual?;
        Some(format!("{} – {}", format.bytes(least), format.bytes(most)))
    }

    fn interval(&self, format: &Format) -> Interval {
        let mut title = format!("{} · {}", format.day(self.start), self.told(format));
        if let Some(usual) = self.told_usual(format) {
            title += &format!(" · {}: {usual}", format.words.overview.usual);
        }
        Interval {
            value: self.used.map(as_f64),
            usual: self.usual.map(|(least, most)| (as_f64(least), as_f64(most))),
            is_partial: self.is_partial,
            title,
            ..Interval::default()
        }
    }

    fn line(&self, format: &Format) -> Line {
        Line {
            day: format.day(self.start),
            used: self.told(format),
            exactly: self.used.map(|used| format.exactly(used)).unwrap_or_default(),
            usual: self.told_usual(format).unwrap_or_default(),
        }
    }
}

fn summary(days: &[Day], above: usize, format: &Format) -> String {
    let (words, common) = (&format.words.overview, &format.words.common);
    let used = |day: &Day| Some((day.used?, day.start));
    let Some((most, at)) = days.iter().filter_map(used).max_by_key(|(used, _)| *used) else {
        return words.no_usage.to_owned();
    };
    let sum = format.bytes(days.iter().filter_map(|day| day.used).sum()).to_string();
    let (most, at) = (format.bytes(most).to_string(), format.day(at));
    let told = (format.words.sims.chart_summary)(&sum, &most, &at);
    let has_usual = days.iter().any(|day| day.usual.is_some());
    common.sentences(&told, &words.beside_usual(has_usual, above))
}

fn x_ticks(days: &[Day], format: &Format) -> Vec<XTick> {
    const EVERY: usize = 5;
    let label =
        |(nth, day): (usize, &Day)| (nth as f64 / days.len() as f64 * 100.0, format.day(day.start));
    XTick::all(days.iter().enumerate().step_by(EVERY).map(label).collect())
}
