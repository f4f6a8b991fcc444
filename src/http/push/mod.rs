//! The public listener: pushes, `/healthz`, and nothing else.
//!
//! Everything that can be told from the head of a request is decided before the body is read, the
//! cheapest first; nothing looks at the body's meaning before its signature holds.
mod body;
mod budget;
mod figures;
mod framing;
mod judge;
mod log;
mod path;
mod refusal;
mod rejected;
mod request_id;
mod wellness;

use std::{
    collections::HashSet,
    convert::Infallible,
    net::IpAddr,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use ipnet::IpNet;
use tower::{Service, service_fn};

use self::{
    body::{BodyError, RequestBody, WholeBody},
    budget::Budget,
    judge::{Judged, Received, ToItsEnd},
    log::Visit,
    path::{Misaddressed, Target},
    refusal::Refusal,
    request_id::RequestId,
};
use super::{
    client_ip::{SourceBlock, client_ip, is_within},
    failures::FailureLimiter,
    server::Peer,
};
use crate::{
    domain::Kind,
    intake::{Accepted, Intake, Push},
    store::Outcome,
};

pub(super) use figures::{PushFigures, RecordCounts};
pub use log::PushLog;
pub(super) use log::{PushOutcome, PushRow};
pub use path::PathTokens;
pub(super) use refusal::Reason;
pub use wellness::Wellness;

/// Marks a push as our own test, with a nonce from the internal listener.
const TEST_HEADER: &str = "simdeck-test";

/// Told in the log when a body had to make room.
const NO_ROOM: &str = "bodies that come slowly, or too many from one source, had to make room";

/// How many unexpected sources are told of by name.
const TOLD_SOURCES_MAX: usize = 1_000;

/// How pushes are let in and answered.
pub struct PushSettings {
    /// All live; with none, pushes arrive at `/v1/{kind}`.
    pub path_tokens: PathTokens,
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
    /// The answer to `/healthz`.
    pub wellness: Wellness,
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
    log: Arc<PushLog>,
    told_sources: Mutex<HashSet<SourceBlock>>,
}

/// All that the public listener answers. `failures` is shared so that its owner can prune it, `log`
/// so that the internal listener can show it.
///
/// There is nothing to route: a service of its own spares each push what a router does.
pub fn public_app<B: RequestBody>(
    intake: Intake,
    settings: PushSettings,
    failures: Arc<FailureLimiter>,
    log: PushLog,
) -> impl Service<Request<B>, Response = Response, Error = Infallible, Future: Send> + Clone {
    let front = Arc::new(Front {
        intake,
        settings,
        failures,
        budget: Budget::default(),
        log: Arc::new(log),
        told_sources: Mutex::default(),
    });
    service_fn(move |request| {
        let front = Arc::clone(&front);
        async move { Ok(front.answer(request).await) }
    })
}

impl Front {
    /// Whatever befalls its handler, a request has an answer.
    async fn answer<B: RequestBody>(self: Arc<Self>, request: Request<B>) -> Response {
        let id = RequestId::new();
        let handled = AssertUnwindSafe(self.handle(request, id)).catch_unwind().await;
        handled.unwrap_or_else(|_| {
            // Where, the log knows by the panic hook.
            tracing::error!(request.id = %id, "Failed to answer: the request's handler panicked");
            id.onto(Refusal::Failed.into_response())
        })
    }

    async fn handle<B: RequestBody>(
        self: &Arc<Self>,
        request: Request<B>,
        id: RequestId,
    ) -> Response {
        let source = self.source_of(&request);
        let mut visit = self.log.visit(source);
        let has_body = rejected::has_body(request.method());
        let judged = match self.receive(request, source, &mut visit).await {
            Ok(received) => {
                let front = Arc::clone(self);
                let judging = async move {
                    let came_of_it = front.judge(received, id, &mut visit).await;
                    front.judged(came_of_it, visit, id, true)
                };
                ToItsEnd::new(judging).await
            }
            Err(refusal) => self.judged(Err(refusal), visit, id, has_body),
        };
        let Judged { visit, came_of_it, response } = judged;
        visit.end(came_of_it, Some(response.status()));
        response
    }

    /// The answer, and what the list of pushes says.
    fn judged(
        &self,
        came_of_it: Result<Accepted, Refusal>,
        visit: Visit,
        id: RequestId,
        has_body: bool,
    ) -> Judged {
        let refusal = match came_of_it {
            Ok(accepted) => {
                let response = self.success(accepted.outcome);
                return Judged { visit, came_of_it: Ok(accepted), response };
            }
            Err(refusal) => refusal,
        };
        let told = refusal.told();
        if matches!(refusal, Refusal::Fine) {
            return Judged { visit, came_of_it: Err(told), response: refusal.into_response() };
        }
        let rejection = refusal.rejection().filter(|_| has_body);
        let is_told = matches!(refusal, Refusal::InvalidSignature | Refusal::NotJson)
            || rejection.is_some_and(|it| self.rejected(it, told.1, id, &visit));
        let response = id.onto(refusal.into_response());
        if let Some(row) = visit.row().filter(|_| !is_told) {
            let (status, reason) = (response.status().as_u16(), told.1.map(Reason::as_str));
            tracing::debug!(
                request.id = %id, source = %row.source, http.status = status, reason,
                "Sent a request away"
            );
        }
        Judged { visit, came_of_it: Err(told), response }
    }

    /// A push with its whole body.
    async fn receive<B: RequestBody>(
        &self,
        request: Request<B>,
        source: IpAddr,
        visit: &mut Visit,
    ) -> Result<Received, Refusal> {
        let kind = self.kind_of(&request, visit)?;
        self.let_in(source)?;
        let (head, body) = request.into_parts();
        let bytes_max = self.settings.body_bytes_max;
        let body = body::read(&head.headers, body, &self.budget, source, bytes_max).await;
        let WholeBody { bytes, room } = body.inspect_err(|error| {
            visit.note(|row| row.bytes = declared(&head.headers));
            if *error == BodyError::NoRoom {
                self.tell_no_room(source, visit);
            }
        })?;
        visit.note_body(&bytes);
        let test_nonce =
            head.headers.get(TEST_HEADER).and_then(|nonce| nonce.to_str().ok()).map(str::to_owned);
        Ok(Received { push: Push { kind, body: bytes, source, test_nonce }, head, room })
    }

    /// Tells that others took the room for a body.
    fn tell_no_room(&self, source: IpAddr, visit: &Visit) {
        self.intake.tell_sent_away(NO_ROOM);
        if let Some(row) = visit.row() {
            self.log.signals().no_room(source, row.at);
        }
    }

    /// What a request is for, from its head alone.
    fn kind_of<B>(&self, request: &Request<B>, visit: &mut Visit) -> Result<Kind, Refusal> {
        let target = path::target(request.uri().path(), &self.settings.path_tokens.live());
        if let Target::Push(kind) = &target {
            visit.note(|row| row.kind = Some(kind.clone()));
        }
        framing::check(request)?;
        match target {
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
            Target::Health => {
                visit.forget();
                match *request.method() {
                    Method::GET | Method::HEAD if self.settings.wellness.ask() => {
                        Err(Refusal::Fine)
                    }
                    Method::GET | Method::HEAD => Err(Refusal::Busy),
                    _ => Err(Refusal::MethodNotAllowed("GET, HEAD")),
                }
            }
            Target::NoPush(address) => {
                self.misaddressed(address, request.method(), visit);
                Err(Refusal::NotFound)
            }
            Target::WrongToken => Err(Refusal::WrongToken),
            Target::Unknown => Err(Refusal::NotFound),
        }
    }

    /// Notes a request to an address that is none of a push, of somebody who may be SmartHub.
    fn misaddressed(&self, address: Misaddressed, method: &Method, visit: &mut Visit) {
        let Misaddressed { shown, meant, is_like_a_push } = address;
        if self.intake.erased().are_in(shown.as_bytes()) {
            return;
        }
        if let Some(row) = visit.row().filter(|_| is_like_a_push && *method == Method::POST) {
            self.log.signals().misaddressed(&shown, meant, row.at);
        }
        visit.note(|row| row.address = Some(shown));
    }

    /// Who sent a request.
    fn source_of<B>(&self, request: &Request<B>) -> IpAddr {
        let peer =
            request.extensions().get::<Peer>().map_or([0, 0, 0, 0].into(), |peer| peer.0.ip());
        client_ip(peer, request.headers(), &self.settings.trusted_proxies)
    }

    /// Whether that is somebody we take pushes from.
    fn let_in(&self, source: IpAddr) -> Result<(), Refusal> {
        let allowed = &self.settings.allow_sources;
        if allowed.is_empty() || is_within(source, allowed) {
            return Ok(());
        }
        match self.settings.elsewhere {
            Elsewhere::Ignored => Ok(()),
            Elsewhere::Refused => Err(Refusal::Elsewhere),
            Elsewhere::Told => {
                let mut told = self.told_sources.lock().unwrap_or_else(PoisonError::into_inner);
                if told.len() < TOLD_SOURCES_MAX && told.insert(SourceBlock::from(source)) {
                    tracing::warn!(%source, "A push came from outside SIMDECK_PUBLIC_ALLOW_SOURCES");
                }
                Ok(())
            }
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
                let Outcome { stored, duplicates, quarantined, erased: _ } = outcome;
                let body = format!(
                    r#"{{"stored":{stored},"duplicates":{duplicates},"quarantined":{quarantined}}}"#
                );
                (status, [(header::CONTENT_TYPE, JSON)], body).into_response()
            }
        }
    }
}

/// How large a body should have been that was not read.
fn declared(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
