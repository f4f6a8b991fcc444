//! SIMs that are to go, and SIMs that went: `/v1/erase`, `/v1/erasures`.
use std::panic::resume_unwind;

use axum::{
    Json,
    extract::{RawQuery, State},
    http::StatusCode,
};
use serde::Serialize;
use tokio::task::JoinError;
use utoipa::ToSchema;

use super::{
    InternalState,
    body::Members,
    error::{ApiError, RemovalError},
    params,
    sims::NamedSim,
};
use crate::{
    domain::{Caller, Giccid, Timestamp},
    http::auth::Admin,
    intake::{AdminError, Erasure, Intake},
    store::{ErasedEntry, Lift, Store, StoreError},
};

const RESOURCE: &str = "erasures";

/// What an erasure does not look for.
const NOT_LOOKED_FOR: [&str; 4] = [
    "backups: a restore takes the SIM out of them",
    "held pushes that name only its IMSI",
    "what comes later and names only its IMSI",
    "numbers that are written with blanks or dashes in them",
];

/// Which SIM is to be erased.
#[derive(ToSchema)]
#[schema(examples(json!({"giccid": "8944501503181377993"})))]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it is read member by member, so that a refusal names one")]
pub(super) struct EraseIn {
    /// Its number.
    #[schema(pattern = "^[0-9A-Za-z]{18,22}$")]
    giccid: String,
    /// Erase it even if nothing is known of it, so that nothing of it is ever kept.
    #[schema(required = false)]
    force: bool,
}

/// What an erasure took away.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "id": 1714, "data_usage": 502, "mo_sms": 3, "notifications": 1, "held": 0,
    "ended_lift": false, "is_in_no_file": true, "not_searched": null,
    "not_looked_for": ["held pushes that name only its IMSI"],
})))]
pub(super) struct ErasedOut {
    /// Of the row in `/v1/changes` that tells of it.
    id: i64,
    data_usage: u64,
    mo_sms: u64,
    /// Those that are of it, and those that name no SIM but an IMSI that only it has.
    notifications: u64,
    /// Held pushes, or parts of them.
    held: u64,
    /// Whether what came of it was kept again since a lift, which this erasure has ended.
    ended_lift: bool,
    /// The files of the database were searched for the number, and do not hold it but within longer
    /// numbers of other SIMs.
    is_in_no_file: bool,
    /// Why nobody can tell, or what is left of deleted rows was not overwritten: it is tried again each
    /// hour. Null where that did not fail.
    not_searched: Option<String>,
    /// What was not looked for.
    not_looked_for: Vec<&'static str>,
}

/// What there is of a SIM.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "giccid": "8944501503181377993", "name": "Roof 7", "first_record_at": "2024-04-23T16:14:02.473Z",
    "last_record_at": "2024-09-05T01:30:48.000Z", "data_usage": 502, "mo_sms": 3,
    "notifications": 1, "held": 0, "is_known": true,
    "giccid_hmac": "5a0f1ad2c2f7bb0bd1a0b1a36f2f42bd7b0c2bb8d6b3bb0c8fe0cbf1ce9a2b7d",
    "erased_at": null, "lifted_at": null, "came_again": 0,
})))]
pub(super) struct TracesOut {
    giccid: String,
    name: Option<String>,
    /// Own time of its first usage record or message.
    first_record_at: Option<String>,
    /// Own time of its last one.
    last_record_at: Option<String>,
    /// Null, as the next three, where there is too much to be counted in time.
    data_usage: Option<u64>,
    mo_sms: Option<u64>,
    /// Those that are of it, or mention it.
    notifications: Option<u64>,
    /// Held pushes that mention it.
    held: Option<u64>,
    /// Whether there is anything of it.
    is_known: bool,
    /// What the row in `/v1/changes` says in place of its number, once it is erased.
    giccid_hmac: Option<String>,
    /// When it was erased; null if it was not.
    erased_at: Option<String>,
    /// From when on what comes of it is kept again, although it was erased.
    lifted_at: Option<String>,
    /// Records and held pushes that came since it was erased, and were not kept.
    came_again: i64,
}

/// A SIM that was erased.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "id": 1714, "erased_at": "2024-09-05T01:30:48.000Z",
    "first_erased_at": "2024-09-05T01:30:48.000Z", "came_again": 12, "lifted_at": null,
    "giccid_sha256": "c1939c9e49aded6cc84c0d1c7209778f3cd9af12b63f11e118edab9f0772dee7",
    "giccid_hmac": "5a0f1ad2c2f7bb0bd1a0b1a36f2f42bd7b0c2bb8d6b3bb0c8fe0cbf1ce9a2b7d",
    "is_pending": false, "is_in_no_file": true, "not_searched": null,
    "data_usage": 502, "mo_sms": 3, "notifications": 1, "held": 0,
})))]
pub(super) struct ErasureOut {
    /// Of the row in `/v1/changes` that tells of it.
    id: i64,
    /// When it was erased; the last time, if it was erased again after a lift.
    erased_at: String,
    /// When it was erased the first time.
    first_erased_at: String,
    /// SHA-256 of its number, in hex. Whoever knows most of the number can guess the rest. Null if a
    /// restore took it from the list beside the database, which does not tell it.
    giccid_sha256: Option<String>,
    /// HMAC-SHA-256 of its number with a secret of the store, in hex. Null if only the hash is known.
    giccid_hmac: Option<String>,
    /// Records and held pushes that came since, and were not kept.
    came_again: i64,
    /// From when on what comes of it is kept again.
    lifted_at: Option<String>,
    /// Whether it still goes on.
    is_pending: bool,
    /// Whether the files of the database were searched for its number, and what deleted rows had left
    /// there is overwritten. Until then it is tried again each hour.
    is_in_no_file: bool,
    /// Why that has not come to its end, if it was tried.
    not_searched: Option<String>,
    /// Usage records that all its erasures took away so far. Null, as the next three, of one that an
    /// earlier version began.
    data_usage: Option<u64>,
    mo_sms: Option<u64>,
    notifications: Option<u64>,
    /// Held pushes, or parts of them.
    held: Option<u64>,
}

/// `POST /v1/erase`
pub(super) async fn erase(
    State(state): State<InternalState>,
    Admin(caller): Admin,
    RawQuery(query): RawQuery,
    mut members: Members,
) -> Result<Json<ErasedOut>, ApiError> {
    params::read_none("erase", query.as_deref())?;
    let giccid: Giccid =
        members.take("erase", "giccid", Giccid::EXPECTED, |value| value.as_str()?.parse().ok())?;
    let is_forced = members
        .take_if_there("erase", "force", "true or false", |value| value.as_bool())?
        .unwrap_or_default();
    members.end("erase")?;
    // A mistyped number would be that of a SIM whose records are dropped for ever.
    let erased = state.store.erasure_of(&giccid).await?;
    let ended_lift = erased.as_ref().is_some_and(|erased| erased.lifted_at.is_some());
    if !is_forced && !ended_lift && is_unknown(&state.intake, &giccid).await? {
        return Err(RemovalError::NothingToErase(erased.map(|erased| erased.at)).into());
    }
    let erasing = erase_to_its_end(state.clone(), giccid, caller);
    let done = state.live.unless_held_up(&state.intake, erasing).await?;
    Ok(Json(ErasedOut {
        id: done.erased.id,
        data_usage: done.erased.usage,
        mo_sms: done.erased.sms,
        notifications: done.erased.notifications,
        held: done.erased.held,
        ended_lift,
        is_in_no_file: done.is_in_no_file,
        not_searched: done.not_searched,
        not_looked_for: NOT_LOOKED_FOR.to_vec(),
    }))
}

/// Nor is it remembered here what names the SIM, though nobody waits for the erasure any more.
async fn erase_to_its_end(
    state: InternalState,
    giccid: Giccid,
    caller: Caller,
) -> Result<Erasure, AdminError> {
    let erasing = tokio::spawn(async move {
        let done = state.intake.erase(&giccid, &caller).await;
        state.live.pushes.forget_what_names(&giccid).await;
        done
    });
    match erasing.await.map_err(JoinError::try_into_panic) {
        Ok(done) => done,
        Err(Ok(panic)) => resume_unwind(panic),
        Err(Err(_)) => Err(AdminError::Stopping),
    }
}

/// Whether there is nothing of a SIM. Of one that has too much to be counted there is something.
async fn is_unknown(intake: &Intake, giccid: &Giccid) -> Result<bool, ApiError> {
    match intake.traces(giccid).await {
        Err(AdminError::Store(StoreError::TooSlow)) => Ok(false),
        traces => Ok(traces?.are_none()),
    }
}

/// `GET /v1/erasures`: all there ever were, the last one first.
pub(super) async fn list(
    State(intake): State<Intake>,
    State(store): State<Store>,
    _: Admin,
    RawQuery(query): RawQuery,
) -> Result<Json<Vec<ErasureOut>>, ApiError> {
    params::read_none(RESOURCE, query.as_deref())?;
    let erasures = store.erased_list().await?;
    let mut why = intake.why_left_in_files();
    let shown = |entry: ErasedEntry| {
        let not_searched = why.remove(&entry.id);
        ErasureOut { not_searched, ..entry.into() }
    };
    Ok(Json(erasures.into_iter().map(shown).collect()))
}

/// `GET /v1/erasures/{giccid}`: what there is of a SIM that may be erased.
pub(super) async fn show(
    State(intake): State<Intake>,
    State(store): State<Store>,
    _: Admin,
    NamedSim(giccid): NamedSim,
    RawQuery(query): RawQuery,
) -> Result<Json<TracesOut>, ApiError> {
    params::read_none(RESOURCE, query.as_deref())?;
    let traces = intake.traces(&giccid).await?;
    let erased = store.erasure_of(&giccid).await?;
    let told = |at: Option<Timestamp>| at.map(|at| at.to_string());
    Ok(Json(TracesOut {
        erased_at: told(erased.as_ref().map(|entry| entry.at)),
        lifted_at: told(erased.as_ref().and_then(|entry| entry.lifted_at)),
        came_again: erased.map_or(0, |entry| entry.came_again),
        is_known: !traces.are_none(),
        giccid: giccid.to_string(),
        name: Some(traces.name.to_string()).filter(|name| !name.is_empty()),
        first_record_at: traces.first_at.map(|at| at.to_string()),
        last_record_at: traces.last_at.map(|at| at.to_string()),
        data_usage: traces.usage,
        mo_sms: traces.sms,
        notifications: traces.notifications,
        held: traces.held,
        giccid_hmac: Some(store.keyed_giccid(&giccid)),
    }))
}

/// `DELETE /v1/erasures/{giccid}`: what comes of the SIM from now on is kept again.
pub(super) async fn lift(
    State(state): State<InternalState>,
    Admin(caller): Admin,
    NamedSim(giccid): NamedSim,
    RawQuery(query): RawQuery,
) -> Result<StatusCode, ApiError> {
    params::read_none(RESOURCE, query.as_deref())?;
    match state.intake.lift_erasure(&giccid, &caller).await? {
        Lift::Done => {
            // What came until now is not shown by the lift.
            state.live.pushes.forget_what_names(&giccid).await;
            Ok(StatusCode::NO_CONTENT)
        }
        Lift::NotThere => Err(RemovalError::NotErased.into()),
        Lift::Already(at) => Err(RemovalError::AlreadyLifted(RESOURCE, "giccid", at).into()),
        Lift::Pending => {
            let detail = "The SIM is still being erased: ask again when that has ended.";
            Err(ApiError::Conflict(detail.to_owned(), None))
        }
    }
}

impl From<ErasedEntry> for ErasureOut {
    fn from(entry: ErasedEntry) -> Self {
        Self {
            id: entry.id,
            erased_at: entry.at.to_string(),
            first_erased_at: entry.first_at.to_string(),
            giccid_sha256: entry.giccid_sha256,
            giccid_hmac: entry.giccid_hmac,
            came_again: entry.came_again,
            lifted_at: entry.lifted_at.map(|at| at.to_string()),
            is_pending: entry.is_pending,
            is_in_no_file: entry.is_in_no_file,
            not_searched: None,
            data_usage: entry.counts.map(|counts| counts.usage),
            mo_sms: entry.counts.map(|counts| counts.sms),
            notifications: entry.counts.map(|counts| counts.notifications),
            held: entry.counts.map(|counts| counts.held),
        }
    }
}
