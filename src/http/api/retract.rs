//! `/v1/retract`: takes out what somebody attached to a captured signature.
use std::net::IpAddr;

use axum::{
    Json,
    extract::{RawQuery, State},
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{body::Members, doc::words, error::ApiError, params};
use crate::{
    domain::{RetractCount, RetractQuestion},
    http::auth::Admin,
    intake::Intake,
};

const RESOURCE: &str = "retract";

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
}

/// What was taken out, or would be.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "id": 1714, "data_usage": 12, "mo_sms": 0, "notifications": 0, "dry_run": false,
    "sources": [{"source": "192.0.2.1", "data_usage": 12, "mo_sms": 0, "notifications": 0}],
})))]
pub(super) struct RetractionOut {
    /// Of the row in `/v1/changes` that tells of it; none where nothing was done.
    id: Option<i64>,
    data_usage: u64,
    mo_sms: u64,
    notifications: u64,
    dry_run: bool,
    /// What there was, by who had sent it.
    sources: Vec<SourceOut>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RetractedSourceOut)]
struct SourceOut {
    source: Option<String>,
    data_usage: u64,
    mo_sms: u64,
    notifications: u64,
}

/// `POST /v1/retract`
pub(super) async fn retract(
    State(intake): State<Intake>,
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
    members.end(RESOURCE)?;
    let dry_run = dry_run.unwrap_or_default();
    let found = intake.store().retract_counts(question).await?;
    let sources = found.iter().map(source_out).collect();
    if dry_run {
        let sum = |of: fn(&RetractCount) -> u64| found.iter().map(of).sum();
        return Ok(Json(RetractionOut {
            id: None,
            data_usage: sum(|it| it.usage),
            mo_sms: sum(|it| it.sms),
            notifications: sum(|it| it.notifications),
            dry_run,
            sources,
        }));
    }
    let done = intake.retract(question, &caller).await?;
    Ok(Json(RetractionOut {
        id: Some(done.id),
        data_usage: done.usage,
        mo_sms: done.sms,
        notifications: done.notifications,
        dry_run,
        sources,
    }))
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
    }
}
