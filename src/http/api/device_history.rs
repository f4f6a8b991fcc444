//! `/v1/devices/{sn}/history`: when a router's state changed, and what it told RCMS about itself.
use std::borrow::Cow;

use axum::{extract::FromRequestParts, http::request::Parts};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{
    InternalState,
    cells::Cells,
    devices::Named,
    doc::words,
    error::ApiError,
    list::{List, View},
    params::{self, Question, Route},
    respond,
};
use crate::{
    domain::{DeviceEvent, DeviceEventKind, DeviceEventWord, SerialNumber, Walk},
    store::{Portion, Store, StoreError},
};

/// The list.
pub(super) struct DeviceHistory;

/// The router whose history it is. There is one of this number.
#[derive(Clone, Debug)]
pub(super) struct Known(SerialNumber);

/// An entry: a new state, or a whole sample.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "id": 1716, "at": "2024-09-05T01:30:48.000Z", "kind": "state", "state": "online",
    "sample": null, "sampled_at": null, "until": null, "samples": null,
})))]
pub(super) struct EventOut<'a> {
    id: i64,
    #[schema(format = DateTime)]
    at: String,
    #[schema(schema_with = words::device_event)]
    kind: &'static str,
    #[schema(schema_with = words::device_state_or_null)]
    state: Option<&'static str>,
    #[schema(value_type = Option<Object>)]
    sample: Option<&'a RawValue>,
    #[serde(flatten)]
    run: RunOut,
}

/// What is told of samples beside the first of them; all null where it is a state that has changed.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = DeviceSamplesOut)]
pub(super) struct RunOut {
    /// When it was taken; null where it does not say so, or an earlier version has stored it.
    #[schema(format = DateTime)]
    pub(super) sampled_at: Option<String>,
    /// Of the last sample that says the same, but for clocks that run on.
    #[schema(format = DateTime)]
    pub(super) until: Option<String>,
    /// How many samples say the same, each of a later time than the one before.
    pub(super) samples: Option<i64>,
}

impl List for DeviceHistory {
    const ROUTE: &'static Route = &params::DEVICE_HISTORY;
    type Within = Known;
    type Row = DeviceEvent;
    type Key = i64;
    type Out<'a> = EventOut<'a>;

    fn path(Known(sn): &Known) -> Cow<'static, str> {
        format!("devices/{sn}/history").into()
    }

    async fn top(store: &Store) -> Result<i64, StoreError> {
        store.top().await
    }

    async fn rows(
        store: &Store,
        Known(sn): &Known,
        ask: &Question,
        walk: &Walk,
    ) -> Result<Portion<DeviceEvent>, StoreError> {
        Ok(store.device_history(sn, &ask.history, walk).await?.into())
    }

    async fn count(
        store: &Store,
        Known(sn): &Known,
        ask: &Question,
        top: i64,
    ) -> Result<u64, StoreError> {
        store.device_history_count(sn, &ask.history, top).await
    }

    fn id(row: &DeviceEvent) -> i64 {
        row.id
    }

    fn out<'a>(row: &'a DeviceEvent, _: &'a View) -> Result<EventOut<'a>, ApiError> {
        let (kind, state, sample) = parts_of(row)?;
        let run = RunOut::of(row);
        Ok(EventOut { id: row.id, at: row.at.to_string(), kind: kind.as_str(), state, sample, run })
    }

    fn columns(_: &View) -> Vec<&'static str> {
        vec!["id", "at", "kind", "state", "sample", "sampled_at", "until", "samples"]
    }

    fn cells(row: &DeviceEvent, _: &View, cells: &mut Cells) -> Result<(), ApiError> {
        let (kind, state, sample) = match &row.what {
            DeviceEventKind::State(state) => (DeviceEventWord::State, state.as_str(), ""),
            DeviceEventKind::Status(run) => (DeviceEventWord::Status, "", &*run.whole),
        };
        let RunOut { sampled_at, until, samples } = RunOut::of(row);
        cells.integer(row.id);
        for text in [&row.at.to_string(), kind.as_str(), state, sample] {
            cells.text(text);
        }
        for text in [sampled_at, until, samples.map(|samples| samples.to_string())] {
            cells.text(&text.unwrap_or_default());
        }
        Ok(())
    }
}

/// Kind, new state and whole sample of an entry.
pub(super) type EventParts<'a> = (DeviceEventWord, Option<&'static str>, Option<&'a RawValue>);

/// What an entry says.
pub(super) fn parts_of(row: &DeviceEvent) -> Result<EventParts<'_>, ApiError> {
    Ok(match &row.what {
        DeviceEventKind::State(state) => (DeviceEventWord::State, Some(state.as_str()), None),
        DeviceEventKind::Status(run) => {
            let sample = respond::raw::<DeviceHistory>(row, &run.whole)?;
            (DeviceEventWord::Status, None, Some(sample))
        }
    })
}

impl RunOut {
    /// Of an entry.
    pub(super) fn of(row: &DeviceEvent) -> Self {
        match &row.what {
            DeviceEventKind::State(_) => Self::default(),
            DeviceEventKind::Status(run) => Self {
                sampled_at: run.has_own_time.then(|| row.at.to_string()),
                until: Some(run.until.to_string()),
                samples: Some(run.samples),
            },
        }
    }
}

impl FromRequestParts<InternalState> for Known {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &InternalState,
    ) -> Result<Self, ApiError> {
        let Named(sn) = Named::from_request_parts(parts, state).await?;
        let device = state.store.device(&sn, state.freshness()).await?;
        device.map(|_| Self(sn)).ok_or(ApiError::NoSuchDevice)
    }
}
