//! `/v1/test-nonces`: lets a signed push through the public listener be known as a test, so that it
//! counts in no total.
use axum::{
    Json,
    extract::{RawQuery, State},
    http::StatusCode,
};
use serde::Serialize;

use super::{body::Members, error::ApiError, params};
use crate::{http::auth::Admin, intake::Intake};

const RESOURCE: &str = "test-nonces";
/// The most pushes that one nonce is good for: a load test of a night.
const PUSHES_MAX: u32 = 100_000_000;

/// A nonce, and what it is good for.
#[derive(Debug, Serialize)]
pub(super) struct NonceOut {
    nonce: String,
    pushes: u32,
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
        let pushes = u32::try_from(value.as_u64()?).ok()?;
        (1..=PUSHES_MAX).contains(&pushes).then_some(pushes)
    })?;
    members.end(RESOURCE)?;
    let (nonce, expires_at) = intake.issue_test_nonce(pushes);
    let out = NonceOut { nonce, pushes, expires_at: expires_at.to_string() };
    Ok((StatusCode::CREATED, Json(out)))
}
