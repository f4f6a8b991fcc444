//! What `/v1/status` tells of backups.
use serde::Serialize;
use utoipa::ToSchema;

use crate::intake::BackupState;

/// How backups fare.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BackupStateOut)]
pub(super) struct StatusBackupOut {
    /// How often one is made by itself; none where `SIMDECK_BACKUP_EVERY` is not set.
    every_s: Option<u64>,
    /// When the newest one was made; none where there is none, or its folder does not answer.
    #[schema(format = DateTime)]
    last_success_at: Option<String>,
    /// How large the newest one is.
    bytes: Option<u64>,
    /// How long it took, if it was made since the start.
    took_s: Option<f64>,
    /// How many failed since the start.
    failures: u64,
    /// Since when they fail, if the last one did.
    #[schema(format = DateTime)]
    failing_since: Option<String>,
    /// Why the last one failed.
    error: Option<String>,
}

impl From<BackupState> for StatusBackupOut {
    fn from(state: BackupState) -> Self {
        let (failing_since, error) = state.failing.unzip();
        Self {
            every_s: state.every.map(|every| every.as_secs()),
            last_success_at: state.newest.as_ref().map(|newest| newest.at.to_string()),
            bytes: state.newest.as_ref().map(|newest| newest.bytes),
            took_s: state.took.map(|took| (took.as_secs_f64() * 1000.0).round() / 1000.0),
            failures: state.failures,
            failing_since: failing_since.map(|since| since.to_string()),
            error,
        }
    }
}
