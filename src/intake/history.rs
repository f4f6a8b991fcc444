use std::{collections::BTreeSet, sync::Arc};

use super::{
    Audited, Intake,
    admin::{AdminError, Command},
    task::sum,
};
use crate::{
    domain::{AuditAction, AuditNote, Caller, Kind, NewRecord},
    smarthub::{HistoryRecord, HistoryRow, ReadRules, RowFault},
    store::{Outcome, Submission},
};

/// What became of rows of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// How many are new, and how many were there.
    pub outcome: Outcome,
    /// The places of those that the database refused.
    pub refused: Vec<usize>,
}

impl Intake {
    /// Reads a row of a file by the rules of a push of this kind, but for its age.
    pub fn read_history(
        &self,
        row: &HistoryRow<'_>,
        kind: &Kind,
    ) -> Result<Vec<HistoryRecord>, RowFault> {
        row.read(&ReadRules {
            kind,
            kept_as: self.shared.kinds.kept_as(kind),
            identity: self.shared.options.identity,
            age: None,
            retracted: None,
            date_shift_s: 0,
            now: self.now(),
            kept_from: self.shared.kept_from.read(),
            refused: None,
        })
    }

    /// Notes that a person has a file read in, if anything can be stored now.
    pub async fn begin_import(&self, file: &str, caller: &Caller) -> Result<Audited, AdminError> {
        self.may_queue()?;
        self.begin_audit(AuditNote::by(caller, AuditAction::Import, file)).await
    }

    /// Each record in the form in which it is stored already, if it is: one that was pushed with a
    /// member naming its kind is that record, and whatever else names its kind is the record without
    /// it. A volume that came by a push is so never added once more from a file.
    pub async fn as_stored(
        &self,
        records: Vec<HistoryRecord>,
    ) -> Result<Vec<NewRecord>, AdminError> {
        let with_kind: Vec<_> = records.iter().filter_map(|it| it.with_kind.as_ref()).collect();
        let stored = if with_kind.is_empty() {
            BTreeSet::new()
        } else {
            self.shared.store.stored_among(&with_kind).await?
        };
        let form = |HistoryRecord { record, with_kind }| {
            with_kind.filter(|it: &NewRecord| stored.contains(&it.key())).unwrap_or(record)
        };
        Ok(records.into_iter().map(form).collect())
    }

    /// Stores rows of a file in one transaction: few enough, so that no push waits long. Pushes that
    /// wait come first. If the database refuses some of the rows for what they hold, the others are
    /// stored: the rows go to it by halves, and pushes go in between.
    pub async fn keep_history(&self, records: Vec<NewRecord>) -> Result<Kept, AdminError> {
        let mut kept = Kept::default();
        let mut parts = vec![(0, records)];
        while let Some((at, records)) = parts.pop() {
            self.may_queue()?;
            let history =
                Arc::new(Submission { records, is_history: true, ..Submission::default() });
            let (history, given) = (Arc::clone(&history), history);
            match self.ask(|reply| Command::KeepHistory { history: given, reply }).await {
                Ok(outcome) => kept.outcome = sum(kept.outcome, outcome),
                Err(AdminError::Store(error)) if error.is_of_data() => {
                    let (first, second) = history.records.split_at(history.records.len() / 2);
                    if first.is_empty() {
                        kept.refused.push(at);
                        continue;
                    }
                    parts.push((at + first.len(), second.to_vec()));
                    parts.push((at, first.to_vec()));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(kept)
    }
}
