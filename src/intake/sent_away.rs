use std::{
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
        let mut since_told = self.since_told.lock().unwrap_or_else(PoisonError::into_inner);
        let (told, pushes) = &mut *since_told;
        *pushes += 1;
        if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            tracing::warn!(pushes = *pushes, cause, "Answered pushes with 503");
            (*told, *pushes) = (Some(Instant::now()), 0);
        }
    }
}
