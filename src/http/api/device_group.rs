//! `PUT /v1/devices/{sn}/group`: moves a router into another of RCMS's groups.
use axum::{
    Json,
    extract::{RawQuery, State},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    InternalState,
    body::Members,
    devices::Named,
    error::{ApiError, Invalid},
    params,
    rcms::OFF,
};
use crate::{
    domain::{AuditAction, AuditNote, AuditOutcome},
    http::auth::Admin,
    rcms::{GroupName, RcmsError},
};

const RESOURCE: &str = "devices";
const NAME: &str = "groupName";

/// The group to move it into.
#[derive(ToSchema)]
#[schema(examples(json!({"groupName": "groupB"})))]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it is read member by member, so that a refusal names one")]
pub(super) struct GroupIn {
    /// Its name in RCMS: not blanks alone, without control characters and without marks that turn the
    /// direction of writing.
    #[serde(rename = "groupName")]
    #[schema(
        min_length = 1,
        max_length = 256,
        pattern = "^[^\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]*$"
    )]
    group_name: String,
}

/// What RCMS was told, and took.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({"sn": "24031300770021", "groupName": "groupB"})))]
pub(super) struct GroupOut {
    sn: String,
    #[serde(rename = "groupName")]
    group_name: String,
}

/// `PUT /v1/devices/{sn}/group`. The store learns of it when RCMS next lists the router.
pub(super) async fn put(
    State(state): State<InternalState>,
    Admin(caller): Admin,
    Named(sn): Named,
    RawQuery(query): RawQuery,
    mut members: Members,
) -> Result<Json<GroupOut>, ApiError> {
    params::read_none(RESOURCE, query.as_deref())?;
    let should_be = "1 to 256 characters, not blanks alone, without control characters and without \
                     marks that turn the direction of writing";
    let group_name: GroupName =
        members.take(RESOURCE, NAME, should_be, |value| value.as_str()?.parse().ok())?;
    members.end(RESOURCE)?;
    let freshness = state.freshness();
    let rcms = state.rcms.ok_or_else(|| ApiError::Conflict(OFF.to_owned(), None))?;
    // What is about to change elsewhere is on record here even if we never learn how it ended.
    let listed = state.store.device(&sn, freshness).await?.map(|device| device.listed);
    // RCMS is asked in its own letters.
    let sn = listed.as_ref().map_or(sn, |listed| listed.sn.clone());
    let before = listed.as_ref().and_then(|listed| listed.group.sent());
    let before = before.map(|group| format!(", before in {group}")).unwrap_or_default();
    let change = format!("into {group_name}{before}");
    let note = AuditNote::by(&caller, AuditAction::DeviceGroup, sn.as_str());
    let audited = state.intake.begin_audit(AuditNote { details: change.clone(), ..note }).await?;
    if let Err(error) = rcms.client.set_group(&sn, &group_name).await {
        audited.end(AuditOutcome::Failed, format!("{change}; then: {}", error.sentence())).await;
        return Err(match error {
            RcmsError::Refused(_) => Invalid::field(RESOURCE, NAME, error.to_string()).into(),
            other => ApiError::Rcms(other),
        });
    }
    audited.end(AuditOutcome::Done, change).await;
    Ok(Json(GroupOut { sn: sn.to_string(), group_name: group_name.to_string() }))
}
