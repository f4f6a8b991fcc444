//! `/v1/held/discard` and `/v1/held/retry`: all held pushes that a filter names.
use axum::{
    Json,
    extract::{RawQuery, State},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    error::{ApiError, Invalid},
    params::{self, Question},
};
use crate::{http::auth::Admin, intake::Intake};

/// What was discarded, or would be.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({"matched": 12, "discarded": 12, "through": 4711, "dry_run": false})))]
pub(super) struct DiscardedManyOut {
    /// Null in a dry run where so many lie aside that they were not counted.
    matched: Option<u64>,
    discarded: u64,
    /// The last number that was looked at: those who came later are not counted.
    through: i64,
    dry_run: bool,
}

/// What became of those that were read again.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "matched": 12, "retracted_left_out": 2, "stored": 11, "duplicates": 0, "quarantined": 0,
    "still_refused": 1, "through": 4711, "dry_run": false,
})))]
pub(super) struct RetriedManyOut {
    /// Null in a dry run where so many lie aside that they were not counted.
    matched: Option<u64>,
    /// Held pushes that the filter names too, but that are not read again because their `datePush` was
    /// retracted: only `reason=date_retracted` takes them. A discard leaves none out. Null where so many
    /// lie aside that they were not counted.
    retracted_left_out: Option<u64>,
    stored: u64,
    duplicates: u64,
    quarantined: u64,
    still_refused: u64,
    /// The last number that was looked at: those who came later are not counted.
    through: i64,
    dry_run: bool,
}

/// `POST /v1/held/discard`
pub(super) async fn discard(
    State(intake): State<Intake>,
    Admin(caller): Admin,
    RawQuery(query): RawQuery,
) -> Result<Json<DiscardedManyOut>, ApiError> {
    let ask = params::HELD_DISCARD_MANY.read(query.as_deref())?;
    must_narrow(&ask)?;
    let dry_run = ask.dry_run;
    let (matched, through) = intake.count_held(&ask.held, ask.through).await?;
    if dry_run {
        return Ok(Json(DiscardedManyOut { matched, discarded: 0, through, dry_run }));
    }
    let discarded = intake.discard_held(&ask.held, Some(through), &caller).await?;
    let matched = Some(matched.unwrap_or_default().max(discarded));
    Ok(Json(DiscardedManyOut { matched, discarded, through, dry_run }))
}

/// `POST /v1/held/retry`
pub(super) async fn retry(
    State(intake): State<Intake>,
    Admin(caller): Admin,
    RawQuery(query): RawQuery,
) -> Result<Json<RetriedManyOut>, ApiError> {
    let ask = params::HELD_RETRY_MANY.read(query.as_deref())?;
    must_narrow(&ask)?;
    let dry_run = ask.dry_run;
    let mut done = crate::intake::RetriedMany::default();
    let (named, through) = intake.count_held(&ask.held, ask.through).await?;
    let (mut matched, _) = intake.count_held(&ask.held.of_retry(), Some(through)).await?;
    let left_out = named.zip(matched).map(|(named, matched)| named.saturating_sub(matched));
    if !dry_run {
        done = intake.retry_held(&ask.held, Some(through), ask.as_kind.as_ref(), &caller).await?;
        matched = Some(done.matched);
    }
    Ok(Json(RetriedManyOut {
        matched,
        retracted_left_out: left_out,
        stored: done.outcome.stored,
        duplicates: done.outcome.duplicates,
        quarantined: done.outcome.quarantined,
        still_refused: done.still_refused,
        through,
        dry_run,
    }))
}

/// A request that forgot its filter must not mean everything.
fn must_narrow(ask: &Question) -> Result<(), Invalid> {
    if ask.is_narrowed() {
        return Ok(());
    }
    let detail =
        "Name which ones, by `class`, `reason`, `source`, `received_from` or `received_to`.";
    Err(Invalid::field("held", "reason", detail.to_owned()))
}
