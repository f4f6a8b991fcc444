//! So much for each key at a time, so that one that asks for everything at once waits for itself.
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Semaphore;

/// Keys without a permit are forgotten when there are more than so many.
const KEYS_MAX: usize = 64;

/// A semaphore a key.
#[derive(Debug)]
pub struct KeyedPermits {
    each: usize,
    keys: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl KeyedPermits {
    /// So many permits for each key.
    pub fn new(each: usize) -> Self {
        Self { each, keys: Mutex::default() }
    }

    /// The permits of this key, which callers name by its label.
    pub fn of(&self, key: &str) -> Arc<Semaphore> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() > KEYS_MAX {
            // Who holds or awaits a permit holds its semaphore too.
            keys.retain(|_, permits| Arc::strong_count(permits) > 1);
        }
        let new = || Arc::new(Semaphore::new(self.each.min(Semaphore::MAX_PERMITS)));
        Arc::clone(keys.entry(key.to_owned()).or_insert_with(new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_waits_for_itself_alone_and_is_forgotten_when_it_has_nothing() {
        let permits = KeyedPermits::new(1);
        let held = permits.of("a").try_acquire_owned();
        assert!(held.is_ok() && permits.of("a").try_acquire_owned().is_err());
        for other in 0..1_000 {
            assert!(permits.of(&other.to_string()).try_acquire_owned().is_ok());
        }
        assert!(permits.of("a").try_acquire_owned().is_err(), "it is held still");
        let keys = permits.keys.lock().map(|keys| keys.len()).ok();
        assert!(keys.is_some_and(|keys| keys <= KEYS_MAX + 2), "{keys:?}");
    }
}
