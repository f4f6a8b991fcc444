//! One cycle: what is asked, in which order, and what is stored of it.
use std::{collections::BTreeSet, time::Duration};

use super::{Pace, Poller, changes, good_for, listing::Part};
use crate::domain::{DevicePoll, FleetTotals, Freshness, KnownDevice, PollCall, SerialNumber};

/// The part of a cycle that the list has before `statusData` has its turn: in the rest, the limit of
/// the bucket leaves room for every router of a fleet of 5,000 within 15 minutes.
const LIST_PART: u32 = 4;
/// Longer than anything that could be unknown by now.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 86_400);

impl<P: Pace> Poller<P> {
    /// Asks for everything once. Where a pause has just ended, the first question decides whether
    /// another begins; which of the three kinds it is changes each time, since any of them may be
    /// one that this RCMS does not answer.
    pub(super) async fn cycle(&self) {
        let began = self.pace.elapsed();
        let probe = self.probe();
        if probe == Some(PollCall::StatusData) {
            let Some(known) = self.known(self.freshness()).await else { return };
            let due = self.due(&known, &BTreeSet::new());
            self.ask_statuses(due.into_iter().take(1).collect(), Duration::MAX).await;
        }
        let mut totals = None;
        if probe != Some(PollCall::DeviceList) {
            totals = self.totals().await;
        }
        let part = self.read_list(began + self.options.poll_every / LIST_PART).await;
        if probe == Some(PollCall::DeviceList) {
            totals = self.totals().await;
        }
        let Some((known, urgent)) = self.keep_part(totals, part).await else { return };
        let due = self.due(&known, &urgent);
        let ends = began + self.options.poll_every;
        // However slow the list is, it takes half of the time at most.
        let listed = self.pace.elapsed();
        self.ask_statuses(due, ends.max(listed + listed.saturating_sub(began))).await;
        let goes_on = self.state().list.is_begun() && self.pace.elapsed() < ends;
        if goes_on {
            let part = self.read_list(ends).await;
            self.keep_part(None, part).await;
        }
        self.state().breaker.forgotten();
    }

    /// The kind of question that is asked first after a pause.
    fn probe(&self) -> Option<PollCall> {
        const KINDS: [PollCall; 3] =
            [PollCall::DeviceTotal, PollCall::DeviceList, PollCall::StatusData];
        let mut state = self.state();
        (state.is_there, state.status_failures) = (false, 0);
        state.breaker.paused_until()?;
        state.probes += 1;
        Some(KINDS[(state.probes - 1) % KINDS.len()])
    }

    /// Keeps a part of the list; gives what was known before, and whose state is another now.
    async fn keep_part(
        &self,
        totals: Option<FleetTotals>,
        part: Option<Part>,
    ) -> Option<(Vec<KnownDevice>, BTreeSet<SerialNumber>)> {
        // By the same moment for both, so that no state grows too old in between.
        let freshness = self.freshness();
        let Some(mut known) = self.known(freshness).await else {
            self.state().list.begin_anew();
            return None;
        };
        let listing = part.map(|part| self.listing(&known, part));
        let urgent = match &listing {
            Some(listing) => changes::with_new_state(&known, listing),
            None => BTreeSet::new(),
        };
        if let Some(listing) = &listing {
            changes::respell(&mut known, listing);
        }
        let rcms_time = self.client.time_there();
        if let Some(theirs) = rcms_time {
            let ahead_ms = self.pace.now().unix_ms() - theirs.unix_ms();
            self.report.send_modify(|report| report.note_clock(ahead_ms));
        }
        let statuses = Vec::new();
        if !self.keep(DevicePoll { freshness, rcms_time, totals, listing, statuses }).await {
            self.state().list.begin_anew();
        }
        Some((known, urgent))
    }

    /// For how long a state holds: for three cycles, for twice as long as it is from one reading of
    /// the list to the next, and for a pause longer where RCMS asked for one. Who has not looked yet ends no state.
    pub(super) fn freshness(&self) -> Freshness {
        let (now, elapsed) = (self.pace.now(), self.pace.elapsed());
        let (good_for, is_first) = {
            let state = self.state();
            let reading = state.list.takes + state.cycle_took;
            let as_read = good_for(self.options.poll_every).max(2 * reading);
            let good_for = as_read + state.asked_pause;
            (good_for, state.list.is_first(elapsed, good_for))
        };
        self.report.send_if_modified(|report| report.good_for.replace(good_for) != Some(good_for));
        Freshness { now, good_for: if is_first { FOR_EVER } else { good_for } }
    }

    async fn known(&self, freshness: Freshness) -> Option<Vec<KnownDevice>> {
        self.note_stored(self.intake.store().known_devices(freshness).await)
    }

    async fn totals(&self) -> Option<FleetTotals> {
        let totals = self.ask(PollCall::DeviceTotal, self.client.device_total()).await.ok();
        self.state().device_total = totals.and_then(|totals| totals.device_total);
        totals
    }

    /// Stores a part of what was learned, and in any case that what is too old counts for nothing. Says
    /// whether it is stored.
    pub(super) async fn keep(&self, poll: DevicePoll) -> bool {
        self.note_stored(self.intake.keep_poll(poll).await).is_some()
    }
}
