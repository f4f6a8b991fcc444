//! That nothing is left of erased SIMs in the files of the database: searched and overwritten beside
//! pushes, and tried again each hour until it is so.
use std::{
    collections::BTreeMap,
    error::Error,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{AdminError, Intake, admin::Reply, chores::Upkeep};
use crate::{
    domain::{Giccid, Timestamp},
    store::{FileSearch, NumberBytes, OverflowEnd, Remains, Scrub, Scrubbed, wipe},
};

/// How long a checkpoint may wait for readers before pushes go on, and how often it is tried.
const CHECKPOINT_WAIT: Duration = Duration::from_millis(50);
const CHECKPOINT_TRIES: u32 = 10;
const CHECKPOINT_PAUSE: Duration = Duration::from_secs(1);
/// For so many times as long as a step took, the disk is the pushes' alone.
const REST_STEPS: u32 = 3;

/// Erased SIMs of which something may be left in the files: since when that is known, and why it is
/// so. By the row of the erasure.
#[derive(Debug, Default)]
pub(super) struct LeftInFiles {
    by_erasure: Mutex<BTreeMap<i64, (Timestamp, String)>>,
    /// Held by who searches the files.
    searching: tokio::sync::Mutex<()>,
}

impl LeftInFiles {
    /// Says whether there was anything before.
    fn note(&self, id: i64, now: Timestamp, why: Option<String>) -> bool {
        let mut left = self.by_erasure.lock().unwrap_or_else(PoisonError::into_inner);
        let before = left.remove(&id);
        if let Some(why) = why {
            left.insert(id, (before.as_ref().map_or(now, |(since, _)| *since), why));
        }
        before.is_some()
    }

    fn read(&self) -> BTreeMap<i64, (Timestamp, String)> {
        self.by_erasure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Intake {
    /// Why something may be left of erased SIMs in the files of the database, by the row of the erasure.
    pub fn why_left_in_files(&self) -> BTreeMap<i64, String> {
        self.shared.left_in_files.read().into_iter().map(|(id, (_, why))| (id, why)).collect()
    }

    /// Of how many erased SIMs something may be left there, since when that is known, and why it is so.
    pub fn erased_in_files(&self) -> Option<(usize, Timestamp, String)> {
        let left = self.shared.left_in_files.read();
        let (since, why) = left.values().min()?;
        Some((left.len(), *since, why.clone()))
    }

    /// Searches the files for what is left of an erased SIM, and overwrites it. Until nothing is left it
    /// is noted, and done again.
    pub(super) async fn search_files(
        &self,
        giccid: &Giccid,
        id: i64,
    ) -> Result<Remains, AdminError> {
        let _only = self.shared.left_in_files.searching.lock().await;
        let searched = self.search_and_note(&FileSearch { id, giccid: giccid.clone() }).await;
        let why = match &searched {
            Ok(Remains::None) => None,
            Ok(Remains::InRows) => Some("rows still have it".to_owned()),
            Ok(Remains::Unsure(why)) => Some(why.clone()),
            Err(error) => Some(reason_of(error)),
        };
        if let Some(why) = &why {
            tracing::warn!(
                id,
                why,
                "The files of the database may still hold the number of an erased SIM; they are searched \
                 again within the hour"
            );
        }
        let is_gone = why.is_none();
        if self.shared.left_in_files.note(id, self.now(), why) && is_gone {
            tracing::info!(id, "Nothing is left of an erased SIM in the files of the database");
        }
        searched
    }

    async fn search_and_note(&self, search: &FileSearch) -> Result<Remains, AdminError> {
        // Even one that was made this second.
        self.forget_copies(Timestamp::from_unix_ms(i64::MAX));
        let database = &self.shared.options.keep.database;
        let mut remains = wipe(&mut Steps(self.clone()), database, &search.giccid).await?;
        if remains == Remains::InRows && self.is_kept_again(&search.giccid).await? {
            remains = Remains::None;
        }
        if remains == Remains::None {
            let id = search.id;
            self.keep_up(|reply| Upkeep::EndFileSearch { id, reply }).await?;
        }
        Ok(remains)
    }

    async fn is_kept_again(&self, giccid: &Giccid) -> Result<bool, AdminError> {
        let erasure = self.shared.store.erasure_of(giccid).await?;
        Ok(erasure.is_some_and(|erasure| erasure.lifted_at.is_some()))
    }

    /// Searches the files for all SIMs of which something may be left.
    pub(super) async fn search_files_again(&self) -> Result<(), AdminError> {
        for FileSearch { id, giccid } in self.file_searches().await? {
            // Why it failed was told.
            drop(self.search_files(&giccid, id).await);
        }
        Ok(())
    }

    async fn file_searches(&self) -> Result<Vec<FileSearch>, AdminError> {
        self.keep_up(|reply| Upkeep::FileSearches { reply }).await
    }
}

/// Has the writer take one step between two pushes, and then rest.
struct Steps(Intake);

impl Steps {
    async fn step<T>(
        &self,
        upkeep: impl FnOnce(Reply<T>) -> Upkeep + Send,
    ) -> Result<T, AdminError> {
        let began = Instant::now();
        let done = self.0.keep_up(upkeep).await?;
        sleep(began.elapsed() * REST_STEPS).await;
        Ok(done)
    }
}

impl Scrub for Steps {
    type Error = AdminError;

    async fn checkpoint(&mut self) -> Result<bool, AdminError> {
        for _ in 0..CHECKPOINT_TRIES {
            // Its log cannot be emptied while a copy is read from it, and is large then.
            while self.0.shared.backups.is_reading() {
                sleep(CHECKPOINT_PAUSE).await;
            }
            let wait = CHECKPOINT_WAIT;
            if self.step(|reply| Upkeep::Checkpoint { wait, reply }).await? {
                return Ok(true);
            }
            sleep(CHECKPOINT_PAUSE).await;
        }
        Ok(false)
    }

    async fn pages(
        &mut self,
        number: &NumberBytes,
        pages: Vec<u32>,
    ) -> Result<Scrubbed, AdminError> {
        let number = number.clone();
        self.step(|reply| Upkeep::Scrub { number, pages, reply }).await
    }

    async fn ends(
        &mut self,
        number: &NumberBytes,
        ends: Vec<OverflowEnd>,
    ) -> Result<usize, AdminError> {
        let number = number.clone();
        self.step(|reply| Upkeep::ScrubEnds { number, ends, reply }).await
    }
}

/// An error with what it came from, in one sentence.
pub(super) fn reason_of(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |reason, cause| format!("{reason}: {cause}"))
}
