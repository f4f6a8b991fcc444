use std::fmt;

use axum::{
    http::{HeaderName, HeaderValue},
    response::Response,
};

const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// By this an answer and the line of the log that tells of it are found together. It is our own: what
/// a stranger sends is not written into the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestId(u64);

impl RequestId {
    pub(super) fn new() -> Self {
        Self(rand::random())
    }

    /// The same answer, with this in its head.
    pub(super) fn onto(self, mut response: Response) -> Response {
        if let Ok(id) = HeaderValue::from_str(&self.to_string()) {
            response.headers_mut().insert(HEADER, id);
        }
        response
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
