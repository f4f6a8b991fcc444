//! `/v1/search`: from a number or a name that somebody has at hand to what it belongs to.
use axum::{
    Json,
    extract::{RawQuery, State},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    InternalState,
    base::Base,
    doc::words,
    error::{ApiError, Invalid},
    params,
    sims::sim_url,
};
use crate::{
    domain::{Hit, HitOf},
    http::{auth::Reader, query_string::append},
};

/// What was found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "type": "sim", "giccid": "8944501503181377993", "name": "Roof 7", "matched": "giccid",
    "url": "http://127.0.0.1:8081/v1/sims/8944501503181377993",
})))]
pub(super) struct HitOut {
    #[serde(rename = "type")]
    #[schema(schema_with = words::hit_type)]
    kind: &'static str,
    /// The SIM; of messages the one that sent the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    giccid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    sn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    msisdn: Option<String>,
    name: Option<String>,
    #[schema(schema_with = words::matched)]
    matched: &'static str,
    url: String,
}

/// `GET /v1/search?q=`
pub(super) async fn show(
    State(state): State<InternalState>,
    _: Reader,
    base: Base,
    RawQuery(query): RawQuery,
) -> Result<Json<Vec<HitOut>>, ApiError> {
    let route = &params::SEARCH;
    let question = route.read(query.as_deref())?;
    let text = question.search.ok_or_else(|| Invalid::missing(route.resource, "q"))?;
    // A `+` that a client forgot to encode arrived as a space.
    let hits = match text.trim() {
        "" => Vec::new(), // every name begins with nothing
        text => state.store.search(text).await?,
    };
    Ok(Json(hits.into_iter().map(|hit| hit_out(hit, &base)).collect()))
}

fn hit_out(hit: Hit, base: &Base) -> HitOut {
    let matched = hit.matched.as_str();
    let out = HitOut {
        kind: "sim",
        giccid: None,
        sn: None,
        msisdn: None,
        name: hit.name.sent().map(str::to_owned),
        matched,
        url: String::new(),
    };
    match hit.of {
        HitOf::Sim(giccid) => {
            HitOut { url: sim_url(base, &giccid), giccid: Some(giccid.to_string()), ..out }
        }
        HitOf::Device(sn) => {
            let url = base.url(&format!("/v1/devices/{sn}"));
            HitOut { kind: "device", sn: Some(sn.to_string()), url, ..out }
        }
        HitOf::Msisdn { msisdn, giccid } => {
            let mut query = String::new();
            append(&mut query, matched, &msisdn);
            HitOut {
                kind: "msisdn",
                giccid: Some(giccid.to_string()),
                msisdn: Some(msisdn.to_string()),
                url: base.url(&format!("/v1/mo-sms?{query}")),
                ..out
            }
        }
    }
}
