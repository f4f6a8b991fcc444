//! One cycle: what is asked, in which order, and what is stored of it.
use std::{collections::BTreeSet, mem, time::Duration};

use futures_util::{StreamExt, stream};

use super::{
    Pace, Poller, changes, good_for,
    questions::Unanswered,
    rota::{Moment, Turn},
};
use crate::{
    domain::{
        DevicePoll, DeviceStatus, FleetTotals, Freshness, KnownDevice, ListedDevice, PollCall,
        SerialNumber, StatusSample,
    },
    rcms::{ListWalk, SampleWalk},
};

/// Questions that are under way at once.
const IN_FLIGHT_MAX: usize = 2;
/// Devices whose samples are stored in one commit, so that the writer is soon free again and memory
/// stays small.
const STATUSES_A_COMMIT: usize = 50;
/// The same in bytes of samples; of one device's no more is asked for.
const BYTES_A_COMMIT: usize = 4 << 20;
/// The first question about a device reaches so far back.
const FIRST_SPAN: Duration = Duration::from_secs(60 * 60);
/// Each later one begins so long before the last one's end: a sample may reach RCMS late. What comes
/// twice is stored once.
const OVERLAP: Duration = Duration::from_secs(5 * 60);
/// How long after a page failed it is asked once more.
const PAGE_PAUSE: Duration = Duration::from_secs(2);

/// What the list showed.
struct Walked {
    devices: Vec<ListedDevice>,
    is_whole: bool,
}

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
            self.ask_statuses(due.into_iter().take(1).collect(), began).await;
        }
        let mut totals = None;
        if probe != Some(PollCall::DeviceList) {
            totals = self.totals().await;
        }
        let walked = self.walk().await;
        if probe == Some(PollCall::DeviceList) {
            totals = self.totals().await;
        }
        // By the same moment for both, so that no state grows too old in between.
        let freshness = self.freshness();
        let Some(known) = self.known(freshness).await else { return };
        let listing =
            walked.map(|walked| changes::listing(&known, walked.devices, walked.is_whole));
        let urgent = match &listing {
            Some(listing) => changes::with_new_state(&known, listing),
            None => BTreeSet::new(),
        };
        let rcms_time = self.client.time_there();
        let statuses = Vec::new();
        self.keep(DevicePoll { freshness, rcms_time, totals, listing, statuses }).await;
        let due = self.due(&known, &urgent);
        self.ask_statuses(due, began).await;
        self.state().breaker.forgotten();
    }

    /// The kind of question that is asked first after a pause.
    fn probe(&self) -> Option<PollCall> {
        const KINDS: [PollCall; 3] =
            [PollCall::DeviceTotal, PollCall::DeviceList, PollCall::StatusData];
        let mut state = self.state();
        state.has_status = false;
        state.breaker.paused_until()?;
        state.probes += 1;
        Some(KINDS[(state.probes - 1) % KINDS.len()])
    }

    fn freshness(&self) -> Freshness {
        Freshness { now: self.pace.now(), good_for: good_for(self.options.poll_every) }
    }

    async fn known(&self, freshness: Freshness) -> Option<Vec<KnownDevice>> {
        self.note_stored(self.intake.store().known_devices(freshness).await)
    }

    async fn totals(&self) -> Option<FleetTotals> {
        let totals = self.ask(PollCall::DeviceTotal, self.client.device_total()).await.ok();
        self.state().device_total = totals.and_then(|totals| totals.device_total);
        totals
    }

    /// Reads the list page by page; none if not even the first page was answered. A later page that
    /// fails is asked once more, since everything behind it depends on it.
    async fn walk(&self) -> Option<Walked> {
        let expected = self.state().device_total;
        let mut walk = ListWalk::new(expected);
        let mut devices = Vec::new();
        while let Some(page) = walk.next() {
            let mut answer = self.ask(PollCall::DeviceList, self.client.devices(page)).await;
            if answer == Err(Unanswered::ForNow) && page.number > 1 {
                self.pace.wait(PAGE_PAUSE).await;
                answer = self.ask(PollCall::DeviceList, self.client.devices(page)).await;
            }
            match answer {
                Ok(page) => devices.extend(walk.take(page)),
                Err(_) if page.number == 1 => return None,
                Err(_) => break,
            }
        }
        if let Some((counted, listed)) = walk.counted_and_listed() {
            self.report.send_modify(|report| report.note_list(counted, listed));
        }
        Some(Walked { devices, is_whole: walk.is_whole() })
    }

    fn due(&self, known: &[KnownDevice], urgent: &BTreeSet<SerialNumber>) -> Vec<Turn> {
        let moment = Moment { now: self.pace.now(), elapsed: self.pace.elapsed() };
        let (named, cycle) = (&self.options.devices, self.options.poll_every);
        self.state().rota.due(known, named, urgent, cycle, moment)
    }

    /// Asks one device after the other, two at once, until the next cycle should begin.
    async fn ask_statuses(&self, due: Vec<Turn>, began: Duration) {
        let is_over = || self.pace.elapsed().saturating_sub(began) >= self.options.poll_every;
        let mut answers = stream::iter(due)
            .take_while(|_| std::future::ready(!is_over()))
            .map(|turn| self.status_of(turn))
            .buffer_unordered(IN_FLIGHT_MAX);
        let (mut statuses, mut bytes) = (Vec::new(), 0);
        while let Some(answer) = answers.next().await {
            let Some(status) = answer else { continue };
            bytes += bytes_of(&status.samples);
            statuses.push(status);
            if statuses.len() >= STATUSES_A_COMMIT || bytes >= BYTES_A_COMMIT {
                self.keep_statuses(mem::take(&mut statuses)).await;
                bytes = 0;
            }
        }
        if !statuses.is_empty() {
            self.keep_statuses(statuses).await;
        }
    }

    async fn status_of(&self, turn: Turn) -> Option<DeviceStatus> {
        let (sn, end) = (turn.sn, self.pace.now());
        let begin = match turn.asked_to {
            Some(asked_to) => asked_to.minus(OVERLAP),
            None => end.minus(FIRST_SPAN),
        };
        let (mut walk, mut samples) = (SampleWalk::new(), Vec::new());
        while let Some(page) = walk.next().filter(|_| bytes_of(&samples) < BYTES_A_COMMIT) {
            let question = self.client.status_data(&sn, page, begin, end);
            let answer = self.ask(PollCall::StatusData, question).await;
            if answer != Err(Unanswered::LeftAlone) {
                self.state().rota.ask(&sn, self.pace.elapsed());
            }
            samples.extend(walk.take(answer.ok()?));
        }
        Some(DeviceStatus { sn, asked_to: end, samples })
    }

    async fn keep_statuses(&self, statuses: Vec<DeviceStatus>) {
        let freshness = self.freshness();
        let rcms_time = self.client.time_there();
        self.keep(DevicePoll { freshness, rcms_time, totals: None, listing: None, statuses }).await;
    }

    /// Stores a part of what was learned, and in any case that what is too old counts for nothing.
    async fn keep(&self, poll: DevicePoll) {
        self.note_stored(self.intake.keep_poll(poll).await);
    }
}

fn bytes_of(samples: &[StatusSample]) -> usize {
    samples.iter().map(|sample| sample.whole.len()).sum()
}
