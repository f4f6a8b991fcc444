//! Whether we live and whether we can store. No key: what watches us has none.
use axum::{Json, extract::State};
use serde::Serialize;

use super::error::ApiError;
use crate::intake::{Health, Intake};

/// How we are, in a word.
#[derive(Debug, Serialize)]
pub(super) struct StateOut {
    status: &'static str,
}

/// `GET /healthz`: the process lives.
pub(super) async fn alive() -> Json<StateOut> {
    Json(StateOut { status: "alive" })
}

/// `GET /readyz`: a push that came now would be stored.
pub(super) async fn ready(State(intake): State<Intake>) -> Result<Json<StateOut>, ApiError> {
    match intake.health() {
        Health::Ready => Ok(Json(StateOut { status: "ready" })),
        Health::NotReady(reason) => Err(ApiError::NotReady(reason)),
    }
}
