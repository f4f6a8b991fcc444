//! Room for the bodies that are being read.
//!
//! Room is taken as bytes arrive, not as they are declared. Whoever comes of a source that has
//! more than the one that asks makes room, or is slower: many slow bodies, or a few large ones, cannot
//! shut out those that come quickly, and a few sources not the others. While all others are being read,
//! the next one waits a moment.
use std::{
    borrow::Cow,
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};

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

/// How long a body waits for those that have come whole to go, and how often it looks.
const WAIT_MAX: Duration = Duration::from_secs(4);
const LOOK_EVERY: Duration = Duration::from_millis(20);

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
    state: State,
    ended: Arc<Notify>,
}

/// How far a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Coming,
    /// All of it has come, and it waits for its turn: it is no slower than any other.
    Whole,
    /// It is being read: it makes room for nobody.
    Read,
    /// It is no true push: it makes room before all others.
    Refused,
}

/// A body that may have to make room for another.
struct Rival<'a> {
    number: u64,
    body: &'a InFlight,
    speed: f64,
    is_slower: bool,
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
            state: State::Coming,
            ended: Arc::clone(&ended),
        };
        bodies.put(number, body, now).map_err(|_| NoRoom)?;
        drop(bodies);
        Ok(Room { budget: self.clone(), number, ended })
    }

    fn lock(&self) -> MutexGuard<'_, Bodies> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    /// Takes room for so many bytes in all, and waits a moment where there is none.
    pub(super) async fn grow(&mut self, bytes: usize) -> Result<(), NoRoom> {
        self.grow_within(WAIT_MAX, bytes).await
    }

    async fn grow_within(&mut self, time: Duration, bytes: usize) -> Result<(), NoRoom> {
        let began = Instant::now();
        while let Err(error) = self.try_grow(bytes, Instant::now()) {
            if began.elapsed() > time || timeout(LOOK_EVERY, self.ended()).await.is_ok() {
                return Err(error);
            }
            // It does not get slower by waiting for others.
            self.is_late_by(LOOK_EVERY);
        }
        Ok(())
    }

    fn is_late_by(&self, time: Duration) {
        if let Some(body) = self.budget.lock().by_number.get_mut(&self.number) {
            body.began = (body.began + time).min(Instant::now());
        }
    }

    fn try_grow(&mut self, bytes: usize, now: Instant) -> Result<(), NoRoom> {
        let mut bodies = self.budget.lock();
        // One that had to make room has no place any more.
        let body = bodies.take(self.number).ok_or(NoRoom)?;
        let before = body.bytes;
        let grown = bodies.put(self.number, InFlight { bytes, ..body }, now);
        grown.map_err(|body| {
            bodies.place(self.number, InFlight { bytes: before, ..body });
            NoRoom
        })
    }

    /// All of it has come.
    pub(super) fn is_whole(&mut self) -> Result<(), NoRoom> {
        self.is_now(State::Whole)
    }

    /// Waits for its turn to be read; from then on it makes room for nobody.
    pub(super) async fn wait_for<T>(&mut self, turn: impl Future<Output = T>) -> Result<T, NoRoom> {
        let turn = tokio::select! {
            biased;
            NoRoom = self.ended() => return Err(NoRoom),
            turn = turn => turn,
        };
        self.is_read()?;
        Ok(turn)
    }

    fn is_read(&mut self) -> Result<(), NoRoom> {
        self.is_now(State::Read)
    }

    fn is_now(&self, state: State) -> Result<(), NoRoom> {
        // One that had to make room has no place any more.
        self.budget.lock().by_number.get_mut(&self.number).ok_or(NoRoom)?.state = state;
        Ok(())
    }

    /// It was read, and is no true push.
    pub(super) fn is_refused(&mut self) {
        if self.is_now(State::Refused).is_err() {
            tracing::debug!("A refused body has no room any more");
        }
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
    /// Puts a body into its share, and others out where there is no room; gives it back where that
    /// would not do.
    fn put(&mut self, number: u64, body: InFlight, now: Instant) -> Result<(), InFlight> {
        let Ok(chosen) = self.in_the_way_of(&body, now) else { return Err(body) };
        for other in chosen {
            if let Some(other) = self.take(other) {
                other.ended.notify_one();
            }
        }
        self.place(number, body);
        Ok(())
    }

    fn place(&mut self, number: u64, body: InFlight) {
        let share = self.share_mut(body.is_large());
        share.used.add(body.bytes);
        share.by_source.entry(body.source).or_default().add(body.bytes);
        self.by_number.insert(number, body);
    }

    /// Which ones have to make room for a body, of its source where it lacks a place in its source's
    /// part: the slowest first, and no more than it needs. None goes where all that may would not do.
    fn in_the_way_of(&self, body: &InFlight, now: Instant) -> Result<Vec<u64>, NoRoom> {
        let most = if body.is_large() { LARGE_SHARE } else { SMALL_SHARE };
        let of_source_max =
            Amount { bodies: most.bodies / SOURCES_MIN, bytes: most.bytes / SOURCES_MIN };
        let share = if body.is_large() { &self.large } else { &self.small };
        let mut used = share.used;
        let mut by_source: Cow<'_, HashMap<_, _>> = Cow::Borrowed(&share.by_source);
        let of = |by_source: &HashMap<SourceBlock, Amount>, source: &SourceBlock| {
            by_source.get(source).copied().unwrap_or_default()
        };
        let mut rivals: Option<Vec<Rival<'_>>> = None;
        let mut chosen = Vec::new();
        loop {
            let of_source = of(&by_source, &body.source);
            let is_of_source = !of_source.has_room(body.bytes, of_source_max);
            if !is_of_source && used.has_room(body.bytes, most) {
                return Ok(chosen);
            }
            // Most often there is room, and nobody is looked at.
            let rivals = rivals.get_or_insert_with(|| self.rivals_of(body, now));
            let lacked = |it: Amount| match used.bodies >= most.bodies {
                true => it.bodies,
                false => it.bytes,
            };
            let mut with_this = of_source;
            with_this.add(body.bytes);
            // Nobody makes room who has no more than if all had the same.
            let sources = by_source.len() + usize::from(of_source.bodies == 0);
            let fair = lacked(most) / sources.max(1);
            let may_go = |rival: &Rival<'_>| {
                if rival.body.source == body.source {
                    return rival.is_slower;
                }
                let of_rival = lacked(of(&by_source, &rival.body.source));
                let has_more = of_rival > fair && of_rival > lacked(with_this);
                let is_late = of_rival > fair && rival.is_slower;
                let may_go = has_more || is_late || rival.body.state == State::Refused;
                may_go && !is_of_source
            };
            let slowest = rivals.iter().enumerate().filter(|(_, rival)| may_go(rival));
            let slowest = slowest.min_by(|(_, a), (_, b)| a.speed.total_cmp(&b.speed));
            let nth = slowest.map(|(nth, _)| nth).ok_or(NoRoom)?;
            let Rival { number, body: other, .. } = rivals.swap_remove(nth);
            used.remove(other.bytes);
            if let Some(of_rival) = by_source.to_mut().get_mut(&other.source) {
                of_rival.remove(other.bytes);
            }
            chosen.push(number);
        }
    }

    /// Those of the same share that are not being read.
    fn rivals_of(&self, body: &InFlight, now: Instant) -> Vec<Rival<'_>> {
        let own = body.speed(now);
        let of_share = self.by_number.iter().filter(|(_, it)| it.is_large() == body.is_large());
        let rivals = of_share.filter(|(_, it)| it.state != State::Read).map(|(number, body)| {
            let speed = body.speed(now);
            let is_slower = body.state != State::Whole && speed < own;
            Rival { number: *number, body, speed, is_slower }
        });
        rivals.collect()
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
        if self.state == State::Refused {
            return f64::NEG_INFINITY;
        }
        let bytes = f64::from(u32::try_from(self.bytes).unwrap_or(u32::MAX));
        if self.has_head_start(now) {
            return bytes;
        }
        -now.duration_since(self.began).as_secs_f64() / (bytes + 1.0)
    }

    fn has_head_start(&self, now: Instant) -> bool {
        self.state != State::Refused && now.duration_since(self.began) < HEAD_START
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
#[path = "budget_tests.rs"]
mod tests;
