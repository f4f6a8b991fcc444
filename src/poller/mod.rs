//! Asks RCMS at its own pace, and keeps what it says.
//!
//! Each cycle: one `deviceTotal`, the pages of the device list (`listing`), and `statusData` of the
//! devices that are due (`statuses`): those whose state changed, and all others in a slow rota. Each
//! call fails alone, and none takes the time of the other: a list that does not fit into its part of
//! a cycle goes on in the next. At most two questions are under way at once, a token bucket
//! (`bucket`) spreads them, and while RCMS fails it is left alone but for one question a minute
//! (`breaker`).
//!
//! That a device is gone needs proof, and so does a change of its state: what was not answered says
//! nothing. `tests/it/rcms/fake_fleet/` tries it with whatever RCMS may be like.
//!
//! What a cycle learns goes through the one writer, with less urgency than pushes; how it fares is
//! published as a [`PollReport`].
mod breaker;
mod bucket;
mod changes;
mod cycle;
mod listing;
mod pace;
mod questions;
mod rota;
mod statuses;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use self::pace::{Pace, SystemPace};
use self::{breaker::Breaker, bucket::Bucket, listing::ListState, rota::Rota};
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
    /// Items to ask for on a page.
    pub page_size: u32,
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
    list: ListState,
    /// What `deviceTotal` last said, if it was answered.
    device_total: Option<i64>,
    /// How many pauses have ended with a question: which kind it was changes each time.
    probes: usize,
    /// Whether `deviceTotal` or the list was answered in this cycle: then RCMS is there, and a
    /// `statusData` that fails is about its router.
    is_there: bool,
    /// When any `statusData` was last answered.
    status_answered: Option<Duration>,
    /// How many `statusData` have failed in a row for reasons that may pass.
    status_failures: u32,
    /// The largest page of samples so far: a shorter one is the last.
    samples_a_page: usize,
    /// The page size of `statusData`, where RCMS refuses that of the list.
    status_page_size: Option<u32>,
    /// How long the last cycle took.
    cycle_took: Duration,
    /// The length of the pause that RCMS asked for, until the list has been read again.
    asked_pause: Duration,
}

/// For how long at least what a cycle said holds: for three cycles, as long as they may be, or for
/// three of the poller's own pauses.
pub fn good_for(poll_every: Duration) -> Duration {
    (poll_every.max(breaker::PAUSE)).mul_f64(3.0 * (1.0 + JITTER))
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
        let state =
            State { list: ListState::new(options.page_size, pace.elapsed()), ..State::default() };
        let state = Mutex::new(state);
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
        let mut renewals = self.client.renewals();
        loop {
            let began = self.pace.elapsed();
            self.cycle().await;
            let now = self.pace.elapsed();
            let took = now.saturating_sub(began);
            self.state().cycle_took = took.max(self.options.poll_every);
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
            tokio::select! {
                () = self.pace.wait(next.saturating_sub(now)) => (),
                // What was refused to the old one says nothing about the new one.
                () = renewals.next() => {
                    self.state().breaker = Breaker::default();
                    self.report.send_modify(|report| report.paused_until = None);
                }
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
