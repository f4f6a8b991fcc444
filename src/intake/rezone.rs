//! The sums of each SIM, cut anew by the days of another time zone, between pushes.
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::tz::TimeZone;

use super::{Intake, chore_queue::Work, task::WriterTask};
use crate::store::{Rebuilding, StoreError};

/// About how long one step takes: a push that comes then waits for it.
const STEP_TIME: Duration = Duration::from_millis(20);

/// A change of the time zone on its way.
#[derive(Clone, Debug, PartialEq)]
pub struct Rezoning {
    /// The zone of the days to come.
    pub zone: String,
    /// How much is done, from 0 to 1.
    pub progress: f64,
}

/// The same, for whoever asks.
pub(super) struct RezoningNow(Mutex<Option<Rezoning>>);

impl RezoningNow {
    pub(super) fn to(zone: Option<&TimeZone>) -> Self {
        Self(Mutex::new(zone.map(|zone| Rezoning { zone: name(zone), progress: 0.0 })))
    }

    fn set(&self, rezoning: Option<Rezoning>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = rezoning;
    }
}

fn name(zone: &TimeZone) -> String {
    zone.iana_name().unwrap_or("UTC").to_owned()
}

/// The work that leads to the days of this zone.
pub(super) fn work(zone: TimeZone) -> Work {
    Work::Rebuild(Rebuilding::new(zone, STEP_TIME))
}

impl Intake {
    /// The change of the time zone that is on its way. Until it is done sums go by the zone before.
    pub fn rezoning(&self) -> Option<Rezoning> {
        self.shared.rezoning.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn end_rezoning(&self) {
        self.shared.rezoning.set(None);
    }

    fn note_rezoning(&self, work: &Rebuilding) {
        let (done, all) = work.done();
        #[expect(clippy::cast_precision_loss, reason = "it is told to two digits")]
        let progress = if all > 0 { (done as f64 / all as f64).clamp(0.0, 1.0) } else { 0.0 };
        let zone = name(work.zone());
        self.shared.rezoning.set(Some(Rezoning { zone, progress }));
    }
}

impl WriterTask {
    /// Does the next step of it; true when the new sums are in force.
    pub(super) async fn rebuild(&mut self, work: &mut Rebuilding) -> Result<bool, StoreError> {
        let now = self.intake.now();
        let done = self.writer.rebuild_some(work, now).await;
        self.intake.note_rezoning(work);
        if matches!(done, Ok(true)) {
            self.intake.shared.store.note_rezoned(&self.writer);
            self.intake.end_rezoning();
        }
        done
    }
}
