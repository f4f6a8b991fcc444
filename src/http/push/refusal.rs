//! Why a request is not taken as a push, and what its sender is told.
use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use rand::RngExt;

use super::{body::BodyError, log::PushOutcome};
use crate::{domain::HeldReason, http::problem::Problem, watch::Rejection};

/// Why a request is not taken as a push.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It is none, and all is well.
    Fine,
    NoHost,
    /// Who reads it otherwise than we do would find another request in it.
    Ambiguous(&'static str),
    NotFound,
    /// It has the path of a push behind a token that is not live, or behind none.
    WrongToken,
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
    /// Other bodies in flight are quicker.
    NoRoom,
    /// What cannot be read has no room in quarantine.
    QuarantineFull,
    /// The handler panicked.
    Failed,
}

/// An enum of words and the list of all of them, from one table, so that none can be forgotten.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(in crate::http) enum $name {
            $($variant,)*
        }

        impl $name {
            /// How many there are. A sum, and not the length of the list: in a release build rustc
            /// looks at how a called `const fn` is compiled, and to lay out a type by such a length
            /// it then asks in a circle (E0391).
            pub(super) const COUNT: usize = 0 $(+ { _ = Self::$variant; 1 })*;
            /// All of them.
            pub(super) const ALL: [Self; Self::COUNT] = [$(Self::$variant,)*];

            /// The word in API, log and metric.
            pub(in crate::http) const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }
    };
}

words! {
    /// Why a request was sent away before its proof was looked at, or after it had held.
    SentAway {
        NoHost = "no_host",
        Ambiguous = "ambiguous",
        NotFound = "not_found",
        MethodNotAllowed = "method_not_allowed",
        SourceNotAllowed = "source_not_allowed",
        Encoded = "encoded",
        TooLarge = "too_large",
        TooSlow = "too_slow",
        CutShort = "cut_short",
        UnknownNonce = "unknown_nonce",
        Busy = "busy",
        NoRoom = "no_room",
        Failed = "failed",
    }
}

/// Why a push, or a part of it, was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Reason {
    /// The request was sent away.
    SentAway(SentAway),
    /// The push did not verify, or something in it could not be read.
    Held(HeldReason),
}

impl Reason {
    /// The word in API, log and metric.
    pub(in crate::http) fn as_str(self) -> &'static str {
        match self {
            Self::SentAway(reason) => reason.as_str(),
            Self::Held(reason) => reason.as_str(),
        }
    }
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Encoded => Self::Encoded,
            BodyError::TooLarge => Self::TooLarge,
            BodyError::TooSlow => Self::TooSlow,
            BodyError::Broken => Self::Broken,
            BodyError::NoRoom => Self::NoRoom,
        }
    }
}

impl Refusal {
    /// What the list of pushes says of it.
    pub(super) fn told(&self) -> (PushOutcome, Option<Reason>) {
        let rejected = |reason| (PushOutcome::Rejected, Some(Reason::SentAway(reason)));
        let unavailable = |reason| (PushOutcome::Unavailable, Some(Reason::SentAway(reason)));
        match self {
            Self::Fine => (PushOutcome::Probe, None),
            Self::NoHost => rejected(SentAway::NoHost),
            Self::Ambiguous(_) => rejected(SentAway::Ambiguous),
            Self::NotFound | Self::WrongToken => rejected(SentAway::NotFound),
            Self::MethodNotAllowed(_) => rejected(SentAway::MethodNotAllowed),
            Self::Elsewhere => rejected(SentAway::SourceNotAllowed),
            Self::Encoded => rejected(SentAway::Encoded),
            Self::TooLarge => rejected(SentAway::TooLarge),
            Self::TooSlow => rejected(SentAway::TooSlow),
            Self::Broken => rejected(SentAway::CutShort),
            Self::UnknownNonce => rejected(SentAway::UnknownNonce),
            Self::NotJson | Self::InvalidSignature | Self::TooManyFailures { .. } => {
                (PushOutcome::Refused, None)
            }
            Self::Busy => unavailable(SentAway::Busy),
            Self::NoRoom | Self::QuarantineFull => unavailable(SentAway::NoRoom),
            Self::Failed => unavailable(SentAway::Failed),
        }
    }

    /// Why it is sent away though it may be a push that nobody else tells of: what is judged by its
    /// proof is held or counted, and what has no room is told as that.
    pub(super) fn rejection(&self) -> Option<Rejection> {
        match self {
            Self::NoHost => Some(Rejection::NoHost),
            Self::Ambiguous(_) => Some(Rejection::Ambiguous),
            Self::WrongToken => Some(Rejection::WrongToken),
            Self::MethodNotAllowed(_) => Some(Rejection::Method),
            Self::Elsewhere => Some(Rejection::Source),
            Self::Encoded => Some(Rejection::Encoded),
            Self::TooLarge => Some(Rejection::TooLarge),
            Self::TooSlow => Some(Rejection::TooSlow),
            Self::Broken => Some(Rejection::CutShort),
            // An address that is none of a push is told by itself.
            Self::Fine
            | Self::NotFound
            | Self::InvalidSignature
            | Self::NotJson
            | Self::TooManyFailures { .. }
            | Self::UnknownNonce
            | Self::Busy
            | Self::NoRoom
            | Self::QuarantineFull
            | Self::Failed => None,
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
            Self::NotFound | Self::WrongToken => {
                problem(StatusCode::NOT_FOUND, "Not Found").into_response()
            }
            Self::MethodNotAllowed(allowed) => {
                let problem = problem(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
                ([(header::ALLOW, allowed)], problem).into_response()
            }
            Self::Elsewhere => problem(StatusCode::FORBIDDEN, "Access forbidden").into_response(),
            Self::Encoded => problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unsupported Media Type")
                .detail("Send the body without Content-Encoding")
                .into_response(),
            Self::TooLarge => {
                problem(StatusCode::PAYLOAD_TOO_LARGE, "Payload Too Large").into_response()
            }
            Self::TooSlow => {
                problem(StatusCode::REQUEST_TIMEOUT, "Request Timeout").into_response()
            }
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
            Self::Failed => problem(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
                .detail("The log says why, under this answer's X-Request-Id.")
                .into_response(),
            Self::Busy | Self::QuarantineFull => {
                ([(header::RETRY_AFTER, retry_after_s())], unavailable()).into_response()
            }
            Self::NoRoom => {
                ([(header::RETRY_AFTER, retry_after_s())], closing(unavailable())).into_response()
            }
        }
    }
}

fn unavailable() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable")
        .detail("The push was not acknowledged; send it again")
}

/// Spread out, so that those who were sent away do not come back all at once.
fn retry_after_s() -> u64 {
    rand::rng().random_range(2..=9)
}

/// The connection is not used again: what follows may be what somebody smuggled in, or there is no room
/// to take the rest of the body out of its way.
fn closing(problem: Problem) -> Response {
    ([(header::CONNECTION, "close")], problem).into_response()
}
