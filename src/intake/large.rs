//! Large bodies, a few at a time.
//!
//! Whoever has no key may send anything. So a large body is proved by a scan that keeps nothing, and
//! only what is proved, or is to be held, is taken apart: that memory is counted.
use std::sync::Arc;

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task,
};

use super::{Intake, Push, Refused};
use crate::{
    domain::{HeldReason, Ring, Timestamp},
    smarthub::{PART_BYTES, Reading, prove, reading_bytes_max},
};

/// A body larger than this is read on a thread that may block.
pub(super) const SMALL_BYTES_MAX: usize = 64 << 10;

/// A smaller one is, too, if its records take more memory than this.
pub(super) const AT_ONCE_BYTES_MAX: usize = 1 << 20;

/// How many are proved at once.
const PROVED_AT_ONCE: usize = 2;
/// How much memory may be taken by the parts of bodies, and by what is read from them until the queue
/// has it. One that needs more has all of it.
const PARTS_BYTES_MAX: usize = 24 << 20;
const UNIT_BYTES: usize = 1 << 10;

/// Whose turn it is.
pub(super) struct LargeBodies {
    proved: Arc<Semaphore>,
    parts: Arc<Semaphore>,
}

impl Default for LargeBodies {
    fn default() -> Self {
        Self {
            proved: Arc::new(Semaphore::new(PROVED_AT_ONCE)),
            parts: Arc::new(Semaphore::new(PARTS_BYTES_MAX / UNIT_BYTES)),
        }
    }
}

impl LargeBodies {
    /// Waits for the memory of so many parts, and of so many bytes beside them.
    async fn room_for_parts(&self, parts: usize, beside: usize) -> Option<OwnedSemaphorePermit> {
        let bytes = parts.saturating_mul(PART_BYTES).saturating_add(beside).min(PARTS_BYTES_MAX);
        let units = u32::try_from(bytes / UNIT_BYTES).unwrap_or(u32::MAX).max(1);
        // Only a closed semaphore gives none, and nobody closes this one.
        Arc::clone(&self.parts).acquire_many_owned(units).await.ok()
    }
}

/// What was read, and the room for it until it has another.
pub(super) struct Read {
    pub(super) reading: Reading,
    pub(super) room: Option<OwnedSemaphorePermit>,
}

/// A refused push is counted as dropped when this is dropped: its sender may leave while it waits.
struct Counted {
    intake: Intake,
    ring: Ring,
    reason: HeldReason,
    is_held: bool,
}

impl Drop for Counted {
    fn drop(&mut self) {
        if !self.is_held {
            self.intake.shared.waiting.count_dropped(self.ring, self.reason);
        }
    }
}

impl Intake {
    /// Verifies a large push and reads its records.
    pub(super) async fn read_large(
        &self,
        push: &Push,
        read_at: Timestamp,
    ) -> Result<Read, (HeldReason, Ring)> {
        const BROKE: (HeldReason, Ring) = (HeldReason::NotJson, Ring::Noise);
        let turn = Arc::clone(&self.shared.large.proved).acquire_owned().await;
        let (body, verifier) = (push.body.clone(), self.verifier());
        // The turn goes with the work, which goes on when the sender leaves.
        let proving = task::spawn_blocking(move || {
            let proved = prove(&body, &verifier);
            drop(turn);
            proved
        });
        let proved = proving.await.map_err(|_| BROKE)?;
        let proved = proved.map_err(|unproved| self.refused_as(unproved))?;
        let read = self.read_parts_aside(push, proved.parts, move |intake, push| {
            let reading = intake.read(push, read_at, usize::MAX)?;
            Ok(reading.unwrap_or_default())
        });
        read.await.unwrap_or(Err(BROKE))
    }

    /// Reads a push that was held, of which it is not known how many parts it has. None if reading
    /// panicked.
    pub(super) async fn read_aside<E: Send + 'static>(
        &self,
        push: &Push,
        read: impl FnOnce(&Self, &Push) -> Result<Reading, E> + Send + 'static,
    ) -> Option<Result<Read, E>> {
        // There are at most half as many as bytes.
        self.read_parts_aside(push, push.body.len() / 2, read).await
    }

    async fn read_parts_aside<E: Send + 'static>(
        &self,
        push: &Push,
        parts: usize,
        read: impl FnOnce(&Self, &Push) -> Result<Reading, E> + Send + 'static,
    ) -> Option<Result<Read, E>> {
        // What will be read is not known before it is: but it is never more than this.
        let most = reading_bytes_max(push.body.len());
        let room = self.shared.large.room_for_parts(parts, most).await;
        let (intake, push) = (self.clone(), push.clone());
        let reading =
            task::spawn_blocking(move || Ok(Read { reading: read(&intake, &push)?, room }));
        reading.await.ok()
    }

    /// Keeps a large refused push, if there is room for it among those that wait.
    pub(super) async fn hold_large(&self, refused: Refused) {
        let Refused { reason, ring, .. } = refused;
        let mut counted = Counted { intake: self.clone(), ring, reason, is_held: false };
        let bytes = refused.body().len();
        if !self.shared.waiting.has_room(refused.source(), bytes) {
            return;
        }
        // There are at most half as many parts as bytes. What is no JSON is not taken apart.
        let parts = if reason == HeldReason::NotJson { 0 } else { bytes / 2 };
        let room = self.shared.large.room_for_parts(parts, bytes).await;
        let held = task::spawn_blocking(move || {
            counted.is_held = true;
            counted.intake.shared.waiting.add(refused.into_held());
            drop(room);
        });
        // One that panics is told by the panic hook.
        drop(held.await);
    }
}
