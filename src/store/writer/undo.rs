//! How a transaction that the database refused for its data is undone in memory, too.
//!
//! What memory learned from it is forgotten piece by piece. Reading all of it again takes as long as
//! the tail is long, and a batch that is searched for the record that fails is undone many times.
use std::{
    collections::{BTreeMap, HashMap},
    error::Error,
};

use super::{
    Submission, Writer,
    rings::{DroppedAs, Rings},
    run,
    tail::BeforeTail,
};
use crate::store::StoreError;

/// What memory held before a transaction.
pub(super) struct Before {
    tail: BeforeTail,
    quarantine_bytes: u64,
    came_again: BTreeMap<String, i64>,
    dropped: HashMap<DroppedAs, u64>,
    /// A retry takes its push out of a ring, and what is stale goes into one.
    changes_rings: bool,
}

impl Writer {
    pub(super) fn before(&mut self, batch: &[Submission]) -> Before {
        self.interned.begin();
        Before {
            tail: self.tail.before(),
            quarantine_bytes: self.quarantine_bytes,
            came_again: self.erased_sims.not_yet_counted().clone(),
            dropped: self.rings.dropped_so_far(),
            changes_rings: batch.iter().any(Submission::changes_rings),
        }
    }

    /// Forgets a commit that failed: whatever memory says is again what the database says.
    pub(super) async fn undo_commit<T>(
        &mut self,
        error: StoreError,
        before: Before,
    ) -> Result<T, StoreError> {
        // What it pushed out of a ring is still in it.
        self.rings.set_dropped(before.dropped.clone());
        if !error.is_of_data() {
            return self.undo_unless(Err(error)).await;
        }
        self.undo(before).await;
        Err(error)
    }

    /// Ends a transaction that was refused for its data, and forgets it. Where that cannot be done,
    /// memory is read again before the next one.
    async fn undo(&mut self, before: Before) {
        if let Err(error) = run(&mut self.connection, "rollback").await {
            let error = &error as &dyn Error;
            tracing::debug!(error, "The database had rolled back by itself");
        }
        self.interned.undo();
        self.tail.undo(&before.tail);
        self.quarantine_bytes = before.quarantine_bytes;
        self.erased_sims.count_again(before.came_again);
        if !before.changes_rings {
            return;
        }
        match Rings::load(&mut self.connection).await {
            Ok(rings) => self.rings = rings.with_dropped_of(&mut self.rings),
            Err(error) => {
                self.is_stale = true;
                tracing::warn!(error = &error as &dyn Error, "The store cannot be read again yet");
            }
        }
    }
}
