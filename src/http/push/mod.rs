//! The public listener: pushes, `/healthz`, and nothing else.
//!
//! Everything that can be told from the head of a request is decided before the body is read, the
//! cheapest first; nothing looks at the body's meaning before its signature holds.
mod body;
mod budget;
mod path;

use std::{
    collections::HashSet,
    convert::Infallible,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    http::{HeaderValue, Method, Request, StatusCode, header},
    response::{IntoResponse, Response},
};
use ipnet::IpNet;
use rand::RngExt;
use tower::{Service, service_fn};

use self::{
    body::{BodyError, RequestBody},
    budget::Budget,
    path::Target,
};
use super::{
    client_ip::{SourceBlock, client_ip, is_within},
    failures::FailureLimiter,
    problem::Problem,
    server::Peer,
};
use crate::{
    domain::{Kind, Secret},
    intake::{AcceptError, Intake, Push, Refused},
    store::Outcome,
};

/// Marks a push as our own test, with a nonce from the internal listener.
const TEST_HEADER: &str = "simdeck-test";

/// How many unexpected sources are told of by name.
const TOLD_SOURCES_MAX: usize = 1_000;

/// How pushes are let in and answered.
pub struct PushSettings {
    /// All live; with none, pushes arrive at `/v1/{kind}`.
    pub path_tokens: Vec<Secret>,
    /// Who is believed about the client's address.
    pub trusted_proxies: Arc<[IpNet]>,
    /// Where pushes should come from; empty for anywhere.
    pub allow_sources: Vec<IpNet>,
    /// What happens to one from elsewhere.
    pub elsewhere: Elsewhere,
    /// The largest body.
    pub body_bytes_max: usize,
    /// The status of success, 200 to 299.
    pub success_status: u16,
    /// The body of success; none for JSON with the counts.
    pub success_body: Option<String>,
    /// The answer to GET and HEAD.
    pub probe: ProbeAnswer,
}

/// What happens to a push from outside the allowed sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elsewhere {
    /// It is taken, and nothing said.
    Ignored,
    /// It is taken, and told in the log.
    Told,
    /// It is refused.
    Refused,
}

/// The answer to GET and HEAD on a push address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeAnswer {
    /// 405
    MethodNotAllowed,
    /// 200
    Ok,
}

/// What the public listener answers from.
struct Front {
    intake: Intake,
    settings: PushSettings,
    failures: Arc<FailureLimiter>,
    budget: Budget,
    told_sources: Mutex<HashSet<SourceBlock>>,
}

/// All that the public listener answers. `failures` is shared so that its owner can prune it.
///
/// There is nothing to route: a service of its own spares each push what a router does.
pub fn public_app<B: RequestBody>(
    intake: Intake,
    settings: PushSettings,
    failures: Arc<FailureLimiter>,
) -> impl Service<Request<B>, Response = Response, Error = Infallible, Future: Send> + Clone {
    let front = Arc::new(Front {
        intake,
        settings,
        failures,
        budget: Budget::default(),
        told_sources: Mutex::default(),
    });
    service_fn(move |request| {
        let front = Arc::clone(&front);
        async move {
            Ok(match front.take(request).await {
                Ok(outcome) => front.success(outcome),
                Err(refusal) => refusal.into_response(),
            })
        }
    })
}

impl Front {
    async fn take<B: RequestBody>(&self, request: Request<B>) -> Result<Outcome, Refusal> {
        let kind = self.kind_of(&request)?;
        let source = self.source_of(&request)?;
        let (head, body) = request.into_parts();
        let body =
            body::read(&head.headers, body, &self.budget, source, self.settings.body_bytes_max)
                .await?;
        let test_nonce =
            head.headers.get(TEST_HEADER).and_then(|nonce| nonce.to_str().ok()).map(str::to_owned);
        let push = Push { kind, body: body.bytes, source, test_nonce };
        match self.intake.accept(push).await {
            Ok(outcome) => {
                tracing::debug!(?outcome, "Stored a push");
                Ok(outcome)
            }
            Err(AcceptError::Busy) => Err(Refusal::Busy),
            Err(AcceptError::UnknownNonce) => Err(Refusal::UnknownNonce),
            Err(AcceptError::Refused(refused)) => Err(self.refuse(refused, source)),
        }
    }

    /// What a request is for, from its head alone.
    fn kind_of<B>(&self, request: &Request<B>) -> Result<Kind, Refusal> {
        if request.uri().host().is_none() && !request.headers().contains_key(header::HOST) {
            return Err(Refusal::NoHost);
        }
        match path::target(request.uri().path(), &self.settings.path_tokens) {
            Target::Push(kind) => match *request.method() {
                Method::POST => Ok(kind),
                Method::GET | Method::HEAD if self.settings.probe == ProbeAnswer::Ok => {
                    Err(Refusal::Fine)
                }
                _ if self.settings.probe == ProbeAnswer::Ok => {
                    Err(Refusal::MethodNotAllowed("GET, HEAD, POST"))
                }
                _ => Err(Refusal::MethodNotAllowed("POST")),
            },
            Target::Health => match *request.method() {
                Method::GET | Method::HEAD => Err(Refusal::Fine),
                _ => Err(Refusal::MethodNotAllowed("GET, HEAD")),
            },
            Target::Unknown => Err(Refusal::NotFound),
        }
    }

    /// Who sent a request, if that is somebody we take pushes from.
    fn source_of<B>(&self, request: &Request<B>) -> Result<IpAddr, Refusal> {
        let peer =
            request.extensions().get::<Peer>().map_or([0, 0, 0, 0].into(), |peer| peer.0.ip());
        let source = client_ip(peer, request.headers(), &self.settings.trusted_proxies);
        let allowed = &self.settings.allow_sources;
        if allowed.is_empty() || is_within(source, allowed) {
            return Ok(source);
        }
        match self.settings.elsewhere {
            Elsewhere::Ignored => Ok(source),
            Elsewhere::Refused => Err(Refusal::Elsewhere),
            Elsewhere::Told => {
                let mut told = self.told_sources.lock().unwrap_or_else(PoisonError::into_inner);
                if told.len() < TOLD_SOURCES_MAX && told.insert(SourceBlock::from(source)) {
                    tracing::warn!(%source, "A push came from outside SIMDECK_PUBLIC_ALLOW_SOURCES");
                }
                Ok(source)
            }
        }
    }

    /// A push that did not verify: held, unless its source has failed too often.
    fn refuse(&self, refused: Refused, source: IpAddr) -> Refusal {
        if let Err(wait) = self.failures.failed(source) {
            return Refusal::TooManyFailures { retry_after_s: wait.as_secs() + 1 };
        }
        let reason = refused.reason;
        tracing::info!(%source, %reason, "Refused a push");
        self.intake.hold(refused);
        match reason {
            crate::domain::HeldReason::NotJson => Refusal::NotJson,
            _ => Refusal::InvalidSignature,
        }
    }

    fn success(&self, outcome: Outcome) -> Response {
        const JSON: HeaderValue = HeaderValue::from_static("application/json");
        let status = StatusCode::from_u16(self.settings.success_status).unwrap_or(StatusCode::OK);
        if status == StatusCode::NO_CONTENT {
            return status.into_response();
        }
        match &self.settings.success_body {
            Some(body) => (status, body.clone()).into_response(),
            None => {
                let Outcome { stored, duplicates, quarantined } = outcome;
                let body = format!(
                    r#"{{"stored":{stored},"duplicates":{duplicates},"quarantined":{quarantined}}}"#
                );
                (status, [(header::CONTENT_TYPE, JSON)], body).into_response()
            }
        }
    }
}

/// Why a request is not taken as a push.
#[derive(Debug)]
enum Refusal {
    /// It is none, and all is well.
    Fine,
    NoHost,
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
}

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

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let problem = |status, title: &'static str| Problem::new(status, title);
        match self {
            Self::Fine => "ok\n".into_response(),
            Self::NoHost => problem(StatusCode::BAD_REQUEST, "Bad Request")
                .detail("The request has no Host header")
                .into_response(),
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
