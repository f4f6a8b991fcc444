//! `/v1/stream`: what is stored, as it is stored, as server-sent events.
//!
//! A stream holds no rows and has no task: whenever its connection can take more, it reads the
//! store. So one that is not read costs nothing, and its connection is cut like any other that
//! takes nothing for too long.
mod feed;

use std::convert::Infallible;

use axum::{
    body::{Body, Bytes},
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::stream::unfold;

use self::feed::Feed;
use super::{InternalState, base::Base, changes::filter_of, error::ApiError, list::View, params};
use crate::http::{
    auth::Guest,
    problem::{Code, FieldError},
};

/// The header with the last event that a browser has seen.
pub(super) const LAST_EVENT_ID: &str = "Last-Event-ID";

/// `GET /v1/stream`
pub(super) async fn show(
    State(state): State<InternalState>,
    guest: Guest,
    base: Base,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let question = params::STREAM.read(query.as_deref())?;
    let last_id = match headers.get(LAST_EVENT_ID) {
        // It is what the browser has seen since it asked with the parameter.
        Some(sent) => Some(number(sent)?),
        None => question.live.last_event_id,
    };
    let slot = state.live.slot(&guest.caller.label).ok_or(ApiError::TooManyStreams)?;
    let newest = state.store.top().await?;
    if last_id.is_some_and(|last_id| last_id > newest) {
        return Err(beyond());
    }
    let view = View { base, sms_text_field: state.settings.sms_text_field.clone() };
    let (filter, sample) = (filter_of(&question, true), question.live.sample.unwrap_or(true));
    let mut feed = Feed::new(state, guest, slot, filter, view);
    let backlog = feed.begin(last_id, newest, sample).await?;
    let first = Some(Bytes::from(backlog));
    let events = unfold((feed, first), async |(mut feed, first)| {
        let chunk = match first {
            Some(first) => first,
            None => Bytes::from(feed.next().await?),
        };
        Some((Ok::<_, Infallible>(chunk), (feed, None)))
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok((headers, Body::from_stream(events)).into_response())
}

fn number(sent: &HeaderValue) -> Result<i64, ApiError> {
    let digits = sent.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let should_be = "the id of an event, unchanged";
    digits
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| params::STREAM.invalid(LAST_EVENT_ID, should_be).into())
}

fn beyond() -> ApiError {
    let (resource, field) = (params::STREAM.resource, LAST_EVENT_ID.to_owned());
    ApiError::Conflict(
        "There is no event of this id yet: it is of the store before a restore, or of another one. \
         Start again without it."
            .to_owned(),
        Some(FieldError { resource, field, code: Code::Invalid }),
    )
}
