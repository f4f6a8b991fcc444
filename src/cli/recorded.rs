//! What the server itself writes into the audit: that it starts and stops, and what was renewed.
use std::{collections::BTreeMap, time::Duration};

use sha2::{Digest, Sha256};
use tokio::time::timeout;

use super::{reload::Credentials, settings::Settings};
use crate::{
    domain::{
        AUDITED_SERVER, AuditAction, AuditNote, AuditOutcome, SecretDigests, changed_secrets,
    },
    http::InternalState,
    intake::Intake,
};

/// How long the end waits for its row.
const STOP_TIME_MAX: Duration = Duration::from_secs(2);

/// What the audit calls [credentials](Credentials::exposed).
const CREDENTIALS: [&str; 3] = ["push keys", "path tokens", "admin API key"];
/// What it calls the secret by which we are known to RCMS.
const RCMS_SECRET: &str = "RCMS client secret";

/// Writes that the server starts, and which settings and secrets are others than at the last start.
/// Nothing waits for it.
pub(super) fn start(intake: &Intake, settings: &Settings, credentials: &Credentials) {
    let lines = settings.in_force.iter().filter(|line| !line.setting.secret);
    let digests: BTreeMap<String, String> = lines
        .map(|line| {
            // A digest tells that a value is another one, and keeps it out of copies of the database.
            let digest = Sha256::digest(line.value.as_deref().unwrap_or_default());
            (line.setting.name(), hex::encode(&digest[..8]))
        })
        .collect();
    let secrets = digests_of(intake, credentials);
    let intake = intake.clone();
    tokio::spawn(async move { intake.audit_start(version(), digests, secrets).await });
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
    let of_rcms = [before.exposed_of_rcms(), now.exposed_of_rcms()];
    let id = |of: &Credentials| of.rcms.as_ref().map(|(id, _)| id.clone());
    let is_other_id = id(before) != id(now);
    let of_rcms = changed_secrets(RCMS_SECRET, &of_rcms[0], &of_rcms[1]);
    let (before, now) = (before.exposed(), now.exposed());
    let told = CREDENTIALS.into_iter().zip(before.iter().zip(&now));
    let told = told.filter_map(|(what, (before, now))| changed_secrets(what, before, now));
    let id = is_other_id.then(|| "RCMS client id: another".to_owned());
    told.chain(of_rcms).chain(id).collect::<Vec<_>>().join("; ")
}

/// Keeps which of them are in force, for the next start to compare with. Nothing waits for it.
pub(super) fn renewed(intake: &Intake, credentials: &Credentials) {
    let (intake, digests) = (intake.clone(), digests_of(intake, credentials));
    tokio::spawn(async move { intake.keep_secret_digests(digests).await });
}

fn digests_of(intake: &Intake, credentials: &Credentials) -> SecretDigests {
    let store = intake.store();
    let all = CREDENTIALS.into_iter().zip(credentials.exposed());
    let digests = all.map(|(what, secrets)| {
        let digest = |(label, secret): &(Option<&str>, &str)| {
            store.secret_digest(&format!("{what}\0{}", label.unwrap_or_default()), secret)
        };
        (what.to_owned(), secrets.iter().map(digest).collect())
    });
    let of_rcms = credentials.exposed_of_rcms().into_iter();
    let of_rcms = of_rcms.map(|(_, secret)| store.secret_digest(RCMS_SECRET, secret)).collect();
    digests.chain([(RCMS_SECRET.to_owned(), of_rcms)]).collect()
}

fn version() -> String {
    format!("{} ({})", env!("CARGO_PKG_VERSION"), env!("SIMDECK_COMMIT"))
}
