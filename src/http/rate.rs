//! How often a key may ask: so many requests an hour, told in SmartHub's headers.
//!
//! Only requests with a live key are counted, so what is remembered is bounded by the keys.
use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use axum::{
    extract::{Request, State},
    http::{HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};

use crate::domain::{Clock, KeyDigest, Timestamp};

const WINDOW: Duration = Duration::from_secs(60 * 60);

/// What a key has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    limit: u32,
    remaining: u32,
    /// Seconds until all is there again.
    pub(super) reset_s: i64,
    /// There was nothing left for this request.
    pub(super) is_over: bool,
}

/// Counts requests by key.
pub(super) struct Limiter {
    per_hour: NonZeroU32,
    clock: Arc<dyn Clock>,
    windows: Mutex<HashMap<KeyDigest, Window>>,
}

/// An hour that began with a key's first request.
struct Window {
    ends_at: Timestamp,
    used: u32,
}

/// Carries the count from where the key is known to where the headers are written.
#[derive(Clone)]
pub(super) struct Meter {
    limiter: Arc<Limiter>,
    rate: Arc<OnceLock<Rate>>,
}

impl Limiter {
    /// A limiter that has seen nobody yet.
    pub(super) fn new(per_hour: NonZeroU32, clock: Arc<dyn Clock>) -> Self {
        Self { per_hour, clock, windows: Mutex::default() }
    }

    /// Counts one request of this key.
    pub(super) fn take(&self, key: &KeyDigest) -> Rate {
        let (now, limit) = (self.clock.now(), self.per_hour.get());
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.retain(|_, window| window.ends_at > now);
        let window = windows.entry(*key).or_insert(Window { ends_at: now.plus(WINDOW), used: 0 });
        let is_over = window.used >= limit;
        window.used = window.used.saturating_add(1);
        Rate {
            limit,
            remaining: limit.saturating_sub(window.used),
            reset_s: (window.ends_at.unix_ms() - now.unix_ms() + 999) / 1000,
            is_over,
        }
    }
}

impl Meter {
    /// Counts this request for the key that it came with.
    pub(super) fn count(&self, key: &KeyDigest) -> Rate {
        *self.rate.get_or_init(|| self.limiter.take(key))
    }
}

/// Hands a meter to the request, and writes what it counted into the answer.
pub(super) async fn meter(
    State(limiter): State<Arc<Limiter>>,
    mut request: Request,
    next: Next,
) -> Response {
    let rate = Arc::new(OnceLock::new());
    request.extensions_mut().insert(Meter { limiter, rate: Arc::clone(&rate) });
    let mut response = next.run(request).await;
    if let Some(rate) = rate.get() {
        for (name, value) in [
            ("x-ratelimit-limit", HeaderValue::from(rate.limit)),
            ("x-ratelimit-remaining", HeaderValue::from(rate.remaining)),
            ("x-ratelimit-reset", HeaderValue::from(rate.reset_s)),
        ] {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    struct HandClock(AtomicI64);

    impl Clock for HandClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_unix_ms(self.0.load(Ordering::Relaxed))
        }
    }

    #[test]
    fn a_key_has_its_requests_each_hour_and_no_other_key_pays() {
        let clock = Arc::new(HandClock(AtomicI64::new(0)));
        let limiter = Limiter::new(NonZeroU32::MIN.saturating_add(1), clock.clone());
        let (one, other) = ([1; 32], [2; 32]);
        let told = |rate: Rate| (rate.is_over, rate.remaining, rate.reset_s);
        assert_eq!(told(limiter.take(&one)), (false, 1, 3600));
        clock.0.store(1_500, Ordering::Relaxed);
        assert_eq!(told(limiter.take(&one)), (false, 0, 3599));
        assert_eq!(told(limiter.take(&one)), (true, 0, 3599));
        assert_eq!(told(limiter.take(&other)), (false, 1, 3600));
        clock.0.store(3_600_000, Ordering::Relaxed);
        assert_eq!(told(limiter.take(&one)), (false, 1, 3600));
        assert_eq!(limiter.windows.lock().map(|windows| windows.len()).ok(), Some(2));
    }
}
