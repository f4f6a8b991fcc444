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
        let mut second_began = Instant::now();
        let mut kept = 0;
        while let Some(first) = self.queue.recv().await {
            if second_began.elapsed() >= Duration::from_secs(1) {
                (second_began, kept) = (Instant::now(), 0);
            }
            let mut refused = vec![first];
            kept += 1;
            while kept < KEPT_PER_SECOND
                && let Ok(next) = self.queue.try_recv()
            {
                refused.push(next);
                kept += 1;
            }
            let bytes = refused.iter().map(|held| held.body.len()).sum();
            self.counts.bytes.fetch_sub(bytes, Ordering::Relaxed);
            let dropped = [Ring::Plausible, Ring::Noise]
                .map(|ring| (ring, self.counts.dropped(ring).swap(0, Ordering::Relaxed)));
            if commands.send(Command::KeepRefused { refused, dropped }).await.is_err() {
                return;
            }
            if kept >= KEPT_PER_SECOND {
                sleep_until(second_began + Duration::from_secs(1)).await;
            }
        }
    }
}
