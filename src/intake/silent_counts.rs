//! Counts silent SIMs each quarter hour: what they sent later must not change how many there were.
use std::{error::Error, time::Duration};

use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{AdminError, Intake, chores::Upkeep};
use crate::domain::{SilentCount, SimActivityQuestion, Timestamp};

/// How often the clock is read: it may be set at any time.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After this time nobody can say any more how many there were. Pushes that were sent again after a
/// short stop are not counted as late by it.
const LATE_MAX: Duration = Duration::from_secs(3 * 60);
const AGAIN_AFTER: Duration = Duration::from_secs(30);

impl Intake {
    /// Counts at each quarter hour, for as long as the process lives.
    pub(super) async fn count_silent_by_clock(&self) {
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut counted: Option<Timestamp> = None;
        loop {
            look.tick().await;
            let now = self.now();
            let due = SilentCount::due(now);
            let is_late = now.since(due) > LATE_MAX;
            if counted == Some(due) || is_late || self.trouble().is_some() {
                continue;
            }
            match self.count_silent_sims().await {
                Ok(()) => counted = Some(due),
                Err(AdminError::Stopping | AdminError::Ended) => (),
                Err(error) => {
                    tell(&error);
                    sleep(AGAIN_AFTER).await;
                }
            }
        }
    }

    /// Counts the SIMs that were silent when the last quarter hour ended, and keeps the count, unless
    /// authentic pushes contradict the clock.
    pub async fn count_silent_sims(&self) -> Result<(), AdminError> {
        let at = SilentCount::due(self.now());
        let silent_since_ms = at.minus(SilentCount::SILENT_AFTER).unix_ms();
        let question = SimActivityQuestion { active_from_ms: silent_since_ms, silent_since_ms };
        let permit = self.shared.store.heavy_in_turn().await?;
        let sims = self.shared.store.sim_activity(&question).await?.silent;
        drop(permit);
        let count = SilentCount { at, sims };
        self.keep_up(|reply| Upkeep::CountSilent { count, reply }).await
    }
}

fn tell(error: &AdminError) {
    let error = error as &dyn Error;
    tracing::warn!(error, "Silent SIMs were not counted; will try again");
}
