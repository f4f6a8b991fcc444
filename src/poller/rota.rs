use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use crate::domain::{KnownDevice, SerialNumber, Timestamp};

/// Within this time every device's `statusData` is asked for, as far as the bucket allows.
const REACHED_WITHIN: Duration = Duration::from_secs(15 * 60);

/// Whose `statusData` is asked for next.
#[derive(Debug, Default)]
pub(super) struct Rota {
    /// When each was last asked for, answered or not, by the poller's own time.
    asked: HashMap<SerialNumber, Duration>,
}

/// A device to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) sn: SerialNumber,
    /// Up to when it was asked for before.
    pub(super) asked_to: Option<Timestamp>,
}

/// Now, by both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now: Timestamp,
    pub(super) elapsed: Duration,
}

impl Rota {
    /// Those to ask for in this cycle: first the `urgent` ones, then those that would otherwise be
    /// asked too late, the longest waiting first.
    pub(super) fn due(
        &mut self,
        known: &[KnownDevice],
        named: &[SerialNumber],
        urgent: &BTreeSet<SerialNumber>,
        cycle: Duration,
        moment: Moment,
    ) -> Vec<Turn> {
        let asked_to: BTreeMap<_, _> =
            known.iter().map(|device| (&device.listed.sn, device.status_asked_to)).collect();
        let all: BTreeSet<&SerialNumber> =
            asked_to.keys().copied().chain(named).chain(urgent).collect();
        self.asked.retain(|sn, _| all.contains(sn));
        let mut waiting: Vec<(Duration, Turn)> = all
            .into_iter()
            .map(|sn| {
                let asked_to = asked_to.get(sn).copied().flatten();
                // A clock that was ahead has asked about a time that is still to come.
                let asked_to = asked_to.filter(|to| *to <= moment.now);
                let waited = match self.asked.get(sn) {
                    _ if urgent.contains(sn) => Duration::MAX,
                    Some(asked) => moment.elapsed.saturating_sub(*asked),
                    None => asked_to.map_or(REACHED_WITHIN, |to| moment.now.since(to)),
                };
                (waited, Turn { sn: sn.clone(), asked_to })
            })
            // The next cycle may be late, and a turn in it later still.
            .filter(|(waited, _)| waited.saturating_add(2 * cycle) >= REACHED_WITHIN)
            .collect();
        waiting.sort_by_key(|(waited, _)| Reverse(*waited));
        waiting.into_iter().map(|(_, turn)| turn).collect()
    }

    /// Notes that a device is being asked for.
    pub(super) fn ask(&mut self, sn: &SerialNumber, elapsed: Duration) {
        self.asked.insert(sn.clone(), elapsed);
    }
}
