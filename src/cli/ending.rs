//! How a server ends: when it is told to, or because a part of it did.
use std::time::Duration;

use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::Failure;
use crate::{http::failures::FailureLimiter, intake::IntakeError};

/// How often the failures of sources that have calmed down are forgotten.
const PRUNE_EVERY: Duration = Duration::from_secs(10);

/// Waits until all listeners have ended. Gives why, if one did so before it was told to.
pub(super) async fn until_stopped(
    fronts: &mut JoinSet<()>,
    intake: &mut JoinHandle<Result<(), IntakeError>>,
    failures: &FailureLimiter,
    stop: &CancellationToken,
) -> Result<Option<Failure>, Failure> {
    let mut prune = tokio::time::interval(PRUNE_EVERY);
    let mut ended_early = None;
    loop {
        tokio::select! {
            front = fronts.join_next() => match front {
                None => return Ok(ended_early),
                Some(Ok(())) if stop.is_cancelled() => (),
                Some(_) => {
                    ended_early = Some(Failure::new("a listener or a watcher ended by itself"));
                    stop.cancel();
                }
            },
            done = &mut *intake => {
                // Whoever waits for it is answered 503; nothing can be stored any more.
                stop.cancel();
                return Err(ended_early_because(done));
            }
            _ = prune.tick() => failures.prune(),
        }
    }
}

pub(super) fn ended_early_because(done: Result<Result<(), IntakeError>, JoinError>) -> Failure {
    match done {
        Ok(Ok(())) => Failure::new("the writer ended by itself"),
        Ok(Err(error)) => Failure::because("the writer ended")(error),
        Err(error) => Failure::because("the writer broke")(error),
    }
}
