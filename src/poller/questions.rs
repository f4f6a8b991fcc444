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
    /// It was asked, and failed.
    Failed,
    /// It was not asked: RCMS is left alone.
    LeftAlone,
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
                Err(if error.is_temporary() { Unanswered::ForNow } else { Unanswered::Failed })
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
            state.has_status |= call == PollCall::StatusData;
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
        self.note_works(call);
        if ended_pause {
            tracing::debug!("RCMS is no longer left alone");
        }
    }

    fn note_failure(&self, call: PollCall, error: &RcmsError, now: Timestamp, elapsed: Duration) {
        let trouble = match error {
            RcmsError::Code { .. } | RcmsError::Refused(_) => None,
            RcmsError::Signature { .. } => Some(Trouble::Signature),
            RcmsError::Status { status: 429, retry_after, .. } => {
                Some(Trouble::TooMany(*retry_after))
            }
            _ => Some(Trouble::Failed),
        };
        let (paused_until, has_status) = {
            let mut state = self.state();
            match trouble {
                Some(trouble) => {
                    state.breaker.failed(trouble, elapsed, rand::random_range(0.0..1.0))
                }
                None => _ = state.breaker.answered(),
            }
            (state.breaker.paused_until(), state.has_status)
        };
        let left = paused_until.map(|until| now.plus(until.saturating_sub(elapsed)));
        self.report.send_modify(|report| report.paused_until = left);
        // One device without an answer is no news as long as others have one.
        if call == PollCall::StatusData && has_status {
            self.count_failure(error.kind());
            tracing::debug!(rcms.call = %call, error = %error.sentence(), "A device has no answer");
        } else {
            self.note_failing(call, error.kind(), error.sentence(), now);
        }
    }

    fn note_works(&self, call: PollCall) {
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
