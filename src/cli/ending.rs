//! How a server ends: when it is told to, or because a part of it did. Held by
//! `tests/it/withstand/last.rs`.
use std::time::Duration;

use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::Failure;
use crate::{
    http::{Wellness, failures::FailureLimiter},
    intake::{Intake, IntakeError},
};

/// How often the failures of sources that have calmed down are forgotten.
const PRUNE_EVERY: Duration = Duration::from_secs(10);

/// What is looked after while a server runs.
pub(super) struct Running<'a> {
    pub(super) intake: &'a mut JoinHandle<Result<(), IntakeError>>,
    pub(super) failures: &'a FailureLimiter,
    pub(super) stop: &'a CancellationToken,
}

/// Once we are told to stop: ends the long work on the store, and tells a proxy that asks.
pub(super) async fn tell_that_we_end(stop: CancellationToken, intake: Intake, wellness: Wellness) {
    stop.cancelled().await;
    intake.end_work();
    wellness.end().await;
}

impl Running<'_> {
    /// Waits until all but the public listener have ended and a proxy was told, and then for that
    /// listener: pushes are taken for as long as anybody else may take to end. Gives why, if a part
    /// ended before it was told to.
    pub(super) async fn until_stopped(
        mut self,
        fronts: &mut JoinSet<()>,
        pushes: &mut JoinSet<()>,
        told: JoinHandle<()>,
        public_stop: &CancellationToken,
    ) -> Result<Option<Failure>, Failure> {
        let mut ended_early = self.until_ended(fronts, pushes).await?;
        if let Err(error) = told.await {
            tracing::error!(%error, "A proxy may not know that we end");
        }
        public_stop.cancel();
        let late = self.until_ended(pushes, &mut JoinSet::new()).await?;
        Ok(ended_early.take().or(late))
    }

    /// Waits until these have ended. When one of them, or of the `others`, does so by itself, we stop.
    async fn until_ended(
        &mut self,
        fronts: &mut JoinSet<()>,
        others: &mut JoinSet<()>,
    ) -> Result<Option<Failure>, Failure> {
        let mut prune = tokio::time::interval(PRUNE_EVERY);
        let mut ended_early = None;
        loop {
            let front = tokio::select! {
                front = fronts.join_next() => match front {
                    None => return Ok(ended_early),
                    Some(front) => front.is_ok() && self.stop.is_cancelled(),
                },
                Some(_) = others.join_next() => false,
                done = &mut *self.intake => {
                    // Whoever waits for it is answered 503; nothing can be stored any more.
                    self.stop.cancel();
                    return Err(ended_early_because(done));
                }
                _ = prune.tick() => {
                    self.failures.prune();
                    true
                }
            };
            if !front {
                ended_early = Some(Failure::new("a listener or a watcher ended by itself"));
                self.stop.cancel();
            }
        }
    }
}

/// Why, where the intake has ended and nobody stopped it.
pub(super) fn ended_early_because(done: Result<Result<(), IntakeError>, JoinError>) -> Failure {
    match done {
        Ok(Ok(())) => Failure::new("the writer ended by itself"),
        // Started again it would find that the database is missing.
        Ok(Err(error @ IntakeError::Moved(_))) => {
            Failure::because("the writer ended")(error).lasting()
        }
        Ok(Err(error)) => Failure::because("the writer ended")(error),
        Err(error) => Failure::because("the writer broke")(error),
    }
}
