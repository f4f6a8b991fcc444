//! Many held pushes at once: what a person decides of all that a filter names.
use std::fmt::Display;

use super::{
    AdminError, Intake, RetryError, admin::Command, finished::finished, retried::retried,
    retry::in_words,
};
use crate::{
    domain::{AuditAction, AuditNote, AuditOutcome, Caller, HeldFilter, Kind},
    store::{Outcome, StoreError, unless_too_slow},
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

/// Not all was thrown away that a filter names.
#[derive(Debug, thiserror::Error)]
#[error("{discarded} discarded; then: {why}")]
pub struct DiscardCutShort {
    /// How many are gone.
    pub discarded: u64,
    /// What went wrong then.
    pub why: AdminError,
}

impl From<AdminError> for DiscardCutShort {
    fn from(why: AdminError) -> Self {
        Self { discarded: 0, why }
    }
}

impl RetriedMany {
    /// Counts what was done of the one that failed; gives why.
    fn take_done(&mut self, error: RetryError) -> RetryError {
        let RetryError::CutShort { done, why } = error else { return error };
        self.outcome = super::task::sum(self.outcome, done);
        *why
    }
}

impl Intake {
    /// How many held pushes a filter names up to a number, and that number: what comes later is not
    /// meant. Without a number it is that of the newest of them all. No count where it takes too long.
    pub async fn count_held(
        &self,
        filter: &HeldFilter,
        through: Option<i64>,
    ) -> Result<(Option<u64>, i64), StoreError> {
        let newest = self.shared.store.held_top().await?;
        let top = through.map_or(newest, |through| through.min(newest));
        Ok((unless_too_slow(self.shared.store.held_count(filter, top).await)?, top))
    }

    /// Throws all away that a filter names up to a number; gives how many. What others sent than the
    /// sources that it names stays as theirs. Whoever asked may go: it is finished all the same.
    pub async fn discard_held(
        &self,
        filter: &HeldFilter,
        through: Option<i64>,
        caller: &Caller,
    ) -> Result<u64, DiscardCutShort> {
        let (count, top) = self.count_held(filter, through).await.map_err(AdminError::from)?;
        let note = AuditNote::by(caller, AuditAction::HeldDiscard, of_filter(count, filter));
        let (intake, filter) = (self.clone(), filter.clone());
        let discarding = tokio::spawn(async move {
            let audited = intake.begin_audit(note).await?;
            let (discarded, failed) = intake.discard_each(&filter, top).await;
            let (outcome, why) = ended(failed.as_ref());
            audited.end(outcome, format!("{discarded} discarded{why}")).await;
            failed.map_or(Ok(discarded), |why| Err(DiscardCutShort { discarded, why }))
        });
        finished(discarding).await.unwrap_or_else(|| Err(self.ended().into()))
    }

    /// How many were thrown away, and what kept the others.
    async fn discard_each(&self, filter: &HeldFilter, top: i64) -> (u64, Option<AdminError>) {
        let (mut after, mut discarded) = (0, 0);
        loop {
            match retried(|| self.discard_some(filter, (after, top))).await {
                Ok(None) => return (discarded, None),
                Ok(Some((last, gone))) => (after, discarded) = (last, discarded + gone),
                Err(error) => return (discarded, Some(error)),
            }
        }
    }

    /// The last one that was looked at, and how many went.
    async fn discard_some(
        &self,
        filter: &HeldFilter,
        between: (i64, i64),
    ) -> Result<Option<(i64, u64)>, AdminError> {
        let ids = self.shared.store.held_ids(filter, between, STEP_ROWS).await?;
        let Some(last) = ids.last().copied() else { return Ok(None) };
        let sources = filter.source.clone();
        let gone = self.ask(|reply| Command::DiscardAll { ids, sources, reply }).await?;
        Ok(Some((last, gone)))
    }

    /// Reads all again that a retry of this filter takes, one after another, as [`Intake::retry`] does.
    /// What is on record is the filter as it was asked for.
    pub async fn retry_held(
        &self,
        filter: &HeldFilter,
        through: Option<i64>,
        as_kind: Option<&Kind>,
        caller: &Caller,
    ) -> Result<RetriedMany, RetryError> {
        let taken = filter.of_retry();
        let (matched, top) = self.count_held(&taken, through).await.map_err(AdminError::from)?;
        let note = AuditNote::by(caller, AuditAction::HeldRetry, of_filter(matched, filter));
        let (intake, as_kind) = (self.clone(), as_kind.cloned());
        // Whoever asked may go: it is finished all the same.
        let retrying = tokio::spawn(async move {
            let audited = intake.begin_audit(note).await?;
            let mut all = RetriedMany::default();
            let failed = intake.retry_each(&taken, top, as_kind.as_ref(), &mut all).await.err();
            let (outcome, why) = ended(failed.as_ref());
            let counts = format!("{}, {} still refused", in_words(&all.outcome), all.still_refused);
            audited.end(outcome, format!("{counts}{why}")).await;
            match failed {
                None => Ok(all),
                Some(why) => Err(why.after(all.outcome)),
            }
        });
        finished(retrying).await.unwrap_or_else(|| Err(RetryError::Admin(self.ended())))
    }

    async fn retry_each(
        &self,
        filter: &HeldFilter,
        top: i64,
        as_kind: Option<&Kind>,
        all: &mut RetriedMany,
    ) -> Result<(), RetryError> {
        let store = &self.shared.store;
        let mut after = 0;
        loop {
            let ids = store.held_ids(filter, (after, top), STEP_ROWS).await;
            let ids = ids.map_err(AdminError::from)?;
            let Some(last) = ids.last().copied() else { return Ok(()) };
            after = last;
            for id in ids {
                let tried = match self.held_body(id).await {
                    Ok(held) => self.try_retry(held, as_kind.cloned()).await,
                    Err(error) => Err(error),
                };
                match tried {
                    Ok(outcome) => all.outcome = super::task::sum(all.outcome, outcome),
                    Err(RetryError::StillRefused(_) | RetryError::Failed) => all.still_refused += 1,
                    // Somebody else took it out meanwhile.
                    Err(RetryError::Unknown) => continue,
                    Err(error) => return Err(all.take_done(error)),
                }
                all.matched += 1;
            }
        }
    }
}

/// Which ones are meant, for the audit.
fn of_filter(count: Option<u64>, filter: &HeldFilter) -> String {
    let count = count.map_or("all".to_owned(), |count| count.to_string());
    format!("{count} of {filter}")
}

/// How it ended, for the audit, and what else is to be said of that.
fn ended<E: Display>(failed: Option<&E>) -> (AuditOutcome, String) {
    match failed {
        None => (AuditOutcome::Done, String::new()),
        Some(error) => (AuditOutcome::Failed, format!("; then: {error}")),
    }
}
