use std::sync::atomic::{AtomicI64, Ordering};

use crate::domain::KeptFrom;

/// From which own times on records are kept, as of the last step of a prune. Each push looks at it;
/// one that reads what was before has its records looked at again when they are written.
#[derive(Debug)]
pub(super) struct KeptFromNow {
    usage_ms: AtomicI64,
    sms_ms: AtomicI64,
    notification_ms: AtomicI64,
}

impl KeptFromNow {
    pub(super) fn new(kept: KeptFrom) -> Self {
        Self {
            usage_ms: AtomicI64::new(kept.usage_ms),
            sms_ms: AtomicI64::new(kept.sms_ms),
            notification_ms: AtomicI64::new(kept.notification_ms),
        }
    }

    pub(super) fn read(&self) -> KeptFrom {
        KeptFrom {
            usage_ms: self.usage_ms.load(Ordering::Relaxed),
            sms_ms: self.sms_ms.load(Ordering::Relaxed),
            notification_ms: self.notification_ms.load(Ordering::Relaxed),
        }
    }

    pub(super) fn set(&self, kept: KeptFrom) {
        self.usage_ms.store(kept.usage_ms, Ordering::Relaxed);
        self.sms_ms.store(kept.sms_ms, Ordering::Relaxed);
        self.notification_ms.store(kept.notification_ms, Ordering::Relaxed);
    }
}
