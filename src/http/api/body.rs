//! A request's body: always a small JSON object.
use axum::{
    body::to_bytes,
    extract::{FromRequest, Request},
};
use serde_json::{Map, Value};

use super::error::{ApiError, Invalid};

/// No body that is meant for us comes near.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// The members of a body.
#[derive(Debug)]
pub(super) struct Members(Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for Members {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let bytes =
            to_bytes(request.into_body(), BODY_BYTES_MAX).await.map_err(ApiError::of_body)?;
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            Ok(_) | Err(_) => Err(ApiError::NotAnObject),
        }
    }
}

impl Members {
    /// Takes a member that has to be there, if `read` can make something of it.
    pub(super) fn take<T>(
        &mut self,
        resource: &'static str,
        name: &str,
        should_be: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<T, Invalid> {
        let value = self.0.remove(name).ok_or_else(|| Invalid::missing(resource, name))?;
        read(&value).ok_or_else(|| {
            Invalid::field(resource, name, format!("`{name}` should be {should_be}."))
        })
    }

    /// Takes a member that may be left out.
    pub(super) fn take_if_there<T>(
        &mut self,
        resource: &'static str,
        name: &str,
        should_be: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, Invalid> {
        if !self.0.contains_key(name) {
            return Ok(None);
        }
        self.take(resource, name, should_be, read).map(Some)
    }

    /// Refuses what was not taken.
    pub(super) fn end(self, resource: &'static str) -> Result<(), Invalid> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => {
                let detail = "A member of the body is not known here.".to_owned();
                let name: String = name.chars().take(64).collect();
                Err(Invalid::field(resource, &name, detail))
            }
        }
    }
}
