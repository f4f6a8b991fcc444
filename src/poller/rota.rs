use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use crate::domain::{KnownDevice, SerialNumber, Timestamp};

/// Within this time every device's `statusData` is asked for, as far as the bucket allows.
const REACHED_WITHIN: Duration = Duration::from_secs(15 * 60);
/// A device that fails is asked for half as often each time, down to once in 16 times that.
const DOUBLINGS_MAX: u32 = 4;

/// Whose `statusData` is asked for next.
#[derive(Debug, Default)]
pub(super) struct Rota {
    entries: HashMap<SerialNumber, Entry>,
}

/// What is remembered of a device, by the poller's own time.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// Since when it is known here.
    since: Duration,
    /// When it was last asked for, answered or not.
    asked: Option<Duration>,
    /// How often in a row it failed for a reason of its own.
    failures: u32,
    /// The longest span to ask for, where all of it is too much at once.
    span: Option<Duration>,
    /// There is more to ask for at once.
    is_behind: bool,
    /// The largest page to ask for.
    page_size: Option<u32>,
}

/// A device to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) sn: SerialNumber,
    /// Up to when it was asked for before.
    pub(super) asked_to: Option<Timestamp>,
    /// The longest span to ask for.
    pub(super) span: Option<Duration>,
    /// The largest page to ask for.
    pub(super) page_size: Option<u32>,
}

/// Now, by both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now: Timestamp,
    pub(super) elapsed: Duration,
}

impl Rota {
    /// Those to ask for in this cycle, and how many should have been before. Who was never asked for
    /// comes first, then the `urgent` ones, then those that would otherwise be asked too late, the
    /// longest waiting first. One that fails waits longer each time, and behind all others. One that
    /// RCMS lists no more is not asked for, unless the settings name it.
    pub(super) fn due(
        &mut self,
        known: &[KnownDevice],
        named: &[SerialNumber],
        urgent: &BTreeSet<SerialNumber>,
        cycle: Duration,
        moment: Moment,
    ) -> (Vec<Turn>, usize) {
        // Of spellings that older versions kept apart, the listed one stands for all.
        let (listed, gone): (Vec<_>, Vec<_>) = known.iter().partition(|device| device.is_listed);
        let mut asked_to: BTreeMap<&SerialNumber, Option<Timestamp>> = BTreeMap::new();
        for device in listed.iter().chain(&gone) {
            asked_to.entry(&device.listed.sn).or_insert(device.status_asked_to);
        }
        // RCMS has nothing new of a router that it lists no more. Each is asked for in RCMS's own
        // letters, as far as it was ever listed.
        let mut all: BTreeSet<&SerialNumber> = urgent.iter().collect();
        all.extend(listed.iter().map(|device| &device.listed.sn));
        let as_known = |sn| asked_to.get_key_value(sn).map_or(sn, |(known, _)| *known);
        all.extend(named.iter().map(as_known));
        self.entries.retain(|sn, _| all.contains(sn));
        let (mut waiting, mut late) = (Vec::new(), 0);
        for sn in all {
            let asked_to = asked_to.get(sn).copied().flatten();
            // A clock that was ahead has asked about a time that is still to come.
            let asked_to = asked_to.filter(|to| *to <= moment.now);
            let entry = self.entry(sn, moment.elapsed);
            let since_asked = moment.elapsed.saturating_sub(entry.asked.unwrap_or(entry.since));
            let waited = match entry.asked {
                Some(_) => since_asked,
                None => asked_to.map_or(REACHED_WITHIN, |to| moment.now.since(to)),
            };
            let is_healthy = entry.failures == 0;
            late += usize::from(is_healthy && since_asked > REACHED_WITHIN.max(2 * cycle));
            let is_urgent = urgent.contains(sn) || entry.is_behind;
            let wait = REACHED_WITHIN * (1 << entry.failures.min(DOUBLINGS_MAX));
            // The next cycle may be late, and a turn in it later still.
            if is_urgent || waited.saturating_add(2 * cycle) >= wait {
                let is_new = entry.asked.is_none() && asked_to.is_none();
                let turn = entry.turn(sn, asked_to);
                waiting.push(((is_healthy, is_new, is_urgent, waited), turn));
            }
        }
        waiting.sort_by_key(|(place, _)| Reverse(*place));
        (waiting.into_iter().map(|(_, turn)| turn).collect(), late)
    }

    /// Notes that a device is being asked for.
    pub(super) fn ask(&mut self, sn: &SerialNumber, elapsed: Duration) {
        self.entry(sn, elapsed).asked = Some(elapsed);
    }

    /// Notes that all of a span was read, and whether more is to come behind it.
    pub(super) fn answered(&mut self, sn: &SerialNumber, is_behind: bool) {
        self.change(sn, |entry| {
            entry.failures = 0;
            entry.is_behind = is_behind;
            entry.span = entry.span.filter(|_| is_behind);
        });
    }

    /// Notes that a span had more than could be read, and the longest to ask for from here on.
    pub(super) fn too_much(&mut self, sn: &SerialNumber, span: Duration) {
        self.change(sn, |entry| (entry.span, entry.is_behind) = (Some(span), true));
    }

    /// Notes that a device has no answer although others have.
    pub(super) fn failed(&mut self, sn: &SerialNumber) {
        self.change(sn, |entry| {
            entry.failures = entry.failures.saturating_add(1);
            entry.is_behind = false;
        });
    }

    /// Notes the largest page that a device's answers may have.
    pub(super) fn use_pages_of(&mut self, sn: &SerialNumber, size: u32) {
        self.change(sn, |entry| entry.page_size = Some(size));
    }

    fn entry(&mut self, sn: &SerialNumber, elapsed: Duration) -> &mut Entry {
        let new = Entry { since: elapsed, ..Entry::default() };
        self.entries.entry(sn.clone()).or_insert(new)
    }

    fn change(&mut self, sn: &SerialNumber, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.entries.get_mut(sn) {
            change(entry);
        }
    }
}

impl Entry {
    fn turn(&self, sn: &SerialNumber, asked_to: Option<Timestamp>) -> Turn {
        Turn { sn: sn.clone(), asked_to, span: self.span, page_size: self.page_size }
    }
}
