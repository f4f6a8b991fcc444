use std::time::Duration;

/// How many questions in a row, of whatever kind, fail before RCMS is left alone. There are three
/// kinds, and any of them may be one that this RCMS never answers.
const OPENS_AT: u32 = 3;
/// How long RCMS is left alone, at least.
pub(super) const PAUSE: Duration = Duration::from_secs(60);
/// The longest pause when our signature is refused: nothing mends that but a person.
const PAUSE_MAX: Duration = Duration::from_secs(15 * 60);
/// The longest pause that RCMS may ask for.
const ASKED_PAUSE_MAX: Duration = Duration::from_secs(60 * 60);

/// Leaves RCMS alone while it fails: then one question a minute, until one is answered.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// Failures since the last answer.
    failures: u32,
    /// How often in a row our signature was refused.
    refusals: u32,
    pause: Option<Pause>,
}

#[derive(Debug)]
struct Pause {
    until: Duration,
    /// The one question has been let through, and its answer is awaited.
    is_probing: bool,
}

/// In which way a question failed, as far as it says something about the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// No answer, or none of RCMS's.
    Failed,
    /// Too many questions; RCMS may say how long to wait.
    TooMany(Option<Duration>),
    /// Our signature is refused.
    Signature,
}

impl Breaker {
    /// Whether a question may be asked now. In a pause the first one after its end may.
    pub(super) fn lets_through(&mut self, now: Duration) -> bool {
        match &mut self.pause {
            None => true,
            Some(pause) if now >= pause.until && !pause.is_probing => {
                pause.is_probing = true;
                true
            }
            Some(_) => false,
        }
    }

    /// When the pause ends, if there is one.
    pub(super) fn paused_until(&self) -> Option<Duration> {
        self.pause.as_ref().map(|pause| pause.until)
    }

    /// RCMS has answered something, if only that it will not. True if that ends a pause.
    pub(super) fn answered(&mut self) -> bool {
        (self.failures, self.refusals) = (0, 0);
        self.pause.take().is_some()
    }

    /// A question failed. `jitter`, from 0 to 1, spreads those who all fail at the same moment.
    pub(super) fn failed(&mut self, trouble: Trouble, now: Duration, jitter: f64) {
        self.failures = self.failures.saturating_add(1);
        // What was under way when the pause began changes nothing about it.
        if self.pause.as_ref().is_some_and(|pause| !pause.is_probing) {
            return;
        }
        let opens = self.pause.is_some() || self.failures >= OPENS_AT || trouble != Trouble::Failed;
        if !opens {
            return;
        }
        let span = match trouble {
            Trouble::Failed => PAUSE,
            Trouble::TooMany(asked) => asked.unwrap_or(PAUSE).clamp(PAUSE, ASKED_PAUSE_MAX),
            Trouble::Signature => {
                let doubled = PAUSE.saturating_mul(1 << self.refusals.min(8));
                self.refusals = self.refusals.saturating_add(1);
                doubled.min(PAUSE_MAX)
            }
        };
        let until = now + span + PAUSE.mul_f64(jitter / 10.0);
        self.pause = Some(Pause { until, is_probing: false });
    }

    /// A question that was let through will have no answer: the poll ended before.
    pub(super) fn forgotten(&mut self) {
        if let Some(pause) = &mut self.pause {
            pause.is_probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn three_failures_in_a_row_begin_a_pause_and_an_answer_between_them_does_not() {
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            breaker.failed(Trouble::Failed, seconds(1), 0.0);
            breaker.failed(Trouble::Failed, seconds(2), 0.0);
            assert!(breaker.lets_through(seconds(2)));
            assert!(!breaker.answered(), "there was no pause to end");
        }
        for second in 10..13 {
            assert!(breaker.lets_through(seconds(second)), "{second}");
            breaker.failed(Trouble::Failed, seconds(second), 0.0);
        }
        assert!(!breaker.lets_through(seconds(71)));
        assert_eq!(breaker.paused_until(), Some(seconds(72)));
        assert!(breaker.lets_through(seconds(72)));
        assert!(!breaker.lets_through(seconds(72)), "only one question");
        assert!(breaker.answered());
        assert!(breaker.lets_through(seconds(72)));
    }

    #[test]
    fn what_was_under_way_when_a_pause_began_does_not_make_it_longer() {
        let mut breaker = Breaker::default();
        breaker.failed(Trouble::TooMany(None), seconds(0), 0.0);
        breaker.failed(Trouble::Failed, seconds(50), 0.0);
        assert_eq!(breaker.paused_until(), Some(MINUTE));
    }

    #[test]
    fn refused_signatures_double_the_pause_up_to_15_minutes() {
        let mut breaker = Breaker::default();
        let mut now = Duration::ZERO;
        for minutes in [1, 2, 4, 8, 15, 15] {
            breaker.failed(Trouble::Signature, now, 0.0);
            assert_eq!(breaker.paused_until(), Some(now + minutes * MINUTE));
            now += minutes * MINUTE;
            assert!(breaker.lets_through(now));
        }
        breaker.answered();
        breaker.failed(Trouble::Signature, now, 0.0);
        assert_eq!(breaker.paused_until(), Some(now + MINUTE), "begins anew");
    }

    #[test]
    fn rcms_may_ask_for_a_longer_pause_but_not_for_ever() {
        for (asked, pause) in [(1, 60), (90, 90), (1_000_000, 3600)] {
            let mut breaker = Breaker::default();
            breaker.failed(Trouble::TooMany(Some(seconds(asked))), Duration::ZERO, 0.0);
            assert_eq!(breaker.paused_until(), Some(seconds(pause)), "{asked}");
        }
    }

    #[test]
    fn jitter_only_makes_a_pause_longer() {
        let mut breaker = Breaker::default();
        breaker.failed(Trouble::Signature, Duration::ZERO, 1.0);
        assert_eq!(breaker.paused_until(), Some(seconds(66)));
    }

    #[test]
    fn a_question_that_is_forgotten_lets_the_next_one_through() {
        let mut breaker = Breaker::default();
        breaker.failed(Trouble::Signature, Duration::ZERO, 0.0);
        assert!(breaker.lets_through(MINUTE));
        breaker.forgotten();
        assert!(breaker.lets_through(MINUTE));
    }
}
