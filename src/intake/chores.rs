//! Long work of the writer, done a little at a time between pushes.
use std::{collections::VecDeque, future, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::{
    admin::Reply,
    task::{IntakeError, WriterTask, answer},
};
use crate::{
    domain::{Caller, ClockEvidence, Giccid, RetractQuestion, SilentCount, Timestamp},
    store::{
        Erased, Erasing, Lift, Pruned, Pruning, Rebuilding, RetractedCounts, Retracting, StoreError,
    },
};

/// For so many times as long as a step took, the disk is the pushes' alone.
const REST_STEPS: u32 = 3;
/// How long work waits after a step that the database did not take.
pub(super) const WAIT_AFTER_FAILURE: Duration = Duration::from_secs(10);
/// How long a checkpoint that somebody asked for may wait for readers.
const CHECKPOINT_WAIT: Duration = Duration::from_secs(1);

/// What is asked for beside pushes so that the store stays what it should be.
pub(super) enum Upkeep {
    /// By a person, or by us.
    Prune {
        /// A person vouches for our clock, whatever authentic pushes say.
        by_clock: bool,
        reply: Reply<Pruned>,
    },
    Erase {
        giccid: Giccid,
        caller: Caller,
        reply: Reply<Erased>,
    },
    /// Keeps again what comes of an erased SIM.
    Lift {
        giccid: Giccid,
        caller: Caller,
        reply: Reply<Lift>,
    },
    Retract {
        question: RetractQuestion,
        caller: Caller,
        reply: Reply<RetractedCounts>,
    },
    /// Keeps again what comes under a retracted `datePush`.
    LiftRetraction {
        id: i64,
        caller: Caller,
        reply: Reply<Lift>,
    },
    /// Writes the whole database anew.
    Rewrite {
        reply: Reply<()>,
    },
    /// Keeps how many SIMs were silent.
    CountSilent {
        count: SilentCount,
        reply: Reply<()>,
    },
    Checkpoint {
        reply: Reply<bool>,
    },
    /// While a copy is made, or when it is done.
    HoldCheckpoints {
        is_held: bool,
        reply: Reply<()>,
    },
}

/// A piece of long work, and who waits for it.
pub(super) enum Chore {
    /// Nobody waits for it. Nothing is pruned meanwhile, and what is erased or retracted has it begin
    /// anew: that goes first.
    Rebuild(Rebuilding),
    Prune(Pruning, Reply<Pruned>),
    Erase(Erasing, Reply<Erased>),
    Retract(Retracting, Reply<RetractedCounts>),
}

/// What is left of the long work.
pub(super) struct Chores {
    waiting: VecDeque<Chore>,
    next_at: Instant,
}

impl Chore {
    /// Whether it takes records out of the sums.
    fn is_removal(&self) -> bool {
        matches!(self, Self::Erase(..) | Self::Retract(..))
    }
}

impl Chores {
    pub(super) fn new(first: Option<Chore>) -> Self {
        Self { waiting: first.into_iter().collect(), next_at: Instant::now() }
    }

    pub(super) fn wait_behind(&mut self, chore: Chore) {
        self.waiting.push_back(chore);
    }

    /// Goes on with what has begun: what takes rows away ends before other work of that sort begins,
    /// for it counts on nobody else changing what it has looked at.
    fn go_on(&mut self, chore: Chore) {
        self.waiting.push_front(chore);
    }

    /// Whether a SIM is being erased, or waits for it.
    fn erases(&self, giccid: &Giccid) -> bool {
        let is_it = |chore: &Chore| matches!(chore, Chore::Erase(work, _) if work.is_of(giccid));
        self.waiting.iter().any(is_it)
    }

    fn has_rebuild(&self) -> bool {
        self.waiting.iter().any(|chore| matches!(chore, Chore::Rebuild(_)))
    }

    /// Whether something else has to go before it.
    fn holds_back(&self, chore: &Chore) -> bool {
        match chore {
            Chore::Rebuild(_) => self.waiting.iter().any(Chore::is_removal),
            Chore::Prune(..) => self.has_rebuild(),
            _ => false,
        }
    }

    /// Waits for the time of the next step; for ever where there is none.
    pub(super) async fn due(&self) {
        if self.waiting.is_empty() {
            return future::pending().await;
        }
        sleep_until(self.next_at).await;
    }

    pub(super) fn is_due(&self) -> bool {
        !self.waiting.is_empty() && self.next_at <= Instant::now()
    }

    pub(super) fn rest(&mut self, now: Instant, step_took: Duration) {
        self.next_at = now + step_took * REST_STEPS;
    }
}

impl WriterTask {
    /// Does the next step of the work that has begun, or else of what has waited longest.
    pub(super) async fn do_chore(&mut self) -> Result<(), IntakeError> {
        let Some(chore) = self.chores.waiting.pop_front() else { return Ok(()) };
        if self.chores.holds_back(&chore) {
            self.chores.wait_behind(chore);
            return Ok(());
        }
        let began = Instant::now();
        if chore.is_removal()
            && self.chores.has_rebuild()
            && let Err(error) = self.writer.restart_rebuild().await
        {
            self.chores.wait_behind(chore);
            self.chores.rest(Instant::now(), WAIT_AFTER_FAILURE);
            return self.failed(error);
        }
        let ended = match chore {
            Chore::Rebuild(work) => return self.rebuild(work).await,
            Chore::Prune(mut pruning, reply) => match self.writer.prune_some(&mut pruning).await {
                Ok(()) if pruning.is_done() => answer(reply, Ok(pruning.pruned())),
                Ok(()) => {
                    self.chores.go_on(Chore::Prune(pruning, reply));
                    Ok(())
                }
                Err(error) => answer(reply, Err(error)),
            },
            Chore::Erase(mut erasing, reply) => match self.writer.erase_some(&mut erasing).await {
                Ok(()) if erasing.is_done() => answer(reply, Ok(erasing.erased())),
                Ok(()) => {
                    self.chores.go_on(Chore::Erase(erasing, reply));
                    Ok(())
                }
                Err(error) => answer(reply, Err(error)),
            },
            Chore::Retract(mut work, reply) => match self.writer.retract_some(&mut work).await {
                Ok(()) if work.is_done() => answer(reply, Ok(work.counts())),
                Ok(()) => {
                    self.chores.go_on(Chore::Retract(work, reply));
                    Ok(())
                }
                Err(error) => answer(reply, Err(error)),
            },
        };
        self.intake.shared.kept_from.set(self.writer.kept_from());
        self.chores.rest(Instant::now(), began.elapsed());
        ended
    }

    pub(super) async fn keep_up(
        &mut self,
        upkeep: Upkeep,
        now: Timestamp,
    ) -> Result<(), IntakeError> {
        match upkeep {
            Upkeep::Prune { by_clock, reply } => {
                let begun = self.begin_prune(now, by_clock).await;
                self.begin(begun, reply, Chore::Prune)
            }
            Upkeep::Erase { giccid, caller, reply } => {
                let begun = self.writer.begin_erasure(&giccid, &caller, now).await;
                self.begin(begun, reply, Chore::Erase)
            }
            // Asked for twice, it goes on though the store has noted the first one's end.
            Upkeep::Lift { giccid, reply, .. } if self.chores.erases(&giccid) => {
                answer(reply, Ok(Lift::Pending))
            }
            Upkeep::Lift { giccid, caller, reply } => {
                answer(reply, self.writer.lift_erasure(&giccid, &caller, now).await)
            }
            Upkeep::Retract { question, caller, reply } => {
                let begun = self.writer.begin_retraction(question, &caller, now).await;
                self.intake.set_retracted(self.writer.retracted());
                self.begin(begun, reply, Chore::Retract)
            }
            Upkeep::LiftRetraction { id, caller, reply } => {
                let lifted = self.writer.lift_retraction(id, &caller, now).await;
                self.intake.set_retracted(self.writer.retracted());
                answer(reply, lifted)
            }
            Upkeep::Rewrite { reply } => answer(reply, self.writer.rewrite().await),
            Upkeep::CountSilent { count, reply } => {
                answer(reply, self.writer.keep_silent_count(count, now).await)
            }
            Upkeep::Checkpoint { reply } => {
                answer(reply, self.writer.checkpoint(CHECKPOINT_WAIT).await)
            }
            Upkeep::HoldCheckpoints { is_held, reply } => {
                answer(reply, self.writer.hold_checkpoints(is_held).await)
            }
        }
    }

    async fn begin_prune(&mut self, now: Timestamp, by_clock: bool) -> Result<Pruning, StoreError> {
        let retention = &self.intake.shared.options.keep.retention;
        if by_clock {
            return Ok(Pruning::by_clock(retention, now));
        }
        let confirmed = self.writer.retention_now(now).await?;
        if now.since(confirmed) > ClockEvidence::DIFFERENCE_MAX {
            tracing::info!(
                clock = %now,
                retention.from = %confirmed,
                "Retention counts from the newest authentic push, which is older than this clock"
            );
        }
        Ok(Pruning::new(retention, confirmed))
    }

    /// Puts long work behind what waits already, or tells why it cannot begin.
    fn begin<W, T>(
        &mut self,
        begun: Result<W, StoreError>,
        reply: Reply<T>,
        chore: impl FnOnce(W, Reply<T>) -> Chore,
    ) -> Result<(), IntakeError> {
        match begun {
            Ok(work) => {
                self.chores.waiting.push_back(chore(work, reply));
                Ok(())
            }
            Err(error) => answer(reply, Err(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::sync::oneshot;

    use super::*;
    use crate::store::Retention;

    #[tokio::test]
    async fn a_step_is_due_when_there_is_work_and_the_pushes_had_three_times_as_long() {
        let (now, hour) = (Instant::now(), Duration::from_secs(60 * 60));
        let mut chores = Chores::new(None);
        assert!(!chores.is_due() && chores.due().now_or_never().is_none());
        let day = 24 * hour;
        let retention = Retention { records: day, ..Retention::default() };
        let pruning = Pruning::new(&retention, Timestamp::from_unix_ms(0));
        chores.waiting.push_back(Chore::Prune(pruning, oneshot::channel().0));
        assert!(chores.is_due());
        chores.rest(now, hour);
        assert_eq!(chores.next_at, now + 3 * hour);
        assert!(!chores.is_due() && chores.due().now_or_never().is_none());
        chores.rest(now, Duration::ZERO);
        assert!(chores.is_due());
        chores.due().await;
        chores.waiting.clear();
        assert!(!chores.is_due());
    }
}
