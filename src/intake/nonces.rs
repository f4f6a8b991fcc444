use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::domain::Timestamp;

/// How long a nonce marks tests.
const LIFE: Duration = Duration::from_secs(15 * 60);
/// How many are live at once; an older one ends for a newer.
const LIVE_MAX: usize = 256;

/// Words that mark pushes as our own tests. Only the internal listener gives them out.
#[derive(Default)]
pub(super) struct Nonces {
    live: Mutex<HashMap<String, Nonce>>,
}

struct Nonce {
    pushes_left: u32,
    expires_at: Timestamp,
}

impl Nonces {
    pub(super) fn issue(&self, pushes: u32, now: Timestamp) -> (String, Timestamp) {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.retain(|_, nonce| nonce.expires_at > now);
        if live.len() >= LIVE_MAX
            && let Some(oldest) =
                live.iter().min_by_key(|(_, nonce)| nonce.expires_at).map(|(word, _)| word.clone())
        {
            live.remove(&oldest);
        }
        let word = hex::encode(rand::random::<[u8; 16]>());
        let expires_at = now.plus(LIFE);
        live.insert(word.clone(), Nonce { pushes_left: pushes, expires_at });
        (word, expires_at)
    }

    /// Uses a nonce for one push; false if it is unknown, used up or too old.
    pub(super) fn take(&self, word: &str, now: Timestamp) -> bool {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        match live.get_mut(word) {
            Some(nonce) if nonce.pushes_left > 0 && nonce.expires_at > now => {
                nonce.pushes_left -= 1;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_ms(1_725_499_848_000);
    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_nonce_marks_as_many_pushes_as_it_was_given_for() {
        let nonces = Nonces::default();
        for pushes in [0, 1, 2, 5] {
            let (word, _) = nonces.issue(pushes, NOW);
            let taken: Vec<bool> = (0..8).map(|_| nonces.take(&word, NOW)).collect();
            let wanted: Vec<bool> = (0..8).map(|nth| nth < pushes).collect();
            assert_eq!(taken, wanted);
        }
        assert!(!nonces.take("never issued", NOW));
    }

    #[test]
    fn a_nonce_ends_after_its_life_and_is_forgotten() {
        let nonces = Nonces::default();
        let (word, expires_at) = nonces.issue(9, NOW);
        assert_eq!(expires_at, NOW.plus(LIFE));
        let (other, _) = nonces.issue(9, expires_at.minus(MS));
        assert!(nonces.take(&word, expires_at.minus(MS)));
        assert!(!nonces.take(&word, expires_at));
        assert!(!nonces.take(&word, expires_at.plus(MS)));
        nonces.issue(9, expires_at);
        assert_eq!(nonces.live.lock().map(|live| live.len()).ok(), Some(2));
        assert!(nonces.take(&other, expires_at));
    }

    #[test]
    fn where_too_many_are_live_the_oldest_ends_for_the_newest() {
        let nonces = Nonces::default();
        let mut words = (0..).map(|ms| nonces.issue(9, NOW.plus(MS * ms)).0);
        let first = words.by_ref().take(LIVE_MAX).collect::<Vec<_>>();
        assert!(first.iter().all(|word| nonces.take(word, NOW)));
        let next = words.next().unwrap_or_default();
        assert!(nonces.take(&next, NOW));
        let ended: Vec<_> = first.iter().filter(|word| !nonces.take(word, NOW)).collect();
        assert_eq!(ended, [&first[0]]);
    }
}
