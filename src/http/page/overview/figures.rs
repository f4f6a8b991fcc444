//! The six figures.
use serde::Deserialize;

use super::{Amount, Asked, Call, Refused, Source};
use crate::{
    domain::Timestamp,
    http::page::{
        chart::Spark,
        format::{Change, as_f64, told},
    },
};

/// Six figures and what they come from.
pub(super) struct Figures {
    pub(super) all: Vec<Figure>,
    pub(super) source: Source,
    pub(super) arrived_through: Option<Timestamp>,
    /// Whether the page is filtered, and these are not.
    pub(super) are_of_all: bool,
}

/// One of them.
#[derive(Default)]
pub(super) struct Figure {
    pub(super) name: &'static str,
    /// The page that lists what it counts.
    pub(super) address: Option<&'static str>,
    pub(super) amount: Option<Amount>,
    /// To the byte or record.
    pub(super) exactly: String,
    /// Behind the number, such as `/ 1,231`.
    pub(super) of: String,
    pub(super) change: Option<Change>,
    pub(super) note: String,
    /// Whether the note tells of something bad.
    pub(super) is_bad: bool,
    pub(super) spark: Spark,
    /// Of the spark: nothing, `alarm` or `sms`.
    pub(super) class: &'static str,
}

#[derive(Deserialize)]
struct FiguresIn {
    arrived_through: Option<String>,
    data_usage: FigureIn,
    active_sims: ActiveIn,
    silent_sims: SilentIn,
    mo_sms: FigureIn,
    routers: Option<RoutersIn>,
    records: RecordsIn,
}

#[derive(Deserialize)]
struct FigureIn {
    value: i64,
    previous: i64,
    by_interval: Vec<i64>,
}

#[derive(Deserialize)]
struct ActiveIn {
    value: i64,
    known: i64,
}

#[derive(Deserialize)]
struct SilentIn {
    value: i64,
    by_interval: Vec<Option<i64>>,
    first_count_at: Option<String>,
}

#[derive(Deserialize)]
struct RoutersIn {
    online: i64,
    offline: i64,
    unknown: i64,
    last_success_at: Option<String>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct RecordsIn {
    #[serde(flatten)]
    figure: FigureIn,
    repeats: i64,
    refused: i64,
}

impl Figures {
    pub(super) async fn ask(asked: &Asked<'_>) -> Result<Self, Refused> {
        let call = Call::to("/v1/summary").with("from", asked.from());
        let sent: FiguresIn = asked.visitor.api.get_recent(&call).await?.body;
        let all = vec![
            asked.data(&sent.data_usage),
            asked.active(&sent.active_sims),
            asked.silent(&sent.silent_sims),
            asked.messages(&sent.mo_sms),
            asked.routers(sent.routers.as_ref()),
            asked.records(&sent.records),
        ];
        Ok(Self {
            all,
            source: asked.visitor.source(&call),
            arrived_through: sent.arrived_through.as_deref().and_then(told),
            are_of_all: asked.filters.is_any(),
        })
    }
}

impl Asked<'_> {
    fn compared(&self, figure: &FigureIn) -> (Option<Change>, String) {
        let (format, words) = (self.visitor.format(), &self.visitor.look.words.overview);
        match format.change(figure.value, figure.previous) {
            Some(change) => (Some(change), (words.versus)((words.ranges)(self.filters.range))),
            None => (None, words.nothing_before.to_owned()),
        }
    }

    fn data(&self, figure: &FigureIn) -> Figure {
        let format = self.visitor.format();
        let (change, note) = self.compared(figure);
        Figure {
            name: format.words.overview.data_used,
            amount: Some(format.bytes(figure.value)),
            exactly: format.exactly(figure.value),
            change,
            note,
            spark: spark(&figure.by_interval),
            ..Figure::default()
        }
    }

    fn active(&self, figure: &ActiveIn) -> Figure {
        let format = self.visitor.format();
        let words = &format.words.overview;
        let share = format.share(figure.value, figure.known);
        Figure {
            name: words.active_sims,
            amount: Some(format.count(figure.value)),
            note: (words.active_share)(&share, &format.count(figure.known).to_string()),
            ..Figure::default()
        }
    }

    fn silent(&self, figure: &SilentIn) -> Figure {
        let format = self.visitor.format();
        let words = &format.words.overview;
        let before = figure.by_interval.iter().copied().flatten().next().unwrap_or(figure.value);
        let more = figure.value - before;
        let count = format.count(more.abs()).to_string();
        let is_from_start = figure.by_interval.first().is_some_and(Option::is_some);
        let first_count_at = figure.first_count_at.as_deref().and_then(told);
        let note = match first_count_at.map(|at| format.moment(at)) {
            None => words.silent_uncounted.to_owned(),
            Some(at) => {
                let since = if is_from_start { None } else { Some(at.as_str()) };
                match more {
                    0 => (words.silent_same)(since),
                    1.. => (words.silent_more)(&count, since),
                    _ => (words.silent_less)(&count, since),
                }
            }
        };
        let known: Vec<_> = figure.by_interval.iter().map(|count| count.map(as_f64)).collect();
        // A tenth more than before, and more than a few, is no chance.
        let is_bad = more >= 5 && more * 10 >= before;
        Figure {
            name: words.silent,
            address: Some("/sims?silent_for=24h"),
            amount: Some(format.count(figure.value)),
            note,
            is_bad,
            spark: Spark::of(&known),
            class: if is_bad { "alarm" } else { "" },
            ..Figure::default()
        }
    }

    fn messages(&self, figure: &FigureIn) -> Figure {
        let format = self.visitor.format();
        let (change, note) = self.compared(figure);
        Figure {
            name: format.words.overview.messages,
            amount: Some(format.count(figure.value)),
            exactly: figure.value.to_string(),
            change,
            note,
            spark: spark(&figure.by_interval),
            class: "sms",
            ..Figure::default()
        }
    }

    fn routers(&self, figure: Option<&RoutersIn>) -> Figure {
        let format = self.visitor.format();
        let words = &format.words.overview;
        let name = words.routers_online;
        let Some(figure) = figure else {
            return Figure { name, note: words.rcms_off.to_owned(), ..Figure::default() };
        };
        let at = figure.last_success_at.as_deref().and_then(told);
        let note = match (at, &figure.error) {
            (None, _) => words.rcms_waits.to_owned(),
            (Some(at), Some(_)) => (words.rcms_failing)(&format.moment(at)),
            (Some(at), None) => {
                (words.routers_note)(&format.count(figure.offline).to_string(), &format.since(at))
            }
        };
        let all = figure.online + figure.offline + figure.unknown;
        Figure {
            name,
            address: Some("/routers?state=online"),
            amount: Some(format.count(figure.online)),
            of: format!("/ {}", format.count(all)),
            note,
            is_bad: figure.error.is_some(),
            ..Figure::default()
        }
    }

    fn records(&self, figure: &RecordsIn) -> Figure {
        let format = self.visitor.format();
        let (refused, repeats) = (format.count(figure.refused), format.count(figure.repeats));
        let words = &format.words.overview;
        Figure {
            name: words.records_received,
            amount: Some(format.count(figure.figure.value)),
            exactly: figure.figure.value.to_string(),
            note: (words.records_note)(&refused.to_string(), &repeats.to_string()),
            spark: spark(&figure.figure.by_interval),
            ..Figure::default()
        }
    }
}

fn spark(values: &[i64]) -> Spark {
    Spark::of(&values.iter().map(|value| Some(as_f64(*value))).collect::<Vec<_>>())
}
