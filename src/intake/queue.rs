use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::{mpsc, oneshot};

use super::{Push, accept::Unstored, large::Memory};
use crate::{
    domain::Timestamp,
    smarthub::AgePolicy,
    store::{Outcome, Submission},
};

/// How many records of small pushes may wait for the writer, and how many of large ones: neither shut
/// out the others.
const RECORDS_MAX: usize = 50_000;
/// How many bytes of small bodies, and of what was read from them. Large ones have [`Memory`].
const BYTES_MAX: usize = 24 << 20;

/// A push on its way to the writer.
pub(super) struct Job {
    pub(super) submission: Submission,
    pub(super) ticket: Ticket,
}

/// Who waits for a push, and what is needed if the database refuses it.
pub(super) struct Ticket {
    pub(super) origin: Origin,
    pub(super) reply: oneshot::Sender<Result<Outcome, Unstored>>,
    pub(super) room: Room,
}

/// What a submission was read from, and how, so that it can be read again.
pub(super) struct Origin {
    pub(super) push: Push,
    pub(super) age: Option<AgePolicy>,
    pub(super) read_at: Timestamp,
    /// It is a retry of an authentic push that is held, in quarantine or among the stale ones.
    pub(super) is_held_as_authentic: bool,
}

impl Ticket {
    /// Tells the waiting request. One that went away has its push stored all the same.
    pub(super) fn answer(self, answer: Result<Outcome, Unstored>) {
        let Self { reply, room, .. } = self;
        // Whoever is answered finds the room free again, though this runs on a thread of its own.
        drop(room);
        if reply.send(answer).is_err() {
            tracing::trace!("Nobody waits for this push any more");
        }
    }
}

/// The queue's end in the request tasks.
pub(super) struct Queue {
    jobs: mpsc::UnboundedSender<Job>,
    used: Arc<Used>,
}

/// What waits to be committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueDepth {
    /// Records.
    pub records: usize,
    /// Bytes that they and their bodies take in memory, about.
    pub bytes: usize,
}

#[derive(Default)]
struct Used {
    small: Counts,
    large: Counts,
}

#[derive(Default)]
struct Counts {
    records: AtomicUsize,
    bytes: AtomicUsize,
}

/// A place in the queue, free again when dropped.
pub(super) struct Room {
    used: Arc<Used>,
    records: usize,
    bytes: usize,
    /// Only of a large push.
    memory: Option<Memory>,
}

impl Queue {
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Job>) {
        let (jobs, receiver) = mpsc::unbounded_channel();
        (Self { jobs, used: Arc::default() }, receiver)
    }

    /// Takes room for a small push, if there is any. One alone always has it.
    pub(super) fn room(&self, records: usize, bytes: usize) -> Option<Room> {
        let (taken, taken_bytes) = self.used.small.add(records, bytes);
        let room = Room { used: self.used.clone(), records, bytes, memory: None };
        let fits = taken + records <= RECORDS_MAX && taken_bytes + bytes <= BYTES_MAX;
        (fits || taken == 0).then_some(room)
    }

    /// The same for a large push, whose memory is counted already.
    pub(super) fn room_in(&self, memory: Memory, records: usize, bytes: usize) -> Option<Room> {
        let (taken, _) = self.used.large.add(records, bytes);
        let room = Room { used: self.used.clone(), records, bytes, memory: Some(memory) };
        (taken == 0 || taken + records <= RECORDS_MAX).then_some(room)
    }

    /// Puts a push into the queue, unless the writer has ended.
    pub(super) fn send(&self, job: Job) -> Result<(), Unstored> {
        self.jobs.send(job).map_err(|_| Unstored::Busy)
    }

    pub(super) fn depth(&self) -> QueueDepth {
        let Used { small, large } = &*self.used;
        let sum = |of: fn(&Counts) -> &AtomicUsize| {
            of(small).load(Ordering::Relaxed) + of(large).load(Ordering::Relaxed)
        };
        QueueDepth { records: sum(|counts| &counts.records), bytes: sum(|counts| &counts.bytes) }
    }
}

impl Counts {
    /// Gives what was there before.
    fn add(&self, records: usize, bytes: usize) -> (usize, usize) {
        let before = self.records.fetch_add(records, Ordering::Relaxed);
        (before, self.bytes.fetch_add(bytes, Ordering::Relaxed))
    }
}

impl Room {
    /// How much memory it is for.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let Used { small, large } = &*self.used;
        let counts = if self.memory.is_some() { large } else { small };
        counts.records.fetch_sub(self.records, Ordering::Relaxed);
        counts.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_so_many_records_and_bytes_and_for_one_push_that_is_larger() {
        // What waits, what comes, and whether it has room.
        for (waits, comes, has_room) in [
            ((0, 0), (RECORDS_MAX, BYTES_MAX), true),
            ((0, 0), (RECORDS_MAX + 1, BYTES_MAX + 1), true),
            ((1, 1), (RECORDS_MAX - 1, BYTES_MAX - 1), true),
            ((1, 1), (RECORDS_MAX, 1), false),
            ((1, 1), (1, BYTES_MAX), false),
            ((RECORDS_MAX - 1, 1), (1, 1), true),
            ((RECORDS_MAX, 1), (1, 1), false),
            ((RECORDS_MAX / 2, 1), (RECORDS_MAX, 1), false),
            ((1, BYTES_MAX), (1, 1), false),
            ((1, BYTES_MAX), (1, 0), true),
        ] {
            let (queue, _jobs) = Queue::new();
            let before = queue.room(waits.0, waits.1);
            let room = queue.room(comes.0, comes.1);
            assert_eq!(room.is_some(), has_room, "{waits:?} {comes:?}");
            drop(before);
        }
    }

    #[test]
    fn the_depth_is_what_has_room_and_no_longer() {
        let (queue, _jobs) = Queue::new();
        let depth = |records, bytes| QueueDepth { records, bytes };
        let first = queue.room(3, 40);
        assert_eq!(queue.depth(), depth(3, 40));
        let second = queue.room(2, 10);
        assert_eq!(queue.depth(), depth(5, 50));
        drop(first);
        assert_eq!(queue.depth(), depth(2, 10));
        assert!(queue.room(RECORDS_MAX, 1).is_none());
        assert_eq!(queue.depth(), depth(2, 10));
        drop(second);
        assert_eq!(queue.depth(), depth(0, 0));
    }
}
