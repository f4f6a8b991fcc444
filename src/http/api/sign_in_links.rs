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
    domain::{Caller, KeyDigest, Pass, PassKind, Scope, Secret, Timestamp},
    http::auth::{ADMIN_LABEL, AdminKey, digest_of, new_word},
    intake::AdminError,
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
    let (url, ends_at) = state.sign_in_link(&base.url(""), key, &caller).await?;
    let url = url.expose().to_owned();
    Ok((StatusCode::CREATED, Json(LinkOut { url, expires_at: ends_at.to_string() })))
}

impl InternalState {
    /// A link below this address that opens the page once with what this key may do, and until when.
    pub async fn sign_in_link(
        &self,
        base_url: &str,
        key: KeyDigest,
        caller: &Caller,
    ) -> Result<(Secret, Timestamp), AdminError> {
        let word = new_word();
        let ends_at = self.clock.now().plus(GOOD_FOR);
        let pass = Pass { kind: PassKind::Link, digest: digest_of(word.expose()), key, ends_at };
        self.intake.add_pass(pass, caller).await?;
        Ok((format!("{base_url}/sign-in#token={}", word.expose()).into(), ends_at))
    }

    /// The same for whoever starts the server, with what the admin key may do.
    pub async fn first_sign_in_link(&self, base_url: &str) -> Result<Option<Secret>, AdminError> {
        let Some(key) = self.admin_key.get() else { return Ok(None) };
        let caller = Caller::new(ADMIN_LABEL, Scope::Admin);
        let (link, _) = self.sign_in_link(base_url, key, &caller).await?;
        Ok(Some(link))
    }
}
