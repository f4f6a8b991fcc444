//! What keys asked for and do not allow. It is counted in memory and written into the audit a moment later:
//! who asks again and again makes one write a second, and one row.
use std::{
    collections::HashMap,
    mem,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::sleep;

use crate::{
    domain::{AuditAction, AuditNote, AuditOutcome, Caller},
    intake::Intake,
};

/// How long they are gathered before they are written.
const WRITTEN_AFTER: Duration = Duration::from_secs(1);
/// So many are told apart until then; of the others the key is told, and no more.
const TOLD_APART_MAX: usize = 256;

/// The label of the key, the address, and the route.
type Asked = (String, Option<IpAddr>, String);

/// Counts those that the audit does not have yet.
#[derive(Default)]
pub(super) struct Forbidden(Mutex<HashMap<Asked, u64>>);

impl Forbidden {
    /// Counts that a caller asked for what its key does not allow.
    pub(super) fn note(self: &Arc<Self>, caller: &Caller, route: String, intake: &Intake) {
        if self.is_first((caller.label.clone(), caller.source, route)) {
            let (forbidden, intake) = (Arc::clone(self), intake.clone());
            tokio::spawn(async move {
                sleep(WRITTEN_AFTER).await;
                forbidden.write(&intake).await;
            });
        }
    }

    fn is_first(&self, asked: Asked) -> bool {
        let mut unwritten = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = unwritten.is_empty();
        let is_told = unwritten.len() < TOLD_APART_MAX || unwritten.contains_key(&asked);
        let asked = if is_told { asked } else { (asked.0, None, String::new()) };
        *unwritten.entry(asked).or_default() += 1;
        is_first
    }

    async fn write(&self, intake: &Intake) {
        let unwritten = mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for ((who, source, subject), times) in unwritten {
            let (action, outcome) = (AuditAction::Forbidden, AuditOutcome::Refused);
            let details = "the key is not of scope admin".to_owned();
            let note = AuditNote { who, source, action, subject, outcome, details };
            intake.audit_times(note, times).await;
        }
    }
}
