//! The answers to committed pushes, given where the requests wait.
//!
//! The writer hands over a whole batch at once. Answered from its own thread, each push would wake
//! the other threads by itself, and its memory be freed far from where it was allocated.
use tokio::sync::mpsc;

use super::{
    Intake,
    accept::Unstored,
    queue::Ticket,
    task::{Batch, verdict_of},
};
use crate::store::{Outcome, Verdict};

/// Batches that are on disk and whose pushes are not yet answered. Until they are, they keep their
/// room in the queue.
pub(super) struct Answers {
    committed: mpsc::UnboundedSender<Committed>,
}

/// A batch that is on disk.
pub(super) struct Committed {
    batch: Batch,
    verdicts: Vec<Verdict>,
}

impl Answers {
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Committed>) {
        let (committed, receiver) = mpsc::unbounded_channel();
        (Self { committed }, receiver)
    }

    /// Has each push of a batch answered.
    pub(super) fn give(&self, batch: Batch, verdicts: Vec<Verdict>) {
        // Nobody is there to answer only when the runtime ends, and then nobody waits.
        if self.committed.send(Committed { batch, verdicts }).is_err() {
            tracing::debug!("Nobody answers any more");
        }
    }
}

/// Answers until the writer has ended.
pub(super) async fn run(intake: Intake, mut committed: mpsc::UnboundedReceiver<Committed>) {
    while let Some(Committed { batch, verdicts }) = committed.recv().await {
        for (ticket, verdict) in batch.tickets.into_iter().zip(verdicts) {
            answer(&intake, ticket, verdict_of(verdict));
        }
    }
}

/// Answers a push, and tells in the log of one that quarantine has no room for.
pub(super) fn answer(intake: &Intake, ticket: Ticket, answer: Result<Outcome, Unstored>) {
    if answer == Err(Unstored::QuarantineFull) {
        intake.shared.sent_away.tell("quarantine is full: look at `simdeck held list`");
    }
    ticket.answer(answer);
}
