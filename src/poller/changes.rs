use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::domain::{KnownDevice, ListedDevice, Listing, SerialNumber, Timestamp};

/// What was read of the list.
pub(super) struct Read {
    /// The devices that it showed.
    pub(super) devices: Vec<ListedDevice>,
    /// It was read to its end, and all that it does not show is gone.
    pub(super) is_complete: bool,
    /// When its reading began, if that was not in this cycle.
    pub(super) since: Option<Timestamp>,
    /// Devices that are no longer listed.
    pub(super) gone: Vec<SerialNumber>,
}

/// What a walk through the list changes about what is stored. A list that was not read to its end
/// says nothing about the devices that it did not show.
pub(super) fn listing(known: &[KnownDevice], read: Read) -> Listing {
    let by_sn = by_sn(known);
    let is_as_stored = |device: &ListedDevice| {
        by_sn.get(&device.sn).is_some_and(|known| known.is_listed && known.listed == *device)
    };
    let Read { devices, is_complete, since, gone } = read;
    let respelled = devices.iter().filter_map(|device| {
        let stored = &by_sn.get(&device.sn)?.listed.sn;
        (!stored.is_spelled_as(&device.sn)).then(|| (stored.clone(), device.sn.clone()))
    });
    let respelled = respelled.collect();
    let (as_stored, changed): (Vec<_>, Vec<_>) = devices.into_iter().partition(is_as_stored);
    Listing {
        is_complete,
        since,
        gone,
        respelled,
        unchanged: match is_complete && since.is_none() {
            true => Vec::new(),
            false => as_stored.into_iter().map(|device| device.sn).collect(),
        },
        changed,
    }
}

/// Of two that differ only in the case of letters, which older versions kept apart, the listed one.
fn by_sn(known: &[KnownDevice]) -> BTreeMap<&SerialNumber, &KnownDevice> {
    let mut by_sn: BTreeMap<_, &KnownDevice> = BTreeMap::new();
    for device in known {
        let kept = by_sn.entry(&device.listed.sn).or_insert(device);
        if device.is_listed {
            *kept = device;
        }
    }
    by_sn
}

/// Spells the devices as the list does by now.
pub(super) fn respell(known: &mut [KnownDevice], listing: &Listing) {
    let now: HashMap<&str, &SerialNumber> =
        listing.respelled.iter().map(|(stored, now)| (stored.as_str(), now)).collect();
    for device in known {
        if let Some(sn) = now.get(device.listed.sn.as_str()) {
            device.listed.sn = (*sn).clone();
        }
    }
}

/// The devices that the list held before and holds no more.
pub(super) fn absent(known: &[KnownDevice], seen: &HashSet<SerialNumber>) -> Vec<SerialNumber> {
    let is_absent = |device: &&KnownDevice| device.is_listed && !seen.contains(&device.listed.sn);
    known.iter().filter(is_absent).map(|device| device.listed.sn.clone()).collect()
}

/// The devices whose state is not the one that is stored, and those that were not listed: their
/// `statusData` is asked for at once.
pub(super) fn with_new_state(known: &[KnownDevice], listing: &Listing) -> BTreeSet<SerialNumber> {
    let stored = by_sn(known);
    let moved = |device: &&ListedDevice| {
        let is_as_stored =
            |known: &&KnownDevice| known.is_listed && known.listed.state == device.state;
        !stored.get(&device.sn).is_some_and(is_as_stored)
    };
    listing.changed.iter().filter(moved).map(|device| device.sn.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{DeviceState, ShortText};

    fn listed(sn: &str, state: DeviceState) -> ListedDevice {
        let Ok(sn) = sn.parse() else { panic!("{sn}") };
        let none = ShortText::default;
        ListedDevice {
            sn,
            name: none(),
            model: none(),
            group: none(),
            firmware_version: none(),
            description: none(),
            create_time: none(),
            state,
            extra: None,
        }
    }

    fn known(sn: &str, is_listed: bool) -> KnownDevice {
        let listed = listed(sn, DeviceState::Online);
        KnownDevice { listed, is_listed, status_asked_to: None }
    }

    fn names(numbers: &[SerialNumber]) -> Vec<&str> {
        numbers.iter().map(SerialNumber::as_str).collect()
    }

    #[test]
    fn only_what_is_not_as_stored_is_written() {
        let known = [known("A", true), known("B", true), known("C", true), known("D", false)];
        let listed = vec![
            listed("A", DeviceState::Online),
            listed("B", DeviceState::Offline),
            listed("D", DeviceState::Online),
            listed("E", DeviceState::Online),
        ];
        let seen = listed.iter().map(|device| device.sn.clone()).collect();
        let gone = absent(&known, &seen);
        let read =
            |is_complete, since, gone| Read { devices: listed.clone(), is_complete, since, gone };
        let whole = listing(&known, read(true, None, gone));
        let changed: Vec<_> = whole.changed.iter().map(|device| device.sn.as_str()).collect();
        assert_eq!(changed, ["B", "D", "E"]);
        assert_eq!((names(&whole.gone), names(&whole.unchanged)), (vec!["C"], vec![]));

        let part = listing(&known, read(false, None, Vec::new()));
        assert_eq!((names(&part.gone), names(&part.unchanged)), (vec![], vec!["A"]));
        let later = listing(&known, read(true, Some(Timestamp::from_unix_ms(0)), Vec::new()));
        assert_eq!(names(&later.unchanged), ["A"], "seen after the others");
        let moved: Vec<_> = with_new_state(&known, &part).into_iter().collect();
        assert_eq!(names(&moved), ["B", "D", "E"], "D is listed again");
    }
}
