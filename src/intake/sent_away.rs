use std::{
    mem,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How often it is told that pushes are sent away.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Pushes that were answered 503: told when it begins, and then as a count.
#[derive(Default)]
pub(super) struct SentAway {
    since_told: Mutex<(Option<Instant>, u64)>,
}

impl SentAway {
    pub(super) fn tell(&self, cause: &'static str) {
        if let Some(pushes) = self.count(Instant::now()) {
            tracing::warn!(pushes, cause, "Answered pushes with 503");
        }
    }

    /// Counts one; how many there are since it was last told, if it is time to tell again.
    fn count(&self, now: Instant) -> Option<u64> {
        let mut since_told = self.since_told.lock().unwrap_or_else(PoisonError::into_inner);
        let (told, pushes) = &mut *since_told;
        *pushes += 1;
        let is_due = told.is_none_or(|told| now.duration_since(told) >= TELL_EVERY);
        is_due.then(|| {
            *told = Some(now);
            mem::take(pushes)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_the_next_ones_together_every_ten_seconds() {
        let sent_away = SentAway::default();
        let began = Instant::now();
        let told = [0, 1, 9_999, 10_000, 19_999, 20_001, 90_000]
            .map(|ms| sent_away.count(began + Duration::from_millis(ms)));
        assert_eq!(told, [Some(1), None, None, Some(3), None, Some(2), Some(1)]);
    }
}
