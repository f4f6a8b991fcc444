//! What people say of a SIM: `PUT /v1/sims/{giccid}`.
use axum::{
    Json,
    extract::{RawQuery, State},
};
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    InternalState,
    base::Base,
    body::Members,
    doc::words,
    error::ApiError,
    params,
    sims::{NamedSim, as_of, one_out},
};
use crate::{
    domain::{LabelChange, ShortText},
    http::auth::Admin,
};

const RESOURCE: &str = "sims";
const NAME_SHOULD_BE: &str = "at most 64 characters without control characters, or null";
const SN_SHOULD_BE: &str = "1 to 50 letters, digits and hyphens, no hyphen first, or null";

/// A name's length at most: whatever its characters are, it fits into a [`ShortText`].
const NAME_CHARACTERS_MAX: usize = ShortText::BYTES_MAX / 4;

/// What is said of a SIM. What is left out stays as it is, null takes it away.
#[derive(ToSchema)]
#[schema(examples(json!({"name": "Roof 7", "device_sn": "24031300770021"})))]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it is read member by member, so that a refusal names one")]
pub(super) struct LabelIn {
    /// How people call it, without control characters.
    #[schema(schema_with = words::label_name, required = false)]
    name: Option<String>,
    /// The router that it sits in.
    #[schema(schema_with = words::label_sn, required = false)]
    device_sn: Option<String>,
}

/// `PUT /v1/sims/{giccid}`: what is left out stays as it is, null takes away.
pub(super) async fn put(
    State(state): State<InternalState>,
    Admin(caller): Admin,
    base: Base,
    NamedSim(giccid): NamedSim,
    RawQuery(query): RawQuery,
    mut members: Members,
) -> Result<Json<Value>, ApiError> {
    let as_of = as_of(&state, &params::SIM.read(query.as_deref())?)?;
    let name = members.take_if_there(RESOURCE, "name", NAME_SHOULD_BE, |value| match value {
        Value::Null => Some(ShortText::default()),
        value => name_of(value.as_str()?),
    })?;
    let device_sn =
        members.take_if_there(RESOURCE, "device_sn", SN_SHOULD_BE, |value| match value {
            Value::Null => Some(None),
            value => value.as_str()?.parse().ok().map(Some),
        })?;
    members.end(RESOURCE)?;
    let change = LabelChange { giccid: giccid.clone(), name, device_sn };
    state.intake.label_sims(vec![change], &caller).await?;
    // A SIM without records of which nothing is said any more is none that we know.
    let sim = state.store.sim(&giccid, &as_of).await?.ok_or(ApiError::NoSuchSim)?;
    Ok(Json(one_out(&state, &sim, &base).await?))
}

/// A name that people may give a SIM.
pub(super) fn name_of(text: &str) -> Option<ShortText> {
    let fits = text.chars().count() <= NAME_CHARACTERS_MAX;
    let is_plain = !text.chars().any(char::is_control);
    ShortText::try_from(text).ok().filter(|_| fits && is_plain)
}
