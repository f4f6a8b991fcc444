//! `/v1/notifications`: every other kind of push, kept whole.
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{
    cells::Cells,
    error::ApiError,
    list::{ById, List, View},
    params::{self, Question, Route},
    respond,
};
use crate::{
    domain::{Notification, Stored, Walk},
    store::{Portion, Store, StoreError},
};

/// The list.
pub(super) struct Notifications;

/// A notification: what we know of it, and all that was pushed under `payload`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "id": 1715, "kind": "sim-status", "giccid": "8944501503181377993", "imsi": null,
    "event_time": null, "received_at": "2024-04-23T16:14:03.001Z",
    "identity": "5f0c3a9e1b77d2c4", "datePush": "2024-04-23T16:14:03.000Z",
    "push_id": 1715, "source": "192.0.2.1",
    "payload": {"giccid": "8944501503181377993", "status": "ACTIVE"},
    "url": "http://127.0.0.1:8081/v1/notifications/1715",
})))]
pub(super) struct NotificationOut<'a> {
    id: i64,
    kind: &'a str,
    /// The kind in the address, where there were too many kinds to keep this one apart, or where it
    /// is a word by which `/v1/changes` and `/v1/stream` call rows of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pushed_as: Option<&'a str>,
    giccid: Option<&'a str>,
    imsi: Option<&'a str>,
    event_time: Option<i64>,
    #[schema(format = DateTime)]
    received_at: String,
    identity: String,
    #[serde(rename = "datePush")]
    #[schema(format = DateTime)]
    date_push: Option<String>,
    /// Records that came in one commit from one source under one `datePush` share it.
    push_id: Option<i64>,
    /// Who sent it.
    source: Option<String>,
    #[schema(value_type = Object)]
    payload: &'a RawValue,
    url: String,
}

impl List for Notifications {
    const ROUTE: &'static Route = &params::NOTIFICATIONS;
    type Within = ();
    type Row = Stored<Notification>;
    type Key = i64;
    type Out<'a> = NotificationOut<'a>;

    async fn top(store: &Store) -> Result<i64, StoreError> {
        store.top().await
    }

    async fn rows(
        store: &Store,
        _: &(),
        ask: &Question,
        walk: &Walk,
    ) -> Result<Portion<Self::Row>, StoreError> {
        store.notifications(&ask.filter, walk).await
    }

    async fn count(store: &Store, _: &(), ask: &Question, top: i64) -> Result<u64, StoreError> {
        store.notification_count(&ask.filter, top).await
    }

    fn id(row: &Self::Row) -> i64 {
        row.id
    }

    fn out<'a>(row: &'a Self::Row, view: &'a View) -> Result<NotificationOut<'a>, ApiError> {
        let record = &row.record;
        Ok(NotificationOut {
            id: row.id,
            kind: record.kind.as_str(),
            pushed_as: record.pushed_as.as_ref().map(|kind| kind.as_str()),
            giccid: record.giccid.as_ref().map(|giccid| giccid.as_str()),
            imsi: record.imsi.sent(),
            event_time: record.event_ms,
            received_at: row.received_at.to_string(),
            identity: respond::identity(row),
            date_push: respond::date_push(row),
            push_id: respond::push_id(row),
            source: respond::source(row),
            payload: respond::raw::<Self>(row, &record.payload)?,
            url: view.base.row(Self::ROUTE.resource, row.id),
        })
    }

    fn columns(_: &View) -> Vec<&'static str> {
        vec![
            "id",
            "kind",
            "pushed_as",
            "giccid",
            "imsi",
            "event_time",
            "received_at",
            "identity",
            "datePush",
            "push_id",
            "source",
            "payload",
        ]
    }

    fn cells(row: &Self::Row, _: &View, cells: &mut Cells) -> Result<(), ApiError> {
        let record = &row.record;
        cells.integer(row.id);
        cells.text(record.kind.as_str());
        cells.text(record.pushed_as.as_ref().map_or("", |kind| kind.as_str()));
        cells.text(record.giccid.as_ref().map_or("", |giccid| giccid.as_str()));
        cells.text(&record.imsi);
        cells.integer_or_empty(record.event_ms);
        cells.text(&row.received_at.to_string());
        respond::origin_cells(row, cells);
        cells.text(&record.payload);
        Ok(())
    }
}

impl ById for Notifications {
    async fn by_id(store: &Store, id: i64) -> Result<Option<Self::Row>, StoreError> {
        store.notification_by_id(id).await
    }
}
