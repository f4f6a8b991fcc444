//! How long something is tried that the database does not take.
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::AdminError;

/// The first pause; each is twice as long as the one before.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// The longest one.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// After so long it is given up.
const TRIED_FOR: Duration = Duration::from_secs(10 * 60);

/// Waits between tries.
pub(super) struct Patience {
    pause: Duration,
    until: Instant,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self { pause: PAUSE_MIN, until: Instant::now() + TRIED_FOR }
    }

    /// Waits for the next try; false where there is no use in one.
    pub(super) async fn wait_after(&mut self, error: &AdminError) -> bool {
        // What cannot heal ends the server; what the database refuses for what it is it refuses again.
        let may_heal = match error {
            AdminError::Store(error) => !error.is_fatal() && !error.is_of_data(),
            AdminError::NotReady(_) => true,
            AdminError::Stopping => false,
        };
        if may_heal && Instant::now() < self.until {
            sleep(self.pause).await;
            self.pause = (self.pause * 2).min(PAUSE_MAX);
            return true;
        }
        false
    }
}
