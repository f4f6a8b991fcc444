use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};

/// Whoever has asked so recently asks again as soon.
const ASKED_WITHIN: Duration = Duration::from_secs(1);
/// What a proxy was about to send when it heard has come by then.
const SETTLE_TIME: Duration = Duration::from_millis(100);

/// What `/healthz` says on the public listener. Clones say the same.
#[derive(Clone, Default)]
pub struct Wellness(Arc<State>);

#[derive(Default)]
struct State {
    asked_at: Mutex<Option<Instant>>,
    is_ending: AtomicBool,
    told: Notify,
}

impl Wellness {
    /// From now on it says that we are not well. A proxy that asks every moment hears of it before
    /// this returns, and sends what comes elsewhere or later: to one that finds the door shut the
    /// push may be lost. Where nobody asks like that, nobody is waited for.
    pub async fn end(&self) {
        let asked_at = *self.0.asked_at.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.is_ending.store(true, Ordering::SeqCst);
        let somebody_asks = asked_at.is_some_and(|at| at.elapsed() < ASKED_WITHIN);
        if somebody_asks && timeout(ASKED_WITHIN, self.0.told.notified()).await.is_ok() {
            sleep(SETTLE_TIME).await;
        }
    }

    /// Whether we are well; somebody has asked.
    pub(super) fn ask(&self) -> bool {
        *self.0.asked_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        let is_ending = self.0.is_ending.load(Ordering::SeqCst);
        if is_ending {
            self.0.told.notify_one();
        }
        !is_ending
    }
}
