//! What `/v1/status` reads in the store. Where the database is away it tells what it knew last: who looks
//! then needs the conditions beside it more than ever. Held by `tests/it/disk/moved.rs`.
use std::{
    error::Error,
    sync::{Arc, Mutex, PoisonError},
};

use super::InternalState;
use crate::{
    domain::{ApiKey, Fleet, Timestamp},
    store::{StoreError, Tallies},
};

/// What the store has counted, and when it was asked.
#[derive(Clone, Debug)]
pub(super) struct StatusCounts {
    pub(super) tallies: Tallies,
    pub(super) keys: Vec<ApiKey>,
    /// Erased SIMs, and records of them that came since.
    pub(super) erased: (i64, i64),
    pub(super) fleet: Fleet,
    pub(super) zone_given_up: Option<String>,
    pub(super) read_at: Timestamp,
}

/// The last ones.
pub(super) type LastCounts = Arc<Mutex<Option<StatusCounts>>>;

impl InternalState {
    /// What the store has counted: now, or as far as it could be read last.
    pub(super) async fn status_counts(&self) -> Result<StatusCounts, StoreError> {
        let read = self.read_counts().await;
        let mut last = self.live.counts.lock().unwrap_or_else(PoisonError::into_inner);
        match (read, &*last) {
            (Ok(counts), _) => {
                *last = Some(counts.clone());
                Ok(counts)
            }
            (Err(error @ StoreError::Database(_)), Some(known)) => {
                let error = &error as &dyn Error;
                tracing::warn!(
                    error,
                    "The status is told as it was, since the database cannot be read"
                );
                Ok(known.clone())
            }
            (Err(error), _) => Err(error),
        }
    }

    async fn read_counts(&self) -> Result<StatusCounts, StoreError> {
        let read_at = self.clock.now();
        Ok(StatusCounts {
            tallies: self.store.tallies().await?,
            keys: self.store.api_keys().await?,
            erased: self.store.erasures().await?,
            fleet: self.store.fleet(self.freshness()).await?,
            zone_given_up: self.store.zone_given_up().await?,
            read_at,
        })
    }
}
