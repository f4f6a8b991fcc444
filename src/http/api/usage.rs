//! `/v1/data-usage`: data used, one row a record.
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
    domain::{Stored, UsageRecord, Walk},
    store::{Portion, Store, StoreError},
};

/// An object without members.
pub(super) const NOTHING: &str = "{}";

/// The list.
pub(super) struct Usage;

/// A record with the vendor's names and types, and ours behind them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "id": 1713, "giccid": "8944501503181377993", "data_usage": 1302,
    "start_time": 1_713_888_842_473_i64, "duration": 0, "mcc": "460", "mnc": "10", "country_code": "CN", "apn": "apn1",
    "imsi": "460001234567890", "sim_group": "groupA", "received_at": "2024-04-23T16:14:03.001Z",
    "identity": "5f0c3a9e1b77d2c4", "datePush": "2024-04-23T16:14:03.000Z",
    "push_id": 1713, "source": "192.0.2.1",
    "extra": {}, "url": "http://127.0.0.1:8081/v1/data-usage/1713",
})))]
pub(super) struct UsageOut<'a> {
    id: i64,
    giccid: &'a str,
    data_usage: i64,
    start_time: i64,
    duration: Option<i64>,
    mcc: Option<&'a str>,
    mnc: Option<&'a str>,
    country_code: Option<&'a str>,
    apn: Option<&'a str>,
    imsi: Option<&'a str>,
    sim_group: Option<&'a str>,
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
    extra: &'a RawValue,
    url: String,
}

impl List for Usage {
    const ROUTE: &'static Route = &params::USAGE;
    type Within = ();
    type Row = Stored<UsageRecord>;
    type Key = i64;
    type Out<'a> = UsageOut<'a>;

    async fn top(store: &Store) -> Result<i64, StoreError> {
        store.top().await
    }

    async fn rows(
        store: &Store,
        _: &(),
        ask: &Question,
        walk: &Walk,
    ) -> Result<Portion<Self::Row>, StoreError> {
        store.usage(&ask.filter, walk).await
    }

    async fn count(store: &Store, _: &(), ask: &Question, top: i64) -> Result<u64, StoreError> {
        store.usage_count(&ask.filter, top).await
    }

    fn id(row: &Self::Row) -> i64 {
        row.id
    }

    fn out<'a>(row: &'a Self::Row, view: &'a View) -> Result<UsageOut<'a>, ApiError> {
        let record = &row.record;
        Ok(UsageOut {
            id: row.id,
            giccid: record.giccid.as_str(),
            data_usage: record.data_usage,
            start_time: record.start_ms,
            duration: record.duration,
            mcc: record.mcc.sent(),
            mnc: record.mnc.sent(),
            country_code: record.country_code.sent(),
            apn: record.apn.sent(),
            imsi: record.imsi.sent(),
            sim_group: record.sim_group.sent(),
            received_at: row.received_at.to_string(),
            identity: respond::identity(row),
            date_push: respond::date_push(row),
            push_id: respond::push_id(row),
            source: respond::source(row),
            extra: respond::raw::<Self>(row, record.extra.as_deref().unwrap_or(NOTHING))?,
            url: view.base.row(Self::ROUTE.resource, row.id),
        })
    }

    fn columns(_: &View) -> Vec<&'static str> {
        vec![
            "id",
            "giccid",
            "data_usage",
            "start_time",
            "duration",
            "mcc",
            "mnc",
            "country_code",
            "apn",
            "imsi",
            "sim_group",
            "received_at",
            "identity",
            "datePush",
            "push_id",
            "source",
            "extra",
        ]
    }

    fn cells(row: &Self::Row, _: &View, cells: &mut Cells) -> Result<(), ApiError> {
        let record = &row.record;
        cells.integer(row.id);
        cells.text(record.giccid.as_str());
        cells.integer(record.data_usage);
        cells.integer(record.start_ms);
        cells.integer_or_empty(record.duration);
        for text in [
            &record.mcc,
            &record.mnc,
            &record.country_code,
            &record.apn,
            &record.imsi,
            &record.sim_group,
        ] {
            cells.text(text);
        }
        cells.text(&row.received_at.to_string());
        respond::origin_cells(row, cells);
        cells.text(record.extra.as_deref().unwrap_or(NOTHING));
        Ok(())
    }
}

impl ById for Usage {
    async fn by_id(store: &Store, id: i64) -> Result<Option<Self::Row>, StoreError> {
        store.usage_by_id(id).await
    }
}
