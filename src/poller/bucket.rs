use std::{collections::VecDeque, time::Duration};

/// How many questions a second RCMS is asked over time. Its own limit is not known; this reaches
/// every device of a fleet of 5,000 within 15 minutes.
const PER_SECOND: u32 = 8;
/// How many may come at once after a rest, as long as RCMS has not said that they are too many.
const BURST: u32 = 8;

const GAP: Duration = Duration::from_millis(1000 / PER_SECOND as u64);
/// The longest gap: who wants fewer questions than that asks for a pause.
const GAP_MAX: Duration = Duration::from_secs(10);
/// In what time questions are counted that were too many.
const MINUTE: Duration = Duration::from_secs(60);
/// How long a gap is kept before a shorter one is tried.
const TRY_AFTER: Duration = Duration::from_secs(5 * 60);
/// How long it is remembered how many questions were too many.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// A token bucket, told by the moment at which the next question is due.
#[derive(Debug)]
pub(super) struct Bucket {
    due: Duration,
    /// From one question to the next, on average.
    gap: Duration,
    /// The questions of the last minute.
    recent: VecDeque<Duration>,
    /// When the gap last changed.
    changed: Duration,
    /// The gap at which questions were too many, and when that was.
    too_short: Option<(Duration, Duration)>,
}

impl Default for Bucket {
    fn default() -> Self {
        let (due, changed) = (Duration::ZERO, Duration::ZERO);
        Self { due, gap: GAP, recent: VecDeque::new(), changed, too_short: None }
    }
}

impl Bucket {
    /// Takes the next place; gives how long to wait for it.
    pub(super) fn take(&mut self, now: Duration) -> Duration {
        let burst = if self.gap > GAP { 1 } else { BURST };
        let full = now.saturating_sub(self.gap * (burst - 1));
        let place = self.due.max(full);
        self.due = place + self.gap;
        let at = place.max(now);
        while self.recent.front().is_some_and(|taken| *taken + MINUTE <= at) {
            self.recent.pop_front();
        }
        self.recent.push_back(at);
        place.saturating_sub(now)
    }

    /// From here on one after another: who has just recovered is not to be overrun.
    pub(super) fn empty(&mut self, now: Duration) {
        self.due = self.due.max(now + self.gap);
    }

    /// RCMS says that these were too many: from here on there are a fifth fewer in a minute.
    pub(super) fn too_many(&mut self, now: Duration) {
        let taken = self.recent.iter().filter(|at| **at + MINUTE > now && **at <= now).count();
        let gap = MINUTE / u32::try_from(taken.max(1)).unwrap_or(u32::MAX);
        self.too_short = Some((gap, now));
        self.gap = gap.mul_f64(1.25).clamp(self.gap, GAP_MAX.max(self.gap));
        self.changed = now;
    }

    /// RCMS has answered: after a while the gap may be shorter again, if not as short as it was.
    pub(super) fn answered(&mut self, now: Duration) {
        if self.gap == GAP || now.saturating_sub(self.changed) < TRY_AFTER {
            return;
        }
        let remembered = self.too_short.filter(|(_, at)| now.saturating_sub(*at) < REMEMBERED);
        let least = remembered.map_or(GAP, |(gap, _)| gap.mul_f64(1.1)).clamp(GAP, self.gap);
        self.gap = self.gap.mul_f64(0.8).max(least);
        self.changed = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_burst_questions_are_a_gap_apart_and_a_rest_fills_the_bucket_again() {
        let mut bucket = Bucket::default();
        let hour = Duration::from_secs(3600);
        for now in [hour, 2 * hour] {
            let waits: Vec<_> = (0..10).map(|_| bucket.take(now)).collect();
            assert_eq!(waits[..8], [Duration::ZERO; 8]);
            assert_eq!(waits[8..], [GAP, 2 * GAP]);
        }
    }

    #[test]
    fn what_was_too_many_is_a_fifth_less_and_is_not_tried_again_within_the_hour() {
        let mut bucket = Bucket::default();
        let second = Duration::from_secs(1);
        for _ in 0..25 {
            bucket.take(3600 * second);
        }
        bucket.too_many(3605 * second);
        assert_eq!(bucket.gap, 3 * second, "20 a minute");
        for minute in 61..119 {
            bucket.answered(60 * minute * second);
            assert!(bucket.gap >= Duration::from_millis(2640), "{minute}: {:?}", bucket.gap);
        }
        for minute in 121..240 {
            bucket.answered(60 * minute * second);
        }
        assert_eq!(bucket.gap, GAP, "RCMS may have changed its mind");
    }

    #[test]
    fn an_emptied_bucket_has_no_burst() {
        let mut bucket = Bucket::default();
        let now = Duration::from_secs(3600);
        bucket.empty(now);
        assert_eq!([bucket.take(now), bucket.take(now)], [GAP, 2 * GAP]);
    }
}
