use std::{
    mem,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc},
    time::sleep,
};

use super::{
    admin::Command,
    refused_turns::{Turns, counted_as},
};
use crate::{
    domain::{HeldReason, NewHeld, Ring},
    store::RefusedCounts,
};

/// How often the writer is handed some, how many, and how many bytes of them. What this spares is the
/// disk: a held push costs several pages of the database, a commit costs two syncs.
const HANDED_EVERY: Duration = Duration::from_millis(250);
const HANDED_PUSHES_MAX: usize = 25;
const HANDED_BYTES_MAX: usize = 1 << 20;

/// Refused pushes that wait until the writer has nothing better to do. What does not fit is dropped
/// and counted: a flood of noise costs neither memory nor a good push. One has its room until it is
/// written: a writer that waits for a slow disk must not gather what was taken from here.
///
/// Each time that the writer is handed some, it also notes how many wait still, so that a kill takes
/// away what was sent, but not that it was.
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
    turns: Turns,
    dropped: RefusedCounts,
}

/// What the writer is handed: refused pushes, whose room is free again when this is dropped.
pub(super) struct Handed {
    pub(super) held: Vec<NewHeld>,
    /// Those that were dropped since it was last handed any.
    pub(super) dropped: RefusedCounts,
    /// Those that wait still.
    pub(super) left: RefusedCounts,
    waiting: Waiting,
}

impl Drop for Handed {
    fn drop(&mut self) {
        self.waiting.lock().turns.free(&self.held);
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
        let mut state = self.lock();
        let lost = state.turns.add(held);
        for held in &lost {
            let (ring, reason) = counted_as(held);
            state.drop_one(ring, reason);
        }
        drop(state);
        self.0.news.notify_one();
    }

    /// Whether one of so many bytes would be let in now.
    pub(super) fn has_room(&self, source: IpAddr, bytes: usize) -> bool {
        self.lock().turns.has_room(source, bytes)
    }

    /// Counts one that nobody will look at.
    pub(super) fn count_dropped(&self, ring: Ring, reason: HeldReason) {
        self.lock().drop_one(ring, reason);
        self.0.news.notify_one();
    }

    /// All that waits, and what was dropped.
    pub(super) fn take_all(&self) -> Handed {
        self.take(usize::MAX, usize::MAX)
    }

    fn take(&self, pushes_max: usize, bytes_max: usize) -> Handed {
        let mut state = self.lock();
        let held = state.turns.take(pushes_max, bytes_max);
        let dropped = mem::take(&mut state.dropped);
        Handed { held, dropped, left: state.turns.counts(), waiting: self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn drop_one(&mut self, ring: Ring, reason: HeldReason) {
        *self.dropped.entry((ring, reason)).or_default() += 1;
    }
}

impl RefusedQueue {
    /// Hands refused pushes to the writer, no more than it may be bothered with. Ends when the
    /// writer does; it takes what is left then itself.
    pub(super) async fn run(self, commands: mpsc::Sender<Command>) {
        let waiting = self.0;
        loop {
            waiting.0.news.notified().await;
            // A place in the writer's queue first: what was taken could not be given back.
            let Ok(place) = commands.reserve().await else { return };
            let handed = waiting.take(HANDED_PUSHES_MAX, HANDED_BYTES_MAX);
            if handed.held.is_empty() && handed.dropped.is_empty() {
                continue;
            }
            place.send(Command::KeepRefused(handed));
            sleep(HANDED_EVERY).await;
            if !waiting.lock().turns.is_empty() {
                waiting.0.news.notify_one();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;
    use crate::domain::Kind;

    fn held(host: u8) -> NewHeld {
        NewHeld {
            ring: Some(Ring::Noise),
            reason: HeldReason::NotJson,
            field: None,
            kind: Kind::other(),
            source: [192, 0, 2, host].into(),
            body: vec![0].into(),
            signatures: None,
            pushed_at: None,
        }
    }

    async fn next(asked: &mut mpsc::Receiver<Command>) -> Handed {
        match timeout(Duration::from_secs(60), asked.recv()).await {
            Ok(Some(Command::KeepRefused(handed))) => handed,
            _ => panic!("nothing is handed over within a minute"),
        }
    }

    #[tokio::test]
    async fn the_writer_is_handed_a_few_at_a_time_and_what_waits_and_drops_alone() {
        const WAITING: u8 = 60;
        let (waiting, queue) = Waiting::new();
        let (commands, mut asked) = mpsc::channel(1);
        for host in 0..WAITING {
            waiting.add(held(host));
        }
        waiting.count_dropped(Ring::Plausible, HeldReason::SignatureWrong);
        let dropped = RefusedCounts::from([((Ring::Plausible, HeldReason::SignatureWrong), 1)]);
        let of_noise = |pushes| RefusedCounts::from([((Ring::Noise, HeldReason::NotJson), pushes)]);
        let running = tokio::spawn(queue.run(commands));
        let handed = next(&mut asked).await;
        assert_eq!((handed.held.len(), &handed.dropped), (HANDED_PUSHES_MAX, &dropped));
        assert_eq!(handed.left, of_noise(35));
        assert_eq!(next(&mut asked).await.left, of_noise(10));
        let handed = next(&mut asked).await;
        assert_eq!((handed.held.len(), handed.left.len(), handed.dropped.len()), (10, 0, 0));
        waiting.count_dropped(Ring::Plausible, HeldReason::SignatureWrong);
        let handed = next(&mut asked).await;
        assert_eq!((handed.held.len(), &handed.dropped), (0, &dropped));
        drop(asked);
        waiting.add(held(1));
        timeout(Duration::from_secs(60), running).await.expect("a minute").expect("no panic");
        assert_eq!(waiting.take_all().held.len(), 1, "it leaves what the writer did not take");
    }

    #[test]
    fn what_the_writer_has_and_has_not_written_has_its_room_still() {
        let (waiting, _queue) = Waiting::new();
        waiting.add(NewHeld { body: vec![0; 2 << 20].into(), ..held(1) });
        let handed = waiting.take_all();
        assert!(!waiting.has_room([192, 0, 2, 1].into(), 1));
        drop(handed);
        assert!(waiting.has_room([192, 0, 2, 1].into(), 8 << 20));
    }
}
