//! A single question: when it may be asked, and what its end means for the next one.
use std::{error::Error, time::Duration};

use super::{Pace, Poller, breaker::Trouble};
use crate::{
    domain::{PollCall, PollFailure, PollFailureKind, Timestamp},
    rcms::RcmsError,
};

/// A question has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// It was asked, and failed for a reason that may pass.
    ForNow,
    /// It was asked, and RCMS wants to be asked less.
    TooMany,
    /// It was asked, and RCMS refuses to answer that question.
    Refused,
    /// It was asked, and the answer is more than we take.
    TooLarge,
    /// It was asked, and failed.
    Failed,
    /// It was not asked: RCMS is left alone.
    LeftAlone,
}

/// As long as any device had an answer so lately, that others have none is about them.
const RECENT: Duration = Duration::from_secs(15 * 60);

impl Unanswered {
    fn of(error: &RcmsError) -> Self {
        match error {
            RcmsError::Status { status: 429, .. } => Self::TooMany,
            _ if error.may_be_about_size() => Self::Refused,
            RcmsError::TooLarge(_) => Self::TooLarge,
            _ if error.is_temporary() => Self::ForNow,
            _ => Self::Failed,
        }
    }
}

/// Whether an error of `statusData` is an answer about that one device: RCMS is there.
fn is_of_one(error: &RcmsError) -> bool {
    match error {
        RcmsError::Status { status, .. } => {
            (400..500).contains(status) && ![401, 403, 408, 429].contains(status)
        }
        RcmsError::TooLarge(_) => true,
        _ => false,
    }
}

impl<P: Pace> Poller<P> {
    /// Asks when the bucket has a place and the breaker lets it through, and notes how it went.
    pub(super) async fn ask<T>(
        &self,
        call: PollCall,
        question: impl Future<Output = Result<T, RcmsError>>,
    ) -> Result<T, Unanswered> {
        let wait = {
            let (mut state, now) = (self.state(), self.pace.elapsed());
            if !state.breaker.lets_through(now) {
                return Err(Unanswered::LeftAlone);
            }
            state.bucket.take(now)
        };
        if !wait.is_zero() {
            self.pace.wait(wait).await;
        }
        self.report.send_modify(|report| report.requests += 1);
        let answer = question.await;
        let (now, elapsed) = (self.pace.now(), self.pace.elapsed());
        match answer {
            Ok(answer) => {
                self.note_answer(call, now, elapsed);
                Ok(answer)
            }
            Err(error) => {
                self.note_failure(call, &error, now, elapsed);
                Err(Unanswered::of(&error))
            }
        }
    }

    /// Notes whether the store does its part.
    pub(super) fn note_stored<T, E: Error>(&self, done: Result<T, E>) -> Option<T> {
        match done {
            Ok(done) => {
                self.note_works(PollCall::Keep);
                Some(done)
            }
            Err(error) => {
                let sentence = format!("what RCMS says cannot be kept: {error}");
                let now = self.pace.now();
                self.note_failing(PollCall::Keep, PollFailureKind::Store, sentence, now);
                None
            }
        }
    }

    fn note_answer(&self, call: PollCall, now: Timestamp, elapsed: Duration) {
        let ended_pause = {
            let mut state = self.state();
            if call == PollCall::StatusData {
                state.status_answered = Some(elapsed);
                state.status_failures = 0;
            } else {
                state.is_there = true;
            }
            state.bucket.answered(elapsed);
            let ended_pause = state.breaker.answered();
            if ended_pause {
                state.bucket.empty(elapsed);
            }
            ended_pause
        };
        self.report.send_modify(|report| {
            report.last_success_at = Some(now);
            report.paused_until = None;
        });
        // A page of the list is no list: whoever reads it says when it works.
        if call != PollCall::DeviceList {
            self.note_works(call);
        }
        if ended_pause {
            tracing::debug!("RCMS is no longer left alone");
        }
    }

    fn note_failure(&self, call: PollCall, error: &RcmsError, now: Timestamp, elapsed: Duration) {
        let trouble = match error {
            RcmsError::Code { .. } | RcmsError::Refused(_) => None,
            _ if call == PollCall::StatusData && is_of_one(error) => None,
            RcmsError::Signature { .. } => Some(Trouble::Signature),
            RcmsError::Status { status: 429, retry_after, .. } => {
                Some(Trouble::TooMany(*retry_after))
            }
            _ => Some(Trouble::Failed),
        };
        let (paused_until, others_answer) = {
            let mut state = self.state();
            match trouble {
                Some(Trouble::Failed) if call == PollCall::StatusData && state.is_there => {
                    let may_be_all = error.is_temporary();
                    state.status_failures = if may_be_all { state.status_failures + 1 } else { 0 };
                }
                Some(trouble) => {
                    state.breaker.failed(trouble, elapsed, rand::random_range(0.0..1.0))
                }
                None => _ = state.breaker.answered(),
            }
            let paused_until = state.breaker.paused_until();
            if let Some(Trouble::TooMany(_)) = trouble {
                state.bucket.too_many(elapsed);
                let pause = paused_until.map_or(Duration::ZERO, |it| it.saturating_sub(elapsed));
                state.asked_pause = state.asked_pause.max(pause);
            }
            let answered = state.status_answered;
            let others_answer = answered.is_some_and(|at| elapsed.saturating_sub(at) <= RECENT);
            (paused_until, others_answer)
        };
        let left = paused_until.map(|until| now.plus(until.saturating_sub(elapsed)));
        self.report.send_modify(|report| report.paused_until = left);
        // One device without an answer is no news as long as others have one.
        if call == PollCall::StatusData && others_answer {
            self.count_failure(error.kind());
            tracing::debug!(rcms.call = %call, error = %error.sentence(), "A device has no answer");
        } else {
            self.note_failing(call, error.kind(), error.sentence(), now);
        }
    }

    pub(super) fn note_works(&self, call: PollCall) {
        self.report.send_if_modified(|report| {
            let Some(failure) = report.failing.remove(&call) else { return false };
            tracing::info!(rcms.call = %call, since = %failure.since, "The RCMS poll works again");
            true
        });
    }

    fn note_failing(&self, call: PollCall, kind: PollFailureKind, sentence: String, at: Timestamp) {
        self.count_failure(kind);
        self.report.send_modify(|report| {
            let before = report.failing.get(&call);
            if before.is_none_or(|before| before.kind != kind) {
                tracing::warn!(rcms.call = %call, kind = %kind, error = %sentence, "The RCMS poll fails");
            }
            let since = before.map_or(at, |before| before.since);
            report.failing.insert(call, PollFailure { since, at, kind, sentence });
        });
    }

    fn count_failure(&self, kind: PollFailureKind) {
        self.report.send_modify(|report| *report.failures.entry(kind).or_default() += 1);
    }
}
