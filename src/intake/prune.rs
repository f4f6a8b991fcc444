//! What is older than it may be goes, by itself and when somebody asks.
use tokio::time::Instant;

use super::{
    AdminError, Intake,
    chores::Upkeep,
    finished::{finished, rounded_seconds},
    keep::tell,
};
use crate::{
    domain::{AuditAction, AuditNote, Caller, ClockEvidence, Timestamp, counted},
    store::Pruned,
};

impl Intake {
    /// Takes away what is older than it may be. Pushes go first, all the while. Age counts from the
    /// newest time that our clock and an authentic push agree on, unless a person vouches for the
    /// clock.
    pub async fn prune(
        &self,
        caller: Option<&Caller>,
        by_clock: bool,
    ) -> Result<Pruned, AdminError> {
        let (intake, caller) = (self.clone(), caller.cloned());
        let (began, is_asked) = (Instant::now(), caller.is_some());
        // Whoever asked may go: it is finished all the same, and the audit says how.
        let pruning = tokio::spawn(async move {
            let doing = intake.keep_up(|reply| Upkeep::Prune { by_clock, reply });
            match caller {
                None => doing.await,
                Some(caller) => {
                    let note = AuditNote::by(&caller, AuditAction::Prune, "records");
                    intake.audited(note, doing, in_words).await
                }
            }
        });
        let pruned = finished(pruning).await.unwrap_or_else(|| Err(self.ended()))?;
        if is_asked || pruned != Pruned::default() {
            let Pruned { usage, sms, notifications, quarantined, stale, refused, .. } = pruned;
            let Pruned { audit, device_history, devices, .. } = pruned;
            let seconds = rounded_seconds(began.elapsed());
            tracing::info!(
                usage,
                sms,
                notifications,
                quarantined,
                stale,
                refused,
                audit,
                device_history,
                devices,
                seconds,
                "Pruned"
            );
        }
        let intake = self.clone();
        // What erasures have left goes, too. It may take long, and nobody waits for it.
        drop(tokio::spawn(async move {
            tell("Erased SIMs were not searched for", intake.search_files_again().await);
        }));
        Ok(pruned)
    }

    /// Whether authentic pushes say that our clock is wrong by more than a day.
    pub async fn clock_is_wrong(&self) -> Result<bool, AdminError> {
        let evidence = self.shared.store.clock_evidence().await?;
        Ok(evidence.is_some_and(|evidence| evidence.fault(self.now()).is_some()))
    }

    /// From when retention counts, where authentic pushes confirm no time within a day of our clock.
    pub async fn retention_behind_clock(&self) -> Result<Option<Timestamp>, AdminError> {
        let confirmed = self.shared.store.clock_evidence().await?.map(ClockEvidence::confirmed);
        let is_behind = |at: &Timestamp| self.now().since(*at) > ClockEvidence::DIFFERENCE_MAX;
        Ok(confirmed.filter(is_behind))
    }

    pub(super) async fn prune_by_itself(&self) {
        let done = self.prune(None, false).await;
        tell("What is too old could not be taken away", done.map(drop));
        self.forget_old_copies().await;
    }
}

/// What a prune took away, for the audit.
fn in_words(pruned: &Pruned) -> String {
    let Pruned { usage, sms, notifications, quarantined, stale, refused, .. } = *pruned;
    let Pruned { audit, device_history, devices, .. } = *pruned;
    let usage = counted(usage, "usage record", "usage records");
    let sms = counted(sms, "message", "messages");
    let notifications = counted(notifications, "notification", "notifications");
    let audit = counted(audit, "audit row", "audit rows");
    let entries = counted(device_history, "entry of routers", "entries of routers");
    let devices = counted(devices, "router", "routers");
    format!(
        "{usage}, {sms}, {notifications}, {quarantined} quarantined, {stale} stale, \
         {refused} refused, {audit}, {entries}, {devices}"
    )
}
