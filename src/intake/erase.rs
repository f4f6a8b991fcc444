//! Erasures of SIMs: what there is of one, that it goes, and that what comes of it is kept again.
use super::{AdminError, Intake, chores::Upkeep};
use crate::{
    domain::{Caller, Filter, Giccid, ShortText, Timestamp},
    store::{Erased, Lift, SimMoment, count_mentions, is_in_files, tables_that_mention},
};

/// What became of an erasure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// What was taken away.
    pub erased: Erased,
    /// Whether the files of the database were searched for the number, and do not hold it.
    pub is_in_no_file: bool,
}

/// What there is of a SIM, as far as an erasure would take it away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traces {
    /// How people call it.
    pub name: ShortText,
    /// The own time of its first record.
    pub first_at: Option<Timestamp>,
    /// The own time of its last record.
    pub last_at: Option<Timestamp>,
    /// Usage records.
    pub usage: u64,
    /// Messages.
    pub sms: u64,
    /// Notifications that are of it, or mention it.
    pub notifications: u64,
    /// Held pushes that mention it.
    pub held: u64,
    /// Whether it has a name or a router.
    pub has_label: bool,
}

impl Traces {
    /// Whether there is nothing at all: perhaps the number was mistyped.
    pub fn are_none(&self) -> bool {
        *self == Self::default()
    }
}

impl Intake {
    /// What there is of a SIM.
    pub async fn traces(&self, giccid: &Giccid) -> Result<Traces, AdminError> {
        let store = &self.shared.store;
        let filter = Filter { giccid: vec![giccid.to_string()], ..Filter::default() };
        let top = store.top().await?;
        let as_of = SimMoment { now: self.now(), zone: store.zone() };
        let sim = store.sim(giccid, &as_of).await?;
        let database = &self.shared.options.keep.database;
        let (notifications, held) = count_mentions(database, giccid.as_str()).await?;
        let seen = sim.as_ref().and_then(|sim| sim.seen.as_ref());
        let label = sim.as_ref().map(|sim| &sim.label);
        Ok(Traces {
            name: label.map(|label| label.name.clone()).unwrap_or_default(),
            first_at: seen.map(|seen| seen.first),
            last_at: seen.map(|seen| seen.last),
            usage: store.usage_count(&filter, top).await?,
            sms: store.sms_count(&filter, top).await?,
            notifications,
            held,
            has_label: sim.is_some(),
        })
    }

    /// Keeps again what comes of an erased SIM from now on.
    pub async fn lift_erasure(&self, giccid: &Giccid, caller: &Caller) -> Result<Lift, AdminError> {
        let (giccid, caller) = (giccid.clone(), caller.clone());
        let lifted = self.keep_up(|reply| Upkeep::Lift { giccid, caller, reply }).await?;
        if lifted == Lift::Done {
            tracing::info!("What comes of an erased SIM is kept again");
        }
        Ok(lifted)
    }

    /// Takes a SIM out of everything, for good.
    pub async fn erase(&self, giccid: &Giccid, caller: &Caller) -> Result<Erasure, AdminError> {
        let (intake, giccid, caller) = (self.clone(), giccid.clone(), caller.clone());
        // Whoever asked may go: it is finished all the same.
        let erasing = tokio::spawn(async move { intake.erase_to_its_end(&giccid, caller).await });
        erasing.await.unwrap_or(Err(AdminError::Stopping))
    }

    async fn erase_to_its_end(
        &self,
        giccid: &Giccid,
        caller: Caller,
    ) -> Result<Erasure, AdminError> {
        let number = giccid.clone();
        let erased = self.keep_up(|reply| Upkeep::Erase { giccid: number, caller, reply }).await?;
        self.shared.store.forget_tails().await;
        let is_in_no_file = self.search_files(giccid, erased.id).await?;
        Ok(Erasure { erased, is_in_no_file })
    }

    /// Searches the files for what is left of an erased SIM, and writes the database anew if there is any.
    /// Whether there is nothing then. Until it is done it is noted, and the next start does it.
    pub(super) async fn search_files(&self, giccid: &Giccid, id: i64) -> Result<bool, AdminError> {
        // Even one that was made this second.
        self.forget_copies(Timestamp::from_unix_ms(i64::MAX));
        let is_in_no_file = self.wipe_files(giccid).await?;
        if let Err(error) = self.keep_up(|reply| Upkeep::EndFileSearch { id, reply }).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "The next start searches the files of the database once more");
        }
        Ok(is_in_no_file)
    }

    async fn wipe_files(&self, giccid: &Giccid) -> Result<bool, AdminError> {
        let database = &self.shared.options.keep.database;
        let is_there = || is_in_files(database, giccid.as_str());
        if !is_there().await? {
            return Ok(true);
        }
        // Where a page was cut in two, the database may have left a part of it in place.
        tracing::info!("Writing the database anew, so that nothing is left of an erased SIM");
        self.keep_up(|reply| Upkeep::Rewrite { reply }).await?;
        self.keep_up(|reply| Upkeep::Checkpoint { reply }).await?;
        if !is_there().await? {
            return Ok(true);
        }
        // The files now hold rows and nothing else: perhaps another SIM's number holds this one.
        let tables = tables_that_mention(database, giccid.as_str()).await?;
        if !tables.is_empty() {
            tracing::warn!(?tables, "An erased SIM is still mentioned");
        }
        Ok(tables.is_empty())
    }
}
