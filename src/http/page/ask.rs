//! How the page gets what it shows: from the API, like any other client, without a socket between.
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, HeaderName, Request, StatusCode, header, request::Parts},
};
use http_body_util::BodyExt;
use serde::{Deserialize, de::DeserializeOwned};
use tower::ServiceExt;

use super::call::Call;

/// What of a browser's request goes along to the API: who asks, and by which name it calls us.
const HANDED_ON: [HeaderName; 3] = [header::COOKIE, header::HOST, header::ORIGIN];

/// The API as the browser behind one request may use it.
#[derive(Clone)]
pub(super) struct Api {
    router: Router,
    headers: HeaderMap,
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
}

#[derive(Deserialize)]
struct ProblemIn {
    title: String,
    detail: Option<String>,
}

impl Api {
    /// For the browser that sent this.
    pub(super) fn of(router: &Router, parts: &Parts) -> Self {
        let mut headers = HeaderMap::new();
        for name in HANDED_ON {
            if let Some(value) = parts.headers.get(&name) {
                headers.insert(name, value.clone());
            }
        }
        Self { router: router.clone(), headers }
    }

    /// Asks.
    pub(super) async fn get<T: DeserializeOwned>(&self, call: &Call) -> Result<Answer<T>, Refused> {
        self.send("GET", &call.uri()).await
    }

    /// Acts.
    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str) -> Result<Answer<T>, Refused> {
        self.send("POST", path).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: &str,
        uri: &str,
    ) -> Result<Answer<T>, Refused> {
        let mut request =
            Request::builder().method(method).uri(uri).body(Body::empty()).map_err(|_| broken())?;
        request.headers_mut().extend(self.headers.clone());
        // A router's own error is no error.
        let response = self.router.clone().oneshot(request).await.unwrap_or_else(|none| match none {});
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.map_err(|_| broken())?.to_bytes();
        if !head.status.is_success() {
            let problem: Option<ProblemIn> = serde_json::from_slice(&bytes).ok();
            let (title, detail) = match problem {
                Some(problem) => (problem.title, problem.detail),
                None => (head.status.to_string(), None),
            };
            return Err(Refused { status: head.status, title, detail });
        }
        let body = serde_json::from_slice(&bytes).map_err(|error| {
            tracing::error!(%error, "The page does not understand the API");
            broken()
        })?;
        Ok(Answer { body, headers: head.headers })
    }
}

impl<T> Answer<T> {
    /// How many there are of what this is one page of.
    pub(super) fn total(&self) -> Option<u64> {
        self.headers.get("x-total-count")?.to_str().ok()?.parse().ok()
    }
}

fn broken() -> Refused {
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    Refused { status, title: "Internal server error".to_owned(), detail: None }
}
