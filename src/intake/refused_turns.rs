//! Refused pushes that wait, a queue for each source.
//!
//! The sources take turns, so that a flood from one, or from many, makes nobody wait for it who sends
//! little. When there is no room for all, the source that takes most loses what came last. Held by
//! `tests/it/front/refused_turns.rs`.
use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
};

use crate::{
    domain::{HeldReason, NewHeld, Ring, SourceBlock},
    store::RefusedCounts,
};

/// How many refused pushes may be on their way to the disk, and how many bytes of them.
pub(super) const PUSHES_MAX: usize = 1_000;
pub(super) const BYTES_MAX: usize = 8 << 20;
/// What one source may have of both: a quarter. One push alone always has room in its share.
pub(super) const SOURCE_PUSHES_MAX: usize = PUSHES_MAX / 4;
pub(super) const SOURCE_BYTES_MAX: usize = BYTES_MAX / 4;

/// The queues, and what is taken of the room: a push has its room until it is written.
#[derive(Default)]
pub(super) struct Turns {
    sources: HashMap<SourceBlock, Source>,
    /// The sources that have something waiting, the one whose turn is next first.
    order: VecDeque<SourceBlock>,
    room: Room,
}

#[derive(Default)]
struct Source {
    waiting: VecDeque<NewHeld>,
    waiting_bytes: usize,
    room: Room,
}

/// What of the room is taken, by all or by one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) pushes: usize,
    pub(super) bytes: usize,
}

impl Room {
    fn add(&mut self, bytes: usize) {
        self.pushes += 1;
        self.bytes += bytes;
    }

    fn free(&mut self, bytes: usize) {
        self.pushes -= 1;
        self.bytes -= bytes;
    }
}

impl Turns {
    /// Lets one wait; gives those that lose their place, which may be this one.
    pub(super) fn add(&mut self, held: NewHeld) -> Vec<NewHeld> {
        let (block, bytes) = (SourceBlock::from(held.source), bytes_of(&held));
        let mut lost = Vec::new();
        if !self.fits_share(block, bytes) {
            return vec![held];
        }
        while self.is_full(bytes) {
            match self.loser(block, bytes).and_then(|loser| self.drop_newest(loser)) {
                Some(newest) => lost.push(newest),
                None => {
                    lost.push(held);
                    return lost;
                }
            }
        }
        self.room.add(bytes);
        let source = self.sources.entry(block).or_default();
        source.room.add(bytes);
        source.waiting_bytes += bytes;
        source.waiting.push_back(held);
        if source.waiting.len() == 1 {
            self.order.push_back(block);
        }
        lost
    }

    /// Whether one of so many bytes would be let in now.
    pub(super) fn has_room(&self, source: IpAddr, bytes: usize) -> bool {
        let block = SourceBlock::from(source);
        let fits = self.fits_share(block, bytes);
        fits && (!self.is_full(bytes) || self.loser(block, bytes).is_some())
    }

    /// The oldest of each source by turns: so many at most, and no more than so many bytes unless
    /// one has more.
    pub(super) fn take(&mut self, pushes_max: usize, bytes_max: usize) -> Vec<NewHeld> {
        let (mut taken, mut taken_bytes) = (Vec::new(), 0_usize);
        while taken.len() < pushes_max
            && let Some(block) = self.order.front().copied()
        {
            let Some(source) = self.sources.get_mut(&block) else { break };
            let Some(bytes) = source.waiting.front().map(bytes_of) else { break };
            if !taken.is_empty() && taken_bytes.saturating_add(bytes) > bytes_max {
                break;
            }
            taken_bytes += bytes;
            source.waiting_bytes -= bytes;
            taken.extend(source.waiting.pop_front());
            self.order.pop_front();
            if !source.waiting.is_empty() {
                self.order.push_back(block);
            }
        }
        taken
    }

    /// These are written, or will not be.
    pub(super) fn free(&mut self, taken: &[NewHeld]) {
        for held in taken {
            self.free_one(SourceBlock::from(held.source), bytes_of(held));
        }
    }

    /// What waits.
    pub(super) fn counts(&self) -> RefusedCounts {
        let mut counts = RefusedCounts::new();
        for held in self.sources.values().flat_map(|source| &source.waiting) {
            *counts.entry(counted_as(held)).or_default() += 1;
        }
        counts
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    #[cfg(test)]
    pub(super) fn room(&self) -> (Room, usize) {
        (self.room, self.sources.len())
    }

    fn fits_share(&self, block: SourceBlock, bytes: usize) -> bool {
        self.sources.get(&block).is_none_or(|source| {
            source.room.pushes < SOURCE_PUSHES_MAX && source.room.bytes + bytes <= SOURCE_BYTES_MAX
        })
    }

    fn is_full(&self, bytes: usize) -> bool {
        // One alone has room, however large the setting lets it be.
        self.room.pushes >= PUSHES_MAX
            || self.room.pushes > 0 && self.room.bytes + bytes > BYTES_MAX
    }

    /// The source that has most waiting of what there is too much of, if it has more than this one
    /// would have with one more of so many bytes.
    fn loser(&self, block: SourceBlock, bytes: usize) -> Option<SourceBlock> {
        let by_pushes = self.room.pushes >= PUSHES_MAX;
        let size = |source: &Source| match by_pushes {
            true => source.waiting.len(),
            false => source.waiting_bytes,
        };
        let added = if by_pushes { 1 } else { bytes };
        let own = self.sources.get(&block).map_or(0, size) + added;
        let largest = self.sources.iter().max_by_key(|(_, source)| size(source))?;
        (size(largest.1) > own).then_some(*largest.0)
    }

    fn drop_newest(&mut self, block: SourceBlock) -> Option<NewHeld> {
        let source = self.sources.get_mut(&block)?;
        let newest = source.waiting.pop_back()?;
        let bytes = bytes_of(&newest);
        source.waiting_bytes -= bytes;
        if source.waiting.is_empty() {
            self.order.retain(|waiting| *waiting != block);
        }
        self.free_one(block, bytes);
        Some(newest)
    }

    fn free_one(&mut self, block: SourceBlock, bytes: usize) {
        self.room.free(bytes);
        if let Some(source) = self.sources.get_mut(&block) {
            source.room.free(bytes);
            if source.room.pushes == 0 {
                self.sources.remove(&block);
            }
        }
    }
}

/// As what one is counted.
pub(super) fn counted_as(held: &NewHeld) -> (Ring, HeldReason) {
    (held.ring.unwrap_or(Ring::Noise), held.reason)
}

/// What one takes: a body of many small elements has a signature for each.
fn bytes_of(held: &NewHeld) -> usize {
    held.body.len() + held.signatures.as_ref().map_or(0, |signatures| signatures.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Kind;

    const SHARE: usize = SOURCE_BYTES_MAX;

    fn held(host: u8, bytes: usize) -> NewHeld {
        NewHeld {
            ring: Some(Ring::Noise),
            reason: HeldReason::NotJson,
            field: None,
            kind: Kind::other(),
            source: [192, 0, 2, host].into(),
            body: vec![0; bytes].into(),
            signatures: None,
            pushed_at: None,
        }
    }

    /// The last number of each one's source, and its bytes.
    fn known(all: &[NewHeld]) -> Vec<(u8, usize)> {
        let host = |held: &NewHeld| held.source.to_string().rsplit_once('.')?.1.parse().ok();
        all.iter().map(|one| (host(one).expect("an IPv4 address"), one.body.len())).collect()
    }

    #[test]
    fn sources_take_turns_and_a_portion_ends_by_pushes_and_by_bytes() {
        let mut turns = Turns::default();
        for (host, bytes) in [(1, 1), (1, 2), (1, 3), (2, 4), (3, 5), (2, 6)] {
            assert!(turns.add(held(host, bytes)).is_empty());
        }
        assert_eq!(turns.counts(), RefusedCounts::from([((Ring::Noise, HeldReason::NotJson), 6)]));
        let first = turns.take(2, usize::MAX);
        assert_eq!(known(&first), [(1, 1), (2, 4)]);
        let second = turns.take(9, 8);
        assert_eq!(known(&second), [(3, 5), (1, 2)]);
        let third = turns.take(9, 0);
        assert_eq!(known(&third), [(2, 6)], "one goes however large it is");
        let last = turns.take(9, 9);
        assert_eq!((known(&last), turns.is_empty()), (vec![(1, 3)], true));
        assert_eq!(turns.room(), (Room { pushes: 6, bytes: 21 }, 3));
        for taken in [first, second, third, last] {
            turns.free(&taken);
        }
        assert_eq!(turns.room(), (Room::default(), 0));
    }

    #[test]
    fn one_source_has_a_quarter_of_the_room_and_always_room_for_one() {
        let mut turns = Turns::default();
        for nth in 0..SOURCE_PUSHES_MAX + 5 {
            let lost = turns.add(held(1, 1));
            assert_eq!(lost.len(), usize::from(nth >= SOURCE_PUSHES_MAX), "{nth}");
        }
        assert!(turns.add(held(2, SHARE)).is_empty());
        assert_eq!(known(&turns.add(held(2, 1))), [(2, 1)]);
        assert!(!turns.has_room([192, 0, 2, 2].into(), 1));
        let signatures = Some(vec![0; SHARE - 1].into());
        assert!(turns.add(NewHeld { signatures, ..held(3, 1) }).is_empty());
        assert!(!turns.has_room([192, 0, 2, 3].into(), 1), "signatures take room as well");
    }

    #[test]
    fn the_source_that_has_most_waiting_makes_room_for_one_that_has_less() {
        let mut turns = Turns::default();
        for nth in 0..PUSHES_MAX {
            let host = u8::try_from(nth % 5).unwrap_or_default();
            assert!(turns.add(held(host, 1)).is_empty());
        }
        assert_eq!(known(&turns.add(held(1, 7))), [(1, 7)], "it would have more than all");
        let lost = turns.add(held(9, 8));
        assert_eq!((lost.len(), known(&lost)[0].1), (1, 1));
        let lost = turns.add(held(9, 8));
        assert_ne!(known(&lost)[0].0, 9);
        assert_eq!(turns.room().0.pushes, PUSHES_MAX);
        assert_eq!(known(&turns.take(6, 99)).iter().filter(|(host, _)| *host == 9).count(), 1);
    }

    #[test]
    fn the_source_that_has_most_bytes_makes_room_where_bytes_are_too_many() {
        let mut turns = Turns::default();
        for host in 1..=4 {
            assert!(turns.add(held(host, SHARE - 9)).is_empty());
            assert!(turns.add(held(host, 9)).is_empty());
        }
        assert_eq!(known(&turns.add(held(5, SHARE))), [(5, SHARE)], "nobody has more");
        let lost = known(&turns.add(held(5, 5)));
        assert_eq!((lost.len(), lost[0].1), (1, 9), "the newest of one");
        assert!(
            turns.has_room([192, 0, 2, 6].into(), 9)
                && !turns.has_room([192, 0, 2, 6].into(), SHARE)
        );
        assert!(turns.room().0.bytes <= BYTES_MAX);
    }

    #[test]
    fn what_is_taken_and_not_written_makes_no_room() {
        let mut turns = Turns::default();
        for host in 1..=4 {
            turns.add(held(host, SHARE));
        }
        let taken = turns.take(9, usize::MAX);
        assert_eq!(known(&turns.add(held(5, 1))), [(5, 1)]);
        turns.free(&taken);
        assert!(turns.add(held(5, 1)).is_empty());
    }
}
