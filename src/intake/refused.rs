use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::admin::Command;
use crate::domain::{NewHeld, Ring};

/// How many refused pushes may wait to be kept, and how many bytes of bodies.
const WAITING_MAX: usize = 1_000;
const WAITING_BYTES_MAX: usize = 8 << 20;

/// How many are kept in a second.
const KEPT_PER_SECOND: usize = 100;

/// Refused pushes that wait until the writer has nothing better to do. What does not fit is dropped
/// and counted: a flood of noise costs neither memory nor a good push.
pub(super) struct Waiting {
    queue: mpsc::Sender<NewHeld>,
    counts: Arc<Counts>,
}

/// The other end.
pub(super) struct RefusedQueue {
    queue: mpsc::Receiver<NewHeld>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    bytes: AtomicUsize,
    dropped_plausible: AtomicU64,
    dropped_noise: AtomicU64,
}

impl Waiting {
    pub(super) fn new() -> (Self, RefusedQueue) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let counts = Arc::<Counts>::default();
        (Self { queue: sender, counts: counts.clone() }, RefusedQueue { queue: receiver, counts })
    }

    pub(super) fn add(&self, held: NewHeld) {
        let (ring, bytes) = (held.ring, held.body.len());
        let before = self.counts.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > WAITING_BYTES_MAX || self.queue.try_send(held).is_err() {
            self.counts.bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.counts.dropped(ring).fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Counts {
    fn dropped(&self, ring: Ring) -> &AtomicU64 {
        match ring {
            Ring::Plausible => &self.dropped_plausible,
            Ring::Noise => &self.dropped_noise,
        }
    }
}

impl RefusedQueue {
    /// Hands refused pushes to the writer, no more than it may be bothered with. Ends when the
    /// writer does.
    pub(super) async fn run(mut self, commands: mpsc::Sender<Command>) {
        let mut pace = Pace { began: Instant::now(), kept: 0 };
        while let Some(first) = self.queue.recv().await {
            let left = pace.left(Instant::now());
            let mut refused = vec![first];
            while refused.len() < left
                && let Ok(next) = self.queue.try_recv()
            {
                refused.push(next);
            }
            let rest_until = pace.keep(refused.len());
            let bytes = refused.iter().map(|held| held.body.len()).sum();
            self.counts.bytes.fetch_sub(bytes, Ordering::Relaxed);
            let dropped = [Ring::Plausible, Ring::Noise]
                .map(|ring| (ring, self.counts.dropped(ring).swap(0, Ordering::Relaxed)));
            if commands.send(Command::KeepRefused { refused, dropped }).await.is_err() {
                return;
            }
            if let Some(end) = rest_until {
                sleep_until(end).await;
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
    use super::*;
    use crate::domain::{HeldClass, HeldReason, Kind};

    fn held(ring: Ring, bytes: usize) -> NewHeld {
        NewHeld {
            class: HeldClass::Refused,
            ring,
            reason: HeldReason::NotJson,
            field: None,
            kind: Kind::other(),
            source: [192, 0, 2, 1].into(),
            body: vec![0; bytes].into(),
            signatures: None,
        }
    }

    /// What the writer is given first: how many bytes each has, and what was dropped.
    async fn first_of(queue: RefusedQueue) -> Option<(Vec<usize>, [(Ring, u64); 2])> {
        let (commands, mut asked) = mpsc::channel(1);
        let command = tokio::select! {
            () = queue.run(commands) => None,
            command = asked.recv() => command,
        };
        match command? {
            Command::KeepRefused { refused, dropped } => {
                Some((refused.iter().map(|held| held.body.len()).collect(), dropped))
            }
            _ => None,
        }
    }

    #[tokio::test]
    async fn what_does_not_fit_is_dropped_and_counted_by_its_ring() {
        let (waiting, queue) = Waiting::new();
        for (ring, bytes) in [
            (Ring::Noise, WAITING_BYTES_MAX - 2),
            (Ring::Noise, 3),
            (Ring::Plausible, 2),
            (Ring::Plausible, 1),
            (Ring::Plausible, WAITING_BYTES_MAX),
            (Ring::Noise, 0),
        ] {
            waiting.add(held(ring, bytes));
        }
        let dropped = [(Ring::Plausible, 2), (Ring::Noise, 1)];
        assert_eq!(first_of(queue).await, Some((vec![WAITING_BYTES_MAX - 2, 2, 0], dropped)));
        // What was handed on makes room; now nobody takes more.
        assert_eq!(waiting.counts.bytes.load(Ordering::Relaxed), 0);
        waiting.add(held(Ring::Noise, 1));
        assert_eq!(waiting.counts.dropped(Ring::Noise).load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn no_more_wait_than_have_room_and_the_writer_is_given_a_hundred_at_once() {
        let (waiting, queue) = Waiting::new();
        for _ in 0..WAITING_MAX + 5 {
            waiting.add(held(Ring::Noise, 1));
        }
        let dropped = [(Ring::Plausible, 0), (Ring::Noise, 5)];
        assert_eq!(first_of(queue).await, Some((vec![1; KEPT_PER_SECOND], dropped)));
        let bytes = WAITING_MAX - KEPT_PER_SECOND;
        assert_eq!(waiting.counts.bytes.load(Ordering::Relaxed), bytes);
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
