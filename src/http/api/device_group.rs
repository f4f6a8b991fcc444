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
    rcms::RcmsError,
};

const RESOURCE: &str = "devices";
const NAME: &str = "groupName";
const NAME_CHARACTERS_MAX: usize = 256;

/// The group to move it into.
#[derive(ToSchema)]
#[schema(examples(json!({"groupName": "groupB"})))]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it is read member by member, so that a refusal names one")]
pub(super) struct GroupIn {
    /// Its name in RCMS, without control characters.
    #[serde(rename = "groupName")]
    #[schema(min_length = 1, max_length = 256, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$")]
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
    let should_be = "1 to 256 characters without control characters";
    let group_name = members.take(RESOURCE, NAME, should_be, |value| {
        value.as_str().filter(|name| is_name(name)).map(str::to_owned)
    })?;
    members.end(RESOURCE)?;
    let rcms = state.rcms.ok_or_else(|| ApiError::Conflict(OFF.to_owned(), None))?;
    // What is about to change elsewhere is on record here even if we never learn how it ended.
    let note = AuditNote::by(&caller, AuditAction::DeviceGroup, sn.as_str());
    let audited = state.intake.begin_audit(note).await?;
    if let Err(error) = rcms.client.set_group(&sn, &group_name).await {
        audited.end(AuditOutcome::Failed, error.to_string()).await;
        return Err(match error {
            RcmsError::Refused(_) => Invalid::field(RESOURCE, NAME, error.to_string()).into(),
            other => ApiError::Rcms(other),
        });
    }
    audited.end(AuditOutcome::Done, format!("into {group_name}")).await;
    Ok(Json(GroupOut { sn: sn.to_string(), group_name }))
}

fn is_name(name: &str) -> bool {
    (1..=NAME_CHARACTERS_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control)
}
