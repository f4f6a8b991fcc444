//! Retractions: what lies aside under one `datePush`, that what came under it goes, and that what comes
//! is stored again.
use std::time::Duration;

use tokio::{task::spawn_blocking, time::Instant};

use super::{
    AdminError, Intake,
    chores::Upkeep,
    finished::{finished, rounded_seconds},
};
use crate::{
    domain::{Caller, HeldClass, HeldFilter, RetractQuestion},
    smarthub::Body,
    store::{Lift, RetractedCounts, unless_too_slow},
};

/// Bodies that are looked at in one step: each may be as large as a push.
const STEP_BODIES: u32 = 16;
/// How long it is counted.
const COUNT_TIME_MAX: Duration = Duration::from_secs(5);

impl Intake {
    /// How many authentic pushes, or parts of them, are held under one `datePush`; none where it takes
    /// too long to count them.
    pub async fn held_under(&self, of: RetractQuestion) -> Result<Option<u64>, AdminError> {
        let store = &self.shared.store;
        let filter = HeldFilter {
            class: HeldClass::AUTHENTIC.to_vec(),
            source: of.source.map(|source| source.to_string()).into_iter().collect(),
            ..HeldFilter::default()
        };
        let began = Instant::now();
        let Some(top) = unless_too_slow(store.held_top().await)? else { return Ok(None) };
        let (mut after, mut count) = (0, 0);
        loop {
            let bodies = store.held_bodies(&filter, (after, top), STEP_BODIES).await;
            let Some(bodies) = unless_too_slow(bodies)? else { return Ok(None) };
            let Some((last, _)) = bodies.last() else { return Ok(Some(count)) };
            after = *last;
            if began.elapsed() > COUNT_TIME_MAX {
                return Ok(None);
            }
            let is_under = move |body: &[u8]| {
                let read = Body::parse(body).ok().and_then(|body| body.trust().ok());
                read.is_some_and(|body| body.dates_s().contains(&of.date_push_s))
            };
            let counted = spawn_blocking(move || {
                bodies.iter().filter(|(_, body)| is_under(body)).count() as u64
            });
            count += finished(counted).await.ok_or_else(|| self.ended())?;
        }
    }

    /// Takes out what was pushed under one `datePush`. Once that is on disk, what comes under it is set
    /// aside.
    pub async fn retract(
        &self,
        question: RetractQuestion,
        caller: &Caller,
    ) -> Result<RetractedCounts, AdminError> {
        let (intake, caller) = (self.clone(), caller.clone());
        // Whoever asked may go: it is finished all the same.
        let retracting = tokio::spawn(async move {
            let began = Instant::now();
            let counts =
                intake.keep_up(|reply| Upkeep::Retract { question, caller, reply }).await?;
            intake.shared.store.forget_tails().await;
            let RetractedCounts { id, usage, sms, notifications, kept } = counts;
            let seconds = rounded_seconds(began.elapsed());
            tracing::info!(id, usage, sms, notifications, kept, seconds, "Retracted");
            Ok(counts)
        });
        finished(retracting).await.unwrap_or_else(|| Err(self.ended()))
    }

    /// Keeps again what comes under a retracted `datePush` from now on.
    pub async fn lift_retraction(&self, id: i64, caller: &Caller) -> Result<Lift, AdminError> {
        let caller = caller.clone();
        let lifted = self.keep_up(|reply| Upkeep::LiftRetraction { id, caller, reply }).await?;
        if lifted == Lift::Done {
            tracing::info!(id, "What comes under a retracted datePush is kept again");
        }
        Ok(lifted)
    }
}
