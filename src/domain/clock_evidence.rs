//! What authentic pushes say of the time. `datePush` is signed, so it is a second clock beside ours.
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
}
