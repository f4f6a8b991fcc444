//! What keeps the store fit for years: `/v1/prune`, `/v1/backup`.
use axum::{
    Json,
    extract::{RawQuery, State},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{error::ApiError, live::Live, params};
use crate::{
    http::auth::Admin,
    intake::{Intake, KeepError},
};

/// What a prune took away.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "data_usage": 502, "mo_sms": 3, "notifications": 1, "quarantined": 0, "stale": 0,
    "refused": 17, "audit": 0, "device_history": 41, "devices": 0,
})))]
pub(super) struct PrunedOut {
    data_usage: u64,
    mo_sms: u64,
    notifications: u64,
    /// What lay in quarantine.
    quarantined: u64,
    /// Authentic pushes that were too old to be fresh, or retracted.
    stale: u64,
    /// Refused pushes.
    refused: u64,
    /// Rows of the audit.
    audit: u64,
    /// Entries of routers' histories.
    device_history: u64,
    /// Routers of which nothing newer was known.
    devices: u64,
    /// From when age was counted, where that is more than a day before this server's clock: the newest
    /// time that authentic pushes confirm.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime, nullable = false)]
    counted_from: Option<String>,
}

/// A copy of the database.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "path": "data/backups/simdeck-20240905T013048000Z-1.db", "bytes": 4_194_304,
    "last_id": 1713, "records": 1650,
})))]
pub(super) struct BackupOut {
    path: String,
    bytes: u64,
    /// The newest row of `/v1/changes` in it.
    last_id: i64,
    /// How many records of all kinds are in it.
    records: i64,
}

/// `POST /v1/prune`
pub(super) async fn prune(
    State(intake): State<Intake>,
    State(live): State<Live>,
    Admin(caller): Admin,
    RawQuery(query): RawQuery,
) -> Result<Json<PrunedOut>, ApiError> {
    let by_clock = params::PRUNE.read(query.as_deref())?.by_clock;
    if by_clock && intake.clock_is_wrong().await? {
        let detail =
            "The clock and authentic pushes differ by more than a day: set the clock first.";
        return Err(ApiError::Conflict(detail.to_owned(), None));
    }
    let counted_from = if by_clock { None } else { intake.retention_behind_clock().await? };
    let pruned = live.unless_held_up(&intake, intake.prune(Some(&caller), by_clock)).await?;
    Ok(Json(PrunedOut {
        data_usage: pruned.usage,
        mo_sms: pruned.sms,
        notifications: pruned.notifications,
        quarantined: pruned.quarantined,
        stale: pruned.stale,
        refused: pruned.refused,
        audit: pruned.audit,
        device_history: pruned.device_history,
        devices: pruned.devices,
        counted_from: counted_from.map(|at| at.to_string()),
    }))
}

/// `POST /v1/backup`
pub(super) async fn back_up(
    State(intake): State<Intake>,
    State(live): State<Live>,
    Admin(caller): Admin,
    RawQuery(query): RawQuery,
) -> Result<Json<BackupOut>, ApiError> {
    params::read_none("backup", query.as_deref())?;
    let backup = live.unless_stopped(&intake, intake.back_up(Some(&caller))).await?;
    Ok(Json(BackupOut {
        path: backup.path.display().to_string(),
        bytes: backup.bytes,
        last_id: backup.last_id,
        records: backup.records,
    }))
}

impl From<KeepError> for ApiError {
    fn from(error: KeepError) -> Self {
        match error {
            KeepError::InTheMaking => {
                Self::Conflict("A backup is being made already.".to_owned(), None)
            }
            KeepError::Backup(error) => Self::Backup(error),
            KeepError::Admin(error) => error.into(),
        }
    }
}
