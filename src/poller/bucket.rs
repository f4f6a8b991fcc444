use std::time::Duration;

/// How many questions a second RCMS is asked over time. Its own limit is not known; this reaches
/// every device of a fleet of 5,000 within 15 minutes.
const PER_SECOND: u32 = 8;
/// How many may come at once after a rest.
const BURST: u32 = 8;

const GAP: Duration = Duration::from_millis(1000 / PER_SECOND as u64);

/// A token bucket, told by the moment at which the next question is due.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    due: Duration,
}

impl Bucket {
    /// Takes the next place; gives how long to wait for it.
    pub(super) fn take(&mut self, now: Duration) -> Duration {
        let full = now.saturating_sub(GAP * (BURST - 1));
        let place = self.due.max(full);
        self.due = place + GAP;
        place.saturating_sub(now)
    }

    /// From here on one after another: who has just recovered is not to be overrun.
    pub(super) fn empty(&mut self, now: Duration) {
        self.due = self.due.max(now + GAP);
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
    fn an_emptied_bucket_has_no_burst() {
        let mut bucket = Bucket::default();
        let now = Duration::from_secs(3600);
        bucket.empty(now);
        assert_eq!([bucket.take(now), bucket.take(now)], [GAP, 2 * GAP]);
    }
}
