//! How the page gets what it shows: from the API, like any other client, without a socket between.
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, HeaderName, Method, Request, StatusCode, header, request::Parts},
};
use http_body_util::BodyExt;
use serde::{Deserialize, de::DeserializeOwned};
use tower::ServiceExt;

use super::{call::Call, words::Words};
use crate::http::server::Peer;

/// What of a request goes along to the API: who asks, and by which name it calls us.
const HANDED_ON: [HeaderName; 6] = [
    header::COOKIE,
    header::AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-forwarded-for"),
    header::HOST,
    header::ORIGIN,
];

/// The API as the browser behind one request may use it.
#[derive(Clone)]
pub(super) struct Api {
    router: Router,
    recent: Recent,
    headers: HeaderMap,
    /// From where the browser asks.
    peer: Option<Peer>,
}

/// What the API answered.
pub(super) struct Answer<T> {
    /// What it says.
    pub(super) body: T,
    headers: HeaderMap,
}

/// Why there is no answer, for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{title}")]
pub(super) struct Refused {
    /// The status.
    pub(super) status: StatusCode,
    /// In a word.
    pub(super) title: String,
    /// In a sentence.
    pub(super) detail: Option<String>,
    /// The parameter that is wrong.
    pub(super) parameter: Option<String>,
}

/// What was answered a moment ago, for all who ask the same: ten open pages cost as much as one.
/// Whoever asks has shown before that they may look; nothing that only some may see is asked so.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent(Arc<Mutex<HashMap<String, Arc<Place>>>>);

/// For how long an answer is good enough for a page that is made anew every 15 s.
const GOOD_FOR: Duration = Duration::from_secs(5);
/// How many different questions are remembered.
const QUESTIONS_MAX: usize = 256;

/// One question's answer; who holds it asks, and who comes meanwhile waits for the same answer.
type Place = tokio::sync::Mutex<Option<(Instant, Raw)>>;

/// An answer as it came.
#[derive(Clone, Debug)]
struct Raw {
    headers: HeaderMap,
    body: Bytes,
}

impl Recent {
    fn place(&self, uri: &str) -> Arc<Place> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= QUESTIONS_MAX {
            places.retain(|_, place| Arc::strong_count(place) > 1);
        }
        Arc::clone(places.entry(uri.to_owned()).or_default())
    }
}

impl Refused {
    /// In a word of this language; else of the API's, which are English.
    pub(super) fn headline(&self, words: &Words) -> String {
        self.in_words(words).map_or_else(|| self.title.clone(), |(title, _)| title.to_owned())
    }

    /// In a sentence of this language; else of the API's.
    pub(super) fn told(&self, words: &Words) -> String {
        let own = self.detail.as_ref().unwrap_or(&self.title);
        self.in_words(words).map_or_else(|| own.clone(), |(_, sentence)| sentence)
    }

    fn in_words(&self, words: &Words) -> Option<(&'static str, String)> {
        (words.common.refused)(self.status.as_u16(), self.parameter.as_deref())
    }
}

#[derive(Deserialize)]
struct ProblemIn {
    title: String,
    detail: Option<String>,
    #[serde(default)]
    errors: Vec<FieldIn>,
}

#[derive(Deserialize)]
struct FieldIn {
    field: Option<String>,
}

impl Api {
    /// For the browser that sent this.
    pub(super) fn of(router: &Router, recent: &Recent, parts: &Parts) -> Self {
        let mut headers = HeaderMap::new();
        for name in HANDED_ON {
            for value in parts.headers.get_all(&name) {
                headers.append(name.clone(), value.clone());
            }
        }
        let peer = parts.extensions.get::<Peer>().copied();
        Self { router: router.clone(), recent: recent.clone(), headers, peer }
    }

    /// The name by which the browser calls us.
    pub(super) fn host(&self) -> Option<&str> {
        self.headers.get(header::HOST).and_then(|host| host.to_str().ok())
    }

    /// Asks.
    pub(super) async fn get<T: DeserializeOwned>(&self, call: &Call) -> Result<Answer<T>, Refused> {
        understood(self.send(Method::GET, &call.uri(), None).await?)
    }

    /// Asks, or takes what the same question was answered a moment ago.
    pub(super) async fn get_recent<T: DeserializeOwned>(
        &self,
        call: &Call,
    ) -> Result<Answer<T>, Refused> {
        let uri = call.uri();
        let place = self.recent.place(&uri);
        let mut place = place.lock().await;
        if let Some((at, raw)) = &*place
            && at.elapsed() < GOOD_FOR
        {
            return understood(raw.clone());
        }
        let raw = self.send(Method::GET, &uri, None).await?;
        *place = Some((Instant::now(), raw.clone()));
        understood(raw)
    }

    /// Acts.
    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str) -> Result<Answer<T>, Refused> {
        understood(self.send(Method::POST, path, None).await?)
    }

    /// Makes something.
    pub(super) async fn make<T: DeserializeOwned>(
        &self,
        path: &str,
        body: serde_json::Value,
    ) -> Result<Answer<T>, Refused> {
        understood(self.send(Method::POST, path, Some(body)).await?)
    }

    /// Sets something.
    pub(super) async fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: serde_json::Value,
    ) -> Result<Answer<T>, Refused> {
        understood(self.send(Method::PUT, path, Some(body)).await?)
    }

    /// Takes something away.
    pub(super) async fn delete(&self, path: &str) -> Result<(), Refused> {
        self.send(Method::DELETE, path, None).await.map(|_| ())
    }

    async fn send(
        &self,
        method: Method,
        uri: &str,
        body: Option<serde_json::Value>,
    ) -> Result<Raw, Refused> {
        let mut request = Request::builder().method(method).uri(uri);
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let mut request = request.body(body).map_err(|_| broken())?;
        request.headers_mut().extend(self.headers.clone());
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(peer);
        }
        // A router's own error is no error.
        let response =
            self.router.clone().oneshot(request).await.unwrap_or_else(|none| match none {});
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|_| broken())?.to_bytes();
        if head.status.is_success() {
            return Ok(Raw { headers: head.headers, body });
        }
        let problem: Option<ProblemIn> = serde_json::from_slice(&body).ok();
        let status = head.status;
        Err(match problem {
            Some(ProblemIn { title, detail, errors }) => {
                let parameter = errors.into_iter().find_map(|error| error.field);
                Refused { status, title, detail, parameter }
            }
            None => Refused { status, title: status.to_string(), detail: None, parameter: None },
        })
    }
}

fn understood<T: DeserializeOwned>(raw: Raw) -> Result<Answer<T>, Refused> {
    let body = serde_json::from_slice(&raw.body).map_err(|error| {
        tracing::error!(%error, "The page does not understand the API");
        broken()
    })?;
    Ok(Answer { body, headers: raw.headers })
}

impl<T> Answer<T> {
    /// A header of the answer.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// How many there are of what this is one page of.
    pub(super) fn total(&self) -> Option<u64> {
        self.header("x-total-count")?.parse().ok()
    }
}

fn broken() -> Refused {
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    let title = "Internal server error".to_owned();
    Refused { status, title, detail: None, parameter: None }
}
