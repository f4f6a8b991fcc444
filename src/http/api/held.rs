//! `/v1/held`: pushes that lie aside, because they did not prove to be SmartHub's or could not be
//! read. Their bodies may be anything and are for admins only.
use axum::{
    Json,
    extract::{RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    base::Base,
    cells::Cells,
    doc::words,
    error::ApiError,
    list::{List, View},
    params::{self, Question, Route},
    row_id::RowId,
    shown_body::BodyOut,
};
use crate::{
    domain::{Held, Scope, Walk},
    http::auth::{Admin, Reader},
    intake::Intake,
    store::{Portion, Store, StoreError},
};

const RESOURCE: &str = "held";

/// The list.
pub(super) struct HeldPushes;

/// A held push.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HeldPushOut, examples(json!({
    "id": 7, "class": "quarantined", "reason": "field_missing", "field": "giccid",
    "kind": "data-usage", "source": "192.0.2.1", "other_sources": [],
    "received_at": "2024-09-05T01:30:48.000Z",
    "bytes": 123, "count": 1, "url": "http://127.0.0.1:8081/v1/held/7",
})))]
pub(super) struct HeldOut<'a> {
    id: i64,
    #[schema(schema_with = words::held_class)]
    class: &'static str,
    #[schema(schema_with = words::held_reason)]
    reason: &'static str,
    field: Option<&'a str>,
    kind: &'a str,
    /// Null where it is not known.
    source: Option<&'a str>,
    /// Who sent the very same, too; null stands for all beyond those that are kept.
    other_sources: Vec<Option<&'a str>>,
    #[schema(format = DateTime)]
    received_at: String,
    bytes: i64,
    count: i64,
    url: String,
}

/// A held push with its body.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WholeHeldPushOut, examples(json!({
    "id": 7, "class": "quarantined", "reason": "field_missing", "field": "giccid",
    "kind": "data-usage", "source": "192.0.2.1", "other_sources": [],
    "received_at": "2024-09-05T01:30:48.000Z",
    "bytes": 21, "count": 1, "url": "http://127.0.0.1:8081/v1/held/7",
    "body": "{\"data_usage\":1}", "body_encoding": "utf-8",
})))]
pub(super) struct WholeOut<'a> {
    #[serde(flatten)]
    held: HeldOut<'a>,
    #[serde(flatten)]
    body: BodyOut,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({"stored": 1, "duplicates": 0, "quarantined": 0})))]
pub(super) struct RetriedOut {
    stored: u64,
    duplicates: u64,
    quarantined: u64,
}

impl List for HeldPushes {
    const ROUTE: &'static Route = &params::HELD_PUSHES;
    type Within = ();
    type Row = Held;
    type Key = i64;
    type Out<'a> = HeldOut<'a>;

    async fn top(store: &Store) -> Result<i64, StoreError> {
        store.held_top().await
    }

    async fn rows(
        store: &Store,
        _: &(),
        ask: &Question,
        walk: &Walk,
    ) -> Result<Portion<Held>, StoreError> {
        Ok(store.held(&ask.held, walk).await?.into())
    }

    async fn count(store: &Store, _: &(), ask: &Question, top: i64) -> Result<u64, StoreError> {
        store.held_count(&ask.held, top).await
    }

    fn id(row: &Held) -> i64 {
        row.id
    }

    fn out<'a>(row: &'a Held, view: &'a View) -> Result<HeldOut<'a>, ApiError> {
        Ok(held_out(row, &view.base))
    }

    fn columns(_: &View) -> Vec<&'static str> {
        vec![
            "id",
            "class",
            "reason",
            "field",
            "kind",
            "source",
            "other_sources",
            "received_at",
            "bytes",
            "count",
        ]
    }

    fn cells(row: &Held, _: &View, cells: &mut Cells) -> Result<(), ApiError> {
        cells.integer(row.id);
        cells.text(row.class.as_str());
        cells.text(row.reason.as_str());
        cells.text(row.field.as_deref().unwrap_or_default());
        cells.text(row.kind.as_str());
        cells.text(named(&row.source).unwrap_or_default());
        cells.text(&serde_json::to_string(&others(row)).map_err(std::io::Error::from)?);
        cells.text(&row.received_at.to_string());
        cells.integer(row.bytes);
        cells.integer(row.count);
        Ok(())
    }
}

/// `GET /v1/held/{id}`: a reader sees all but the body.
pub(super) async fn show(
    State(store): State<Store>,
    Reader(caller): Reader,
    base: Base,
    id: RowId,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    params::read_none(RESOURCE, query.as_deref())?;
    let id = id.of(RESOURCE)?;
    let whole = store.held_body(id).await?.ok_or(ApiError::NoSuchRow(RESOURCE))?;
    let is_admin = caller.scope == Scope::Admin;
    let body = if is_admin { BodyOut::of(whole.body) } else { BodyOut::default() };
    Ok(Json(WholeOut { held: held_out(&whole.held, &base), body }).into_response())
}

/// `POST /v1/held/{id}/retry`: reads it again, with the keys and by the rules of now.
pub(super) async fn retry(
    State(intake): State<Intake>,
    Admin(caller): Admin,
    id: RowId,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let as_kind = params::HELD_RETRY.read(query.as_deref())?.as_kind;
    let id = id.of(RESOURCE)?;
    let answer = intake.retry(id, as_kind, &caller).await?;
    let (stored, duplicates, quarantined) = (answer.stored, answer.duplicates, answer.quarantined);
    Ok(Json(RetriedOut { stored, duplicates, quarantined }).into_response())
}

/// `DELETE /v1/held/{id}`
pub(super) async fn discard(
    State(intake): State<Intake>,
    Admin(caller): Admin,
    id: RowId,
    RawQuery(query): RawQuery,
) -> Result<StatusCode, ApiError> {
    params::read_none(RESOURCE, query.as_deref())?;
    let id = id.of(RESOURCE)?;
    if intake.discard(id, &caller).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::NoSuchRow(RESOURCE))
    }
}

/// A source, unless it is not known. Earlier versions named it by the address of nobody.
fn named(source: &str) -> Option<&str> {
    Some(source).filter(|source| !matches!(*source, "" | "0.0.0.0"))
}

fn others(held: &Held) -> Vec<Option<&str>> {
    held.other_sources.iter().map(|source| named(source)).collect()
}

fn held_out<'a>(held: &'a Held, base: &Base) -> HeldOut<'a> {
    HeldOut {
        id: held.id,
        class: held.class.as_str(),
        reason: held.reason.as_str(),
        field: held.field.as_deref(),
        kind: held.kind.as_str(),
        source: named(&held.source),
        other_sources: others(held),
        received_at: held.received_at.to_string(),
        bytes: held.bytes,
        count: held.count,
        url: base.row(RESOURCE, held.id),
    }
}
