//! `/v1/summary`: the page's six figures, each beside what it was before.
use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{RawQuery, State},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    InternalState,
    error::ApiError,
    params,
    rcms::{CountsOut, RcmsOut},
};
use crate::{
    domain::{
        AggregateQuestion, AggregateRow, Calendar, Filter, Interval, SilentCount,
        SimActivityQuestion, Span, TIME_MS_MIN, Timestamp,
    },
    http::auth::Reader,
    store::StoreError,
};

const HOUR_MS: i64 = 60 * 60 * 1000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Six figures of a span that ends now, and of one as long before it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "from": "2024-09-04T01:30:48.000Z", "to": "2024-09-05T01:30:48.000Z", "interval": "15m",
    "arrived_through": "2024-09-05T01:26:48.000Z",
    "data_usage": {"value": 52_118, "previous": 49_075, "by_interval": [511, 498, 530]},
    "active_sims": {"value": 171, "known": 184},
    "silent_sims": {
        "value": 13, "by_interval": [null, 2, 13], "first_count_at": "2024-09-04T02:00:00.000Z",
    },
    "mo_sms": {"value": 48, "previous": 49, "by_interval": [1, 0, 0]},
    "routers": {
        "online": 7, "offline": 1, "unknown": 0, "last_success_at": "2024-09-05T01:30:37.257Z",
        "error": null,
    },
    "records": {
        "value": 16_900, "previous": 16_412, "by_interval": [174, 169, 171], "repeats": 31,
        "refused": 0, "quarantined": 0, "stale": 0,
    },
})))]
pub(super) struct FiguresOut {
    #[schema(format = DateTime)]
    from: String,
    #[schema(format = DateTime)]
    to: String,
    /// Into what the span is cut: quarters of an hour, hours, days or months of the server's zone.
    interval: &'static str,
    /// Before this time 95 % of the last day's usage records had arrived: an estimate.
    #[schema(format = DateTime)]
    arrived_through: Option<String>,
    /// The volume of all SIMs together.
    data_usage: FigureOut,
    active_sims: ActiveOut,
    silent_sims: SilentOut,
    /// Messages that SIMs sent.
    mo_sms: FigureOut,
    /// None where RCMS is not set up.
    routers: Option<RoutersOut>,
    records: RecordsOut,
}

/// A sum by own time.
#[derive(Debug, Serialize, ToSchema)]
struct FigureOut {
    value: i64,
    /// Of the span before, as long as this one.
    previous: i64,
    /// Of each interval, in order; the first and the last may be cut.
    by_interval: Vec<i64>,
}

/// SIMs with a usage record or message in the span.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ActiveSimsOut)]
struct ActiveOut {
    value: u64,
    /// SIMs that ever had one.
    known: u64,
}

/// SIMs that have sent nothing for 24 hours. They are counted each quarter hour, while simdeck runs: what
/// they send later does not change how many there were.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SilentSimsOut)]
struct SilentOut {
    value: u64,
    /// The last count of each interval, null where none was made; of the last interval the value.
    by_interval: Vec<Option<u64>>,
    /// When the first of these counts was made. None where there is but the value.
    #[schema(format = DateTime)]
    first_count_at: Option<String>,
}

/// Routers as RCMS lists them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FiguresOfRoutersOut)]
struct RoutersOut {
    #[serde(flatten)]
    counts: CountsOut,
    #[schema(format = DateTime)]
    last_success_at: Option<String>,
    /// Why there is nothing newer, in a sentence.
    error: Option<String>,
}

/// Usage records and messages by own time, and what became of what was no such record.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FiguresOfRecordsOut)]
struct RecordsOut {
    #[serde(flatten)]
    figure: FigureOut,
    /// Records of any kind that came again, since the store began.
    repeats: i64,
    /// Refused pushes: those that are held, and those that were not kept, since the store began.
    refused: i64,
    /// Quarantined pushes.
    quarantined: i64,
    /// Authentic pushes that are held because they are too old to be fresh, or retracted.
    stale: i64,
}

/// `GET /v1/summary`
pub(super) async fn show(
    State(state): State<InternalState>,
    Reader(caller): Reader,
    RawQuery(query): RawQuery,
) -> Result<Json<FiguresOut>, ApiError> {
    let ask = params::SUMMARY.read(query.as_deref())?;
    let now = state.clock.now();
    let to_ms = now.unix_ms();
    // No record is older than the oldest moment, nor newer than now by much.
    let from_ms = ask.filter.from_ms.unwrap_or(to_ms.saturating_sub(DAY_MS));
    let from_ms = from_ms.max(TIME_MS_MIN).min(to_ms);
    let cut = Cut::of(Span { start_ms: from_ms, end_ms: to_ms }, &state);
    let place = state.store.heavy_for(&caller.label).await?;
    let usage = Sums::of(&state, &cut, false).await?;
    let sms = Sums::of(&state, &cut, true).await?;
    let sims = SimActivityQuestion {
        active_from_ms: from_ms,
        silent_since_ms: now.minus(SilentCount::SILENT_AFTER).unix_ms(),
    };
    let sims = state.store.sim_activity(&sims).await?;
    let counts = state.store.silent_counts(&cut.spans()).await?;
    drop(place);
    let tallies = state.store.tallies().await?;
    let fleet = state.store.fleet(state.freshness()).await?;
    let routers = state.poll_report().map(|report| {
        let RcmsOut { last_success_at, error, .. } = RcmsOut::new(Some(&report), &fleet);
        RoutersOut { counts: CountsOut::of(&fleet), last_success_at, error }
    });
    let arrived = state.store.usage_arrived_through(now).await?;
    Ok(Json(FiguresOut {
        from: Timestamp::from_unix_ms(from_ms).to_string(),
        to: now.to_string(),
        interval: cut.word,
        arrived_through: arrived.map(|at| at.to_string()),
        data_usage: usage.figure(|row| row.data_usage),
        active_sims: ActiveOut { value: sims.active, known: sims.known },
        silent_sims: SilentOut::of(sims.silent, &counts),
        mo_sms: sms.figure(|row| row.records),
        routers,
        records: RecordsOut {
            figure: usage.figure(|row| row.records).and(sms.figure(|row| row.records)),
            repeats: tallies.kinds.iter().map(|(_, tally, _)| tally.repeats).sum(),
            refused: tallies.rings.iter().map(|ring| ring.pushes + ring.dropped).sum(),
            quarantined: tallies.quarantine.pushes,
            stale: tallies.stale.pushes,
        },
    }))
}

/// A span, cut into few enough intervals to draw.
struct Cut {
    span: Span,
    question: AggregateQuestion,
    word: &'static str,
    starts_ms: Vec<i64>,
    ends_ms: Vec<i64>,
}

impl Cut {
    fn of(span: Span, state: &InternalState) -> Self {
        let (word, interval) = match span.end_ms.saturating_sub(span.start_ms) {
            length if length <= 2 * DAY_MS => ("15m", Interval::QuarterHour),
            length if length <= 14 * DAY_MS => ("1h", Interval::Hour),
            length if length <= 400 * DAY_MS => ("1d", Interval::Day),
            _ => ("1M", Interval::Month),
        };
        let zone = state.store.zone();
        let calendar = Calendar::new(zone.clone(), interval);
        let mut cut = Self {
            span,
            question: AggregateQuestion {
                filter: Filter::default(),
                interval,
                zone,
                group_by: Vec::new(),
                top: None,
            },
            word,
            starts_ms: Vec::new(),
            ends_ms: Vec::new(),
        };
        let mut at_ms = span.start_ms;
        while at_ms < span.end_ms {
            let interval = calendar.span_of(at_ms);
            cut.starts_ms.push(interval.start_ms);
            cut.ends_ms.push(interval.end_ms.min(span.end_ms));
            at_ms = interval.end_ms;
        }
        cut
    }

    fn spans(&self) -> Vec<Span> {
        let ends = self.starts_ms.iter().zip(&self.ends_ms);
        ends.map(|(start_ms, end_ms)| Span { start_ms: *start_ms, end_ms: *end_ms }).collect()
    }

    fn question(&self, span: Span, interval: Interval) -> AggregateQuestion {
        let (from_ms, to_ms) = (Some(span.start_ms), Some(span.end_ms));
        let filter = Filter { from_ms, to_ms, ..Filter::default() };
        AggregateQuestion { filter, interval, ..self.question.clone() }
    }
}

/// The sums of a span and of the one before.
struct Sums<'c> {
    cut: &'c Cut,
    now: Vec<AggregateRow>,
    before: Vec<AggregateRow>,
}

impl<'c> Sums<'c> {
    async fn of(state: &InternalState, cut: &'c Cut, of_sms: bool) -> Result<Self, StoreError> {
        let Span { start_ms, end_ms } = cut.span;
        let length_ms = end_ms.saturating_sub(start_ms);
        let before = Span { start_ms: start_ms.saturating_sub(length_ms), end_ms: start_ms };
        let now = cut.question(cut.span, cut.question.interval);
        let before = cut.question(before, Interval::Whole);
        let store = &state.store;
        let (now, before) = if of_sms {
            (store.sms_aggregate(&now).await?, store.sms_aggregate(&before).await?)
        } else {
            (store.usage_aggregate(&now).await?, store.usage_aggregate(&before).await?)
        };
        Ok(Self { cut, now, before })
    }

    fn figure(&self, value: fn(&AggregateRow) -> i64) -> FigureOut {
        let now: BTreeMap<i64, i64> =
            self.now.iter().map(|row| (row.span.start_ms, value(row))).collect();
        let starts = self.cut.starts_ms.iter();
        FigureOut {
            value: now.values().sum(),
            previous: self.before.iter().map(value).sum(),
            by_interval: starts.map(|start| now.get(start).copied().unwrap_or_default()).collect(),
        }
    }
}

impl SilentOut {
    /// `counts` are those of all intervals; the last one goes on.
    fn of(value: u64, counts: &[Option<SilentCount>]) -> Self {
        let ended = counts.split_last().map_or(counts, |(_, ended)| ended);
        let mut by_interval: Vec<Option<u64>> =
            ended.iter().map(|count| count.map(|count| count.sims)).collect();
        by_interval.extend((!counts.is_empty()).then_some(Some(value)));
        let first = ended.iter().flatten().next();
        Self { value, by_interval, first_count_at: first.map(|count| count.at.to_string()) }
    }
}

impl FigureOut {
    /// Both together.
    fn and(self, other: Self) -> Self {
        let both = self.by_interval.iter().zip(other.by_interval);
        Self {
            value: self.value + other.value,
            previous: self.previous + other.previous,
            by_interval: both.map(|(one, other)| one + other).collect(),
        }
    }
}
