//! Which sums answer a question: the coarsest that fit, and records where a border cuts them.
use serde::Serialize;

use crate::{
    domain::{AggregateQuestion, Calendar, GroupBy, Run, Span},
    store::{
        days::StoreDays,
        read::rollup::Dimension,
        rollup::{DAY_MS, HOUR_MS, QUARTER_HOUR_MS},
    },
};

/// Records are looked up for at most so many pieces beside sums; when there are more, they answer
/// alone.
const EDGES_MAX: usize = 64;

/// A range of time that one kind of sum answers: `[from, to, origin, step]`. To which
/// interval a moment in it belongs, [`key`](super::cells::key) tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "[i64; 4]")]
pub(super) struct Piece {
    pub(super) span: Span,
    origin_ms: i64,
    step_ms: i64,
}

/// A day in the store's zone, and a moment of the interval it belongs to: `[day, key]`.
pub(super) type WholeDay = [i64; 2];

/// What is read to answer a question.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Sums by hour.
    pub(super) hours: Vec<Piece>,
    /// Sums by quarter of an hour.
    pub(super) quarters: Vec<Piece>,
    /// Sums by SIM and day.
    pub(super) days: Vec<WholeDay>,
    /// Records.
    pub(super) records: Vec<Piece>,
    /// Records that the sums have, but the question does not ask about.
    pub(super) too_much: Vec<Piece>,
}

/// Whether a plan may take a whole day where most of it is asked about, and the rest of it off again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edges {
    Added,
    Nearest,
}

/// The sums that know enough to answer a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// Those by time and network; whether by the hour, then by this dimension.
    Network(Option<Dimension>),
    /// Those by SIM and day.
    SimDays,
    /// None: only the records know.
    Nothing,
}

impl Kept {
    pub(super) fn of(question: &AggregateQuestion) -> Self {
        let filter = &question.filter;
        let by_received = filter.received_from_ms.is_some() || filter.received_to_ms.is_some();
        let by_sim = !filter.giccid.is_empty()
            || !filter.imsi.is_empty()
            || question.group_by.contains(&GroupBy::Giccid);
        let by_network = question.group_by.iter().any(|by| *by != GroupBy::Giccid)
            || [&filter.sim_group, &filter.country_code, &filter.mcc, &filter.mnc, &filter.apn]
                .into_iter()
                .any(|values| !values.is_empty());
        match (by_received, by_sim, by_network) {
            (true, _, _) | (_, true, true) => Self::Nothing,
            (false, true, false) => Self::SimDays,
            (false, false, _) => Self::Network(one_dimension(question)),
        }
    }
}

/// The dimension whose hourly sums answer a question that asks about no more than one.
fn one_dimension(question: &AggregateQuestion) -> Option<Dimension> {
    let filter = &question.filter;
    if !filter.mcc.is_empty() || !filter.mnc.is_empty() {
        return None;
    }
    let grouped = question.group_by.iter().filter_map(|by| match by {
        GroupBy::Giccid => None,
        GroupBy::SimGroup => Some(Dimension::SimGroup),
        GroupBy::CountryCode => Some(Dimension::CountryCode),
        GroupBy::Network => Some(Dimension::Network),
        GroupBy::Apn => Some(Dimension::Apn),
    });
    let filtered = [
        (&filter.sim_group, Dimension::SimGroup),
        (&filter.country_code, Dimension::CountryCode),
        (&filter.apn, Dimension::Apn),
    ];
    let filtered = filtered.into_iter().filter(|(values, _)| !values.is_empty()).map(|(_, by)| by);
    let mut asked = grouped.chain(filtered);
    // Any dimension has the sum of all; there are few countries.
    let first = asked.next().unwrap_or(Dimension::CountryCode);
    asked.all(|other| other == first).then_some(first)
}

impl Plan {
    /// `range` is the asked one as far as there are records; `days` are the store's.
    pub(super) fn new(
        kept: Kept,
        edges: Edges,
        asked: &Calendar,
        range: Span,
        days: &StoreDays,
    ) -> Self {
        let mut plan = Self::default();
        for run in asked.runs(range) {
            match kept {
                Kept::Network(hours) => plan.add_network(run, hours.is_some()),
                Kept::SimDays => plan.add_days(run, edges, days),
                Kept::Nothing => plan.records.push(Piece::of(run, run.span)),
            }
        }
        if kept != Kept::Nothing && plan.records.len() > EDGES_MAX {
            return Self::new(Kept::Nothing, edges, asked, range, days);
        }
        plan
    }

    /// Whether no sum was found to be of use.
    pub(super) fn is_of_records(&self) -> bool {
        self.hours.is_empty() && self.quarters.is_empty() && self.days.is_empty()
    }

    /// The records to add and those to take off.
    pub(super) fn all_records(&self) -> Vec<Piece> {
        self.records.iter().chain(&self.too_much).copied().collect()
    }

    /// Where the first of the records begins that are read.
    pub(super) fn first_record_ms(&self) -> Option<i64> {
        self.all_records().iter().map(|piece| piece.span.start_ms).min()
    }

    fn add_network(&mut self, run: Run, has_hours: bool) {
        let quarters = even_part(run, run.span, QUARTER_HOUR_MS);
        let hours = if has_hours {
            even_part(run, quarters, HOUR_MS)
        } else {
            Span { start_ms: quarters.end_ms, end_ms: quarters.end_ms }
        };
        push_around(&mut self.records, run, run.span, quarters);
        push_around(&mut self.quarters, run, quarters, hours);
        push(&mut self.hours, run, hours);
    }

    fn add_days(&mut self, run: Run, edges: Edges, days: &StoreDays) {
        if !is_one_interval(run) {
            self.records.push(Piece::of(run, run.span));
            return;
        }
        let mut day = days.span_of(run.span.start_ms);
        while day.start_ms < run.span.end_ms && !day.is_empty() {
            let asked = day.and(run.span);
            let rest_ms = (day.end_ms - day.start_ms) - (asked.end_ms - asked.start_ms);
            let is_nearest = match edges {
                Edges::Added => rest_ms == 0,
                Edges::Nearest => rest_ms < asked.end_ms - asked.start_ms,
            };
            if is_nearest {
                self.days.push([days.number_of(day), run.span.start_ms]);
                push_around(&mut self.too_much, run, day, asked);
            } else {
                push(&mut self.records, run, asked);
            }
            day = days.span_of(day.end_ms);
        }
    }
}

/// The part of a span in which sums by this unit lie whole within intervals and span. Where there is
/// none, an empty one at its end.
fn even_part(run: Run, span: Span, unit_ms: i64) -> Span {
    let start_ms = span.start_ms + (-span.start_ms).rem_euclid(unit_ms);
    let end_ms = span.end_ms - span.end_ms.rem_euclid(unit_ms);
    let fits = is_one_interval(run) || run.origin_ms % unit_ms == 0 && run.step_ms % unit_ms == 0;
    if fits && start_ms < end_ms {
        Span { start_ms, end_ms }
    } else {
        Span { start_ms: span.end_ms, end_ms: span.end_ms }
    }
}

fn is_one_interval(run: Run) -> bool {
    run.origin_ms.saturating_add(run.step_ms) >= run.span.end_ms
}

/// What of a span lies before and behind an inner one.
fn push_around(pieces: &mut Vec<Piece>, run: Run, span: Span, inner: Span) {
    push(pieces, run, Span { end_ms: inner.start_ms.min(span.end_ms), ..span });
    push(pieces, run, Span { start_ms: inner.end_ms.max(span.start_ms), ..span });
}

fn push(pieces: &mut Vec<Piece>, run: Run, span: Span) {
    if !span.is_empty() {
        pieces.push(Piece::of(run, span));
    }
}

impl Piece {
    fn of(run: Run, span: Span) -> Self {
        Self { span, origin_ms: run.origin_ms, step_ms: run.step_ms }
    }

    /// Whether no border lies in it.
    pub(super) fn is_of_one_interval(&self) -> bool {
        self.origin_ms.saturating_add(self.step_ms) >= self.span.end_ms
    }
}

impl From<Piece> for [i64; 4] {
    fn from(Piece { span, origin_ms, step_ms }: Piece) -> Self {
        [span.start_ms, span.end_ms, origin_ms, step_ms]
    }
}

/// Pieces in groups that together last no longer than this, cut where need be: what SQLite sorts at
/// once, it holds in memory.
pub(super) fn portions(pieces: &[Piece], longest_ms: i64) -> Vec<Vec<Piece>> {
    let mut portions = Vec::new();
    let mut portion = Vec::new();
    let mut room_ms = longest_ms;
    for piece in pieces {
        let mut rest = *piece;
        while !rest.span.is_empty() {
            let cut_ms = rest.span.end_ms.min(rest.span.start_ms.saturating_add(room_ms));
            room_ms -= cut_ms - rest.span.start_ms;
            portion.push(Piece { span: Span { end_ms: cut_ms, ..rest.span }, ..rest });
            rest.span.start_ms = cut_ms;
            if room_ms == 0 {
                portions.push(std::mem::take(&mut portion));
                room_ms = longest_ms;
            }
        }
    }
    portions.extend((!portion.is_empty()).then_some(portion));
    portions
}

/// Ranges without a gap between them, as one.
pub(super) fn joined(pieces: &[Piece]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for piece in pieces {
        match spans.last_mut() {
            Some(last) if last.end_ms == piece.span.start_ms => last.end_ms = piece.span.end_ms,
            _ => spans.push(piece.span),
        }
    }
    spans
}

/// Pieces cut at the days (UTC) by which the keys of records are kept: `[day, from, to, origin,
/// step]`.
pub(super) fn by_key_day(pieces: &[Piece]) -> Vec<[i64; 5]> {
    let mut cut = Vec::new();
    for piece in pieces {
        let Piece { span, origin_ms, step_ms } = *piece;
        for day in span.start_ms.div_euclid(DAY_MS)..=(span.end_ms - 1).div_euclid(DAY_MS) {
            let day_span = Span { start_ms: day * DAY_MS, end_ms: (day + 1) * DAY_MS };
            let Span { start_ms, end_ms } = span.and(day_span);
            cut.push([day, start_ms, end_ms, origin_ms, step_ms]);
        }
    }
    cut
}
