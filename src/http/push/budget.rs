//! Room for the bodies that are being read.
//!
//! A small body takes room as its bytes arrive, not as they are declared, a large one for all of it
//! as soon as it is more than a small one. Where there is none, those make room that
//! will not come in time at their pace, and those whose source has more than its part and more than the
//! one that asks: slow bodies cannot shut out those that come quickly, nor a few sources the others. A
//! body that finds only such as come in time waits a moment for them: nobody is put out near its end.
use std::{
    borrow::Cow,
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
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

/// For so long nobody can tell how fast a body is.
const HEAD_START: Duration = Duration::from_millis(500);
/// Of a body that comes nothing stays out for so long.
const SILENCE_MAX: Duration = Duration::from_secs(1);
/// A body has to be whole after so long, by its pace so far, where others need its room.
const PACE_TIME_MAX: Duration = Duration::from_secs(5);

/// How long a body waits for others to go, in all, and how often it looks.
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
    /// What it has room for.
    bytes: usize,
    declared: Option<usize>,
    progress: Arc<Progress>,
    state: State,
    ended: Arc<Notify>,
}

/// What has come of a body, told without a lock.
#[derive(Default)]
struct Progress {
    bytes: AtomicUsize,
    /// When the last of it came, in milliseconds after its beginning.
    last_ms: AtomicU64,
}

/// How far a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Coming,
    /// All of it has come, and it waits for its turn.
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
    /// Who goes first: the smallest.
    rank: f64,
    /// Whether it goes whatever its source has.
    goes_first: bool,
}

/// Room for one body, given back when dropped.
pub(super) struct Room {
    budget: Budget,
    number: u64,
    began: Instant,
    bytes: usize,
    progress: Arc<Progress>,
    ended: Arc<Notify>,
    waited: Duration,
}

impl Budget {
    /// Room for a body of which nothing has come yet, and that may declare its size.
    pub(super) fn enter(
        &self,
        source: IpAddr,
        declared: Option<usize>,
        now: Instant,
    ) -> Result<Room, NoRoom> {
        let progress = Arc::<Progress>::default();
        let ended = Arc::<Notify>::default();
        let mut bodies = self.lock();
        bodies.last_number += 1;
        let number = bodies.last_number;
        let body = InFlight {
            source: source.into(),
            began: now,
            bytes: 0,
            declared,
            progress: Arc::clone(&progress),
            state: State::Coming,
            ended: Arc::clone(&ended),
        };
        bodies.put(number, body, now).map_err(|_| NoRoom)?;
        drop(bodies);
        let waited = Duration::ZERO;
        let (budget, began, bytes) = (self.clone(), now, 0);
        Ok(Room { budget, number, began, bytes, progress, ended, waited })
    }

    fn lock(&self) -> MutexGuard<'_, Bodies> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    /// For how many bytes it is.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// So many of its bytes have come.
    pub(super) fn came(&self, bytes: usize, now: Instant) {
        self.progress.bytes.store(bytes, Ordering::Relaxed);
        let last_ms = now.saturating_duration_since(self.began).as_millis();
        self.progress.last_ms.store(last_ms.try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Takes room for so many bytes in all, and waits a moment where there is none.
    pub(super) async fn grow(&mut self, bytes: usize) -> Result<(), NoRoom> {
        self.grow_within(WAIT_MAX, bytes).await
    }

    async fn grow_within(&mut self, time: Duration, bytes: usize) -> Result<(), NoRoom> {
        while let Err(error) = self.try_grow(bytes, Instant::now()) {
            if self.waited > time || timeout(LOOK_EVERY, self.ended()).await.is_ok() {
                return Err(error);
            }
            // It does not get slower by waiting for others.
            self.waited += LOOK_EVERY;
            self.began += LOOK_EVERY;
            if let Some(body) = self.budget.lock().by_number.get_mut(&self.number) {
                body.began = self.began;
            }
        }
        Ok(())
    }

    fn try_grow(&mut self, bytes: usize, now: Instant) -> Result<(), NoRoom> {
        let mut bodies = self.budget.lock();
        // One that had to make room has no place any more.
        let body = bodies.take(self.number).ok_or(NoRoom)?;
        if let Err(body) = bodies.put(self.number, InFlight { bytes, ..body }, now) {
            bodies.place(self.number, InFlight { bytes: self.bytes, ..body });
            return Err(NoRoom);
        }
        drop(bodies);
        self.bytes = bytes;
        Ok(())
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
        self.is_now(State::Read)?;
        Ok(turn)
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
    /// part: no more than it needs, and none where all that may would not do.
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
            let sources = by_source.len() + usize::from(of_source.bodies == 0);
            let fair = lacked(most) / sources.max(1);
            let may_go = |rival: &Rival<'_>| {
                if rival.body.source == body.source {
                    return rival.goes_first;
                }
                let of_rival = of(&by_source, &rival.body.source);
                let has_more = lacked(of_rival) > fair
                    && lacked(of_rival) > lacked(with_this)
                    && (rival.body.state != State::Whole || of_rival.bodies > 1);
                !is_of_source && (rival.goes_first || has_more)
            };
            let first = rivals.iter().enumerate().filter(|(_, rival)| may_go(rival));
            let first = first.min_by(|(_, a), (_, b)| a.rank.total_cmp(&b.rank));
            let nth = first.map(|(nth, _)| nth).ok_or(NoRoom)?;
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
        let of_share = self.by_number.iter().filter(|(_, it)| it.is_large() == body.is_large());
        let rivals = of_share.filter(|(_, it)| it.state != State::Read).map(|(number, body)| {
            let goes_first = body.state == State::Refused || body.is_late(now);
            Rival { number: *number, body, rank: body.rank(now), goes_first }
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

    /// Who makes room first: what is refused, then what is late, then the slowest.
    fn rank(&self, now: Instant) -> f64 {
        let age = now.saturating_duration_since(self.began).as_secs_f64();
        let came = u32::try_from(self.progress.bytes.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
        match self.state {
            State::Refused => f64::NEG_INFINITY,
            _ if self.is_late(now) => -age / (f64::from(came) + 1.0),
            _ => f64::from(came) / age.max(1e-3),
        }
    }

    /// Whether it will not come in time, as far as can be told by now.
    fn is_late(&self, now: Instant) -> bool {
        let age = now.saturating_duration_since(self.began);
        if self.state != State::Coming || age < HEAD_START {
            return false;
        }
        let last = Duration::from_millis(self.progress.last_ms.load(Ordering::Relaxed));
        let came = self.progress.bytes.load(Ordering::Relaxed) as f64;
        let whole = self.declared.map_or(came, |declared| declared as f64);
        age.saturating_sub(last) >= SILENCE_MAX
            || age.as_secs_f64() * whole > PACE_TIME_MAX.as_secs_f64() * came
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
