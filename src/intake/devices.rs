//! Routers that are gone are forgotten when a person asks for it.
use super::{AdminError, Intake, admin::Command};
use crate::{
    domain::{AuditAction, AuditNote, AuditOutcome, Caller, SerialNumber, counted},
    store::Forgetting,
};

impl Intake {
    /// Forgets a router and its history, a little at a time: pushes that wait come first. Gives how it
    /// ended; what was not even begun is not in the audit.
    pub async fn forget_device(
        &self,
        sn: &SerialNumber,
        caller: &Caller,
    ) -> Result<Forgetting, AdminError> {
        self.may_queue()?;
        let note = AuditNote::by(caller, AuditAction::DeviceForget, sn.as_str());
        let audited = self.begin_audit(note).await?;
        let mut gone = 0;
        // Whoever asked may go: it is finished all the same. Each step takes some of a history that
        // nothing is added to.
        loop {
            let sn = sn.clone();
            let step = self.ask(|reply| Command::ForgetDevice { sn, reply }).await;
            let (outcome, says) = match &step {
                Ok(Forgetting::Begun(entries)) => {
                    gone += entries;
                    continue;
                }
                Ok(Forgetting::Done(entries)) => {
                    gone += entries;
                    (AuditOutcome::Done, None)
                }
                Ok(Forgetting::Unknown) => {
                    (AuditOutcome::Failed, Some("there is no such router".to_owned()))
                }
                Ok(Forgetting::Listed) => (AuditOutcome::Failed, Some("RCMS lists it".to_owned())),
                Err(error) => (AuditOutcome::Failed, Some(error.to_string())),
            };
            let entries = counted(gone, "entry of its history", "entries of its history");
            let details = match says {
                Some(why) if gone == 0 => why,
                Some(why) => format!("{entries}; then: {why}"),
                None => entries,
            };
            audited.end(outcome, details).await;
            return step;
        }
    }
}
