//! The device list: read page by page, over several cycles where one has not the time.
use std::{
    collections::{HashMap, HashSet},
    mem,
    time::Duration,
};

use super::{Pace, Poller, changes, changes::Read, questions::Unanswered};
use crate::{
    domain::{KnownDevice, ListedDevice, Listing, PollCall, SerialNumber, Timestamp},
    rcms::{DevicePage, ListWalk, Page, smaller_page},
};

/// How long after a page failed it is asked once more.
const PAGE_PAUSE: Duration = Duration::from_secs(2);
/// A device that so many whole lists in a row lack is gone. Where RCMS counts exactly the devices
/// that it lists, one list is enough.
const ABSENT_MAX: u32 = 3;
/// A list of which no page was read for so long is read anew.
const RESUMED_WITHIN: Duration = Duration::from_secs(15 * 60);

/// What is remembered of the list from one cycle to the next.
#[derive(Default)]
pub(super) struct ListState {
    /// What goes on in the next cycle.
    begun: Option<Begun>,
    /// Items to ask for on a page.
    page_size: u32,
    /// No size was left to try.
    is_every_size_refused: bool,
    /// RCMS has no answer for the page behind the last, be it an empty one.
    is_end_refused: bool,
    /// In how many whole lists in a row a device was missing.
    absent: HashMap<SerialNumber, u32>,
    /// How long the list takes from its first page to its last, as far as that is known.
    pub(super) takes: Duration,
    /// When polling began.
    since: Duration,
    /// The list was read to its end since then.
    has_ended: bool,
}

/// A walk that has begun.
struct Begun {
    walk: ListWalk,
    at: Timestamp,
    began: Duration,
    /// When a page of it was last answered.
    answered: Duration,
    /// It goes on from an earlier cycle.
    is_resumed: bool,
}

/// What was read of the list at a time.
pub(super) struct Part {
    devices: Vec<ListedDevice>,
    /// The walk, if it is over.
    over: Option<Begun>,
}

impl ListState {
    pub(super) fn new(page_size: u32, since: Duration) -> Self {
        Self { page_size, since, ..Self::default() }
    }

    /// Items to ask for on a page, of this list and of others.
    pub(super) fn page_size(&self) -> u32 {
        self.page_size
    }

    /// Whether a walk waits to go on.
    pub(super) fn is_begun(&self) -> bool {
        self.begun.is_some()
    }

    /// Whether the list may still be being read for the first time. Until then nothing is said of
    /// states that were known before: nobody has looked.
    pub(super) fn is_first(&self, elapsed: Duration, good_for: Duration) -> bool {
        !self.has_ended && elapsed.saturating_sub(self.since) < good_for
    }

    /// Has the next cycle read the list from its first page: a part of it was read and not stored, and at
    /// its end those on that part would pass for seen.
    pub(super) fn begin_anew(&mut self) {
        self.begun = None;
    }

    /// Counts once more who is absent; gives those who are gone.
    fn gone(&mut self, absent: &[SerialNumber], is_confirmed: bool) -> Vec<SerialNumber> {
        let still: HashSet<&SerialNumber> = absent.iter().collect();
        self.absent.retain(|sn, _| still.contains(sn));
        let mut is_gone = |sn: &&SerialNumber| {
            let lists = self.absent.entry((*sn).clone()).or_default();
            *lists += 1;
            is_confirmed || *lists >= ABSENT_MAX
        };
        absent.iter().filter(|sn| is_gone(sn)).cloned().collect()
    }

    /// RCMS refuses the first page; gives the size to try at once, if any is left.
    fn refused(&mut self, size: u32, set_size: u32) -> Option<u32> {
        let smaller = smaller_page(size);
        self.is_every_size_refused |= smaller.is_none();
        self.page_size = smaller.unwrap_or(set_size);
        smaller.filter(|_| !self.is_every_size_refused)
    }
}

impl<P: Pace> Poller<P> {
    /// Reads the list on until `until`; none if not even the first page was answered.
    pub(super) async fn read_list(&self, until: Duration) -> Option<Part> {
        let (mut begun, mut devices) = (self.begin_walk(), Vec::new());
        let mut is_first = true;
        while let Some(page) = begun.walk.next() {
            if !is_first && self.pace.elapsed() >= until {
                return Some(self.go_on_later(begun, devices));
            }
            is_first = false;
            match self.page(page).await {
                Ok(answer) => {
                    devices.extend(begun.walk.take(answer));
                    self.note_page(&mut begun);
                }
                Err(Unanswered::Refused) if page.number == 1 => {
                    let smaller = self.state().list.refused(page.size, self.options.page_size);
                    begun.walk = ListWalk::new(self.state().device_total, smaller?);
                }
                Err(_) if page.number == 1 => return None,
                Err(Unanswered::LeftAlone | Unanswered::TooMany) => {
                    return Some(self.go_on_later(begun, devices));
                }
                Err(_) if begun.walk.is_all_there() => {
                    self.state().list.is_end_refused = true;
                    begun.walk.end_here();
                }
                Err(_) if begun.walk.skip() => (),
                Err(_) => break,
            }
        }
        if let Some((counted, listed)) = begun.walk.counted_and_listed() {
            self.report.send_modify(|report| report.note_list(counted, listed));
        }
        if !begun.walk.has_gap() {
            self.note_works(PollCall::DeviceList);
        }
        let unread = begun.walk.unread();
        self.report.send_if_modified(|report| mem::replace(&mut report.unread, unread) != unread);
        Some(Part { devices, over: Some(begun) })
    }

    /// A later page that fails is asked once more: without it those on it are not seen.
    async fn page(&self, page: Page) -> Result<DevicePage, Unanswered> {
        let answer = self.ask(PollCall::DeviceList, self.client.devices(page)).await;
        if answer != Err(Unanswered::ForNow) || page.number == 1 {
            return answer;
        }
        self.pace.wait(PAGE_PAUSE).await;
        self.ask(PollCall::DeviceList, self.client.devices(page)).await
    }

    fn begin_walk(&self) -> Begun {
        let (now, elapsed) = (self.pace.now(), self.pace.elapsed());
        let mut state = self.state();
        let total = state.device_total;
        let begun = state.list.begun.take();
        let recent = begun.filter(|begun| elapsed.saturating_sub(begun.answered) <= RESUMED_WITHIN);
        let mut begun = recent.unwrap_or_else(|| Begun {
            walk: ListWalk::new(total, state.list.page_size),
            at: now,
            began: elapsed,
            answered: elapsed,
            is_resumed: false,
        });
        begun.walk.expect(total);
        begun.walk.end_by_count(state.list.is_end_refused);
        begun
    }

    fn go_on_later(&self, mut begun: Begun, devices: Vec<ListedDevice>) -> Part {
        begun.is_resumed = true;
        self.state().list.begun = Some(begun);
        Part { devices, over: None }
    }

    fn note_page(&self, begun: &mut Begun) {
        begun.answered = self.pace.elapsed();
        let so_far = begun.answered.saturating_sub(begun.began);
        let mut state = self.state();
        state.list.is_every_size_refused = false;
        state.list.takes = match begun.walk.next() {
            Some(_) => state.list.takes.max(so_far),
            // One walk that was quick does not make the next one so.
            None => so_far.max(state.list.takes.mul_f64(0.75)),
        };
        if begun.walk.is_whole() {
            state.list.has_ended = true;
            state.asked_pause = Duration::ZERO;
        }
    }

    /// What a part of the list changes about what is stored.
    pub(super) fn listing(&self, known: &[KnownDevice], part: Part) -> Listing {
        let Part { devices, over } = part;
        let over = over.filter(|begun| begun.walk.is_whole());
        let Some(Begun { walk, at, is_resumed, .. }) = over else {
            let read = Read { devices, is_complete: false, since: None, gone: Vec::new() };
            return changes::listing(known, read);
        };
        let absent = changes::absent(known, walk.seen());
        let gone = self.state().list.gone(&absent, walk.is_confirmed());
        let (is_complete, since) = (gone.len() == absent.len(), is_resumed.then_some(at));
        changes::listing(known, Read { devices, is_complete, since, gone })
    }
}
