//! What the routes share that tell what is new.
use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::{error::ApiError, status_counts::LastCounts, test_push::TestPusher};
use crate::{
    http::{
        forbidden::Forbidden, key_failures::KeyFailures, push::PushLog, server::ConnectionCounts,
    },
    intake::{AdminError, Intake},
    store::{KeyedPermits, StoreError},
    watch::Watch,
};

/// What answers that do not end by themselves need.
#[derive(Clone)]
pub struct Live {
    /// The order to stop: answers that wait for something new end with it.
    pub stop: CancellationToken,
    /// The last requests to the public listener.
    pub pushes: PushLog,
    /// Pushes to our own public listener; nobody can where there is none.
    pub test_pusher: Option<TestPusher>,
    /// What is wrong with how data comes in.
    pub watch: Watch,
    /// API keys and sign-ins that were refused.
    pub(in crate::http) key_failures: Arc<KeyFailures>,
    /// What keys asked for and do not allow.
    pub(in crate::http) forbidden: Arc<Forbidden>,
    /// What the store had counted when it was last asked.
    pub(super) counts: LastCounts,
    /// The connections of either listener.
    pub connections: Connections,
    limits: Arc<StreamLimits>,
    slots: Arc<Semaphore>,
    slots_of_key: Arc<KeyedPermits>,
}

/// A place for a stream: among all, and among those of its key.
#[derive(Debug)]
#[expect(dead_code, reason = "they are held, not looked at")]
pub(super) struct Slot(OwnedSemaphorePermit, OwnedSemaphorePermit);

/// What is counted of the connections to each listener.
#[derive(Clone, Debug, Default)]
pub struct Connections {
    /// Of those that push.
    pub public: Arc<ConnectionCounts>,
    /// Of people and programs that ask.
    pub internal: Arc<ConnectionCounts>,
}

/// What one stream, and all of them, may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// Streams at the same time.
    pub streams_max: usize,
    /// Of which one key may have so many.
    pub streams_a_key_max: usize,
    /// How long a stream says nothing.
    pub keep_alive: Duration,
    /// Rows that a stream shows of each second; the others it counts.
    pub rows_a_second: u32,
    /// Rows that a client which was away is shown; the others before them it is told the number of.
    pub backlog_rows_max: u32,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            streams_max: 64,
            streams_a_key_max: 8,
            keep_alive: Duration::from_secs(15),
            rows_a_second: 20,
            backlog_rows_max: 1_000,
        }
    }
}

impl Live {
    /// What becomes of work that the store owns, or that we stop before that: nobody who stops a server
    /// waits for it. The work goes on after the next start.
    pub(super) async fn unless_stopped<T, E: Into<ApiError>>(
        &self,
        intake: &Intake,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, ApiError> {
        tokio::select! {
            done = work => done.map_err(Into::into),
            // A writer that fails stops all the rest.
            () = self.stop.cancelled() => Err(match intake.writer_has_failed() {
                true => AdminError::Ended.into(),
                false => AdminError::Stopping.into(),
            }),
        }
    }

    /// The same of work that is tried again until it is done: nobody waits for room that a person has to
    /// make.
    pub(super) async fn unless_held_up<T>(
        &self,
        intake: &Intake,
        work: impl Future<Output = Result<T, AdminError>>,
    ) -> Result<T, ApiError> {
        let work = async {
            tokio::select! {
                biased;
                () = intake.lacks_room() => Err(AdminError::Store(StoreError::NoRoom)),
                done = work => done,
            }
        };
        self.unless_stopped(intake, work).await
    }

    /// With the usual limits, and nobody to push tests.
    pub fn new(pushes: PushLog, stop: CancellationToken) -> Self {
        Self::with_limits(pushes, stop, StreamLimits::default())
    }

    /// With limits of one's own.
    pub fn with_limits(pushes: PushLog, stop: CancellationToken, limits: StreamLimits) -> Self {
        let slots = Arc::new(Semaphore::new(limits.streams_max.min(Semaphore::MAX_PERMITS)));
        let slots_of_key = Arc::new(KeyedPermits::new(limits.streams_a_key_max));
        let watch = Watch::new(Arc::clone(pushes.signals()));
        let key_failures = Arc::default();
        Self {
            stop,
            pushes,
            watch,
            connections: Connections::default(),
            key_failures,
            forbidden: Arc::default(),
            counts: LastCounts::default(),
            test_pusher: None,
            limits: Arc::new(limits),
            slots,
            slots_of_key,
        }
    }

    pub(super) fn limits(&self) -> StreamLimits {
        *self.limits
    }

    /// A place for one more stream of this key, if there is one.
    pub(super) fn slot(&self, key: &str) -> Option<Slot> {
        let own = self.slots_of_key.of(key).try_acquire_owned().ok()?;
        Some(Slot(Arc::clone(&self.slots).try_acquire_owned().ok()?, own))
    }
}
