//! What authentic pushes say of the time. `datePush` is signed, so it is a second clock beside ours.
//!
//! Whoever signs a push by our own clock, as `simdeck push` does, makes two clocks of one. So a time
//! far ahead of the last is believed only once pushes have borne it out for a day and none has told
//! an earlier one, and an earlier one is believed at once where both clocks agree on it: a clock that
//! is wrong for less than a day moves nothing, and what it moved heals with the next push.
use std::time::Duration;

use super::Timestamp;

/// When the newest authentic push was made, and when it was received by our clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockEvidence {
    /// The second that its `datePush` stands for.
    pub pushed: Timestamp,
    /// Our clock when it came.
    pub received: Timestamp,
}

/// How our clock is wrong, by what authentic pushes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockFault {
    /// It is later than the pushes.
    Ahead,
    /// It is earlier.
    Behind,
}

impl ClockEvidence {
    /// Clocks may differ by so much: pushes that were sent again after an outage are late.
    pub const DIFFERENCE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

    /// The latest time that both clocks have reached. Neither clock alone can bring it forward.
    pub fn confirmed(self) -> Timestamp {
        self.pushed.min(self.received)
    }

    /// Whether our clock was wrong when the push came.
    pub fn was_wrong(self) -> bool {
        self.pushed.since(self.received).max(self.received.since(self.pushed))
            > Self::DIFFERENCE_MAX
    }

    /// How our clock, which is at `now`, is wrong. One that was set right meanwhile is not.
    pub fn fault(self, now: Timestamp) -> Option<ClockFault> {
        if self.pushed.since(now) > Self::DIFFERENCE_MAX {
            return Some(ClockFault::Behind);
        }
        let was_ahead = self.received.since(self.pushed) > Self::DIFFERENCE_MAX;
        let was_set_back = self.received.since(now) > Self::DIFFERENCE_MAX;
        (was_ahead && !was_set_back).then_some(ClockFault::Ahead)
    }
}

/// What is believed of the time, by all evidence that has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BelievedTime {
    /// The evidence that is believed.
    pub newest: Option<ClockEvidence>,
    /// From when to when pushes claim to be that are far ahead of it.
    pub claimed: Option<(Timestamp, Timestamp)>,
    /// Our clock when a push agreed with it last, while what is believed speaks against it.
    pub agreed: Option<Timestamp>,
}

impl BelievedTime {
    /// For so long old pushes that still come say nothing against a clock that a new one agrees with.
    const AGREEMENT_LASTS: Duration = Duration::from_secs(10 * 60);

    /// Takes evidence in. Whether it is believed now.
    pub fn take(&mut self, evidence: ClockEvidence) -> bool {
        let is_believed = self.take_time(evidence);
        if self.newest.is_none_or(|newest| !newest.was_wrong()) {
            self.agreed = None;
        } else if !evidence.was_wrong() {
            self.agreed = Some(evidence.received);
        }
        is_believed
    }

    /// How our clock, which is at `now`, is wrong by all that is known. What was pushed long ago and is
    /// sent again looks like a clock that is ahead; the next new push tells the two apart. Retention
    /// does not go by this: whoever signs by our own clock agrees with it.
    pub fn fault(self, now: Timestamp) -> Option<ClockFault> {
        let fault = self.newest?.fault(now)?;
        let is_clock_set_back =
            self.agreed.is_some_and(|at| at.since(now) > ClockEvidence::DIFFERENCE_MAX);
        let is_outweighed =
            fault == ClockFault::Ahead && self.is_outweighed() && !is_clock_set_back;
        (!is_outweighed).then_some(fault)
    }

    /// Whether a push that agreed with our clock came after what is believed, or shortly before.
    pub fn is_outweighed(self) -> bool {
        self.newest
            .zip(self.agreed)
            .is_some_and(|(newest, agreed)| newest.received.since(agreed) <= Self::AGREEMENT_LASTS)
    }

    fn take_time(&mut self, evidence: ClockEvidence) -> bool {
        const STEP_MAX: Duration = ClockEvidence::DIFFERENCE_MAX;
        let Some(newest) = self.newest else { return self.believe(evidence) };
        let (time, before) = (evidence.confirmed(), newest.confirmed());
        let is_right = !evidence.was_wrong();
        if time < before {
            // Sent again, unless both clocks agree that it was never so late.
            let is_earlier = is_right && (newest.was_wrong() || before.since(time) > STEP_MAX);
            return is_earlier && self.believe(evidence);
        }
        if time.since(before) <= STEP_MAX {
            if is_right || time > before {
                return self.believe(evidence);
            }
            return false;
        }
        let goes_on = self.claimed.filter(|(from, to)| {
            // Where pushes are days apart, so may be those that bear a claim out.
            let apart = from.since(before).saturating_add(STEP_MAX);
            from.since(time) <= STEP_MAX && time.since(*to) <= apart
        });
        match goes_on {
            Some((from, _)) if time.since(from) >= STEP_MAX => return self.believe(evidence),
            Some((from, to)) => self.claimed = Some((from.min(time), to.max(time))),
            None => self.claimed = Some((time, time)),
        }
        false
    }

    /// A push at a time that follows the last one says that none far ahead of it has come yet.
    fn believe(&mut self, evidence: ClockEvidence) -> bool {
        (self.newest, self.claimed) = (Some(evidence), None);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn evidence(pushed_ms: i64, received_ms: i64) -> ClockEvidence {
        let [pushed, received] = [pushed_ms, received_ms].map(Timestamp::from_unix_ms);
        ClockEvidence { pushed, received }
    }

    #[test]
    fn a_clock_is_wrong_by_more_than_a_day_and_until_it_is_set_right() {
        for (pushed, received, now, fault) in [
            (0, 0, 0, None),
            (0, DAY, DAY, None),
            (0, DAY + 1, DAY + 1, Some(ClockFault::Ahead)),
            (0, 500 * DAY, 501 * DAY, Some(ClockFault::Ahead)),
            (0, 500 * DAY, DAY, None),
            (DAY, 0, 0, None),
            (DAY + 1, 0, 0, Some(ClockFault::Behind)),
            (500 * DAY, 0, DAY, Some(ClockFault::Behind)),
            (500 * DAY, 0, 500 * DAY, None),
            // It was right, and was set back by a year since.
            (500 * DAY, 500 * DAY, 135 * DAY, Some(ClockFault::Behind)),
        ] {
            assert_eq!(
                evidence(pushed, received).fault(Timestamp::from_unix_ms(now)),
                fault,
                "{pushed} {received} {now}"
            );
        }
    }

    #[test]
    fn neither_clock_alone_confirms_a_time() {
        assert_eq!(evidence(5, 900).confirmed(), Timestamp::from_unix_ms(5));
        assert_eq!(evidence(900, 5).confirmed(), Timestamp::from_unix_ms(5));
    }

    const HOUR: i64 = DAY / 24;

    /// What is believed after pushes that were made and received at these times.
    fn believed(pushes: &[(i64, i64)]) -> Option<i64> {
        let mut time = BelievedTime::default();
        for (pushed, received) in pushes {
            time.take(evidence(*pushed, *received));
        }
        time.newest.map(|newest| newest.confirmed().unix_ms())
    }

    #[test]
    fn pushes_that_are_signed_by_a_wrong_clock_of_ours_move_nothing_and_true_ones_go_on() {
        const WRONG: i64 = 500 * DAY;
        let ours = |at: i64| (WRONG + at, WRONG + at);
        assert_eq!(believed(&[(0, 0), ours(1), ours(2), ours(HOUR)]), Some(0));
        let mixed = [(0, 0), ours(1), (HOUR, WRONG + HOUR), ours(DAY), ours(2 * DAY - 1)];
        assert_eq!(believed(&mixed), Some(HOUR), "a true push speaks against it");
        let healed = [(0, 0), ours(1), ours(DAY + 1), (2 * DAY, 2 * DAY)];
        assert_eq!(believed(&healed[..3]), Some(WRONG + DAY + 1), "nothing else came for a day");
        assert_eq!(believed(&healed), Some(2 * DAY), "both clocks agree");
        assert_eq!(believed(&[ours(0), (0, 0), ours(1)]), Some(0), "the first of all");
        assert_eq!(believed(&[(5, WRONG), (5, 5)]), Some(5));
        let replayed = [(9 * DAY, 9 * DAY), (DAY, 9 * DAY), (8 * DAY, 9 * DAY)];
        assert_eq!(believed(&replayed), Some(9 * DAY), "what is sent again says nothing");
    }

    #[test]
    fn what_was_sent_again_says_nothing_against_a_clock_that_a_new_push_agrees_with() {
        const NOW: i64 = 60 * DAY;
        const MINUTE: i64 = HOUR / 60;
        let fault = |pushes: &[(i64, i64)], now| {
            let mut time = BelievedTime::default();
            for (pushed, received) in pushes {
                time.take(evidence(*pushed, *received));
            }
            time.fault(Timestamp::from_unix_ms(now))
        };
        let ahead = Some(ClockFault::Ahead);
        let mixed = [(DAY, NOW), (NOW, NOW + 1), (DAY + 1, NOW + 2), (DAY + 2, NOW + 11 * MINUTE)];
        for (pushes, expected) in [(1, ahead), (2, None), (3, None), (4, ahead)] {
            assert_eq!(fault(&mixed[..pushes], NOW + HOUR), expected, "{pushes}");
        }
        // One that came before the clock went wrong vouches for nothing.
        assert_eq!(fault(&[(DAY, DAY), (DAY + 1, NOW)], NOW), ahead);
        // Nor does one that was signed by a clock that was set back since.
        assert_eq!(fault(&[(DAY, NOW), (NOW, NOW), (DAY + 1, 3 * DAY)], 3 * DAY), ahead);
    }

    #[test]
    fn a_store_that_was_off_for_months_and_one_with_a_push_a_week_come_to_the_present() {
        const LATER: i64 = 60 * DAY;
        let on_again: Vec<_> = [0, LATER, LATER + HOUR, LATER + DAY].map(|at| (at, at)).into();
        assert_eq!(believed(&on_again[..3]), Some(0));
        assert_eq!(believed(&on_again), Some(LATER + DAY));
        // What waited comes first, a push a day, and then the present.
        let backlog: Vec<_> = (0..60).map(|day| (day * DAY, LATER)).collect();
        assert_eq!(believed(&backlog), Some(59 * DAY));
        for days in [[7; 12], [2, 5, 9, 3, 1, 8, 2, 2, 30, 1, 2, 7]] {
            let mut now = 0;
            let mut time = BelievedTime::default();
            let mut behind = Vec::new();
            for apart in days {
                now += apart * DAY;
                time.take(evidence(now, now));
                behind.push((now - time.newest.expect("evidence").confirmed().unix_ms()) / DAY);
            }
            assert!(behind.iter().all(|days| *days <= 40), "{behind:?}");
        }
    }
}
