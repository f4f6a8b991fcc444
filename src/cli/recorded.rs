//! What the server itself writes into the audit: that it starts and stops, and what was renewed.
use std::{collections::BTreeMap, time::Duration};

use sha2::{Digest, Sha256};
use tokio::time::timeout;

use super::{reload::Credentials, settings::Settings};
use crate::{
    domain::{AUDITED_SERVER, AuditAction, AuditNote, AuditOutcome},
    http::InternalState,
    intake::Intake,
};

/// How long the end waits for its row.
const STOP_TIME_MAX: Duration = Duration::from_secs(2);

/// Writes that the server starts, and which settings are others than at the last start. Nothing waits
/// for it.
pub(super) fn start(intake: &Intake, settings: &Settings) {
    let lines = settings.in_force.iter().filter(|line| !line.setting.secret);
    let digests: BTreeMap<String, String> = lines
        .map(|line| {
            // A digest tells that a value is another one, and keeps it out of copies of the database.
            let digest = Sha256::digest(line.value.as_deref().unwrap_or_default());
            (line.setting.name(), hex::encode(&digest[..8]))
        })
        .collect();
    let intake = intake.clone();
    tokio::spawn(async move { intake.audit_start(version(), digests).await });
}

/// Writes that the server stops, and what waits to be written.
pub(super) async fn stop(internal: &InternalState) {
    let note = AuditNote::by_itself(AUDITED_SERVER, AuditAction::Stop, version(), "");
    let writing = async {
        internal.write_failed_sign_ins().await;
        internal.intake.audit_or_tell(note).await;
    };
    if timeout(STOP_TIME_MAX, writing).await.is_err() {
        tracing::warn!("The audit does not say that the server stops: the store takes too long");
    }
}

/// Writes what was renewed while the server runs.
pub(super) fn reload(intake: &Intake, outcome: AuditOutcome, details: &str) {
    let note = AuditNote::by_itself(AUDITED_SERVER, AuditAction::Reload, "", details);
    intake.audit_beside(AuditNote { outcome, ..note });
}

/// What is another one now, without saying what it is.
pub(super) fn changes(before: &Credentials, now: &Credentials) -> String {
    let (before, now) = (before.exposed(), now.exposed());
    let told = ["push keys", "path tokens", "admin API key"].into_iter().enumerate();
    let told = told.filter_map(|(nth, what)| {
        let lacks = |of: &[(Option<&str>, &str)], in_: &[(Option<&str>, &str)]| {
            of.iter().filter(|one| !in_.contains(one)).count()
        };
        let (added, removed) = (lacks(&now[nth], &before[nth]), lacks(&before[nth], &now[nth]));
        let counts = [(added, "added"), (removed, "removed")].into_iter();
        let counts = counts.filter(|(count, _)| *count > 0);
        let counts: Vec<String> = counts.map(|(count, word)| format!("{count} {word}")).collect();
        (!counts.is_empty()).then(|| format!("{what}: {}", counts.join(", ")))
    });
    told.collect::<Vec<_>>().join("; ")
}

fn version() -> String {
    format!("{} ({})", env!("CARGO_PKG_VERSION"), env!("SIMDECK_COMMIT"))
}
