//! `/v1/sign-in-links`: lets a browser in without its user typing a key.
use std::time::Duration;

use axum::{
    Json,
    extract::{RawQuery, State},
    http::StatusCode,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{InternalState, base::Base, error::ApiError, params};
use crate::{
    domain::{Pass, PassKind},
    http::auth::{AdminKey, digest_of, new_word},
};

const GOOD_FOR: Duration = Duration::from_secs(15 * 60);

/// A link that opens the page once.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "url": "http://127.0.0.1:8081/sign-in#token=6f1a…", "expires_at": "2024-09-05T01:45:48.000Z",
})))]
pub(super) struct LinkOut {
    /// The word behind `#` reaches no server and no log before the page hands it in.
    url: String,
    #[schema(format = DateTime)]
    expires_at: String,
}

/// `POST /v1/sign-in-links`
pub(super) async fn make(
    State(state): State<InternalState>,
    AdminKey { caller, key }: AdminKey,
    base: Base,
    RawQuery(query): RawQuery,
) -> Result<(StatusCode, Json<LinkOut>), ApiError> {
    params::read_none("sign-in-links", query.as_deref())?;
    let word = new_word();
    let ends_at = state.clock.now().plus(GOOD_FOR);
    let pass = Pass { kind: PassKind::Link, digest: digest_of(word.expose()), key, ends_at };
    state.intake.add_pass(pass, &caller).await?;
    let url = base.url(&format!("/sign-in#token={}", word.expose()));
    Ok((StatusCode::CREATED, Json(LinkOut { url, expires_at: ends_at.to_string() })))
}
