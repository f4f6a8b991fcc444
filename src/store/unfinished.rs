//! What an earlier process began to take away and did not end. A server goes on with it beside pushes,
//! as that process would have; who needs the store as it is in the end waits for it. Held by
//! `front::unfinished`.
use std::{error::Error, path::Path};

use super::{
    Erasing, FileSearch, Remains, Retracting, StoreError, Writer, kept_copies::forget_copies, wipe,
};
use crate::domain::Timestamp;

/// What is left to do.
#[derive(Debug, Default)]
pub struct Unfinished {
    /// SIMs that are being erased.
    pub erasures: Vec<Erasing>,
    /// What is being retracted.
    pub retractions: Vec<Retracting>,
    /// Numbers of erased SIMs for which the files are still to be searched.
    pub searches: Vec<FileSearch>,
}

impl Unfinished {
    /// Takes up what is left, beginning with what only the list beside the database names. What nobody
    /// can go on with is ended in the audit.
    pub(super) async fn take_up(
        writer: &mut Writer,
        (database, list): (&Path, &Path),
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let left = Self {
            erasures: writer.take_up_erasures(list, now).await?,
            retractions: writer.take_up_retractions().await?,
            searches: writer.file_searches().await?,
        };
        if !left.erasures.is_empty() || !left.retractions.is_empty() {
            // One that was cut short has added up what goes now.
            writer.drop_rebuild().await?;
        }
        if (!left.erasures.is_empty() || !left.searches.is_empty())
            && let Err(error) = forget_copies(database, Timestamp::from_unix_ms(i64::MAX))
        {
            let error = &error as &dyn Error;
            tracing::warn!(error, "A copy beside the database may still hold what was erased");
        }
        writer.count_those_that_waited(now).await;
        // A full disk or a broken row must not keep a store shut for the sake of its audit.
        if let Err(error) = writer.end_cut_short().await {
            let error = &error as &dyn Error;
            tracing::warn!(error, "The audit does not say how what was cut short has ended");
        }
        Ok(left)
    }

    /// Does it all at once. A row that cannot be read stops that work, at this start and the next; it
    /// must not stop everything else.
    pub(super) async fn finish(
        self,
        writer: &mut Writer,
        database: &Path,
    ) -> Result<(), StoreError> {
        for mut work in self.erasures {
            while !work.is_done() && goes_on(writer.erase_some(&mut work).await, "erasure")? {}
        }
        for mut work in self.retractions {
            while !work.is_done() && goes_on(writer.retract_some(&mut work).await, "retraction")? {}
        }
        for FileSearch { id, giccid } in writer.file_searches().await? {
            if wipe(writer, database, &giccid).await? == Remains::None {
                writer.end_file_search(id).await?;
            }
        }
        Ok(())
    }
}

fn goes_on(done: Result<(), StoreError>, work: &str) -> Result<bool, StoreError> {
    match done {
        Ok(()) => Ok(true),
        Err(error) if error.is_corrupt() => {
            let error = &error as &dyn Error;
            tracing::error!(
                error,
                work,
                "Work on the store cannot be finished: a row of it is broken"
            );
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
