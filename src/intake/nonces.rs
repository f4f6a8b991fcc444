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
