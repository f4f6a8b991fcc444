//! `/v1/mo-sms`: text messages that SIMs sent, one row a message.
use std::{borrow::Cow, collections::HashMap};

use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{
    cells::Cells,
    doc::words,
    error::ApiError,
    list::{ById, List, View},
    params::{self, Question, Route},
    respond,
    usage::NOTHING,
};
use crate::{
    domain::{SmsRecord, Stored, Walk},
    store::{Portion, Store, StoreError},
};

/// The list.
pub(super) struct Sms;

/// A message with the vendor's names and types, and ours behind them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "id": 1714, "giccid": "8944500310194312699", "event_time": 1_711_889_742_473_i64,
    "from_msisdn": "882360010341361", "to_msisdn": "449086237252", "imsi": "460001234567890",
    "sim_group": "groupA", "received_at": "2024-03-31T12:55:43.001Z",
    "identity": "5f0c3a9e1b77d2c4", "datePush": "2024-03-31T12:55:43.000Z",
    "push_id": 1714, "source": "192.0.2.1", "extra": {},
    "url": "http://127.0.0.1:8081/v1/mo-sms/1714",
})))]
pub(super) struct SmsOut<'a> {
    id: i64,
    giccid: &'a str,
    event_time: i64,
    from_msisdn: Option<&'a str>,
    to_msisdn: Option<&'a str>,
    imsi: Option<&'a str>,
    sim_group: Option<&'a str>,
    /// There once a setting says which field holds it; SmartHub does not document one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::text_or_null, required = false)]
    text: Option<Option<Cow<'a, str>>>,
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

impl List for Sms {
    const ROUTE: &'static Route = &params::SMS;
    type Within = ();
    type Row = Stored<SmsRecord>;
    type Key = i64;
    type Out<'a> = SmsOut<'a>;

    async fn top(store: &Store) -> Result<i64, StoreError> {
        store.top().await
    }

    async fn rows(
        store: &Store,
        _: &(),
        ask: &Question,
        walk: &Walk,
    ) -> Result<Portion<Self::Row>, StoreError> {
        store.sms(&ask.filter, walk).await
    }

    async fn count(store: &Store, _: &(), ask: &Question, top: i64) -> Result<u64, StoreError> {
        store.sms_count(&ask.filter, top).await
    }

    fn id(row: &Self::Row) -> i64 {
        row.id
    }

    fn out<'a>(row: &'a Self::Row, view: &'a View) -> Result<SmsOut<'a>, ApiError> {
        let record = &row.record;
        Ok(SmsOut {
            id: row.id,
            giccid: record.giccid.as_str(),
            event_time: record.event_ms,
            from_msisdn: record.from_msisdn.sent(),
            to_msisdn: record.to_msisdn.sent(),
            imsi: record.imsi.sent(),
            sim_group: record.sim_group.sent(),
            text: view.sms_text_field.as_deref().map(|field| text_of(row, field)).transpose()?,
            received_at: row.received_at.to_string(),
            identity: respond::identity(row),
            date_push: respond::date_push(row),
            push_id: respond::push_id(row),
            source: respond::source(row),
            extra: respond::raw::<Self>(row, record.extra.as_deref().unwrap_or(NOTHING))?,
            url: view.base.row(Self::ROUTE.resource, row.id),
        })
    }

    fn columns(view: &View) -> Vec<&'static str> {
        let mut names =
            vec!["id", "giccid", "event_time", "from_msisdn", "to_msisdn", "imsi", "sim_group"];
        names.extend(view.sms_text_field.as_ref().map(|_| "text"));
        names.extend(["received_at", "identity", "datePush", "push_id", "source", "extra"]);
        names
    }

    fn cells(row: &Self::Row, view: &View, cells: &mut Cells) -> Result<(), ApiError> {
        let record = &row.record;
        cells.integer(row.id);
        cells.text(record.giccid.as_str());
        cells.integer(record.event_ms);
        for text in [&record.from_msisdn, &record.to_msisdn, &record.imsi, &record.sim_group] {
            cells.text(text);
        }
        if let Some(field) = &view.sms_text_field {
            cells.text(&text_of(row, field)?.unwrap_or_default());
        }
        cells.text(&row.received_at.to_string());
        respond::origin_cells(row, cells);
        cells.text(record.extra.as_deref().unwrap_or(NOTHING));
        Ok(())
    }
}

impl ById for Sms {
    async fn by_id(store: &Store, id: i64) -> Result<Option<Self::Row>, StoreError> {
        store.sms_by_id(id).await
    }
}

/// What the field of this name holds: a text as it reads, anything else as its JSON.
fn text_of<'a>(row: &'a Stored<SmsRecord>, field: &str) -> Result<Option<Cow<'a, str>>, ApiError> {
    let extra = row.record.extra.as_deref().unwrap_or(NOTHING);
    let corrupt = |source| respond::corrupt::<Sms>(row, source);
    let mut members: HashMap<Cow<'a, str>, &'a RawValue> =
        serde_json::from_str(extra).map_err(corrupt)?;
    let Some(value) = members.remove(field) else { return Ok(None) };
    if value.get().starts_with('"') {
        return serde_json::from_str::<String>(value.get())
            .map(|text| Some(text.into()))
            .map_err(corrupt);
    }
    Ok((value.get() != "null").then(|| value.get().into()))
}
