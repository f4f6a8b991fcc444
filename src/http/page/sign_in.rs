//! How a browser gets in: by a link that is good once, or by an API key; and how it goes out again.
use std::net::IpAddr;

use askama::Template;
use axum::{
    Form,
    extract::{FromRequestParts, Query, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use super::{Frame, Look, PageState, page_of, place_of};
use crate::{
    domain::{AuditAction, AuditNote, KeyDigest, Pass, PassKind},
    http::{
        auth::{digest_of, is_of_our_page, new_word},
        cookie,
    },
};

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn<'p> {
    frame: Frame,
    next: &'p str,
    trouble: Option<&'static str>,
}

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct Sent {
    /// An API key.
    #[serde(default)]
    key: String,
    /// The word of a link; the script puts it here out of the address's fragment.
    #[serde(default)]
    link: String,
    /// Where the browser wanted to go.
    #[serde(default)]
    next: String,
}

/// What stands in the address of the form.
#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    next: String,
}

/// That the form is ours, which is known before it is read; and who sends it.
pub(super) struct FromOurPage(Option<IpAddr>);

impl FromRequestParts<PageState> for FromOurPage {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &PageState) -> Result<Self, Response> {
        if is_of_our_page(parts) {
            return Ok(Self(state.gate().source(parts)));
        }
        let look = Look::of(&parts.headers);
        let elsewhere = Some(look.words.sign_in.elsewhere);
        Err(shown(state, look, "", elsewhere, StatusCode::FORBIDDEN))
    }
}

/// `GET /sign-in`
pub(super) async fn form(
    State(state): State<PageState>,
    look: Look,
    Query(asked): Query<Asked>,
) -> Response {
    shown(&state, look, &asked.next, None, StatusCode::OK)
}

/// `POST /sign-in`
pub(super) async fn enter(
    State(state): State<PageState>,
    look: Look,
    FromOurPage(source): FromOurPage,
    Form(sent): Form<Sent>,
) -> Response {
    let key = match key_of(&state, &sent).await {
        Ok(Some(key)) => key,
        Ok(None) => {
            let waits = state.gate().failed(source).is_err();
            let (word, status) = if waits {
                (look.words.sign_in.too_often, StatusCode::TOO_MANY_REQUESTS)
            } else {
                (look.words.sign_in.wrong, StatusCode::UNAUTHORIZED)
            };
            return shown(&state, look, &sent.next, Some(word), status);
        }
        Err(Unavailable) => return unavailable(&state, look, &sent.next),
    };
    if state.sign_ins.take(&key).is_over {
        let words = look.words.sign_in.too_often;
        return shown(&state, look, &sent.next, Some(words), StatusCode::TOO_MANY_REQUESTS);
    }
    match begin(&state, key, source).await {
        Ok(set_cookie) => onward(&sent.next, set_cookie),
        Err(Unavailable) => unavailable(&state, look, &sent.next),
    }
}

/// `POST /sign-out`
pub(super) async fn leave(State(state): State<PageState>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    if let Some(word) = cookie::word(&parts.headers, state.is_https())
        && is_of_our_page(&parts)
    {
        match state.api.intake.take_pass(PassKind::Session, digest_of(word)).await {
            Ok(Some(key)) => note_sign_out(&state, &key, &parts).await,
            Ok(None) => (),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "A session could not be ended");
            }
        }
    }
    onward("/sign-in", cookie::end(state.is_https()))
}

/// A key that was revoked meanwhile is nobody's.
async fn note_sign_out(state: &PageState, key: &KeyDigest, parts: &Parts) {
    let gate = state.gate();
    if let Some(caller) = gate.holder(key) {
        let caller = caller.at(gate.source(parts));
        state.api.intake.audit_or_tell(AuditNote::by(&caller, AuditAction::SignOut, "")).await;
    }
}

/// The store does not answer.
struct Unavailable;

/// The live key that is shown, or that the link stands for. A link that was tried is gone.
async fn key_of(state: &PageState, sent: &Sent) -> Result<Option<KeyDigest>, Unavailable> {
    let key = if sent.link.is_empty() {
        Some(digest_of(sent.key.trim()))
    } else {
        let taken = state.api.intake.take_pass(PassKind::Link, digest_of(&sent.link)).await;
        taken.map_err(|_| Unavailable)?
    };
    Ok(key.filter(|key| state.gate().holder(key).is_some()))
}

/// Keeps a new session; gives the cookie.
async fn begin(
    state: &PageState,
    key: KeyDigest,
    source: Option<IpAddr>,
) -> Result<Option<HeaderValue>, Unavailable> {
    let caller = state.gate().holder(&key).ok_or(Unavailable)?.at(source);
    let word = new_word();
    let pass = Pass {
        kind: PassKind::Session,
        digest: digest_of(word.expose()),
        key,
        ends_at: state.api.clock.now().plus(cookie::SESSION_TIME),
    };
    state.api.intake.add_pass(pass, &caller).await.map_err(|_| Unavailable)?;
    Ok(cookie::begin(word.expose(), state.is_https()))
}

/// To where the browser wanted to go, if that is here.
fn onward(next: &str, set_cookie: Option<HeaderValue>) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::LOCATION, place_of(next));
    if let Some(set_cookie) = set_cookie {
        headers.insert(header::SET_COOKIE, set_cookie);
    }
    (StatusCode::SEE_OTHER, headers).into_response()
}

fn unavailable(state: &PageState, look: Look, next: &str) -> Response {
    let words = look.words.sign_in.unavailable;
    shown(state, look, next, Some(words), StatusCode::SERVICE_UNAVAILABLE)
}

fn shown(
    state: &PageState,
    look: Look,
    next: &str,
    trouble: Option<&'static str>,
    status: StatusCode,
) -> Response {
    let frame = Frame::outside(state, look, look.words.sign_in.title);
    page_of(status, &SignIn { frame, next, trouble })
}
