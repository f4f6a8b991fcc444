//! The chart of data used, before what is usual and a week earlier.
use std::collections::HashMap;

use serde::Deserialize;

use super::{Asked, Call, Refused, Source, SumIn, USAGE};
use crate::{
    domain::Timestamp,
    http::page::{
        ask::Answer,
        chart::{Bars, Interval, XTick},
        filters::Range,
        format::{as_f64, told, whole},
    },
};

const WEEK_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// The chart, in words and as a table too.
pub(super) struct Usage {
    pub(super) title: &'static str,
    pub(super) bars: Bars,
    pub(super) x_ticks: Vec<XTick>,
    pub(super) summary: String,
    /// The same as a table, where that is asked for.
    pub(super) table: Option<Vec<Line>>,
    /// To the table, or back.
    pub(super) other_view: String,
    pub(super) has_usual: bool,
    pub(super) source: Source,
    pub(super) is_empty: bool,
    /// Where there is nothing: when the last record was.
    pub(super) last: String,
}

/// A row of the table.
pub(super) struct Line {
    pub(super) from: String,
    pub(super) used: String,
    pub(super) exactly: String,
    pub(super) usual: String,
    pub(super) week_before: String,
}

/// What is known of one interval.
struct Known {
    start: Timestamp,
    used: Option<i64>,
    usual: Option<(i64, i64)>,
    before: Option<i64>,
    is_partial: bool,
}

impl Usage {
    pub(super) async fn ask(asked: &Asked<'_>) -> Result<Self, Refused> {
        let call = asked.sums(USAGE, asked.filters.range.interval());
        let before = week_before(asked);
        let with_usual = call.clone().with("usual", "true");
        let api = &asked.visitor.api;
        let (now, before) = tokio::join!(
            api.get_recent::<Vec<SumIn>>(&with_usual),
            api.get_recent::<Vec<SumIn>>(&before)
        );
        let known = known(asked, &now?, &before?.body);
        let mut usage = Self::of(asked, &known, &with_usual);
        if usage.is_empty {
            usage.last = last(asked).await?;
        }
        Ok(usage)
    }

    fn of(asked: &Asked<'_>, known: &[Known], call: &Call) -> Self {
        let format = asked.visitor.format();
        let words = format.words;
        let intervals: Vec<_> = known.iter().map(|known| asked.interval(known)).collect();
        let base = f64::from(format.base.bytes());
        // Labels of an axis are far smaller than what an i64 holds.
        let bars = Bars::of(&intervals, base, |value| format.bytes(whole(value)).to_string());
        let is_table = asked.filters.value("view") == Some("table");
        let sum: i64 = known.iter().filter_map(|known| known.used).sum();
        let most = known.iter().filter(|known| known.used.is_some()).max_by_key(|known| known.used);
        let has_usual = known.iter().any(|known| known.usual.is_some());
        let summary = match most {
            None => words.overview.no_usage.to_owned(),
            Some(most) => {
                let told = (words.overview.chart_summary)(
                    &format.bytes(sum).to_string(),
                    &format.bytes(most.used.unwrap_or_default()).to_string(),
                    &format.moment(most.start),
                );
                words.common.sentences(&told, &words.overview.beside_usual(has_usual, bars.above))
            }
        };
        let here = asked.filters.here.clone();
        let other_view = if is_table { here.without("view") } else { here.set("view", "table") };
        Self {
            title: (words.overview.chart)(asked.filters.range.interval()),
            x_ticks: asked.x_ticks(),
            summary,
            table: is_table.then(|| known.iter().map(|known| asked.line(known)).collect()),
            other_view: format!("{}#usage", other_view.uri()),
            has_usual,
            source: asked.visitor.source(call),
            is_empty: most.is_none(),
            last: String::new(),
            bars,
        }
    }
}

/// When the last record was that the filters let through; nothing if there is none.
async fn last(asked: &Asked<'_>) -> Result<String, Refused> {
    let call = asked.filters.on(Call::to("/v1/data-usage").with("size", 1));
    let rows: Vec<LastIn> = asked.visitor.api.get_recent(&call).await?.body;
    let format = asked.visitor.format();
    let told = rows.first().map(|row| format.moment(Timestamp::from_unix_ms(row.start_time)));
    Ok(told.map(|at| (format.words.overview.last_usage)(&at)).unwrap_or_default())
}

/// Of a usage record.
#[derive(Deserialize)]
struct LastIn {
    start_time: i64,
}

fn week_before(asked: &Asked<'_>) -> Call {
    let at = |at: Option<&Timestamp>| {
        at.map(|at| Timestamp::from_unix_ms(at.unix_ms() - WEEK_MS).to_string())
    };
    let call = asked.sums(USAGE, asked.filters.range.interval());
    let (from, to) = (at(asked.starts.first()), at(asked.starts.last()));
    call.set("from", from.unwrap_or_default()).set("to", to.unwrap_or_default())
}

fn known(asked: &Asked<'_>, now: &Answer<Vec<SumIn>>, before: &[SumIn]) -> Vec<Known> {
    let start_ms = |row: &SumIn| told(row.start.as_deref()?).map(Timestamp::unix_ms);
    let by_start = |rows: &[SumIn], shift_ms: i64| -> HashMap<i64, i64> {
        let with_any = rows.iter().filter(|row| row.records > 0);
        with_any.filter_map(|row| Some((start_ms(row)? + shift_ms, row.data_usage))).collect()
    };
    let (used, before) = (by_start(&now.body, 0), by_start(before, WEEK_MS));
    let usual = |row: &SumIn| Some((start_ms(row)?, (row.usual_p10?, row.usual_p90?)));
    let usual: HashMap<i64, (i64, i64)> = now.body.iter().filter_map(usual).collect();
    let now_at = asked.visitor.format().now;
    let arrived = now.header("simdeck-arrived-through").and_then(told);
    let spans = asked.starts.windows(2).map(|pair| (pair[0], pair[1]));
    let known = |(start, end): (Timestamp, Timestamp)| {
        let ms = start.unix_ms();
        Known {
            start,
            used: used.get(&ms).copied(),
            usual: usual.get(&ms).copied(),
            before: before.get(&ms).copied(),
            is_partial: end > arrived.unwrap_or(now_at),
        }
    };
    spans.map(known).collect()
}

impl Asked<'_> {
    fn interval(&self, known: &Known) -> Interval {
        let format = self.visitor.format();
        let words = &format.words.overview;
        let used = match known.used {
            Some(used) => format.bytes(used).to_string(),
            None => words.gap.to_owned(),
        };
        let mut title = format!("{} · {used}", format.moment(known.start));
        if let Some((least, most)) = known.usual {
            let (least, most) = (format.bytes(least), format.bytes(most));
            title += &format!(" · {}: {least} – {most}", words.usual);
        }
        Interval {
            value: known.used.map(as_f64),
            usual: known.usual.map(|(least, most)| (as_f64(least), as_f64(most))),
            before: known.before.map(as_f64),
            is_partial: known.is_partial,
            title,
        }
    }

    fn line(&self, known: &Known) -> Line {
        let format = self.visitor.format();
        let bytes = |bytes: Option<i64>| bytes.map(|it| format.bytes(it).to_string());
        let words = &format.words.overview;
        let usual = known
            .usual
            .map(|(least, most)| format!("{} – {}", format.bytes(least), format.bytes(most)));
        Line {
            from: format.full(known.start),
            used: bytes(known.used).unwrap_or_else(|| words.gap.to_owned()),
            exactly: known.used.map(|it| format.exactly(it)).unwrap_or_default(),
            usual: usual.unwrap_or_default(),
            week_before: bytes(known.before).unwrap_or_default(),
        }
    }

    /// A handful of times under the chart.
    fn x_ticks(&self) -> Vec<XTick> {
        let format = self.visitor.format();
        let intervals = self.starts.len().saturating_sub(1).max(1);
        let every = match self.filters.range {
            Range::Hour => 1,
            Range::Day => 12,
            Range::Week => 24,
            Range::Month => 5,
        };
        let label = |at: Timestamp| match self.filters.range {
            Range::Hour | Range::Day => format.time(at),
            Range::Week | Range::Month => format.day(at),
        };
        let is_on_tick = |at: Timestamp| match self.filters.range {
            Range::Day => format.zoned(at).is_some_and(|at| at.hour() % 3 == 0 && at.minute() == 0),
            Range::Week => format.zoned(at).is_some_and(|at| at.hour() == 0),
            _ => true,
        };
        let places = self.starts.iter().take(intervals).enumerate();
        let ticks = places.filter(|(nth, at)| match self.filters.range {
            Range::Day | Range::Week => is_on_tick(**at),
            _ => nth % every == 0,
        });
        let tick =
            |(nth, at): (usize, &Timestamp)| (nth as f64 / intervals as f64 * 100.0, label(*at));
        XTick::all(ticks.map(tick).collect())
    }
}
