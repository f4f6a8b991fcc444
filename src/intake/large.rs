//! Large bodies, a few at a time.
//!
//! Whoever has no key may send anything. So a large body is proved by a scan that keeps nothing, and
//! only what is proved, or is to be held, is taken apart. What that takes at most is counted before it
//! begins, and what is left of it until it is on disk. Held by `tests/it/withstand/memory.rs`.
use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{self, JoinHandle},
    time::timeout,
};

use super::{COMMIT_TIME_MAX, Intake, Push, Refused, finished::finished};
use crate::{
    domain::{HeldReason, Ring},
    smarthub::{Body, Proved, Reading, prove},
};

/// A body larger than this is read on a thread that may block.
pub(super) const SMALL_BYTES_MAX: usize = 64 << 10;

/// A smaller one is, too, if its records take more memory than this.
pub(super) const AT_ONCE_BYTES_MAX: usize = 1 << 20;

/// How many are proved at once.
const PROVED_AT_ONCE: usize = 2;
/// How much memory large pushes may take, from before they are taken apart until they are on disk. One
/// that needs more has all of it.
const MEMORY_BYTES_MAX: usize = 56 << 20;
/// The same for refused ones, so that authentic ones do not wait for them.
const REFUSED_BYTES_MAX: usize = 48 << 20;
const UNIT_BYTES: usize = 1 << 10;
/// How long a push waits for it.
const MEMORY_TIME_MAX: Duration = COMMIT_TIME_MAX;

/// Whose turn it is.
pub(super) struct LargeBodies {
    proved: Arc<Semaphore>,
    memory: Arc<Semaphore>,
    refused: Arc<Semaphore>,
}

impl Default for LargeBodies {
    fn default() -> Self {
        Self {
            proved: Arc::new(Semaphore::new(PROVED_AT_ONCE)),
            memory: Arc::new(Semaphore::new(MEMORY_BYTES_MAX / UNIT_BYTES)),
            refused: Arc::new(Semaphore::new(REFUSED_BYTES_MAX / UNIT_BYTES)),
        }
    }
}

impl LargeBodies {
    /// Waits for the memory of a push that takes so many bytes.
    async fn memory(&self, bytes: usize) -> Option<Memory> {
        Memory::of(&self.memory, bytes.min(MEMORY_BYTES_MAX)).await
    }

    /// The same for one that is refused.
    async fn memory_of_refused(&self, bytes: usize) -> Option<Memory> {
        Memory::of(&self.refused, bytes.min(REFUSED_BYTES_MAX)).await
    }
}

/// A part of the memory that large pushes may take, given back when dropped.
pub(super) struct Memory(OwnedSemaphorePermit);

impl Memory {
    async fn of(all: &Arc<Semaphore>, bytes: usize) -> Option<Self> {
        let units = u32::try_from(Self::units(bytes)).unwrap_or(u32::MAX);
        // Only a closed semaphore gives none, and nobody closes these.
        Arc::clone(all).acquire_many_owned(units).await.ok().map(Self)
    }

    fn units(bytes: usize) -> usize {
        (bytes / UNIT_BYTES).max(1)
    }

    /// Gives back what is more than so many bytes.
    fn shrink(&mut self, bytes: usize) {
        drop(self.0.split(self.0.num_permits().saturating_sub(Self::units(bytes))));
    }
}

/// The turn of a large body to be proved, given back when dropped.
pub struct Turn {
    _permit: OwnedSemaphorePermit,
}

/// What was read, and the memory that is counted for it and its body; none where that is little.
pub(super) struct Read {
    pub(super) reading: Reading,
    pub(super) memory: Option<Memory>,
}

/// Why a push was not read.
pub(super) enum NotRead {
    Refused(HeldReason, Ring),
    /// Others take all the memory.
    Busy,
}

/// A refused push is counted as dropped when this is dropped: its sender may leave while it waits.
struct Counted {
    intake: Intake,
    ring: Ring,
    reason: HeldReason,
    is_held: bool,
}

impl Counted {
    /// It waits with the others now, which count it.
    fn note_held(&mut self) {
        self.is_held = true;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if !self.is_held {
            self.intake.shared.waiting.count_dropped(self.ring, self.reason);
        }
    }
}

impl Intake {
    /// Waits for the turn of a body that is so large that only a few are proved at once; none where
    /// that is not so. Whoever waits may give up, and its body make room for others.
    pub async fn turn(&self, body_bytes: usize) -> Option<Turn> {
        if body_bytes <= SMALL_BYTES_MAX {
            return None;
        }
        // Only a closed semaphore gives none, and nobody closes this one.
        let permit = Arc::clone(&self.shared.large.proved).acquire_owned().await.ok()?;
        Some(Turn { _permit: permit })
    }

    /// Verifies a large push and reads its records.
    pub(super) async fn read_large(
        &self,
        push: &Push,
        turn: Option<Turn>,
    ) -> Result<Read, NotRead> {
        let refused = |(reason, ring)| NotRead::Refused(reason, ring);
        let turn = match turn {
            None => self.turn(usize::MAX).await,
            turn => turn,
        };
        let (body, verifier) = (push.body.clone(), self.verifier());
        // The turn goes with the work, which goes on when the sender leaves.
        let proving = task::spawn_blocking(move || {
            let proved = prove(&body, &verifier);
            drop(turn);
            proved
        });
        let proved = finished(proving).await.ok_or(NotRead::Busy)?;
        let proved = proved.map_err(|unproved| refused(self.refused_as(unproved)))?;
        let memory = self.shared.large.memory(proved.reading_takes(push.body.len()));
        let Ok(memory) = timeout(MEMORY_TIME_MAX, memory).await else {
            self.tell_sent_away("large pushes come faster than they are read and stored");
            return Err(NotRead::Busy);
        };
        let read = self.read_in(memory, push, move |intake: &Self, push: &Push| {
            let body = Body::parse_sized(&push.body, proved.parts);
            // It may have waited for its memory.
            let reading = intake.read_body(body, push, intake.now(), usize::MAX)?;
            Ok(reading.unwrap_or_default())
        });
        finished(read).await.ok_or(NotRead::Busy)?.map_err(refused)
    }

    /// Reads a push that was held, of which it is not known what it holds. None if reading panicked.
    pub(super) async fn read_aside<E: Send + 'static>(
        &self,
        push: &Push,
        read: impl FnOnce(&Self, &Push) -> Result<Reading, E> + Send + 'static,
    ) -> Option<Result<Read, E>> {
        let bytes = push.body.len();
        let memory = self.shared.large.memory(Proved::at_most(bytes).reading_takes(bytes)).await;
        self.read_in(memory, push, read).await.ok()
    }

    fn read_in<E: Send + 'static>(
        &self,
        mut memory: Option<Memory>,
        push: &Push,
        read: impl FnOnce(&Self, &Push) -> Result<Reading, E> + Send + 'static,
    ) -> JoinHandle<Result<Read, E>> {
        let (intake, push) = (self.clone(), push.clone());
        task::spawn_blocking(move || {
            let reading = read(&intake, &push)?;
            if let Some(memory) = &mut memory {
                memory.shrink(reading.bytes.saturating_add(push.body.len()));
            }
            Ok(Read { reading, memory })
        })
    }

    /// Keeps a large refused push, if there is room for it among those that wait.
    pub(super) async fn hold_large(&self, refused: Refused) {
        let Refused { reason, ring, .. } = refused;
        let mut counted = Counted { intake: self.clone(), ring, reason, is_held: false };
        let bytes = refused.body().len();
        if !self.shared.waiting.has_room(refused.source(), bytes) {
            return;
        }
        // What is no JSON is not taken apart.
        let is_json = reason != HeldReason::NotJson;
        let parts = if is_json { Proved::at_most(bytes).parts_take() } else { 0 };
        // The body, and what is kept of it.
        let memory = self.shared.large.memory_of_refused(parts.saturating_add(bytes * 2));
        // Its sender waits for the answer: while the disk hangs, it is counted as dropped.
        let Ok(memory) = timeout(MEMORY_TIME_MAX, memory).await else { return };
        if !self.shared.waiting.has_room(refused.source(), bytes) {
            return;
        }
        let held = task::spawn_blocking(move || {
            counted.intake.shared.waiting.add(refused.into_held());
            counted.note_held();
            drop(memory);
        });
        // One that panics is told by the panic hook.
        drop(held.await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_read_keeps_its_memory_and_gives_back_the_rest() {
        let large = LargeBodies::default();
        let units = |bytes: usize| bytes / UNIT_BYTES;
        for (taken, kept) in [(20 << 20, 5 << 20), (9 << 20, 9 << 20), (1 << 20, 2 << 20)] {
            let mut memory = large.memory(taken).await.expect("memory");
            memory.shrink(kept);
            let used = units(MEMORY_BYTES_MAX) - large.memory.available_permits();
            assert_eq!(used, units(taken.min(kept)), "{taken} {kept}");
            drop(memory);
        }
        let all = large.memory(10 * MEMORY_BYTES_MAX).await.expect("memory");
        assert_eq!(large.memory.available_permits(), 0, "one that needs more has all of it");
        drop(all);
        assert_eq!(large.memory.available_permits(), units(MEMORY_BYTES_MAX));
    }

    #[test]
    fn a_body_of_the_default_size_takes_no_more_than_there_is_in_any_form_of_one_record() {
        let body = 4 << 20;
        let numbers = Proved { parts: body / 2, records: 1 };
        assert!(numbers.reading_takes(body) <= MEMORY_BYTES_MAX);
        // The most that is known of one that was not looked at: it goes alone.
        assert!(Proved::at_most(body).reading_takes(body) <= 2 * MEMORY_BYTES_MAX);
    }
}
