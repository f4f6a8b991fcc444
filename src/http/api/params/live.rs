//! What the routes take that tell what is new.
use std::time::Duration;

use super::{
    Param, Route, Shape,
    table::{self, GROUP, KIND, any_of, one},
    values::{flag, giccid, number, seconds},
};
use crate::{domain::PageSize, http::push::PushOutcome};

/// The longest wait for something new, seconds: shorter than what proxies and clients wait for an
/// answer.
const WAIT_S_MAX: u8 = 8;

/// What only these routes ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::http::api) struct LiveQuestion {
    /// How long to wait for something new, and how that was written.
    pub(in crate::http::api) wait: Option<(Duration, String)>,
    /// The last row that the client has.
    pub(in crate::http::api) last_event_id: Option<i64>,
    /// Whether rows may be left out of a stream that has too many.
    pub(in crate::http::api) sample: Option<bool>,
    /// What became of pushes.
    pub(in crate::http::api) outcome: Vec<PushOutcome>,
}

const SIZE: Param = one(
    "size",
    table::SIZE,
    "Rows at most; 100 if not given. There are fewer where rows are long.",
    |ask, text| number(text, 1..=PageSize::MAX).map(|it| ask.size = Some(it)),
);

const FOLLOWED: &[Param] = &[
    SIZE,
    one(
        "cursor",
        Shape::Cursor,
        "Empty or not given to begin with the first row, then as `Link`, rel `next`, has it.",
        |ask, text| {
            ask.cursor = Some(text.to_owned());
            Ok(())
        },
    ),
    one(
        "wait",
        Shape::Wait,
        "How long to wait for something new, in seconds from 0 (if not given) to 8.",
        |ask, text| {
            let wait = seconds(text, WAIT_S_MAX).ok_or("seconds, from 0 to 8")?;
            ask.live.wait = Some((wait, text.to_owned()));
            Ok(())
        },
    ),
];

const STREAMED: &[Param] = &[
    any_of("giccid", Shape::Giccid, "SIMs.", |ask, text| {
        giccid(text).map(|it| ask.filter.giccid.push(it))
    }),
    one(
        "last_event_id",
        Shape::RowOrNone,
        "The last event that the client has, where it cannot send the header `Last-Event-ID`.",
        |ask, text| number(text, 0..=i64::MAX).map(|it| ask.live.last_event_id = Some(it)),
    ),
    one(
        "sample",
        Shape::Flag,
        "`false` leaves no row out, however many there are in a second.",
        |ask, text| flag(text).map(|it| ask.live.sample = Some(it)),
    ),
];

const LOGGED: &[Param] = &[
    SIZE,
    any_of(
        "outcome",
        Shape::OneOf(|| PushOutcome::ALL.map(PushOutcome::as_str).to_vec()),
        "What became of them.",
        |ask, text| {
            let outcome = text.parse().map_err(|_| {
                "one of stored, duplicate, quarantined, erased, refused, rejected, unavailable, \
                 probe, unanswered"
            })?;
            ask.live.outcome.push(outcome);
            Ok(())
        },
    ),
];

/// `GET /v1/changes`
pub(in crate::http::api) const CHANGES: Route =
    Route { resource: "changes", params: &[KIND, FOLLOWED] };
/// `GET /v1/stream`
pub(in crate::http::api) const STREAM: Route =
    Route { resource: "stream", params: &[KIND, GROUP, STREAMED] };
/// `GET /v1/pushes`
pub(in crate::http::api) const PUSHES: Route =
    Route { resource: "pushes", params: &[KIND, LOGGED] };
