//! The long work of the writer that waits for its next step. Work is owned until it is done: a step that
//! fails is tried again after a pause that grows, and the work waits behind the others meanwhile. Held
//! by `front::owned`.
use std::{collections::VecDeque, future, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::admin::Reply;
use crate::{
    domain::{Caller, Giccid, RetractQuestion},
    store::{Erased, Erasing, Pruned, Pruning, Rebuilding, RetractedCounts, Retracting},
};

/// For so many times as long as a step took, the disk is the pushes' alone.
const REST_STEPS: u32 = 3;
/// How long work waits after its first step that failed; twice as long after each more.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// How long it waits at most.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// How often the log says that it still fails.
const LOG_EVERY: Duration = Duration::from_secs(60);
/// How long work waits that other work holds back.
const HELD_BACK_WAIT: Duration = Duration::from_secs(1);

/// A piece of long work, and who waits for it.
pub(super) enum Work {
    /// Nobody waits for it. What is erased or retracted has it begin anew: that goes first.
    Rebuild(Rebuilding),
    Prune(Pruning, Reply<Pruned>),
    /// An erasure that the database did not take yet.
    BeginErase(Giccid, Caller, Reply<Erased>),
    Erase(Erasing, Reply<Erased>),
    /// A retraction that the database did not take yet.
    BeginRetract(RetractQuestion, Caller, Reply<RetractedCounts>),
    Retract(Retracting, Reply<RetractedCounts>),
}

impl Work {
    /// Whether it takes records out of the sums.
    pub(super) fn is_removal(&self) -> bool {
        matches!(self, Self::Erase(..) | Self::Retract(..))
    }

    fn is_prune(&self) -> bool {
        matches!(self, Self::Prune(..))
    }

    fn is_rebuild(&self) -> bool {
        matches!(self, Self::Rebuild(_))
    }

    fn erases(&self, giccid: &Giccid) -> bool {
        match self {
            Self::Erase(work, _) => work.is_of(giccid),
            Self::BeginErase(of, ..) => of == giccid,
            _ => false,
        }
    }

    /// Others may go between: what it has looked at may be another then.
    fn look_anew(&mut self) {
        match self {
            Self::Prune(work, _) => work.look_anew(),
            Self::Erase(work, _) => work.look_anew(),
            Self::Retract(work, _) => work.look_anew(),
            Self::Rebuild(_) | Self::BeginErase(..) | Self::BeginRetract(..) => (),
        }
    }

    /// What the log calls it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Rebuild(_) => "change of time zone",
            Self::Prune(..) => "prune",
            Self::BeginErase(..) => "erasure that has not begun",
            Self::Erase(..) => "erasure",
            Self::BeginRetract(..) => "retraction that has not begun",
            Self::Retract(..) => "retraction",
        }
    }
}

/// Work that waits for its next step.
pub(super) struct Chore {
    pub(super) work: Work,
    /// A step of it was done since the last one that failed.
    pub(super) has_begun: bool,
    pub(super) failure: Option<Failure>,
}

/// How often the steps of a chore failed, one after another.
pub(super) struct Failure {
    pause: Duration,
    again_at: Instant,
    log_at: Instant,
}

impl Chore {
    pub(super) fn new(work: Work) -> Self {
        Self { work, has_begun: false, failure: None }
    }

    fn is_failing(&self) -> bool {
        self.failure.is_some()
    }

    fn due_at(&self) -> Option<Instant> {
        self.failure.as_ref().map(|failure| failure.again_at)
    }

    pub(super) fn step_done(&mut self) {
        (self.has_begun, self.failure) = (true, None);
    }

    /// Notes that a step failed; says whether it is time to log it.
    pub(super) fn step_failed(&mut self, now: Instant) -> bool {
        self.work.look_anew();
        self.has_begun = false;
        self.pause(now)
    }

    /// Puts the next step off, longer each time; says whether it is time to log that.
    pub(super) fn pause(&mut self, now: Instant) -> bool {
        let (pause, log_at) = match &self.failure {
            None => (PAUSE_MIN, now),
            Some(failure) => ((failure.pause * 2).min(PAUSE_MAX), failure.log_at),
        };
        let is_logged = log_at <= now;
        let log_at = if is_logged { now + LOG_EVERY } else { log_at };
        self.failure = Some(Failure { pause, again_at: now + pause, log_at });
        is_logged
    }
}

/// What is left of the long work.
pub(super) struct Chores {
    waiting: VecDeque<Chore>,
    next_at: Instant,
}

impl Chores {
    pub(super) fn new(first: impl IntoIterator<Item = Work>) -> Self {
        Self { waiting: first.into_iter().map(Chore::new).collect(), next_at: Instant::now() }
    }

    pub(super) fn add(&mut self, work: Work) {
        self.wait_behind(Chore::new(work));
    }

    /// Lets all others go first, until it is due.
    pub(super) fn wait_behind(&mut self, chore: Chore) {
        self.waiting.push_back(chore);
    }

    /// Goes on with what has begun: what takes rows away ends before other work of that sort begins,
    /// for it counts on nobody else changing what it has looked at. A rebuild counts on nothing.
    pub(super) fn go_on(&mut self, chore: Chore) {
        match chore.work.is_rebuild() {
            true => self.waiting.push_back(chore),
            false => self.waiting.push_front(chore),
        }
    }

    /// Gives up all that waits; whoever asked for it hears that we stop. Gives what there was.
    pub(super) fn end(&mut self) -> Vec<&'static str> {
        self.waiting.drain(..).map(|chore| chore.work.name()).collect()
    }

    /// Whether a SIM is being erased, or waits for it.
    pub(super) fn erases(&self, giccid: &Giccid) -> bool {
        self.waiting.iter().any(|chore| chore.work.erases(giccid))
    }

    pub(super) fn has_rebuild(&self) -> bool {
        self.waiting.iter().any(|chore| chore.work.is_rebuild())
    }

    /// Takes the work out whose step is next. A rebuild rests while the disk has little room, which it
    /// needs more of, and a prune does not wait for one that cannot go on.
    pub(super) fn next(&mut self, now: Instant, is_disk_low: bool) -> Option<Chore> {
        let is_next = |chore: &Chore| {
            chore.due_at().is_none_or(|at| at <= now)
                && match &chore.work {
                    Work::Rebuild(_) => !is_disk_low && !self.waiting.iter().any(goes_first),
                    Work::Prune(..) => {
                        chore.has_begun
                            || is_disk_low
                            || self
                                .waiting
                                .iter()
                                .all(|it| !it.work.is_rebuild() || it.is_failing())
                    }
                    _ => true,
                }
        };
        let nth = self.waiting.iter().position(is_next)?;
        self.waiting.remove(nth)
    }

    /// Waits for the time of the next step; for ever where there is none.
    pub(super) async fn due(&self) {
        match self.due_at() {
            None => future::pending().await,
            Some(at) => sleep_until(at).await,
        }
    }

    pub(super) fn is_due(&self) -> bool {
        self.due_at().is_some_and(|at| at <= Instant::now())
    }

    fn due_at(&self) -> Option<Instant> {
        let first = self.waiting.iter().map(|chore| chore.due_at().unwrap_or(self.next_at)).min();
        first.map(|first| first.max(self.next_at))
    }

    pub(super) fn rest(&mut self, now: Instant, step_took: Duration) {
        self.next_at = now + step_took * REST_STEPS;
    }

    /// Looks again later: all that is due is held back.
    pub(super) fn rest_held_back(&mut self, now: Instant) {
        self.next_at = now + HELD_BACK_WAIT;
    }
}

/// Whether a rebuild would have to begin anew after it.
fn goes_first(chore: &Chore) -> bool {
    chore.work.is_removal() || (chore.work.is_prune() && chore.has_begun)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use jiff::tz::TimeZone;
    use tokio::sync::oneshot;

    use super::*;
    use crate::{domain::Timestamp, store::Retention};

    const HOUR: Duration = Duration::from_secs(60 * 60);

    fn prune() -> Work {
        let retention = Retention { records: 24 * HOUR, ..Retention::default() };
        let pruning = Pruning::new(&retention, Timestamp::from_unix_ms(0));
        Work::Prune(pruning, oneshot::channel().0)
    }

    fn rebuild() -> Work {
        Work::Rebuild(Rebuilding::new(TimeZone::UTC, HOUR))
    }

    #[tokio::test]
    async fn a_step_is_due_when_there_is_work_and_the_pushes_had_three_times_as_long() {
        let now = Instant::now();
        let mut chores = Chores::new([]);
        assert!(!chores.is_due() && chores.due().now_or_never().is_none());
        chores.add(prune());
        assert!(chores.is_due());
        chores.rest(now, HOUR);
        assert_eq!(chores.next_at, now + 3 * HOUR);
        assert!(!chores.is_due() && chores.due().now_or_never().is_none());
        chores.rest(now, Duration::ZERO);
        assert!(chores.is_due());
        chores.due().await;
        chores.waiting.clear();
        assert!(!chores.is_due());
    }

    #[test]
    fn a_step_that_fails_is_tried_again_after_a_pause_that_grows_and_logged_once_a_minute() {
        let mut now = Instant::now();
        let mut chore = Chore::new(prune());
        let (mut pauses, mut logged) = (Vec::new(), Vec::new());
        for _ in 0..8 {
            logged.push(chore.step_failed(now));
            let at = chore.due_at().unwrap_or(now);
            pauses.push((at - now).as_secs());
            now = at;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(logged, [true, false, false, false, false, false, true, true]);
        chore.step_done();
        assert!(chore.step_failed(now), "the first failure of another time");
    }

    #[test]
    fn other_work_goes_on_while_some_waits_after_a_failure() {
        let now = Instant::now();
        let mut chores = Chores::new([prune()]);
        chores.add(prune());
        let Some(mut failing) = chores.next(now, false) else { panic!("there is none") };
        failing.step_failed(now);
        chores.wait_behind(failing);
        assert!(chores.is_due());
        assert!(chores.next(now, false).is_some_and(|it| !it.is_failing()));
        assert!(chores.next(now, false).is_none() && !chores.is_due());
        assert!(chores.next(now + PAUSE_MIN, false).is_some_and(|it| it.is_failing()));
    }

    #[test]
    fn a_prune_waits_for_a_rebuild_unless_that_fails_or_the_disk_is_low() {
        let now = Instant::now();
        let mut chores = Chores::new([prune()]);
        chores.add(rebuild());
        let Some(mut work) = chores.next(now, false) else { panic!("there is none") };
        assert!(work.work.is_rebuild());
        work.step_done();
        chores.go_on(work);
        let Some(pruning) = chores.next(now, true) else { panic!("the disk is low") };
        assert!(pruning.work.is_prune());
        assert!(chores.next(now, true).is_none(), "a rebuild needs room");
        chores.go_on(pruning);
        let Some(mut work) = chores.next(now, false) else { panic!("there is none") };
        work.step_failed(now);
        chores.wait_behind(work);
        let Some(mut pruning) = chores.next(now, false) else { panic!("there is none") };
        assert!(pruning.work.is_prune());
        pruning.step_done();
        chores.go_on(pruning);
        let later = now + PAUSE_MAX;
        assert!(chores.next(later, false).is_some_and(|it| it.work.is_prune()), "it has begun");
    }
}
