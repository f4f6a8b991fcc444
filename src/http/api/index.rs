//! `/v1`: what there is to ask.
use std::collections::BTreeMap;

use axum::{Json, extract::RawQuery};
use serde::Serialize;
use utoipa::ToSchema;

use super::{base::Base, error::ApiError, params};
use crate::http::auth::Reader;

/// The members of the list, and where each leads.
const ENDPOINTS: [(&str, &str); 35] = [
    ("data_usage_url", "/v1/data-usage"),
    ("data_usage_aggregate_url", "/v1/data-usage/aggregate"),
    ("mo_sms_url", "/v1/mo-sms"),
    ("mo_sms_aggregate_url", "/v1/mo-sms/aggregate"),
    ("notifications_url", "/v1/notifications"),
    ("sims_url", "/v1/sims"),
    ("sims_import_url", "/v1/sims/import"),
    ("import_url", "/v1/import"),
    ("search_url", "/v1/search"),
    ("devices_url", "/v1/devices"),
    ("held_url", "/v1/held"),
    ("held_discard_url", "/v1/held/discard"),
    ("held_retry_url", "/v1/held/retry"),
    ("keys_url", "/v1/keys"),
    ("audit_url", "/v1/audit"),
    ("sign_in_links_url", "/v1/sign-in-links"),
    ("prune_url", "/v1/prune"),
    ("erase_url", "/v1/erase"),
    ("erasures_url", "/v1/erasures"),
    ("retract_url", "/v1/retract"),
    ("retractions_url", "/v1/retractions"),
    ("backup_url", "/v1/backup"),
    ("changes_url", "/v1/changes"),
    ("stream_url", "/v1/stream"),
    ("pushes_url", "/v1/pushes"),
    ("test_push_url", "/v1/test-push"),
    ("summary_url", "/v1/summary"),
    ("attention_url", "/v1/attention"),
    ("status_url", "/v1/status"),
    ("test_nonces_url", "/v1/test-nonces"),
    ("health_url", "/healthz"),
    ("ready_url", "/readyz"),
    ("metrics_url", "/metrics"),
    ("openapi_url", "/openapi.json"),
    ("documentation_url", "/docs/"),
];

/// The addresses, by name.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({"data_usage_url": "http://127.0.0.1:8081/v1/data-usage"})))]
pub(super) struct IndexOut {
    #[serde(flatten)]
    urls: BTreeMap<&'static str, String>,
}

/// `GET /v1`
pub(super) async fn show(
    _: Reader,
    base: Base,
    RawQuery(query): RawQuery,
) -> Result<Json<IndexOut>, ApiError> {
    params::read_none("index", query.as_deref())?;
    let urls = ENDPOINTS.into_iter().map(|(name, path)| (name, base.url(path)));
    Ok(Json(IndexOut { urls: urls.collect() }))
}
