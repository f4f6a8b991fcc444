//! RCMS's clock, as the `Date` of its answers tells it. By it goes what is asked for, and it moves the end of
//! what is known to be stored: one answer, which may be that of a proxy, does not turn it.

/// A `Date` that is farther off than this from the ones before is a jump.
const JUMP_MS: i64 = 60_000;
/// So many answers in a row that agree on another time are believed.
const BELIEVED: u32 = 5;

/// By how much our clock is ahead of RCMS's.
#[derive(Debug, Default)]
pub(super) struct ClockThere {
    ahead_ms: Option<i64>,
    /// Another one, and how many answers in a row have told it.
    doubted: Option<(Option<i64>, u32)>,
}

impl ClockThere {
    /// As far as it is known.
    pub(super) fn ahead_ms(&self) -> Option<i64> {
        self.ahead_ms
    }

    /// Takes in what one answer tells; none where it has no `Date`.
    pub(super) fn note(&mut self, ahead_ms: Option<i64>) {
        if self.ahead_ms.is_none() || is_near(self.ahead_ms, ahead_ms) {
            *self = Self { ahead_ms, doubted: None };
            return;
        }
        let times = match self.doubted {
            Some((doubted, times)) if is_near(doubted, ahead_ms) => times + 1,
            _ => 1,
        };
        self.doubted = Some((ahead_ms, times));
        if times >= BELIEVED {
            *self = Self { ahead_ms, doubted: None };
        }
    }
}

fn is_near(one: Option<i64>, other: Option<i64>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.abs_diff(other) <= JUMP_MS.unsigned_abs(),
        (one, other) => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_that_jumps_is_believed_once_several_answers_in_a_row_agree() {
        let mut clock = ClockThere::default();
        clock.note(Some(600_000));
        assert_eq!(clock.ahead_ms(), Some(600_000), "the first one");
        let far = 300 * 86_400_000;
        for _ in 1..BELIEVED {
            clock.note(Some(far));
            assert_eq!(clock.ahead_ms(), Some(600_000));
        }
        clock.note(Some(601_000));
        assert_eq!(clock.ahead_ms(), Some(601_000), "the same clock, a little later");
        for _ in 0..BELIEVED {
            clock.note(None);
        }
        assert_eq!(clock.ahead_ms(), None);
        clock.note(Some(far));
        assert_eq!(clock.ahead_ms(), Some(far));
    }
}
