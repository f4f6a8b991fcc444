//! `/v1/keys`: who may ask. A key is shown once, when it is made; the store has only its hash.
use axum::{
    Json,
    extract::{RawQuery, State},
    http::StatusCode,
    response::IntoResponse,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{body::Members, doc::words, error::ApiError, params, row_id::RowId};
use crate::{
    domain::{AUDITED_COMMAND, AUDITED_LIST, AUDITED_SERVER, ApiKey},
    http::auth::{ADMIN_LABEL, Admin, Reader, digest_of, new_api_key},
    intake::Intake,
    store::Store,
};

const RESOURCE: &str = "keys";
const LABEL_CHARACTERS_MAX: usize = 64;

/// A key without what opens the door.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "id": 1, "label": "grafana", "scope": "read", "created_at": "2024-09-05T01:30:48.000Z",
    "revoked_at": null,
})))]
pub(super) struct KeyOut {
    id: i64,
    label: String,
    #[schema(schema_with = words::scope)]
    scope: &'static str,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    revoked_at: Option<String>,
}

/// A key to be made.
#[derive(ToSchema)]
#[schema(examples(json!({"label": "grafana", "scope": "read"})))]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it is read member by member, so that a refusal names one")]
pub(super) struct KeyIn {
    /// A name for it, without control characters.
    #[schema(min_length = 1, max_length = 64, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$")]
    label: String,
    /// What it allows.
    #[schema(schema_with = words::scope)]
    scope: &'static str,
}

/// A key that was just made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "id": 1, "label": "grafana", "scope": "read", "created_at": "2024-09-05T01:30:48.000Z",
    "revoked_at": null, "key": "sd_…",
})))]
pub(super) struct NewKeyOut {
    #[serde(flatten)]
    key: KeyOut,
    #[serde(rename = "key")]
    text: String,
}

/// `GET /v1/keys`: all there ever were, newest first.
pub(super) async fn list(
    State(store): State<Store>,
    _: Reader,
    RawQuery(query): RawQuery,
) -> Result<Json<Vec<KeyOut>>, ApiError> {
    params::read_none(RESOURCE, query.as_deref())?;
    let mut keys = store.api_keys().await?;
    keys.sort_by_key(|key| std::cmp::Reverse(key.id));
    Ok(Json(keys.into_iter().map(KeyOut::from).collect()))
}

/// `POST /v1/keys`
pub(super) async fn create(
    State(intake): State<Intake>,
    State(store): State<Store>,
    Admin(caller): Admin,
    RawQuery(query): RawQuery,
    mut members: Members,
) -> Result<impl IntoResponse, ApiError> {
    params::read_none(RESOURCE, query.as_deref())?;
    let label = members.take(RESOURCE, "label", "1 to 64 characters", |value| {
        value.as_str().filter(|label| is_label(label)).map(str::to_owned)
    })?;
    let scope = members
        .take(RESOURCE, "scope", "one of read, admin", |value| value.as_str()?.parse().ok())?;
    members.end(RESOURCE)?;
    if is_taken(&store, &label).await? {
        return Err(ApiError::taken(RESOURCE, "label"));
    }
    let text = new_api_key();
    let key = intake.create_key(&label, scope, digest_of(text.expose()), &caller).await?;
    let out = NewKeyOut { key: key.into(), text: text.expose().to_owned() };
    Ok((StatusCode::CREATED, Json(out)))
}

/// `DELETE /v1/keys/{id}`
pub(super) async fn revoke(
    State(intake): State<Intake>,
    Admin(caller): Admin,
    id: RowId,
    RawQuery(query): RawQuery,
) -> Result<StatusCode, ApiError> {
    params::read_none(RESOURCE, query.as_deref())?;
    let id = id.of(RESOURCE)?;
    if intake.revoke_key(id, &caller).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::NoSuchRow(RESOURCE))
    }
}

impl From<ApiKey> for KeyOut {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id,
            label: key.label,
            scope: key.scope.as_str(),
            created_at: key.created_at.to_string(),
            revoked_at: key.revoked_at.map(|at| at.to_string()),
        }
    }
}

/// The audit names a caller by label, so two live keys do not share one, and none has a name by which
/// the audit calls somebody else.
async fn is_taken(store: &Store, label: &str) -> Result<bool, ApiError> {
    let keys = store.api_keys().await?;
    let is_live = |key: &ApiKey| key.revoked_at.is_none() && key.label == label;
    let is_reserved = [ADMIN_LABEL, AUDITED_SERVER, AUDITED_COMMAND, AUDITED_LIST].contains(&label);
    Ok(is_reserved || keys.iter().any(is_live))
}

fn is_label(label: &str) -> bool {
    (1..=LABEL_CHARACTERS_MAX).contains(&label.chars().count())
        && !label.chars().any(char::is_control)
}
