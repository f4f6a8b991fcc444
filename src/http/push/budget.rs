use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::http::client_ip::SourceBlock;

/// A body up to this size counts as small.
pub(super) const SMALL_BYTES_MAX: usize = 64 << 10;

/// Small bodies in flight.
const SMALL_TOTAL_MAX: usize = 32 << 20;
/// Larger bodies in flight.
const LARGE_TOTAL_MAX: usize = 128 << 20;
/// What one source may have of the larger ones.
const LARGE_SOURCE_MAX: usize = LARGE_TOTAL_MAX / 4;

/// How many bytes of bodies may be in flight. Small bodies have a share of their own, so that a few
/// large ones, or many slow ones, cannot shut them out.
#[derive(Clone, Default)]
pub(super) struct Budget {
    shares: Arc<Shares>,
}

#[derive(Default)]
struct Shares {
    small: AtomicUsize,
    large: Mutex<Large>,
}

#[derive(Default)]
struct Large {
    total: usize,
    by_source: HashMap<SourceBlock, usize>,
}

/// Room for one body, given back when dropped.
pub(super) struct Reserved {
    shares: Arc<Shares>,
    bytes: usize,
    /// Whose it is, if it counts as large.
    source: Option<SourceBlock>,
}

impl Budget {
    /// Room for a body of at most so many bytes, if there is any.
    pub(super) fn reserve(&self, bytes: usize, source: IpAddr) -> Option<Reserved> {
        let shares = self.shares.clone();
        if bytes <= SMALL_BYTES_MAX {
            let before = shares.small.fetch_add(bytes, Ordering::Relaxed);
            let reserved = Reserved { shares, bytes, source: None };
            return (before + bytes <= SMALL_TOTAL_MAX).then_some(reserved);
        }
        let source = SourceBlock::from(source);
        {
            let mut large = shares.large.lock().unwrap_or_else(PoisonError::into_inner);
            let of_source = large.by_source.get(&source).copied().unwrap_or_default();
            // A single body always fits its source's share, however large the setting lets it be.
            let too_much_for_source = of_source > 0 && of_source + bytes > LARGE_SOURCE_MAX;
            if too_much_for_source || large.total + bytes > LARGE_TOTAL_MAX {
                return None;
            }
            large.total += bytes;
            large.by_source.insert(source, of_source + bytes);
        }
        Some(Reserved { shares, bytes, source: Some(source) })
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let Some(source) = self.source else {
            self.shares.small.fetch_sub(self.bytes, Ordering::Relaxed);
            return;
        };
        let mut large = self.shares.large.lock().unwrap_or_else(PoisonError::into_inner);
        large.total -= self.bytes;
        if let Some(used) = large.by_source.get_mut(&source) {
            *used -= self.bytes;
            if *used == 0 {
                large.by_source.remove(&source);
            }
        }
    }
}
