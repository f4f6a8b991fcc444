//! `/v1/held`: pushes that lie aside, because they did not prove to be SmartHub's or could not be
//! read. Their bodies may be anything and are for admins only.
use axum::{
    Json,
    extract::{Path, RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::{
    base::Base,
    cells::Cells,
    error::ApiError,
    list::{List, View, row_id},
    params::{self, Question, Route},
    shown_body::BodyOut,
};
use crate::{
    domain::{Held, Scope, Walk},
    http::auth::{Admin, Reader},
    intake::Intake,
    store::{Store, StoreError},
};

const RESOURCE: &str = "held";

/// The list.
pub(super) struct HeldPushes;

/// A held push.
#[derive(Debug, Serialize)]
pub(super) struct HeldOut<'a> {
    id: i64,
    class: &'static str,
    reason: &'static str,
    field: Option<&'a str>,
    kind: &'a str,
    source: &'a str,
    received_at: String,
    bytes: i64,
    count: i64,
    url: String,
}

/// A held push with its body.
#[derive(Debug, Serialize)]
struct WholeOut<'a> {
    #[serde(flatten)]
    held: HeldOut<'a>,
    #[serde(flatten)]
    body: Option<BodyOut>,
}

#[derive(Debug, Serialize)]
struct RetriedOut {
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
    ) -> Result<Vec<Held>, StoreError> {
        store.held(&ask.class, &ask.reason, walk).await
    }

    async fn count(store: &Store, _: &(), ask: &Question, top: i64) -> Result<u64, StoreError> {
        store.held_count(&ask.class, &ask.reason, top).await
    }

    fn id(row: &Held) -> i64 {
        row.id
    }

    fn out<'a>(row: &'a Held, view: &'a View) -> Result<HeldOut<'a>, ApiError> {
        Ok(held_out(row, &view.base))
    }

    fn columns(_: &View) -> Vec<&'static str> {
        vec!["id", "class", "reason", "field", "kind", "source", "received_at", "bytes", "count"]
    }

    fn cells(row: &Held, _: &View, cells: &mut Cells) -> Result<(), ApiError> {
        cells.integer(row.id);
        cells.text(row.class.as_str());
        cells.text(row.reason.as_str());
        cells.text(row.field.as_deref().unwrap_or_default());
        cells.text(row.kind.as_str());
        cells.text(&row.source);
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
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    params::read_none(RESOURCE, query.as_deref())?;
    let id = row_id(RESOURCE, &id)?;
    let whole = store.held_body(id).await?.ok_or(ApiError::NoSuchRow(RESOURCE))?;
    let body = (caller.scope == Scope::Admin).then(|| BodyOut::of(whole.body));
    Ok(Json(WholeOut { held: held_out(&whole.held, &base), body }).into_response())
}

/// `POST /v1/held/{id}/retry`: reads it again, with the keys and by the rules of now.
pub(super) async fn retry(
    State(intake): State<Intake>,
    Admin(caller): Admin,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let as_kind = params::HELD_RETRY.read(query.as_deref())?.as_kind;
    let id = row_id(RESOURCE, &id)?;
    let answer = intake.retry(id, as_kind, &caller).await?;
    let (stored, duplicates, quarantined) = (answer.stored, answer.duplicates, answer.quarantined);
    Ok(Json(RetriedOut { stored, duplicates, quarantined }).into_response())
}

/// `DELETE /v1/held/{id}`
pub(super) async fn discard(
    State(intake): State<Intake>,
    Admin(caller): Admin,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<StatusCode, ApiError> {
    params::read_none(RESOURCE, query.as_deref())?;
    let id = row_id(RESOURCE, &id)?;
    if intake.discard(id, &caller).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::NoSuchRow(RESOURCE))
    }
}

fn held_out<'a>(held: &'a Held, base: &Base) -> HeldOut<'a> {
    HeldOut {
        id: held.id,
        class: held.class.as_str(),
        reason: held.reason.as_str(),
        field: held.field.as_deref(),
        kind: held.kind.as_str(),
        source: &held.source,
        received_at: held.received_at.to_string(),
        bytes: held.bytes,
        count: held.count,
        url: base.row(RESOURCE, held.id),
    }
}
