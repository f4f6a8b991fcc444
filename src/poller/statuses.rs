//! `statusData`: what single routers told RCMS about themselves.
use std::{collections::BTreeSet, mem, time::Duration};

use futures_util::{StreamExt, stream};

use super::{
    Pace, Poller,
    questions::Unanswered,
    rota::{Moment, Turn},
};
use crate::{
    domain::{
        DevicePoll, DeviceState, DeviceStatus, KnownDevice, PollCall, PollReport, SerialNumber,
        StatusSample, Timestamp,
    },
    rcms::{SampleWalk, StatusPage, smaller_page},
};

/// Questions that are under way at once.
const IN_FLIGHT_MAX: usize = 2;
/// Devices whose samples are stored in one commit, so that the writer is soon free again and memory
/// stays small.
const STATUSES_A_COMMIT: usize = 50;
/// The same in bytes of samples.
const BYTES_A_COMMIT: usize = 4 << 20;
/// So many bytes of one device in one turn; if there are more, its next question is about less.
const BYTES_A_TURN: usize = 32 << 20;
/// The first question about a device reaches so far back.
const FIRST_SPAN: Duration = Duration::from_secs(60 * 60);
/// Each later one begins so long before the last one's end: a sample may reach RCMS late. What comes
/// twice is stored once.
const OVERLAP: Duration = Duration::from_secs(5 * 60);
/// What a question is about at least: more than the overlap, or it would never get on.
const SPAN_MIN: Duration = Duration::from_secs(10 * 60);
/// So many failures in a row, each of which may be its router's own, end a cycle's questions.
const FAILURES_MAX: u32 = 8;

/// What is asked of one device.
struct Asking {
    sn: SerialNumber,
    begin: Timestamp,
    end: Timestamp,
    /// Up to when its samples are known to be stored.
    stored_to: Timestamp,
    walk: SampleWalk,
    /// Read and not yet stored.
    samples: Vec<StatusSample>,
    /// Of all that was read.
    bytes: usize,
}

/// How a turn ended.
enum Ended {
    /// All of the span was read.
    Whole,
    /// RCMS said neither what there is nor that there is nothing.
    Nothing,
    /// There is more than one turn can read.
    TooMuch,
    /// A question failed.
    Failed(Unanswered),
}

impl<P: Pace> Poller<P> {
    pub(super) fn due(&self, known: &[KnownDevice], urgent: &BTreeSet<SerialNumber>) -> Vec<Turn> {
        let moment = Moment { now: self.time_there(), elapsed: self.pace.elapsed() };
        let (named, cycle) = (&self.options.devices, self.options.poll_every);
        let (due, late) = self.state().rota.due(known, named, urgent, cycle, moment);
        let is_online = |device: &KnownDevice| device.listed.state == DeviceState::Online;
        let is_any_online = known.iter().any(is_online);
        self.report.send_modify(|report| {
            report.note_late(late);
            report.note_asked(is_any_online, self.pace.now());
        });
        due
    }

    /// Asks one device after the other, two at once, until then.
    pub(super) async fn ask_statuses(&self, due: Vec<Turn>, until: Duration) {
        let is_over =
            || self.pace.elapsed() >= until || self.state().status_failures >= FAILURES_MAX;
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

    /// Asks for what a device told since it was last asked for. Its span moves on only where all of
    /// it was read.
    async fn status_of(&self, turn: Turn) -> Option<DeviceStatus> {
        let now = self.time_there();
        let begin = match turn.asked_to {
            Some(asked_to) => asked_to.minus(OVERLAP),
            None => now.minus(FIRST_SPAN),
        };
        let end = turn.span.map_or(now, |span| begin.plus(span).min(now));
        let (size, largest) = {
            let state = self.state();
            let size = turn.page_size.or(state.status_page_size);
            (size.unwrap_or(state.list.page_size()), state.samples_a_page)
        };
        let mut asking = Asking {
            begin,
            end,
            stored_to: turn.asked_to.unwrap_or(begin),
            walk: SampleWalk::new(size, largest),
            sn: turn.sn,
            samples: Vec::new(),
            bytes: 0,
        };
        let ended = self.read_samples(&mut asking).await;
        if !asking.samples.is_empty() || asking.bytes > 0 {
            self.report.send_modify(PollReport::note_samples);
        }
        asking.samples = self.dated(&mut asking).await;
        let span = Duration::from_millis(end.unix_ms().abs_diff(begin.unix_ms()));
        let mut state = self.state();
        match ended {
            Ended::Whole => state.rota.answered(&asking.sn, end < now),
            Ended::Nothing => state.rota.answered(&asking.sn, false),
            Ended::TooMuch => state.rota.too_much(&asking.sn, (span / 2).max(SPAN_MIN)),
            Ended::Failed(Unanswered::LeftAlone | Unanswered::TooMany) => (),
            Ended::Failed(_) if state.is_there => state.rota.failed(&asking.sn),
            Ended::Failed(_) => (),
        }
        drop(state);
        let asked_to = if matches!(ended, Ended::Whole) { end } else { asking.stored_to };
        let is_news = matches!(ended, Ended::Whole) || !asking.samples.is_empty();
        let Asking { sn, samples, .. } = asking;
        is_news.then_some(DeviceStatus { sn, asked_to, samples })
    }

    async fn read_samples(&self, asking: &mut Asking) -> Ended {
        let is_short = asking.end.since(asking.begin) <= SPAN_MIN;
        let mut smaller_size = None;
        while let Some(page) = asking.walk.next() {
            let Asking { sn, begin, end, .. } = &*asking;
            let question = self.client.status_data(sn, page, *begin, *end);
            let answer = self.ask(PollCall::StatusData, question).await;
            if answer != Err(Unanswered::LeftAlone) {
                self.state().rota.ask(sn, self.pace.elapsed());
            }
            match answer {
                Ok(StatusPage { is_absent: true, .. }) if page.number == 1 => {
                    return Ended::Nothing;
                }
                Ok(answer) => {
                    // Only an answer shows that it was the size which RCMS refused, and not this router.
                    if let Some(size) = smaller_size.take() {
                        self.state().status_page_size = Some(size);
                    }
                    asking.samples.extend(asking.walk.take(answer));
                }
                Err(Unanswered::TooLarge) => match asking.walk.halve() {
                    Some(size) => self.state().rota.use_pages_of(&asking.sn, size),
                    None => return Ended::Failed(Unanswered::TooLarge),
                },
                Err(Unanswered::Refused) if self.may_refuse_size(page.number) => {
                    smaller_size = smaller_page(page.size);
                    match smaller_size {
                        Some(size) => asking.walk = SampleWalk::new(size, 0),
                        None => return Ended::Failed(Unanswered::Refused),
                    }
                }
                Err(unanswered) => return Ended::Failed(unanswered),
            }
            let bytes = bytes_of(&asking.samples);
            if bytes >= BYTES_A_COMMIT {
                let (sn, samples) = (asking.sn.clone(), self.dated(asking).await);
                asking.bytes += bytes;
                let asked_to = asking.stored_to;
                self.keep_statuses(vec![DeviceStatus { sn, asked_to, samples }]).await;
            }
            if asking.bytes >= BYTES_A_TURN && !is_short {
                return Ended::TooMuch;
            }
        }
        let mut state = self.state();
        state.samples_a_page = state.samples_a_page.max(asking.walk.largest());
        if asking.walk.is_whole() || is_short { Ended::Whole } else { Ended::TooMuch }
    }

    /// The samples that are read and not stored yet.
    async fn dated(&self, asking: &mut Asking) -> Vec<StatusSample> {
        let samples = mem::take(&mut asking.samples);
        self.client.date(samples, asking.begin, asking.end).await
    }

    /// Whether a refusal may be about the size of a page: where none of that size was ever answered.
    fn may_refuse_size(&self, page: u32) -> bool {
        page == 1 && self.state().status_answered.is_none()
    }

    /// The time by RCMS's clock, by which it tells what lies in a span, or else by ours.
    fn time_there(&self) -> Timestamp {
        self.client.time_there().unwrap_or_else(|| self.pace.now())
    }

    async fn keep_statuses(&self, statuses: Vec<DeviceStatus>) {
        let freshness = self.freshness();
        let rcms_time = self.client.time_there();
        self.keep(DevicePoll { freshness, rcms_time, totals: None, listing: None, statuses }).await;
    }
}

fn bytes_of(samples: &[StatusSample]) -> usize {
    samples.iter().map(|sample| sample.whole.len()).sum()
}
