//! `/v1/sims/{giccid}/timeline`: all that is stored of a SIM, from what was stored last to what was
//! stored first. Rows look as in their own lists; each has its `kind`.
use std::borrow::Cow;

use axum::{extract::FromRequestParts, http::request::Parts};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    InternalState,
    cells::Cells,
    error::ApiError,
    list::{List, View},
    notifications::{NotificationOut, Notifications},
    params::{self, Question, Route},
    sims::NamedSim,
    sms::{Sms, SmsOut},
    usage::{Usage, UsageOut},
};
use crate::{
    domain::{Giccid, TimelineEntry, Walk},
    store::{Portion, SimMoment, Store, StoreError},
};

/// The list.
pub(super) struct Timeline;

/// The SIM whose story it is. There is one of this number.
#[derive(Clone, Debug)]
pub(super) struct Known(Giccid);

/// An entry as its own list shows it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TimelineEntryOut, examples(json!({
    "kind": "data-usage", "id": 1713, "giccid": "8944501503181377993", "data_usage": 1302,
    "start_time": 1_713_888_842_473_i64, "duration": 0, "mcc": "460", "mnc": "10", "country_code": "CN", "apn": "apn1",
    "imsi": "460001234567890", "sim_group": "groupA", "received_at": "2024-04-23T16:14:03.001Z",
    "identity": "5f0c3a9e1b77d2c4", "datePush": "2024-04-23T16:14:03.000Z",
    "push_id": 1713, "source": "192.0.2.1",
    "extra": {}, "url": "http://127.0.0.1:8081/v1/data-usage/1713",
})))]
#[serde(untagged)]
pub(super) enum EntryOut<'a> {
    Usage(WithKind<UsageOut<'a>>),
    Sms(WithKind<SmsOut<'a>>),
    /// It says its kind itself.
    Notification(NotificationOut<'a>),
}

/// A row of a list that has one kind only.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WithKind<T> {
    kind: &'static str,
    #[serde(flatten)]
    row: T,
}

impl List for Timeline {
    const ROUTE: &'static Route = &params::SIM_TIMELINE;
    type Within = Known;
    type Row = TimelineEntry;
    type Key = i64;
    type Out<'a> = EntryOut<'a>;

    fn path(Known(giccid): &Known) -> Cow<'static, str> {
        format!("sims/{giccid}/timeline").into()
    }

    async fn top(store: &Store) -> Result<i64, StoreError> {
        store.top().await
    }

    async fn rows(
        store: &Store,
        Known(giccid): &Known,
        _: &Question,
        walk: &Walk,
    ) -> Result<Portion<TimelineEntry>, StoreError> {
        store.timeline(giccid, walk).await
    }

    async fn count(
        store: &Store,
        Known(giccid): &Known,
        _: &Question,
        top: i64,
    ) -> Result<u64, StoreError> {
        store.timeline_count(giccid, top).await
    }

    fn id(row: &TimelineEntry) -> i64 {
        row.id()
    }

    fn out<'a>(row: &'a TimelineEntry, view: &'a View) -> Result<EntryOut<'a>, ApiError> {
        Ok(match row {
            TimelineEntry::Usage(row) => EntryOut::Usage(WithKind {
                kind: Usage::ROUTE.resource,
                row: Usage::out(row, view)?,
            }),
            TimelineEntry::Sms(row) => {
                EntryOut::Sms(WithKind { kind: Sms::ROUTE.resource, row: Sms::out(row, view)? })
            }
            TimelineEntry::Notification(row) => {
                EntryOut::Notification(Notifications::out(row, view)?)
            }
        })
    }

    fn columns(_: &View) -> Vec<&'static str> {
        vec![
            "id",
            "kind",
            "giccid",
            "imsi",
            "own_time",
            "data_usage",
            "sim_group",
            "country_code",
            "mcc",
            "mnc",
            "apn",
            "from_msisdn",
            "to_msisdn",
            "received_at",
            "extra",
        ]
    }

    /// What only one kind of entry has is empty in the others; `extra` also holds a notification's
    /// payload.
    fn cells(row: &TimelineEntry, _: &View, cells: &mut Cells) -> Result<(), ApiError> {
        let nothing = super::usage::NOTHING;
        cells.integer(row.id());
        let (received_at, extra) = match row {
            TimelineEntry::Usage(row) => {
                let record = &row.record;
                for text in [Usage::ROUTE.resource, record.giccid.as_str(), &record.imsi] {
                    cells.text(text);
                }
                cells.integer(record.start_ms);
                cells.integer(record.data_usage);
                for text in [&record.sim_group, &record.country_code, &record.mcc, &record.mnc] {
                    cells.text(text);
                }
                for text in [&*record.apn, "", ""] {
                    cells.text(text);
                }
                (row.received_at, record.extra.as_deref().unwrap_or(nothing))
            }
            TimelineEntry::Sms(row) => {
                let record = &row.record;
                for text in [Sms::ROUTE.resource, record.giccid.as_str(), &record.imsi] {
                    cells.text(text);
                }
                cells.integer(record.event_ms);
                for text in ["", &record.sim_group, "", "", "", ""] {
                    cells.text(text);
                }
                cells.text(&record.from_msisdn);
                cells.text(&record.to_msisdn);
                (row.received_at, record.extra.as_deref().unwrap_or(nothing))
            }
            TimelineEntry::Notification(row) => {
                let record = &row.record;
                cells.text(record.kind.as_str());
                cells.text(record.giccid.as_ref().map_or("", |giccid| giccid.as_str()));
                cells.text(&record.imsi);
                cells.integer_or_empty(record.event_ms);
                for _ in 0..8 {
                    cells.text("");
                }
                (row.received_at, &*record.payload)
            }
        };
        cells.text(&received_at.to_string());
        cells.text(extra);
        Ok(())
    }
}

impl FromRequestParts<InternalState> for Known {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &InternalState,
    ) -> Result<Self, ApiError> {
        let NamedSim(giccid) = NamedSim::from_request_parts(parts, state).await?;
        let zone = state.store.zone();
        let as_of = SimMoment { now: state.clock.now(), zone };
        let sim = state.store.sim(&giccid, &as_of).await?;
        sim.map(|_| Self(giccid)).ok_or(ApiError::NoSuchSim)
    }
}
