//! Whether we live and whether we can store. No key: what watches us has none.
use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::{InternalState, doc::words, error::ApiError};
use crate::{domain::PollReport, intake::Health};

/// How we are, in a word.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({"status": "ready"})))]
pub(super) struct StateOut {
    #[schema(schema_with = words::health)]
    status: &'static str,
    /// What is wrong with RCMS, in a sentence. Pushes do not need it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    rcms: Option<String>,
}

/// `GET /healthz`: the process lives.
pub(super) async fn alive() -> Json<StateOut> {
    Json(StateOut { status: "alive", rcms: None })
}

/// `GET /readyz`: a push that came now would be stored.
pub(super) async fn ready(State(state): State<InternalState>) -> Result<Json<StateOut>, ApiError> {
    match state.intake.health() {
        Health::Ready => {
            let report = state.poll_report();
            let worst = report.as_ref().and_then(PollReport::worst);
            let rcms = worst.map(|(_, failure)| failure.sentence.clone());
            Ok(Json(StateOut { status: "ready", rcms }))
        }
        Health::NotReady(reason) => Err(ApiError::NotReady(reason)),
    }
}
