use super::{NewRecord, Record};

/// From which own times on records are kept, in milliseconds since 1970. Of what is older, some has
/// been pruned, so that nobody can tell a new record from one that was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptFrom {
    /// Usage records.
    pub usage_ms: i64,
    /// Messages.
    pub sms_ms: i64,
    /// Notifications.
    pub notification_ms: i64,
}

impl Default for KeptFrom {
    /// Nothing was ever pruned.
    fn default() -> Self {
        Self { usage_ms: i64::MIN, sms_ms: i64::MIN, notification_ms: i64::MIN }
    }
}

impl KeptFrom {
    /// Whether a record is too old to be stored.
    pub fn refuses(&self, new: &NewRecord) -> bool {
        let from_ms = match &new.record {
            Record::Usage(_) => self.usage_ms,
            Record::Sms(_) => self.sms_ms,
            Record::Notification(_) => self.notification_ms,
        };
        new.own_ms() < from_ms
    }
}
