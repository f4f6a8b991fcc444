use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::domain::{Clock, SystemClock, Timestamp};

/// How time passes for the poller, so that a test can let a day pass in a second.
///
/// [`Clock::now`] is what is stored; it may jump. What is waited for goes by [`Pace::elapsed`].
pub trait Pace: Clock {
    /// How long it has been since some moment that never changes.
    fn elapsed(&self) -> Duration;
    /// Waits.
    fn wait(&self, span: Duration) -> impl Future<Output = ()> + Send;
}

/// Time as it passes for everybody.
#[derive(Clone, Copy, Debug)]
pub struct SystemPace {
    began: Instant,
}

impl SystemPace {
    /// Counts from now.
    #[expect(clippy::new_without_default, reason = "two of them are not the same")]
    pub fn new() -> Self {
        Self { began: Instant::now() }
    }
}

impl Clock for SystemPace {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }
}

impl Pace for SystemPace {
    fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    async fn wait(&self, span: Duration) {
        sleep(span).await;
    }
}
