//! Where we are, as the client sees it: what our links begin with.
use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts, uri::Authority},
};

use super::InternalState;

/// The start of every link, without a slash at its end.
#[derive(Clone, Debug, Default)]
pub(super) struct Base(String);

impl Base {
    /// The address of `path`, which begins with a slash.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// The address of one row.
    pub(super) fn row(&self, resource: &str, id: i64) -> String {
        format!("{}/v1/{resource}/{id}", self.0)
    }
}

impl FromRequestParts<InternalState> for Base {
    type Rejection = std::convert::Infallible;

    /// What the settings say, else what the client typed. Without either, links are relative.
    async fn from_request_parts(
        parts: &mut Parts,
        state: &InternalState,
    ) -> Result<Self, Self::Rejection> {
        if let Some(url) = &state.settings.internal_url {
            return Ok(Self(url.trim_end_matches('/').to_owned()));
        }
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.and_then(|host| host.parse::<Authority>().ok());
        let host = host.or_else(|| parts.uri.authority().cloned());
        let scheme = if state.settings.is_https() { "https" } else { "http" };
        Ok(Self(host.map(|host| format!("{scheme}://{host}")).unwrap_or_default()))
    }
}
