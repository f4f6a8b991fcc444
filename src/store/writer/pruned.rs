//! For how long what is kept, and what a prune took away.
use std::time::Duration;

use crate::domain::HeldClass;

/// How long what was stored is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Usage records by own time, and what lies in quarantine by the time at which it came, as far
    /// as the clock is known to have been right.
    pub records: Duration,
    /// Messages and notifications, by own time.
    pub messages: Duration,
    /// Refused pushes, by the time at which they came.
    pub refused: Duration,
    /// Rows of the audit.
    pub audit: Duration,
    /// What is known of routers, but for the newest.
    pub devices: Duration,
}

/// What a prune took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Usage records.
    pub usage: u64,
    /// Messages.
    pub sms: u64,
    /// Notifications.
    pub notifications: u64,
    /// What lay in quarantine.
    pub quarantined: u64,
    /// Authentic pushes that were too old to be fresh, or retracted.
    pub stale: u64,
    /// Refused pushes.
    pub refused: u64,
    /// Rows of the audit.
    pub audit: u64,
    /// Entries of routers' histories.
    pub device_history: u64,
    /// Routers that were forgotten.
    pub devices: u64,
}

impl Pruned {
    /// Of held pushes, those of a class.
    pub(super) fn held(&mut self, class: HeldClass) -> &mut u64 {
        match class {
            HeldClass::Refused => &mut self.refused,
            HeldClass::Quarantined => &mut self.quarantined,
            HeldClass::Stale => &mut self.stale,
        }
    }
}
