//! Room for the bodies that are being read.
//!
//! Room is taken as bytes arrive, not as they are declared. Whoever is slowest makes room: many slow
//! bodies, or a few large ones, cannot shut out those that come quickly.
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::http::client_ip::SourceBlock;

/// A body up to this size counts as small.
pub(super) const SMALL_BYTES_MAX: usize = 64 << 10;

/// Small bodies in flight, and larger ones: they have shares of their own.
const SMALL_SHARE: Amount = Amount { bodies: 2_048, bytes: 24 << 20 };
const LARGE_SHARE: Amount = Amount { bodies: 512, bytes: 32 << 20 };
/// What one source may have of either: one part in so many.
const SOURCES_MIN: usize = 4;

/// For so long a body goes before all that began earlier: nobody can tell yet how fast it is.
const HEAD_START: Duration = Duration::from_millis(500);

/// The bodies in flight.
#[derive(Clone, Default)]
pub(super) struct Budget(Arc<Mutex<Bodies>>);

/// There is no room for a body: others are quicker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoRoom;

#[derive(Default)]
struct Bodies {
    small: Share,
    large: Share,
    by_number: HashMap<u64, InFlight>,
    last_number: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Amount {
    bodies: usize,
    bytes: usize,
}

#[derive(Default)]
struct Share {
    used: Amount,
    by_source: HashMap<SourceBlock, Amount>,
}

struct InFlight {
    source: SourceBlock,
    began: Instant,
    bytes: usize,
    /// Whether all of it has come: it is nobody's turn to make room with it.
    is_whole: bool,
    ended: Arc<Notify>,
}

/// Room for one body, given back when dropped.
pub(super) struct Room {
    budget: Budget,
    number: u64,
    ended: Arc<Notify>,
}

impl Budget {
    /// Room for a body of which nothing has come yet.
    pub(super) fn enter(&self, source: IpAddr, now: Instant) -> Result<Room, NoRoom> {
        let ended = Arc::<Notify>::default();
        let mut bodies = self.lock();
        bodies.last_number += 1;
        let number = bodies.last_number;
        let body = InFlight {
            source: source.into(),
            began: now,
            bytes: 0,
            is_whole: false,
            ended: Arc::clone(&ended),
        };
        bodies.put(number, body, now)?;
        drop(bodies);
        Ok(Room { budget: self.clone(), number, ended })
    }

    fn lock(&self) -> MutexGuard<'_, Bodies> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    /// Takes room for so many bytes in all.
    pub(super) fn grow(&mut self, bytes: usize, now: Instant) -> Result<(), NoRoom> {
        let mut bodies = self.budget.lock();
        // One that had to make room has no place any more.
        let body = bodies.take(self.number).ok_or(NoRoom)?;
        bodies.put(self.number, InFlight { bytes, ..body }, now)
    }

    /// All of it has come.
    pub(super) fn is_whole(&mut self) -> Result<(), NoRoom> {
        let mut bodies = self.budget.lock();
        bodies.by_number.get_mut(&self.number).ok_or(NoRoom)?.is_whole = true;
        Ok(())
    }

    /// Waits until this body has to make room for others.
    pub(super) async fn ended(&self) -> NoRoom {
        self.ended.notified().await;
        NoRoom
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.budget.lock().take(self.number);
    }
}

impl Bodies {
    /// Puts a body into its share, and others out that are slower, where there is no room.
    fn put(&mut self, number: u64, body: InFlight, now: Instant) -> Result<(), NoRoom> {
        for slower in self.in_the_way_of(&body, now)? {
            if let Some(slower) = self.take(slower) {
                slower.ended.notify_one();
            }
        }
        let share = self.share_mut(body.is_large());
        share.used.add(body.bytes);
        share.by_source.entry(body.source).or_default().add(body.bytes);
        self.by_number.insert(number, body);
        Ok(())
    }

    /// Which ones have to make room for a body, of its source where it lacks a place in its source's
    /// part: the slowest first, and no more than it needs. None goes where all that are slower would not
    /// do.
    fn in_the_way_of(&self, body: &InFlight, now: Instant) -> Result<Vec<u64>, NoRoom> {
        let most = if body.is_large() { LARGE_SHARE } else { SMALL_SHARE };
        let of_source_max =
            Amount { bodies: most.bodies / SOURCES_MIN, bytes: most.bytes / SOURCES_MIN };
        let share = if body.is_large() { &self.large } else { &self.small };
        let mut used = share.used;
        let mut of_source = share.by_source.get(&body.source).copied().unwrap_or_default();
        let mut slower: Option<Vec<(f64, u64, &InFlight)>> = None;
        let mut chosen = Vec::new();
        loop {
            let is_of_source = !of_source.has_room(body.bytes, of_source_max);
            if !is_of_source && used.has_room(body.bytes, most) {
                return Ok(chosen);
            }
            // Most often there is room, and nobody is looked at.
            let slower = slower.get_or_insert_with(|| self.slower_than(body, now));
            let rivals = slower.iter().enumerate();
            let rivals = rivals.filter(|(_, (.., it))| !is_of_source || it.source == body.source);
            let slowest = rivals.min_by(|(_, (a, ..)), (_, (b, ..))| a.total_cmp(b));
            let nth = slowest.map(|(nth, _)| nth).ok_or(NoRoom)?;
            let (_, number, it) = slower.swap_remove(nth);
            used.remove(it.bytes);
            if it.source == body.source {
                of_source.remove(it.bytes);
            }
            chosen.push(number);
        }
    }

    /// Those of the same share that are slower and have not come whole, with how fast they are.
    fn slower_than(&self, body: &InFlight, now: Instant) -> Vec<(f64, u64, &InFlight)> {
        let speed = body.speed(now);
        let rivals = self.by_number.iter();
        let rivals = rivals.filter(|(_, it)| !it.is_whole && it.is_large() == body.is_large());
        let rivals = rivals.map(|(number, it)| (it.speed(now), *number, it));
        rivals.filter(|(of_rival, ..)| *of_rival < speed).collect()
    }

    fn take(&mut self, number: u64) -> Option<InFlight> {
        let body = self.by_number.remove(&number)?;
        let share = self.share_mut(body.is_large());
        share.used.remove(body.bytes);
        if let Some(used) = share.by_source.get_mut(&body.source) {
            used.remove(body.bytes);
            if used.bodies == 0 {
                share.by_source.remove(&body.source);
            }
        }
        Some(body)
    }

    fn share_mut(&mut self, is_large: bool) -> &mut Share {
        if is_large { &mut self.large } else { &mut self.small }
    }
}

impl InFlight {
    fn is_large(&self) -> bool {
        self.bytes > SMALL_BYTES_MAX
    }

    /// How fast it came so far, in bytes a second; negative once it has lost its head start.
    fn speed(&self, now: Instant) -> f64 {
        let age = now.duration_since(self.began);
        let bytes = f64::from(u32::try_from(self.bytes).unwrap_or(u32::MAX));
        if age < HEAD_START {
            return bytes;
        }
        -age.as_secs_f64() / (bytes + 1.0)
    }
}

impl Amount {
    fn add(&mut self, bytes: usize) {
        self.bodies += 1;
        self.bytes += bytes;
    }

    fn remove(&mut self, bytes: usize) {
        self.bodies -= 1;
        self.bytes -= bytes;
    }

    /// Whether one more body fits. One alone always does, however large the setting lets it be.
    fn has_room(self, bytes: usize, most: Self) -> bool {
        self.bodies == 0 || self.bodies < most.bodies && self.bytes + bytes <= most.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn source(host: u8) -> IpAddr {
        [192, 0, 2, host].into()
    }

    fn has_ended(room: &Room) -> bool {
        use futures_util::FutureExt;
        room.ended().now_or_never().is_some()
    }

    #[test]
    fn the_slowest_of_a_source_makes_room_for_the_next_and_strangers_keep_theirs() {
        let (budget, mut now) = (Budget::default(), Instant::now());
        let mut stranger = budget.enter(source(9), now).expect("room");
        stranger.grow(MIB, now).expect("room");
        now += Duration::from_millis(100);
        let mut rooms = Vec::new();
        for bytes in [4, 1, 2] {
            let mut room = budget.enter(source(1), now).expect("room");
            room.grow(bytes * MIB, now).expect("room");
            rooms.push(room);
        }
        now += Duration::from_millis(1_000);
        let mut next = budget.enter(source(1), now).expect("room");
        next.grow(2 * MIB, now).expect("room");
        let ended: Vec<_> = rooms.iter().map(has_ended).collect();
        assert_eq!(ended, [false, true, false]);
        assert_eq!(rooms[1].grow(5 * MIB, now), Err(NoRoom), "it has no place any more");
        assert!(!has_ended(&stranger));
        // What has come whole is not put out; then the one that asks has to go.
        next.is_whole().expect("room");
        for nth in [0, 2] {
            rooms[nth].is_whole().expect("room");
        }
        let mut late = budget.enter(source(1), now).expect("room");
        assert_eq!(late.grow(4 * MIB, now), Err(NoRoom));
        drop(rooms);
        let mut again = budget.enter(source(1), now).expect("room");
        assert_eq!(again.grow(4 * MIB, now), Ok(()));
    }

    #[test]
    fn when_a_body_does_not_fit_whoever_goes_nobody_is_put_out() {
        let (budget, mut now) = (Budget::default(), Instant::now());
        let part = LARGE_SHARE.bytes / SOURCES_MIN;
        let mut rooms = Vec::new();
        for bytes in [MIB, 2 * MIB, part - 4 * MIB] {
            let mut room = budget.enter(source(1), now).expect("room");
            room.grow(bytes, now).expect("room");
            rooms.push(room);
        }
        rooms[2].is_whole().expect("room");
        now += Duration::from_millis(1_000);
        // Both slower ones together have 3 MiB, and one is free.
        let mut next = budget.enter(source(1), now).expect("room");
        assert_eq!(next.grow(4 * MIB + 1, now), Err(NoRoom));
        drop(next);
        assert!(!rooms.iter().any(has_ended), "for nothing");
        let mut next = budget.enter(source(1), now).expect("room");
        assert_eq!(next.grow(2 * MIB, now), Ok(()));
        let ended: Vec<_> = rooms.iter().map(has_ended).collect();
        assert_eq!(ended, [true, false, false], "the slowest alone, which is enough");
    }

    #[test]
    fn bodies_of_which_nothing_comes_make_room_for_those_that_come() {
        let (budget, mut now) = (Budget::default(), Instant::now());
        let mut silent = Vec::new();
        for nth in 0..SMALL_SHARE.bodies {
            let host = u8::try_from(nth / (SMALL_SHARE.bodies / SOURCES_MIN)).expect("few sources");
            silent.push(budget.enter(source(host), now).expect("room"));
        }
        assert!(budget.enter(source(0), now).is_err(), "as slow as all others");
        now += Duration::from_millis(600);
        let mut quick = budget.enter(source(100), now).expect("room");
        quick.grow(SMALL_BYTES_MAX, now).expect("room");
        assert_eq!(silent.iter().filter(|room| has_ended(room)).count(), 1);
        drop(quick);
        drop(silent);
        let bodies = budget.lock();
        assert_eq!((bodies.small.used, bodies.large.used), Default::default());
        assert!(bodies.small.by_source.is_empty() && bodies.by_number.is_empty());
    }

    #[test]
    fn a_single_body_has_room_however_large_and_a_small_one_beside_large_ones() {
        let (budget, now) = (Budget::default(), Instant::now());
        let mut rooms = Vec::new();
        for host in 0..SOURCES_MIN {
            let mut room =
                budget.enter(source(u8::try_from(host).expect("few")), now).expect("room");
            room.grow(LARGE_SHARE.bytes / SOURCES_MIN, now).expect("room");
            room.is_whole().expect("room");
            rooms.push(room);
        }
        let mut next = budget.enter(source(50), now).expect("a place");
        next.grow(SMALL_BYTES_MAX, now).expect("room for a small one");
        assert_eq!(next.grow(SMALL_BYTES_MAX + 1, now), Err(NoRoom));
        drop(rooms);
        let mut huge = budget.enter(source(1), now).expect("a place");
        assert_eq!(huge.grow(2 * LARGE_SHARE.bytes, now), Ok(()));
    }
}
