//! `/v1/test-nonces`: lets a signed push through the public listener be known as a test, so that it
//! counts in no total.
use axum::{
    Json,
    extract::{RawQuery, State},
    http::StatusCode,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{body::Members, error::ApiError, params};
use crate::{http::auth::Admin, intake::Intake};

const RESOURCE: &str = "test-nonces";
/// The most pushes that one nonce is good for: a load test of a night.
const PUSHES_MAX: u32 = 100_000_000;

/// For what a nonce is to be good.
#[derive(ToSchema)]
#[schema(examples(json!({"pushes": 1})))]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it is read member by member, so that a refusal names one")]
pub(super) struct NonceIn {
    /// How many pushes it marks.
    #[schema(minimum = 1, maximum = 100_000_000)]
    pushes: u32,
}

/// A nonce, and what it is good for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "nonce": "6f1a…", "pushes": 1, "expires_at": "2024-09-05T01:40:48.000Z",
})))]
pub(super) struct NonceOut {
    nonce: String,
    pushes: u32,
    #[schema(format = DateTime)]
    expires_at: String,
}

/// `POST /v1/test-nonces`
pub(super) async fn issue(
    State(intake): State<Intake>,
    _: Admin,
    RawQuery(query): RawQuery,
    mut members: Members,
) -> Result<(StatusCode, Json<NonceOut>), ApiError> {
    params::read_none(RESOURCE, query.as_deref())?;
    let should_be = format!("a whole number from 1 to {PUSHES_MAX}");
    let pushes = members.take(RESOURCE, "pushes", &should_be, |value| {
        let pushes = u32::try_from(whole(value)?).ok()?;
        (1..=PUSHES_MAX).contains(&pushes).then_some(pushes)
    })?;
    members.end(RESOURCE)?;
    let (nonce, expires_at) = intake.issue_test_nonce(pushes);
    let out = NonceOut { nonce, pushes, expires_at: expires_at.to_string() };
    Ok((StatusCode::CREATED, Json(out)))
}

/// JSON has one kind of number: `3.0` is as whole as `3`.
fn whole(value: &Value) -> Option<u64> {
    let text =
        value.as_f64().filter(|number| number.fract() == 0.0).map(|number| number.to_string());
    value.as_u64().or_else(|| text?.parse().ok())
}
