//! Which times pushes were accepted of, so that one that is too old can be told from a repeat.
//!
//! A signature proves a second, and whoever captured one can send anything under it for ever. But
//! nobody captured one of a push that SmartHub had not made by then: of a second after the last that
//! was accepted, or between two with a day or more of nothing between them, as after an outage. What
//! is pushed under such a second is late or meets a clock that is wrong, and is no repeat.
use std::{fmt, str::FromStr, time::Duration};

use super::{ClockEvidence, Timestamp};

/// When the newest push was made that was accepted in time, and between which times none was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AcceptedDates {
    newest: Option<Timestamp>,
    /// The latest first.
    gaps: [Option<(Timestamp, Timestamp)>; GAPS],
}

/// So many are remembered. SmartHub sends again what is older for no longer.
const GAPS: usize = 4;
/// A shorter one is a quiet night.
const GAP_MIN: Duration = Duration::from_secs(24 * 60 * 60);

impl AcceptedDates {
    /// What one accepted push says.
    pub fn of(date: Timestamp) -> Self {
        Self { newest: Some(date), ..Self::default() }
    }

    /// What is known where only the newest evidence of the time is.
    pub fn by(newest: Option<ClockEvidence>) -> Self {
        let date = |it: ClockEvidence| if it.was_wrong() { it.confirmed() } else { it.pushed };
        newest.map(|newest| Self::of(date(newest))).unwrap_or_default()
    }

    /// A push of this time was accepted, when our clock was at `now`.
    pub fn take(&mut self, date: Timestamp, now: Timestamp) {
        // What our own clock signed while it was wrong says nothing once it is right again.
        let is_right = |it: Timestamp| it.since(now) <= ClockEvidence::DIFFERENCE_MAX;
        let Some(newest) = self.newest.filter(|newest| is_right(*newest)) else {
            *self = Self::of(date);
            return;
        };
        if date > newest {
            if date.since(newest) > GAP_MIN {
                self.gaps.rotate_right(1);
                self.gaps[0] = Some((newest, date));
            }
            self.newest = Some(date);
            return;
        }
        // What comes late was accepted all the same: only what is before it was not.
        for gap in &mut self.gaps {
            *gap =
                gap.map(|(from, to)| if from < date { (from, to.min(date)) } else { (from, to) });
        }
    }

    /// Whether nothing was ever accepted of this time, nor shortly before and after it.
    pub fn is_unseen(&self, date: Timestamp) -> bool {
        self.newest.is_some_and(|newest| newest < date)
            || self.gaps.iter().flatten().any(|(from, to)| *from < date && date < *to)
    }

    /// Whether it is worth being written where that is known already. A crash may lose a minute.
    pub fn is_news(&self, written: &Self) -> bool {
        const WRITTEN_EVERY: Duration = Duration::from_secs(60);
        let is_same = |newest: Timestamp| {
            written.newest.is_some_and(|was| was <= newest && newest.since(was) < WRITTEN_EVERY)
        };
        self.gaps != written.gaps || !self.newest.is_none_or(is_same)
    }
}

impl fmt::Display for AcceptedDates {
    /// The newest time, and the gaps as pairs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gaps = self.gaps.iter().flatten().flat_map(|(from, to)| [*from, *to]);
        let times = self.newest.into_iter().chain(gaps);
        let words: Vec<_> = times.map(|time| time.unix_ms().to_string()).collect();
        f.write_str(&words.join(" "))
    }
}

impl FromStr for AcceptedDates {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let times: Result<Vec<_>, _> =
            text.split_whitespace().map(|word| word.parse().map(Timestamp::from_unix_ms)).collect();
        let times = times?;
        let mut read = Self { newest: times.first().copied(), ..Self::default() };
        for (gap, pair) in read.gaps.iter_mut().zip(times.get(1..).unwrap_or_default().chunks(2)) {
            *gap = pair.first().copied().zip(pair.get(1).copied());
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ms(ms)
    }

    fn accepted(dates: &[i64]) -> AcceptedDates {
        let (mut accepted, mut now) = (AcceptedDates::default(), i64::MIN);
        for date in dates {
            now = now.max(*date);
            accepted.take(at(*date), at(now));
        }
        accepted
    }

    #[test]
    fn what_is_after_all_that_was_accepted_or_in_a_long_pause_is_no_repeat() {
        for (dates, date, is_unseen) in [
            (&[][..], 5, false),
            (&[5], 4, false),
            (&[5], 5, false),
            (&[5], 6, true),
            (&[5, 6], 6, false),
            (&[0, DAY], DAY / 2, false),
            (&[0, DAY + 1], DAY / 2, true),
            (&[0, DAY + 1], 0, false),
            (&[0, DAY + 1], DAY + 1, false),
            (&[0, DAY + 1], -1, false),
            (&[0, 20 * DAY, 14 * DAY], 13 * DAY, true),
            (&[0, 20 * DAY, 14 * DAY], 14 * DAY, false),
            (&[0, 20 * DAY, 14 * DAY], 15 * DAY, false),
            (&[0, 2 * DAY, 4 * DAY, 6 * DAY, 8 * DAY, 10 * DAY], 3 * DAY, true),
            (&[0, 2 * DAY, 4 * DAY, 6 * DAY, 8 * DAY, 10 * DAY], DAY, false),
        ] {
            let accepted = accepted(dates);
            assert_eq!(accepted.is_unseen(at(date)), is_unseen, "{dates:?} {date}");
            let again: AcceptedDates = accepted.to_string().parse().expect("what was written");
            assert_eq!(again, accepted, "{dates:?}");
        }
    }

    #[test]
    fn what_a_wrong_clock_of_ours_signed_is_forgotten_once_it_is_right() {
        let mut accepted = accepted(&[0, 500 * DAY]);
        accepted.take(at(DAY), at(DAY));
        assert_eq!(accepted, AcceptedDates::of(at(DAY)));
    }

    #[test]
    fn it_is_written_each_minute_and_with_each_pause() {
        let written = AcceptedDates::of(at(0));
        for (dates, is_news) in
            [(&[0][..], false), (&[0, 59_999], false), (&[0, 60_000], true), (&[0, 2 * DAY], true)]
        {
            assert_eq!(accepted(dates).is_news(&written), is_news, "{dates:?}");
        }
        assert!(AcceptedDates::of(at(0)).is_news(&AcceptedDates::default()));
        assert!(!AcceptedDates::default().is_news(&AcceptedDates::default()));
    }
}
