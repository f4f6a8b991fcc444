use std::{
    collections::{HashMap, VecDeque},
    mem,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, sleep_until},
};

use super::admin::Command;
use crate::domain::{HeldReason, NewHeld, Ring, SourceBlock};

/// How many refused pushes may be on their way to the disk, and how many bytes of them.
const WAITING_MAX: usize = 1_000;
const WAITING_BYTES_MAX: usize = 8 << 20;
/// What one source may have of both: a quarter. One push alone always has room in its share.
const SOURCE_MAX: usize = WAITING_MAX / 4;
const SOURCE_BYTES_MAX: usize = WAITING_BYTES_MAX / 4;

/// How many are kept in a second.
const KEPT_PER_SECOND: usize = 100;

/// Refused pushes that were not kept: in which ring, for what reason, how many.
pub(super) type Dropped = Vec<(Ring, HeldReason, u64)>;

/// Refused pushes that wait until the writer has nothing better to do. What does not fit is dropped
/// and counted: a flood of noise costs neither memory nor a good push. One has its room until it is
/// written: a writer that waits for a slow disk must not gather what was taken from here.
#[derive(Clone, Default)]
pub(super) struct Waiting(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Something waits, or was dropped.
    news: Notify,
}

#[derive(Default)]
struct State {
    queue: VecDeque<NewHeld>,
    used: Use,
    by_source: HashMap<SourceBlock, Use>,
    dropped: HashMap<(Ring, HeldReason), u64>,
}

/// What of the room is taken, by all or by one source.
#[derive(Default)]
struct Use {
    pushes: usize,
    bytes: usize,
}

impl Use {
    fn add(&mut self, bytes: usize) {
        self.pushes += 1;
        self.bytes += bytes;
    }

    fn free(&mut self, bytes: usize) {
        self.pushes -= 1;
        self.bytes -= bytes;
    }
}

/// Refused pushes on their way to the disk; their room is free again when they are dropped.
pub(super) struct Taken {
    pub(super) held: Vec<NewHeld>,
    waiting: Waiting,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.waiting.lock().free(&self.held);
    }
}

/// The other end.
pub(super) struct RefusedQueue(Waiting);

impl Waiting {
    pub(super) fn new() -> (Self, RefusedQueue) {
        let waiting = Self::default();
        (waiting.clone(), RefusedQueue(waiting))
    }

    pub(super) fn add(&self, held: NewHeld) {
        self.lock().add(held);
        self.0.news.notify_one();
    }

    /// Whether one of so many bytes would be taken now.
    pub(super) fn has_room(&self, source: IpAddr, bytes: usize) -> bool {
        self.lock().has_room(source, bytes)
    }

    /// Counts one that nobody will look at.
    pub(super) fn count_dropped(&self, ring: Ring, reason: HeldReason) {
        self.lock().drop_one(ring, reason);
        self.0.news.notify_one();
    }

    /// The oldest that wait, so many at most, and what was dropped since this was last asked.
    pub(super) fn take(&self, pushes_max: usize) -> (Taken, Dropped) {
        let (held, dropped) = self.lock().take(pushes_max);
        (Taken { held, waiting: self.clone() }, dropped)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, held: NewHeld) {
        let bytes = bytes_of(&held);
        if !self.has_room(held.source, bytes) {
            self.drop_one(held.ring.unwrap_or(Ring::Noise), held.reason);
            return;
        }
        self.by_source.entry(held.source.into()).or_default().add(bytes);
        self.used.add(bytes);
        self.queue.push_back(held);
    }

    fn has_room(&self, source: IpAddr, bytes: usize) -> bool {
        let fits_source = self.by_source.get(&source.into()).is_none_or(|of_source| {
            of_source.pushes < SOURCE_MAX && of_source.bytes + bytes <= SOURCE_BYTES_MAX
        });
        let is_full =
            self.used.pushes >= WAITING_MAX || self.used.bytes + bytes > WAITING_BYTES_MAX;
        fits_source && !is_full
    }

    fn drop_one(&mut self, ring: Ring, reason: HeldReason) {
        *self.dropped.entry((ring, reason)).or_default() += 1;
    }

    fn take(&mut self, pushes_max: usize) -> (Vec<NewHeld>, Dropped) {
        let taken = self.queue.drain(..self.queue.len().min(pushes_max)).collect();
        let dropped = mem::take(&mut self.dropped).into_iter();
        (taken, dropped.map(|((ring, reason), pushes)| (ring, reason, pushes)).collect())
    }

    fn free(&mut self, written: &[NewHeld]) {
        for held in written {
            let (source, bytes) = (held.source.into(), bytes_of(held));
            self.used.free(bytes);
            if let Some(of_source) = self.by_source.get_mut(&source) {
                of_source.free(bytes);
                if of_source.pushes == 0 {
                    self.by_source.remove(&source);
                }
            }
        }
    }
}

/// What one takes: a body of many small elements has a signature for each.
fn bytes_of(held: &NewHeld) -> usize {
    held.body.len() + held.signatures.as_ref().map_or(0, |signatures| signatures.len())
}

impl RefusedQueue {
    /// Hands refused pushes to the writer, no more than it may be bothered with. Ends when the
    /// writer does; it takes what is left then itself.
    pub(super) async fn run(self, commands: mpsc::Sender<Command>) {
        let waiting = self.0;
        let mut pace = Pace { began: Instant::now(), kept: 0 };
        loop {
            waiting.0.news.notified().await;
            // A place in the writer's queue first: what was taken could not be given back.
            let Ok(place) = commands.reserve().await else { return };
            let (refused, dropped) = waiting.take(pace.left(Instant::now()));
            if refused.held.is_empty() && dropped.is_empty() {
                continue;
            }
            // A report of what was dropped alone counts as well.
            let rest_until = pace.keep(refused.held.len().max(1));
            place.send(Command::KeepRefused { refused, dropped });
            if let Some(end) = rest_until {
                sleep_until(end).await;
            }
            if !waiting.lock().queue.is_empty() {
                waiting.0.news.notify_one();
            }
        }
    }
}

/// What was kept in the current second.
struct Pace {
    began: Instant,
    kept: usize,
}

impl Pace {
    const SECOND: Duration = Duration::from_secs(1);

    /// How many more may be kept now.
    fn left(&mut self, now: Instant) -> usize {
        if now.duration_since(self.began) >= Self::SECOND {
            *self = Self { began: now, kept: 0 };
        }
        KEPT_PER_SECOND.saturating_sub(self.kept)
    }

    /// Notes what is kept; the end of the second, if that is all for it.
    fn keep(&mut self, how_many: usize) -> Option<Instant> {
        self.kept += how_many;
        (self.kept >= KEPT_PER_SECOND).then(|| self.began + Self::SECOND)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;
    use crate::domain::Kind;

    const SHARE: usize = SOURCE_BYTES_MAX;

    fn held(ring: Ring, host: u8, bytes: usize) -> NewHeld {
        NewHeld {
            ring: Some(ring),
            reason: HeldReason::NotJson,
            field: None,
            kind: Kind::other(),
            source: [192, 0, 2, host].into(),
            body: vec![0; bytes].into(),
            signatures: None,
        }
    }

    /// How many bytes each has that is taken, and what was dropped.
    fn taken(waiting: &Waiting, pushes_max: usize) -> (Vec<usize>, Dropped) {
        let (taken, dropped) = waiting.take(pushes_max);
        (taken.held.iter().map(|held| held.body.len()).collect(), dropped)
    }

    async fn in_time<T>(waited: impl Future<Output = T>) -> T {
        timeout(Duration::from_secs(60), waited).await.expect("an end within a minute")
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let (waiting, _queue) = Waiting::new();
        for host in 0..4 {
            waiting.add(held(Ring::Noise, host, SHARE));
        }
        waiting.add(held(Ring::Plausible, 5, 1));
        waiting.add(held(Ring::Plausible, 5, 0));
        let dropped = vec![(Ring::Plausible, HeldReason::NotJson, 1)];
        assert_eq!(taken(&waiting, 9), (vec![SHARE, SHARE, SHARE, SHARE, 0], dropped));
        // What was written has made room, for all and for its source.
        let state = waiting.lock();
        assert_eq!((state.used.bytes, state.by_source.len(), state.dropped.len()), (0, 0, 0));
    }

    #[test]
    fn what_the_writer_has_and_has_not_written_has_its_room_still() {
        let (waiting, _queue) = Waiting::new();
        waiting.add(held(Ring::Noise, 1, SHARE));
        waiting.add(NewHeld {
            signatures: Some(vec![0; SHARE - 1].into()),
            ..held(Ring::Noise, 2, 1)
        });
        let (taken, _) = waiting.take(9);
        for host in [1, 2] {
            assert!(!waiting.has_room([192, 0, 2, host].into(), 1), "{host}");
        }
        assert!(waiting.has_room([192, 0, 2, 3].into(), SHARE * 2));
        assert!(!waiting.has_room([192, 0, 2, 3].into(), SHARE * 2 + 1));
        drop(taken);
        assert!(waiting.has_room([192, 0, 2, 1].into(), WAITING_BYTES_MAX));
    }

    #[test]
    fn one_source_has_a_quarter_of_the_room_and_always_room_for_one() {
        let (waiting, _queue) = Waiting::new();
        for _ in 0..SOURCE_MAX + 5 {
            waiting.add(held(Ring::Noise, 1, 1));
        }
        waiting.add(held(Ring::Noise, 2, SHARE + 1));
        waiting.add(held(Ring::Noise, 2, 1));
        waiting.add(held(Ring::Noise, 3, 2));
        let (bytes, dropped) = taken(&waiting, WAITING_MAX);
        assert_eq!((bytes.len(), &bytes[SOURCE_MAX..]), (SOURCE_MAX + 2, &[SHARE + 1, 2][..]));
        assert_eq!(dropped, [(Ring::Noise, HeldReason::NotJson, 6)]);
    }

    #[tokio::test]
    async fn the_writer_is_given_a_hundred_at_once_and_told_of_drops_alone() {
        let (waiting, queue) = Waiting::new();
        let (commands, mut asked) = mpsc::channel(1);
        for nth in 0..150 {
            waiting.add(held(Ring::Noise, nth, 1));
        }
        let running = tokio::spawn(queue.run(commands));
        let Some(Command::KeepRefused { refused, dropped }) = in_time(asked.recv()).await else {
            panic!("nothing is kept")
        };
        assert_eq!((refused.held.len(), dropped), (KEPT_PER_SECOND, vec![]));
        drop(waiting.take(WAITING_MAX));
        waiting.count_dropped(Ring::Plausible, HeldReason::SignatureWrong);
        let Some(Command::KeepRefused { refused, dropped }) = in_time(asked.recv()).await else {
            panic!("nothing is told")
        };
        let dropped_one = vec![(Ring::Plausible, HeldReason::SignatureWrong, 1)];
        assert_eq!((refused.held.len(), dropped), (0, dropped_one));
        drop(asked);
        waiting.add(held(Ring::Noise, 1, 1));
        in_time(running).await.expect("it ends with the writer");
        assert_eq!(taken(&waiting, 9).0, [1], "and leaves what the writer did not take");
    }

    #[test]
    fn a_hundred_are_kept_in_a_second_and_then_none_until_it_is_over() {
        let began = Instant::now();
        let at = |ms| began + Duration::from_millis(ms);
        let mut pace = Pace { began, kept: 0 };
        assert_eq!((pace.left(at(0)), pace.keep(1)), (100, None));
        assert_eq!((pace.left(at(500)), pace.keep(98)), (99, None));
        assert_eq!((pace.left(at(999)), pace.keep(1)), (1, Some(at(1_000))));
        assert_eq!(pace.left(at(999)), 0);
        assert_eq!((pace.left(at(1_000)), pace.keep(100)), (100, Some(at(2_000))));
        assert_eq!((pace.left(at(5_500)), pace.keep(99)), (100, None));
        assert_eq!((pace.left(at(6_499)), pace.keep(1)), (1, Some(at(6_500))));
    }
}
