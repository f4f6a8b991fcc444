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
    "sample": null,
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
        let (kind, state, sample) = match &row.what {
            DeviceEventKind::State(state) => (DeviceEventWord::State, Some(state.as_str()), None),
            DeviceEventKind::Status(whole) => {
                (DeviceEventWord::Status, None, Some(respond::raw::<Self>(row, whole)?))
            }
        };
        Ok(EventOut { id: row.id, at: row.at.to_string(), kind: kind.as_str(), state, sample })
    }

    fn columns(_: &View) -> Vec<&'static str> {
        vec!["id", "at", "kind", "state", "sample"]
    }

    fn cells(row: &DeviceEvent, _: &View, cells: &mut Cells) -> Result<(), ApiError> {
        let (kind, state, sample) = match &row.what {
            DeviceEventKind::State(state) => (DeviceEventWord::State, state.as_str(), ""),
            DeviceEventKind::Status(whole) => (DeviceEventWord::Status, "", &**whole),
        };
        cells.integer(row.id);
        for text in [&row.at.to_string(), kind.as_str(), state, sample] {
            cells.text(text);
        }
        Ok(())
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
