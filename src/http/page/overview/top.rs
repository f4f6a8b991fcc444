//! The SIMs that use most, that are furthest from their usual, or that sent most messages.
use std::{cmp::Reverse, collections::HashMap};

use futures_util::future::join_all;

use super::{
    Asked, Call, MESSAGES, Refused, Source, SumIn, USAGE,
    attention::{ATTENTION, AttentionIn},
};
use crate::{
    domain::Timestamp,
    http::page::{
        chart::{Bars, Interval},
        filters::Range,
        format::{as_f64, told},
        sims::{Number, SimIn},
    },
};

const SIMS_MAX: usize = 7;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// From how many complete days the usual one is told.
const USUAL_DAYS: i64 = 14;

/// By what SIMs are put in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Data,
    Change,
    Messages,
}

/// A few SIMs.
pub(super) struct Top {
    pub(super) tabs: Vec<(&'static str, String, bool)>,
    pub(super) sims: Vec<Sim>,
    pub(super) source: Source,
    /// What the middle column counts.
    pub(super) column: &'static str,
    /// The time that it is about, where that is not the page's range.
    pub(super) about: Option<&'static str>,
    pub(super) has_bars: bool,
}

/// One of them.
pub(super) struct Sim {
    pub(super) number: Number,
    pub(super) group: String,
    pub(super) amount: String,
    pub(super) exactly: String,
    pub(super) usual: Option<String>,
    /// Of how many times the usual: `bad` or `warn` where that is much.
    pub(super) class: &'static str,
    pub(super) bars: Option<Bars>,
}

impl Top {
    pub(super) async fn ask(asked: &Asked<'_>) -> Result<Self, Refused> {
        let by = match asked.filters.value("by") {
            Some("change") => By::Change,
            Some("messages") => By::Messages,
            _ => By::Data,
        };
        match by {
            By::Data => asked.top_by_data().await,
            By::Change => asked.top_by_change().await,
            By::Messages => asked.top_by_messages().await,
        }
    }
}

impl Asked<'_> {
    fn top_tabs(&self, now: By) -> Vec<(&'static str, String, bool)> {
        let words = &self.visitor.look.words.overview;
        let tab = |(by, word, name): (By, &str, &'static str)| {
            let address = self.filters.here.clone().set("by", word).uri();
            (name, format!("{address}#top"), by == now)
        };
        [
            (By::Data, "data", words.by_data),
            (By::Change, "change", words.by_change),
            (By::Messages, "messages", words.by_messages),
        ]
        .into_iter()
        .map(tab)
        .collect()
    }

    async fn top_by_data(&self) -> Result<Top, Refused> {
        // By SIM and nothing else: there are sums by SIM and day, so that only the records of less than
        // two days are read, while any other group would read those of the whole range.
        let call = self.sums(USAGE, "none").with("group_by", "giccid").with("top", SIMS_MAX);
        let mut rows: Vec<SumIn> = self.visitor.api.get_recent(&call).await?.body;
        rows.retain(|row| !row.other && row.giccid.is_some());
        rows.sort_by_key(|row| Reverse(row.data_usage));
        let giccids: Vec<&str> = rows.iter().filter_map(|row| row.giccid.as_deref()).collect();
        let (usual, hours, mut groups, above) = tokio::join!(
            self.usual_days(&giccids),
            self.hours(&giccids),
            self.groups(&giccids),
            self.above_usual(),
        );
        let (usual, mut hours, above) = (usual?, hours?, above?);
        let format = self.visitor.format();
        let sim = |row: SumIn| {
            let giccid = row.giccid.unwrap_or_default();
            // What the list of what needs attention says of a SIM is said here too.
            let told = above.iter().find(|above| above.giccid.as_ref() == Some(&giccid));
            let told = told.and_then(|above| above.data_usage.zip(above.usual));
            let of_range = || Some((self.a_day_of(row.data_usage)?, *usual.get(&giccid)?));
            let (ratio, day) = told.or_else(of_range).unwrap_or_default();
            Sim {
                group: groups.remove(&giccid).unwrap_or_default(),
                amount: format.bytes(row.data_usage).to_string(),
                exactly: format.exactly(row.data_usage),
                usual: format.times(ratio, day),
                class: class_of(ratio, day),
                bars: hours.remove(&giccid),
                number: Number::of(giccid),
            }
        };
        Ok(Top {
            sims: rows.into_iter().map(sim).collect(),
            tabs: self.top_tabs(By::Data),
            source: self.visitor.source(&call),
            column: format.words.common.used,
            about: None,
            has_bars: true,
        })
    }

    /// Each SIM's group, as far as one can be told.
    async fn groups(&self, giccids: &[&str]) -> HashMap<String, String> {
        let sims = giccids.iter().map(async |giccid| {
            let call = Call::to(format!("/v1/sims/{giccid}"));
            let sim: SimIn = self.visitor.api.get_recent(&call).await.ok()?.body;
            Some((sim.giccid, sim.sim_group?))
        });
        join_all(sims).await.into_iter().flatten().collect()
    }

    /// What of a volume of the range falls on one day; none of an hour, which says little of a day.
    fn a_day_of(&self, volume: i64) -> Option<i64> {
        if self.filters.range == Range::Hour {
            return None;
        }
        let now_ms = self.visitor.format().now.unix_ms();
        let (from, to) = self.starts.first().zip(self.starts.last())?;
        let length_ms = (to.unix_ms().min(now_ms) - from.unix_ms()).max(1);
        let a_day = i128::from(volume) * i128::from(DAY_MS) / i128::from(length_ms);
        i64::try_from(a_day).ok()
    }

    /// The median of each SIM's last complete days with use.
    async fn usual_days(&self, giccids: &[&str]) -> Result<HashMap<String, i64>, Refused> {
        if giccids.is_empty() {
            return Ok(HashMap::new());
        }
        let format = self.visitor.format();
        let today = format.zoned(format.now).and_then(|now| now.start_of_day().ok());
        let today_ms = today.map_or(0, |today| today.timestamp().as_millisecond());
        let from = Timestamp::from_unix_ms(today_ms - USUAL_DAYS * DAY_MS);
        let call = Call::to(USAGE).with("interval", "1d").with("group_by", "giccid");
        let call = call.with("giccid", giccids.join(",")).with("from", from);
        let call = call.with("to", Timestamp::from_unix_ms(today_ms));
        let call = call.with("tz", format.zone_name());
        let mut days: HashMap<String, Vec<i64>> = HashMap::new();
        for row in self.visitor.api.get_recent::<Vec<SumIn>>(&call).await?.body {
            if let Some(giccid) = row.giccid.filter(|_| row.records > 0) {
                days.entry(giccid).or_default().push(row.data_usage);
            }
        }
        let median = |(giccid, mut days): (String, Vec<i64>)| {
            days.sort_unstable();
            (giccid, days[days.len() / 2])
        };
        Ok(days.into_iter().map(median).collect())
    }

    /// Each SIM's use by the hour, or by the day, as small bars.
    async fn hours(&self, giccids: &[&str]) -> Result<HashMap<String, Bars>, Refused> {
        const BARS_MAX: usize = 32;
        if giccids.is_empty() {
            return Ok(HashMap::new());
        }
        let (interval, step_ms) = match self.starts.len() {
            0..10 => ("15m", DAY_MS / 96),
            10..100 => ("1h", DAY_MS / 24),
            _ => ("1d", DAY_MS),
        };
        let from_ms = self.starts.first().map_or(0, |at| at.unix_ms());
        let call = self.sums(USAGE, interval).set("giccid", giccids.join(","));
        let call = call.with("group_by", "giccid");
        let mut sums: HashMap<String, Vec<f64>> = HashMap::new();
        for row in self.visitor.api.get_recent::<Vec<SumIn>>(&call).await?.body {
            let start_ms = row.start.as_deref().and_then(told).map_or(0, Timestamp::unix_ms);
            let nth = usize::try_from((start_ms - from_ms).div_euclid(step_ms)).unwrap_or(0);
            let bars = sums.entry(row.giccid.unwrap_or_default()).or_default();
            bars.resize(bars.len().max(nth.min(BARS_MAX) + 1), 0.0);
            bars[nth.min(BARS_MAX)] += as_f64(row.data_usage);
        }
        let longest = sums.values().map(Vec::len).max().unwrap_or_default();
        let interval = |value| Interval { value: Some(value), ..Interval::default() };
        let draw = |(giccid, mut bars): (String, Vec<f64>)| {
            bars.resize(longest, 0.0);
            let intervals: Vec<_> = bars.into_iter().map(interval).collect();
            (giccid, Bars::of(&intervals, 1024.0, |_| String::new()))
        };
        Ok(sums.into_iter().map(draw).collect())
    }

    /// The SIMs that use far more than usual today.
    async fn above_usual(&self) -> Result<Vec<AttentionIn>, Refused> {
        let mut rows: Vec<AttentionIn> =
            self.visitor.api.get_recent(&Call::to(ATTENTION)).await?.body;
        rows.retain(|row| row.kind == "sim_above_usual");
        Ok(rows)
    }

    async fn top_by_change(&self) -> Result<Top, Refused> {
        let mut rows = self.above_usual().await?;
        rows.truncate(SIMS_MAX);
        let format = self.visitor.format();
        let sim = |row: AttentionIn| {
            let used = row.data_usage.unwrap_or_default();
            let usual = row.usual.unwrap_or_default();
            Sim {
                number: Number::of(row.giccid.unwrap_or_default()),
                group: row.sim_group.unwrap_or_default(),
                amount: format.bytes(used).to_string(),
                exactly: format.exactly(used),
                usual: format.times(used, usual),
                class: class_of(used, usual),
                bars: None,
            }
        };
        Ok(Top {
            sims: rows.into_iter().map(sim).collect(),
            tabs: self.top_tabs(By::Change),
            source: self.visitor.source(&Call::to(ATTENTION)),
            column: format.words.common.used,
            about: Some(format.words.overview.today),
            has_bars: false,
        })
    }

    async fn top_by_messages(&self) -> Result<Top, Refused> {
        let call = Call::to(MESSAGES).with("interval", "none").with("from", self.from());
        let call = call.with("to", self.to()).with("group_by", "giccid,sim_group");
        let call = call.with_some("sim_group", self.filters.value("sim_group"));
        let call = call.with_some("giccid", self.filters.value("giccid")).with("top", SIMS_MAX);
        let mut rows: Vec<SumIn> = self.visitor.api.get_recent(&call).await?.body;
        rows.retain(|row| !row.other && row.giccid.is_some());
        rows.sort_by_key(|row| Reverse(row.records));
        let format = self.visitor.format();
        let sim = |row: SumIn| Sim {
            number: Number::of(row.giccid.unwrap_or_default()),
            group: row.sim_group.unwrap_or_default(),
            amount: format.count(row.records).to_string(),
            exactly: row.records.to_string(),
            usual: None,
            class: "",
            bars: None,
        };
        Ok(Top {
            sims: rows.into_iter().map(sim).collect(),
            tabs: self.top_tabs(By::Messages),
            source: self.visitor.source(&call),
            column: format.words.overview.messages,
            about: None,
            has_bars: false,
        })
    }
}

/// Ten times the usual is told like an alarm, twice like a warning.
fn class_of(now: i64, usual: i64) -> &'static str {
    match usual {
        ..=0 => "",
        usual if now / 10 >= usual => "bad",
        usual if now / 2 >= usual => "warn",
        _ => "",
    }
}
