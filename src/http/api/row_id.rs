//! The number of a row in an address.
use std::convert::Infallible;

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};

use super::error::ApiError;

/// What stands in an address for a row's number.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowId(Option<i64>);

impl RowId {
    /// The number. What is no number is no row's.
    pub(super) fn of(self, resource: &'static str) -> Result<i64, ApiError> {
        self.0.ok_or(ApiError::NoSuchRow(resource))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RowId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let text = Path::<String>::from_request_parts(parts, state).await.ok();
        let is_number = |text: &String| text.bytes().all(|byte| byte.is_ascii_digit());
        Ok(Self(text.and_then(|Path(text)| text.parse().ok().filter(|_| is_number(&text)))))
    }
}
