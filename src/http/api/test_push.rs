//! `/v1/test-push`: shows that pushes arrive, by sending one to our own public listener.
use std::{error::Error, fmt, sync::Arc};

use axum::{
    Json,
    extract::{RawQuery, State},
};
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::{InternalState, error::ApiError, params};
use crate::http::auth::Admin;

const RESOURCE: &str = "test-push";

/// Sends a signed push, marked with a nonce, to our own public listener. Who makes one knows a push
/// key; the internal listener does not.
#[derive(Clone)]
pub struct TestPusher {
    url: Arc<str>,
    send: Arc<Send>,
}

/// Takes a nonce, gives the answer.
type Send = dyn Fn(String) -> BoxFuture<'static, Result<TestAnswer, SendError>>
    + std::marker::Send
    + std::marker::Sync;

type SendError = Box<dyn Error + std::marker::Send + std::marker::Sync>;

/// What the public listener said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestAnswer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// What the public listener said, and how soon.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "status": 200, "answer": {"stored": 1, "duplicates": 0, "quarantined": 0}, "took_ms": 4.2,
    "url": "http://127.0.0.1:8080/data-usage",
})))]
pub(super) struct TestPushOut {
    status: u16,
    answer: Value,
    took_ms: f64,
    #[schema(value_type = String)]
    url: Arc<str>,
}

impl TestPusher {
    /// Sends by this function; `url` is what is shown of where to, without its secret part.
    pub fn new(
        url: String,
        send: impl Fn(String) -> BoxFuture<'static, Result<TestAnswer, SendError>>
        + std::marker::Send
        + std::marker::Sync
        + 'static,
    ) -> Self {
        Self { url: url.into(), send: Arc::new(send) }
    }
}

impl fmt::Debug for TestPusher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TestPusher({})", self.url)
    }
}

/// `POST /v1/test-push`
pub(super) async fn push(
    State(state): State<InternalState>,
    _: Admin,
    RawQuery(query): RawQuery,
) -> Result<Json<TestPushOut>, ApiError> {
    params::read_none(RESOURCE, query.as_deref())?;
    let pusher = state.live.test_pusher.as_ref().ok_or(ApiError::NoFrontDoor)?;
    let (nonce, _) = state.intake.issue_test_nonce(1);
    let began = Instant::now();
    let answer = (pusher.send)(nonce).await.map_err(ApiError::FrontDoor)?;
    let took_ms = (began.elapsed().as_secs_f64() * 1e6).round() / 1e3;
    let TestAnswer { status, body } = answer;
    let answer = serde_json::from_str(&body).unwrap_or(Value::String(body));
    Ok(Json(TestPushOut { status, answer, took_ms, url: Arc::clone(&pusher.url) }))
}
