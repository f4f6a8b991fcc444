//! What needs a person: the rules by which something is out of the ordinary, and what is told of it.
use std::time::Duration;

use super::{Giccid, HeldClass, HeldReason, NetworkContext, Timestamp};

/// How many complete days are looked at for what is usual.
pub const USUAL_DAYS: i64 = 14;
/// How many of them have to be known for there to be anything usual.
pub(super) const USUAL_DAYS_MIN: usize = 7;

/// What is usual by these days, in any order: the median. None where too few are known.
pub fn usual_of(days: Vec<i64>) -> Option<i64> {
    if days.len() < USUAL_DAYS_MIN { None } else { median(days) }
}

/// The middle of these values, or between the two in the middle.
pub(super) fn median(mut values: Vec<i64>) -> Option<i64> {
    values.sort_unstable();
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get(values.len().checked_sub(1)? / 2)?;
    Some(lower.midpoint(upper))
}

/// Held pushes of one class and reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldTally {
    /// Why they lie aside.
    pub class: HeldClass,
    /// The exact reason.
    pub reason: HeldReason,
    /// How many.
    pub pushes: i64,
    /// When the first of them came.
    pub since: Timestamp,
}

impl HeldTally {
    /// What is wrong with them: they are held for …
    pub fn fault(&self) -> &'static str {
        match (self.class, self.reason) {
            (HeldClass::Quarantined, HeldReason::DateOld) => {
                "a `datePush` that is too old by this server's clock, though newer than all that was \
                 accepted before or too large for its ring: late, or the clock is ahead"
            }
            (_, reason) => reason.fault(),
        }
    }
}

/// How long no push of a kind has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushPause {
    /// When the last one came.
    pub since: Timestamp,
    /// How long the longest pause of a day usually is.
    pub usual: Duration,
}

impl PushPause {
    /// No shorter pause is worth a word.
    pub const TIME_MIN: Duration = Duration::from_secs(30 * 60);

    /// Whether it is far longer than usual.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        let pause = now.since(self.since);
        pause >= Self::TIME_MIN && pause > self.usual.saturating_mul(2)
    }
}

/// A SIM that used far more than it usually does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimAboveUsual {
    /// The SIM.
    pub giccid: Giccid,
    /// The network context of its last usage record.
    pub network: NetworkContext,
    /// What it used today.
    pub data_usage: i64,
    /// What it usually uses in a day.
    pub usual: i64,
}

impl SimAboveUsual {
    /// How many times the usual is out of the ordinary.
    const TIMES_MIN: i64 = 5;

    /// Whether a day's use is far above what is usual.
    pub fn is_above(data_usage: i64, usual: i64) -> bool {
        usual > 0 && data_usage / Self::TIMES_MIN >= usual
    }
}

/// A SIM that went into another device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImeiChange {
    /// The id of the notification.
    pub id: i64,
    /// The SIM, if the notification names one.
    pub giccid: Option<Giccid>,
    /// When we were told.
    pub at: Timestamp,
}

/// A group of SIMs that is in a country where it never was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCountry {
    /// The group; empty for SIMs of none.
    pub sim_group: String,
    /// The country.
    pub country_code: String,
    /// How many of its SIMs used data there last.
    pub sims: u64,
    /// What was used there so far.
    pub data_usage: i64,
    /// The quarter of an hour of the first record.
    pub since: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_is_the_median_of_seven_days_or_more() {
        assert_eq!(usual_of(vec![1; 6]), None);
        assert_eq!(usual_of(vec![9, 1, 8, 2, 7, 3, 5]), Some(5));
        assert_eq!(usual_of(vec![9, 1, 8, 2, 7, 3, 5, 6]), Some(5));
        assert_eq!(usual_of(vec![i64::MAX; 14]), Some(i64::MAX));
    }

    #[test]
    fn five_times_is_above_usual_and_a_byte_less_is_not() {
        assert!(SimAboveUsual::is_above(5, 1));
        assert!(!SimAboveUsual::is_above(4, 1));
        assert!(!SimAboveUsual::is_above(5, 0));
    }
}
