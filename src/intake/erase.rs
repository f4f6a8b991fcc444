//! Erasures of SIMs: what there is of one, that it goes, and that what comes of it is kept again.
use std::{
    error::Error,
    sync::{Arc, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    AdminError, Intake,
    chores::Upkeep,
    file_search::reason_of,
    finished::{finished, rounded_seconds},
};
use crate::{
    domain::{Caller, Filter, Giccid, ShortText, Timestamp},
    store::{Erased, ErasedNumbers, Lift, Remains, SimMoment, count_mentions, unless_too_slow},
};

/// What became of an erasure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// What was taken away.
    pub erased: Erased,
    /// Whether the files of the database were searched for the number, and do not hold it.
    pub is_in_no_file: bool,
    /// Why nobody can tell, or what is left there was not overwritten.
    pub not_searched: Option<String>,
}

/// What there is of a SIM, as far as an erasure would take it away. What takes too long to count is not
/// counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traces {
    /// How people call it.
    pub name: ShortText,
    /// The own time of its first record.
    pub first_at: Option<Timestamp>,
    /// The own time of its last record.
    pub last_at: Option<Timestamp>,
    /// Usage records.
    pub usage: Option<u64>,
    /// Messages.
    pub sms: Option<u64>,
    /// Notifications that are of it, or mention it.
    pub notifications: Option<u64>,
    /// Held pushes that mention it.
    pub held: Option<u64>,
    /// Whether a record, a name or a router of it is there.
    pub is_listed: bool,
}

impl Traces {
    /// Whether nothing is known of it: perhaps the number was mistyped. What was not counted is not
    /// known.
    pub fn are_none(&self) -> bool {
        let Self { usage, sms, notifications, held, is_listed, .. } = self;
        let is_found = |count: &Option<u64>| count.is_some_and(|count| count > 0);
        !is_listed && ![usage, sms, notifications, held].into_iter().any(is_found)
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
        let mentions = unless_too_slow(count_mentions(database, giccid.as_str()).await)?;
        let seen = sim.as_ref().and_then(|sim| sim.seen.as_ref());
        let label = sim.as_ref().map(|sim| &sim.label);
        Ok(Traces {
            name: label.map(|label| label.name.clone()).unwrap_or_default(),
            first_at: seen.map(|seen| seen.first),
            last_at: seen.map(|seen| seen.last),
            usage: unless_too_slow(store.usage_count(&filter, top).await)?,
            sms: unless_too_slow(store.sms_count(&filter, top).await)?,
            notifications: mentions.map(|(notifications, _)| notifications),
            held: mentions.map(|(_, held)| held),
            is_listed: sim.is_some(),
        })
    }

    /// The SIMs that are erased now.
    pub fn erased(&self) -> Arc<ErasedNumbers> {
        Arc::clone(&self.shared.erased.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set_erased(&self, erased: Arc<ErasedNumbers>) {
        *self.shared.erased.write().unwrap_or_else(PoisonError::into_inner) = erased;
    }

    /// Keeps again what comes of an erased SIM from now on.
    pub async fn lift_erasure(&self, giccid: &Giccid, caller: &Caller) -> Result<Lift, AdminError> {
        let (lifted_number, giccid) = (giccid, giccid.clone());
        let caller = caller.clone();
        let lifted = self.keep_up(|reply| Upkeep::Lift { giccid, caller, reply }).await?;
        if lifted == Lift::Done {
            self.list_beside_backups();
            let giccid_hmac = self.shared.store.keyed_giccid(lifted_number);
            tracing::info!(giccid_hmac, "What comes of an erased SIM is kept again");
        }
        Ok(lifted)
    }

    /// Takes a SIM out of everything, for good.
    pub async fn erase(&self, giccid: &Giccid, caller: &Caller) -> Result<Erasure, AdminError> {
        let (intake, giccid, caller) = (self.clone(), giccid.clone(), caller.clone());
        // Whoever asked may go: it is finished all the same.
        let erasing = tokio::spawn(async move { intake.erase_to_its_end(&giccid, caller).await });
        finished(erasing).await.unwrap_or_else(|| Err(self.ended()))
    }

    async fn erase_to_its_end(
        &self,
        giccid: &Giccid,
        caller: Caller,
    ) -> Result<Erasure, AdminError> {
        let (began, number) = (Instant::now(), giccid.clone());
        let erased = self.keep_up(|reply| Upkeep::Erase { giccid: number, caller, reply }).await?;
        self.forget_in_memory().await;
        self.list_beside_backups();
        // Whatever fails from here on, the SIM is erased: asked for again there would be nothing to do.
        let searched = self.search_files(giccid, erased.id).await;
        self.tell_erased(giccid, &erased, &searched, began.elapsed());
        Ok(Erasure {
            erased,
            is_in_no_file: matches!(searched, Ok(Remains::None)),
            not_searched: match searched {
                Ok(Remains::None | Remains::InRows) => None,
                Ok(Remains::Unsure(why)) => Some(why),
                Err(error) => Some(reason_of(&error)),
            },
        })
    }

    /// One line of the log for each erasure, which names the SIM as the audit does.
    pub(super) fn tell_erased(
        &self,
        giccid: &Giccid,
        erased: &Erased,
        searched: &Result<Remains, AdminError>,
        took: Duration,
    ) {
        let Erased { id, usage, sms, notifications, held } = *erased;
        tracing::info!(
            id,
            giccid_hmac = self.shared.store.keyed_giccid(giccid),
            usage,
            sms,
            notifications,
            held,
            seconds = rounded_seconds(took),
            is_in_no_file = matches!(searched, Ok(Remains::None)),
            "Erased a SIM"
        );
    }

    /// Drops what memory still has of a SIM that the database has erased.
    pub(super) async fn forget_in_memory(&self) {
        self.shared.store.forget_tails().await;
        if let Err(error) = self.relabel_keys().await {
            let error = &error as &dyn Error;
            tracing::warn!(
                error,
                "API keys may be called by the number of an erased SIM until the next start"
            );
        }
    }
}
