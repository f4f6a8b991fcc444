//! Why a request is not taken as a push, and what its sender is told.
use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use rand::RngExt;

use super::{body::BodyError, log::PushOutcome};
use crate::{domain::HeldReason, http::problem::Problem};

/// Why a request is not taken as a push.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It is none, and all is well.
    Fine,
    NoHost,
    /// Who reads it otherwise than we do would find another request in it.
    Ambiguous(&'static str),
    NotFound,
    MethodNotAllowed(&'static str),
    Elsewhere,
    Encoded,
    TooLarge,
    TooSlow,
    Broken,
    InvalidSignature,
    NotJson,
    TooManyFailures {
        retry_after_s: u64,
    },
    UnknownNonce,
    Busy,
    /// The handler panicked.
    Failed,
}

/// How many reasons there are. Not `REASONS.len()`: in a release build rustc looks at how a called
/// `const fn` is compiled, and to lay out a type by such a length it then asks in a circle (E0391).
pub(super) const REASON_COUNT: usize = 17;

/// Every reason for which a request is not taken in, in a word.
pub(super) const REASONS: [&str; REASON_COUNT] = [
    HeldReason::NotJson.as_str(),
    HeldReason::SignatureMissing.as_str(),
    HeldReason::SignatureUnreadable.as_str(),
    HeldReason::SignatureWrong.as_str(),
    HeldReason::DateMissing.as_str(),
    HeldReason::DateUnreadable.as_str(),
    "no_host",
    "not_found",
    "method_not_allowed",
    "source_not_allowed",
    "encoded",
    "too_large",
    "too_slow",
    "cut_short",
    "unknown_nonce",
    "busy",
    "failed",
];

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Encoded => Self::Encoded,
            BodyError::TooLarge => Self::TooLarge,
            BodyError::TooSlow => Self::TooSlow,
            BodyError::Broken => Self::Broken,
            BodyError::NoRoom => Self::Busy,
        }
    }
}

impl Refusal {
    /// What the list of pushes says of it.
    pub(super) fn told(&self) -> (PushOutcome, Option<&'static str>) {
        let rejected = |reason| (PushOutcome::Rejected, Some(reason));
        match self {
            Self::Fine => (PushOutcome::Probe, None),
            Self::NoHost => rejected("no_host"),
            Self::Ambiguous(_) => rejected("ambiguous"),
            Self::NotFound => rejected("not_found"),
            Self::MethodNotAllowed(_) => rejected("method_not_allowed"),
            Self::Elsewhere => rejected("source_not_allowed"),
            Self::Encoded => rejected("encoded"),
            Self::TooLarge => rejected("too_large"),
            Self::TooSlow => rejected("too_slow"),
            Self::Broken => rejected("cut_short"),
            Self::UnknownNonce => rejected("unknown_nonce"),
            Self::NotJson | Self::InvalidSignature | Self::TooManyFailures { .. } => {
                (PushOutcome::Refused, None)
            }
            Self::Busy => (PushOutcome::Unavailable, Some("busy")),
            Self::Failed => (PushOutcome::Unavailable, Some("failed")),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let problem = |status, title: &'static str| Problem::new(status, title);
        match self {
            Self::Fine => "ok\n".into_response(),
            Self::NoHost => problem(StatusCode::BAD_REQUEST, "Bad Request")
                .detail("The request has no Host header")
                .into_response(),
            Self::Ambiguous(why) => {
                closing(problem(StatusCode::BAD_REQUEST, "Bad Request").detail(why))
            }
            Self::NotFound => problem(StatusCode::NOT_FOUND, "Not Found").into_response(),
            Self::MethodNotAllowed(allowed) => {
                let problem = problem(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
                ([(header::ALLOW, allowed)], problem).into_response()
            }
            Self::Elsewhere => problem(StatusCode::FORBIDDEN, "Access forbidden").into_response(),
            Self::Encoded => problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unsupported Media Type")
                .detail("Send the body without Content-Encoding")
                .into_response(),
            Self::TooLarge => closing(problem(StatusCode::PAYLOAD_TOO_LARGE, "Payload Too Large")),
            Self::TooSlow => closing(problem(StatusCode::REQUEST_TIMEOUT, "Request Timeout")),
            Self::Broken | Self::NotJson => problem(StatusCode::BAD_REQUEST, "Bad Request")
                .detail("Body should be a JSON object")
                .into_response(),
            Self::InvalidSignature => {
                problem(StatusCode::UNAUTHORIZED, "Invalid signature").into_response()
            }
            Self::TooManyFailures { retry_after_s } => {
                let problem = problem(StatusCode::TOO_MANY_REQUESTS, "Too many failures");
                ([(header::RETRY_AFTER, retry_after_s)], problem).into_response()
            }
            Self::UnknownNonce => problem(StatusCode::CONFLICT, "Unknown test nonce")
                .detail("Ask the internal listener for a new one: POST /v1/test-nonces")
                .into_response(),
            Self::Failed => closing(
                problem(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
                    .detail("The log says why, under this answer's X-Request-Id."),
            ),
            Self::Busy => {
                // Spread out, so that those who were sent away do not come back all at once.
                let retry_after_s = rand::rng().random_range(2..=9_u64);
                let problem = problem(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable")
                    .detail("The push was not acknowledged; send it again");
                ([(header::RETRY_AFTER, retry_after_s)], problem).into_response()
            }
        }
    }
}

/// An answer given before the body was read: the connection cannot be used again.
fn closing(problem: Problem) -> Response {
    ([(header::CONNECTION, "close")], problem).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_in_the_list() {
        for refusal in [
            Refusal::NoHost,
            Refusal::NotFound,
            Refusal::MethodNotAllowed(""),
            Refusal::Elsewhere,
            Refusal::Encoded,
            Refusal::TooLarge,
            Refusal::TooSlow,
            Refusal::Broken,
            Refusal::UnknownNonce,
            Refusal::Busy,
            Refusal::Failed,
        ] {
            let (_, reason) = refusal.told();
            assert!(REASONS.contains(&reason.expect("a reason")), "{refusal:?}");
        }
    }
}
