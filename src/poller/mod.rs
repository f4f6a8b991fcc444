//! Asks RCMS at its own pace, and keeps what it says.
//!
//! Each cycle: one `deviceTotal`, the pages of the device list, and `statusData` of the devices that
//! are due: those whose state changed, and all others in a slow rota. Each call fails alone. At
//! most two are under way at once, a token bucket (`bucket`) spreads them, and while RCMS fails it
//! is left alone but for one question a minute (`breaker`).
//!
//! What a cycle learns goes through the one writer, with less urgency than pushes; how it fares is
//! published as a [`PollReport`].
mod breaker;
mod bucket;
mod changes;
mod cycle;
mod pace;
mod questions;
mod rota;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use self::pace::{Pace, SystemPace};
use self::{breaker::Breaker, bucket::Bucket, rota::Rota};
use crate::{
    domain::{PollReport, SerialNumber},
    intake::Intake,
    rcms::Client,
};

/// How much a cycle's length varies, so that many pollers do not march in step.
const JITTER: f64 = 0.05;

/// How the poller asks.
#[derive(Clone, Debug)]
pub struct PollerOptions {
    /// From the start of one cycle to the start of the next, more or less.
    pub poll_every: Duration,
    /// Devices whose `statusData` is asked for whatever the list says.
    pub devices: Vec<SerialNumber>,
}

/// Asks RCMS for as long as it is run.
pub struct Poller<P> {
    client: Client,
    intake: Intake,
    pace: P,
    options: PollerOptions,
    report: watch::Sender<PollReport>,
    state: Mutex<State>,
}

/// What the poller remembers between questions.
#[derive(Default)]
struct State {
    breaker: Breaker,
    bucket: Bucket,
    rota: Rota,
    /// What `deviceTotal` last said, if it was answered.
    device_total: Option<i64>,
    /// How many pauses have ended with a question: which kind it was changes each time.
    probes: usize,
    /// Whether any `statusData` was answered in this cycle.
    has_status: bool,
}

/// How long what a cycle said holds: for three cycles, as long as they may be.
pub fn good_for(poll_every: Duration) -> Duration {
    poll_every.mul_f64(3.0 * (1.0 + JITTER))
}

impl<P: Pace> Poller<P> {
    /// A poller, and where it says how it fares. The client must not ask again by itself: when RCMS
    /// is asked again is decided here.
    pub fn new(
        client: Client,
        intake: Intake,
        pace: P,
        options: PollerOptions,
    ) -> (Self, watch::Receiver<PollReport>) {
        let (report, reports) = watch::channel(PollReport::default());
        let state = Mutex::default();
        (Self { client, intake, pace, options, report, state }, reports)
    }

    /// Polls until `stop`. What is under way then is dropped: nothing of it was promised.
    pub async fn run(self, stop: CancellationToken) {
        tracing::info!(every_s = self.options.poll_every.as_secs(), "Polling RCMS");
        tokio::select! {
            () = stop.cancelled() => (),
            () = self.poll_for_ever() => (),
        }
    }

    async fn poll_for_ever(&self) {
        loop {
            let began = self.pace.elapsed();
            self.cycle().await;
            let now = self.pace.elapsed();
            let took = now.saturating_sub(began);
            self.report.send_modify(|report| {
                report.cycles += 1;
                report.last_cycle_took = Some(took);
            });
            if took > self.options.poll_every {
                tracing::debug!(took_s = took.as_secs(), "A cycle took longer than it has");
            }
            let jitter = rand::random_range(1.0 - JITTER..=1.0 + JITTER);
            let next = began + self.options.poll_every.mul_f64(jitter);
            let next = self.state().breaker.paused_until().unwrap_or_default().max(next);
            self.pace.wait(next.saturating_sub(now)).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
