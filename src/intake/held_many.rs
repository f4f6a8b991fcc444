//! Many held pushes at once: what a person decides of all that a filter names.
use super::{
    AdminError, Intake, RetryError,
    admin::{Command, in_words},
};
use crate::{
    domain::{AuditAction, AuditNote, Caller, HeldFilter, Kind},
    store::{Outcome, StoreError},
};

/// Bodies are large: so many go in one step, and pushes go first between two.
const STEP_ROWS: u32 = 64;

/// What became of held pushes that were read again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetriedMany {
    /// How many were tried.
    pub matched: u64,
    /// What came of those that could be read.
    pub outcome: Outcome,
    /// How many are still refused.
    pub still_refused: u64,
}

impl Intake {
    /// How many held pushes a filter names up to a number, and that number: what comes later is not
    /// meant. Without a number it is that of the newest of them all.
    pub async fn count_held(
        &self,
        filter: &HeldFilter,
        through: Option<i64>,
    ) -> Result<(u64, i64), StoreError> {
        let newest = self.shared.store.held_top().await?;
        let top = through.map_or(newest, |through| through.min(newest));
        Ok((self.shared.store.held_count(filter, top).await?, top))
    }

    /// Throws all away that a filter names up to a number; gives how many.
    pub async fn discard_held(
        &self,
        filter: &HeldFilter,
        through: Option<i64>,
        caller: &Caller,
    ) -> Result<u64, AdminError> {
        let (count, top) = self.count_held(filter, through).await?;
        let mut noted = Some(format!("{count} of {filter}"));
        let (mut after, mut discarded) = (0, 0);
        loop {
            let ids = self.shared.store.held_ids(filter, (after, top), STEP_ROWS).await?;
            let Some(last) = ids.last().copied() else { return Ok(discarded) };
            after = last;
            let (noted, caller) = (noted.take(), caller.clone());
            discarded +=
                self.ask(|reply| Command::DiscardAll { ids, noted, caller, reply }).await?;
        }
    }

    /// Reads all again that a filter names, one after another, as [`Intake::retry`] does.
    pub async fn retry_held(
        &self,
        filter: &HeldFilter,
        through: Option<i64>,
        as_kind: Option<&Kind>,
        caller: &Caller,
    ) -> Result<RetriedMany, RetryError> {
        let (matched, top) = self.count_held(filter, through).await.map_err(AdminError::from)?;
        let note = AuditNote::by(caller, AuditAction::HeldRetry, format!("{matched} of {filter}"));
        let says = |all: &RetriedMany| {
            format!("{}, {} still refused", in_words(&all.outcome), all.still_refused)
        };
        self.audited(note, self.try_retry_held(filter, top, as_kind), says).await
    }

    async fn try_retry_held(
        &self,
        filter: &HeldFilter,
        top: i64,
        as_kind: Option<&Kind>,
    ) -> Result<RetriedMany, RetryError> {
        let store = &self.shared.store;
        let (mut after, mut all) = (0, RetriedMany::default());
        loop {
            let ids = store.held_ids(filter, (after, top), STEP_ROWS).await;
            let ids = ids.map_err(AdminError::from)?;
            let Some(last) = ids.last().copied() else { return Ok(all) };
            after = last;
            for id in ids {
                match self.try_retry(id, as_kind.cloned()).await {
                    Ok(outcome) => all.outcome = super::task::sum(all.outcome, outcome),
                    Err(RetryError::StillRefused(_)) => all.still_refused += 1,
                    // Somebody else took it out meanwhile.
                    Err(RetryError::Unknown) => continue,
                    Err(error) => return Err(error),
                }
                all.matched += 1;
            }
        }
    }
}
