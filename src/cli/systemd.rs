//! What systemd is told, where it started us; elsewhere nothing happens.
use std::{error::Error, time::Duration};

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{http::InternalState, intake::Intake};

/// How much longer we may take to start, or to say so again.
const START_MORE: Duration = Duration::from_secs(60);
/// How often it is looked whether we are as systemd was told: at what is known, which costs nothing.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What we do before we listen, if that takes long; we live.
pub(super) fn starting(status: &str) {
    let more = u32::try_from(START_MORE.as_micros()).unwrap_or(u32::MAX);
    tell(&[
        NotifyState::Status(status),
        NotifyState::ExtendTimeoutUsec(more),
        NotifyState::Watchdog,
    ]);
}

/// The listeners are open.
pub(super) fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("Ready")]);
}

/// After [`reloading`] all is in force.
pub(super) fn reloaded() {
    tell(&[NotifyState::Ready]);
}

/// Keys, tokens and the certificate are being read again, until [`reloaded`].
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(error = &error as &dyn Error, "There is no monotonic clock"),
    }
}

/// We end in good order.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("Stopping: answering what is in flight")]);
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

/// Says whether pushes are stored and what is wrong, each time that this changes.
pub(super) async fn tell_status(state: InternalState, stop: CancellationToken) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    let telling = async {
        let mut told = String::new();
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            let status = state.short_status();
            if status != told {
                tell(&[NotifyState::Status(&status)]);
                told = status;
            }
        }
    };
    stop.run_until_cancelled(telling).await;
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(error = &error as &dyn Error, "systemd cannot be told how we are");
    }
}
