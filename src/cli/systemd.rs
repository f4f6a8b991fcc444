//! What systemd is told, where it started us; elsewhere nothing happens.
use std::{error::Error, time::Duration};

use sd_notify::NotifyState;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::intake::Intake;

/// How much longer we may take to start, or to say so again.
const START_MORE: Duration = Duration::from_secs(60);

/// What we do before we listen, if that takes long; we live.
pub(super) fn starting(status: &str) {
    let more = u32::try_from(START_MORE.as_micros()).unwrap_or(u32::MAX);
    tell(&[
        NotifyState::Status(status),
        NotifyState::ExtendTimeoutUsec(more),
        NotifyState::Watchdog,
    ]);
}

/// The listeners are open; or, after [`reloading`], all is in force.
pub(super) fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("Started")]);
}

/// Keys, tokens and the certificate are being read again, until [`ready`].
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(error = &error as &dyn Error, "There is no monotonic clock"),
    }
}

/// We end in good order.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Says that we live for as long as the writer comes by. If it hangs, systemd hears nothing more
/// and starts us again; a database that fails and is tried again is no such case.
pub(super) async fn feed_watchdog(intake: Intake, stop: CancellationToken) {
    let Some(patience) = sd_notify::watchdog_enabled() else { return };
    // Two thirds pass at most from one sign of life to the next.
    let third: Duration = patience / 3;
    let feeding = async {
        loop {
            if let Ok(Ok(())) = timeout(third, intake.beat()).await {
                tell(&[NotifyState::Watchdog]);
            }
            sleep(third).await;
        }
    };
    stop.run_until_cancelled(feeding).await;
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(error = &error as &dyn Error, "systemd cannot be told how we are");
    }
}
