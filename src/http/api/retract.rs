//! `/v1/retract`, `/v1/retractions`: takes out what somebody attached to a captured signature.
use std::net::IpAddr;

use axum::{
    Json,
    extract::{RawQuery, State},
    http::StatusCode,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    body::Members,
    doc::words,
    error::{ApiError, Earlier, RemovalError},
    live::Live,
    params,
    row_id::RowId,
};
use crate::{
    domain::{RetractCount, RetractQuestion, Retraction, Timestamp},
    http::auth::Admin,
    intake::Intake,
    store::{Lift, Store, unless_too_slow},
};

const RESOURCE: &str = "retract";
const LIST: &str = "retractions";

/// What is to be taken out.
#[derive(ToSchema)]
#[schema(examples(json!({"datePush": "2024-09-05T01:30:48Z", "dry_run": true})))]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it is read member by member, so that a refusal names one")]
pub(super) struct RetractIn {
    /// The second under which it was pushed, as a row shows it.
    #[serde(rename = "datePush")]
    #[schema(schema_with = words::date_push)]
    date_push: String,
    /// Only what this address sent.
    #[schema(required = false, schema_with = words::ip_address)]
    source: Option<String>,
    /// Only counts it.
    #[schema(required = false, nullable = false)]
    dry_run: Option<bool>,
    /// Retract it even if nothing came under it, so that nothing of it is ever stored.
    #[schema(required = false, nullable = false)]
    force: Option<bool>,
}

/// What was taken out, or would be.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "id": 1714, "data_usage": 12, "mo_sms": 0, "notifications": 0, "kept": 1, "held": 2,
    "is_known": true, "dry_run": false,
    "sources": [{
        "source": "192.0.2.1", "data_usage": 12, "mo_sms": 0, "notifications": 0, "kept": 1,
    }],
})))]
pub(super) struct RetractionOut {
    /// Of the row in `/v1/changes` that tells of it; none where nothing was done.
    id: Option<i64>,
    /// Null, as the next three, in a dry run that would have had to count for more than a second.
    data_usage: Option<u64>,
    mo_sms: Option<u64>,
    notifications: Option<u64>,
    /// Records of any kind that another push has brought, too: they stay, as that one's.
    kept: Option<u64>,
    /// Authentic pushes, or parts of them, that are held under this `datePush`: they stay held. Null
    /// where so many are held that it was not counted.
    held: Option<u64>,
    /// Whether anything is known to have come under this `datePush` that is there, or repeated what
    /// is, or is held. False also where `held` is null and nothing else came.
    is_known: bool,
    /// When all of it, or what one source sent of it, was retracted before. Not there if it was not,
    /// or if that was lifted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime, nullable = false)]
    retracted_at: Option<String>,
    /// The one source of which it was retracted then, where more than that is meant now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    retracted_source: Option<String>,
    dry_run: bool,
    /// What there was, by who had sent it. Null where it would have had to be counted for more than a
    /// second.
    sources: Option<Vec<SourceOut>>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RetractedSourceOut)]
struct SourceOut {
    source: Option<String>,
    data_usage: u64,
    mo_sms: u64,
    notifications: u64,
    kept: u64,
}

/// A retraction.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "id": 1714, "retracted_at": "2024-09-05T02:00:00.000Z", "datePush": "2024-09-05T01:30:48.000Z",
    "source": null, "is_pending": false, "lifted_at": null, "data_usage": 12, "mo_sms": 0,
    "notifications": 0, "kept": 1,
})))]
pub(super) struct RetractedOut {
    /// Of the row in `/v1/changes` that tells of it.
    id: i64,
    #[schema(format = DateTime)]
    retracted_at: String,
    #[serde(rename = "datePush")]
    #[schema(format = DateTime)]
    date_push: String,
    /// The one address that is meant; null: any.
    source: Option<String>,
    /// Whether it still goes on.
    is_pending: bool,
    /// From when on what comes under it is kept again.
    #[schema(format = DateTime)]
    lifted_at: Option<String>,
    /// Usage records that it took out so far. Null, as the next three, of one that an earlier version
    /// began.
    data_usage: Option<u64>,
    mo_sms: Option<u64>,
    notifications: Option<u64>,
    /// Records of any kind that stayed, as those of another push.
    kept: Option<u64>,
}

/// `POST /v1/retract`
pub(super) async fn retract(
    State(intake): State<Intake>,
    State(live): State<Live>,
    Admin(caller): Admin,
    RawQuery(query): RawQuery,
    mut members: Members,
) -> Result<Json<RetractionOut>, ApiError> {
    params::read_none(RESOURCE, query.as_deref())?;
    let question = RetractQuestion {
        date_push_s: members.take(
            RESOURCE,
            "datePush",
            "a time as 2024-09-05T01:30:48Z or in seconds since 1970",
            second,
        )?,
        source: members.take_if_there(RESOURCE, "source", "an IP address", |value| {
            value.as_str()?.parse::<IpAddr>().ok().map(|source| source.to_canonical())
        })?,
    };
    let dry_run = members.take_if_there(RESOURCE, "dry_run", "true or false", Value::as_bool)?;
    let is_forced = members.take_if_there(RESOURCE, "force", "true or false", Value::as_bool)?;
    members.end(RESOURCE)?;
    let dry_run = dry_run.unwrap_or_default();
    // A mistyped second would be that of a push that is set aside for ever.
    let came = intake.store().came_under(question).await?;
    let held = intake.held_under(question).await?;
    let earlier = earlier_of(question, &intake.store().retractions().await?);
    let is_known = came || held.is_some_and(|held| held > 0);
    let is_forced = dry_run || is_forced.unwrap_or_default();
    let is_retracted = earlier.is_some_and(|earlier| earlier.source.is_none());
    if !is_forced && !came && (is_retracted || !is_known) {
        let error = match (held, earlier) {
            (None, None) => RemovalError::NotKnownToRetract,
            _ => RemovalError::NothingToRetract(earlier),
        };
        return Err(error.into());
    }
    let retracted_at = earlier.map(|earlier| earlier.at.to_string());
    let retracted_source = earlier.and_then(|it| it.source).map(|source| source.to_string());
    let found = unless_too_slow(intake.store().retract_counts(question).await)?;
    let sources = found.as_ref().map(|found| found.iter().map(source_out).collect());
    if dry_run {
        let sum = |of: fn(&RetractCount) -> u64| Some(found.as_ref()?.iter().map(of).sum());
        return Ok(Json(RetractionOut {
            id: None,
            data_usage: sum(|it| it.usage),
            mo_sms: sum(|it| it.sms),
            notifications: sum(|it| it.notifications),
            kept: sum(|it| it.kept),
            held,
            is_known,
            retracted_at,
            retracted_source,
            dry_run,
            sources,
        }));
    }
    let done = live.unless_held_up(&intake, intake.retract(question, &caller)).await?;
    Ok(Json(RetractionOut {
        id: Some(done.id),
        data_usage: Some(done.usage),
        mo_sms: Some(done.sms),
        notifications: Some(done.notifications),
        kept: Some(done.kept),
        held,
        is_known,
        retracted_at,
        retracted_source,
        dry_run,
        sources,
    }))
}

/// `GET /v1/retractions`: all there ever were, the last one first.
pub(super) async fn list(
    State(store): State<Store>,
    _: Admin,
    RawQuery(query): RawQuery,
) -> Result<Json<Vec<RetractedOut>>, ApiError> {
    params::read_none(LIST, query.as_deref())?;
    let retractions = store.retractions().await?;
    Ok(Json(retractions.into_iter().map(RetractedOut::from).collect()))
}

/// `DELETE /v1/retractions/{id}`: what comes under it from now on is kept again.
pub(super) async fn lift(
    State(intake): State<Intake>,
    Admin(caller): Admin,
    id: RowId,
    RawQuery(query): RawQuery,
) -> Result<StatusCode, ApiError> {
    params::read_none(LIST, query.as_deref())?;
    match intake.lift_retraction(id.of(LIST)?, &caller).await? {
        Lift::Done => Ok(StatusCode::NO_CONTENT),
        Lift::NotThere => Err(ApiError::NoSuchRow(LIST)),
        Lift::Already(at) => Err(RemovalError::AlreadyLifted(LIST, "id", at).into()),
        Lift::Pending => {
            let detail = "The retraction still goes on: ask again when it has ended.";
            Err(ApiError::Conflict(detail.to_owned(), None))
        }
    }
}

impl From<Retraction> for RetractedOut {
    fn from(Retraction { id, of, at, is_pending, lifted_at, counts }: Retraction) -> Self {
        let second = Timestamp::from_unix_ms(of.date_push_s.saturating_mul(1000));
        Self {
            id,
            retracted_at: at.to_string(),
            date_push: second.to_string(),
            source: of.source.map(|source| source.to_string()),
            is_pending,
            lifted_at: lifted_at.map(|at| at.to_string()),
            data_usage: counts.map(|counts| counts.usage),
            mo_sms: counts.map(|counts| counts.sms),
            notifications: counts.map(|counts| counts.notifications),
            kept: counts.map(|counts| counts.kept),
        }
    }
}

/// The last retraction in force that has taken all of it out; or else one of a single source, where all
/// are meant now.
fn earlier_of(question: RetractQuestion, all: &[Retraction]) -> Option<Earlier> {
    let of_second =
        |it: &&Retraction| it.lifted_at.is_none() && it.of.date_push_s == question.date_push_s;
    let has_all = |it: &&Retraction| it.of == question || it.of.source.is_none();
    let mut in_force = all.iter().filter(of_second);
    if let Some(whole) = in_force.clone().find(has_all) {
        return Some(Earlier { at: whole.at, source: None });
    }
    let part = in_force.find(|_| question.source.is_none())?;
    Some(Earlier { at: part.at, source: part.of.source })
}

/// A time as text, or whole seconds of the ten digits that can be signed.
fn second(value: &Value) -> Option<i64> {
    if let Some(text) = value.as_str() {
        return params::date_push_s(text).ok();
    }
    let number = value.to_string();
    let whole = number.strip_suffix(".0").unwrap_or(&number);
    whole.parse().ok().filter(|seconds| (1_000_000_000..10_000_000_000).contains(seconds))
}

fn source_out(count: &RetractCount) -> SourceOut {
    SourceOut {
        source: count.source.map(|source| source.to_string()),
        data_usage: count.usage,
        mo_sms: count.sms,
        notifications: count.notifications,
        kept: count.kept,
    }
}
