//! What a connection is at, and how long it may be.
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    task::{Context, Poll},
};

use tokio::time::{Instant, Sleep, sleep_until};

use super::{ConnectionLimits, slots::Crowd};

/// The connection waits for a request's first byte.
const RESTING: u8 = 0;
/// A request has begun, and its header is not complete.
const IN_HEADER: u8 = 1;
/// A handler has the request: its deadlines are its own.
const ANSWERING: u8 = 2;
/// The answer has been handed over. What arrives now may be left over of its request.
const ANSWERED: u8 = 3;

/// What a connection is at, told by the socket and by the service, which hyper keeps apart. All
/// run in the connection's one task, so no order among other memory is asked for.
#[derive(Clone, Default)]
pub(super) struct Phase(Arc<State>);

#[derive(Default)]
struct State {
    phase: AtomicU8,
    /// Whether a handler gave up a body before its end.
    left_unread: AtomicBool,
}

impl Phase {
    /// The socket gave bytes: a request's first, if the connection was at rest.
    ///
    /// Right after an answer they begin nothing: they may be the end of a body that the handler
    /// left unread, which hyper takes out of the way. If they are a request after all (a client
    /// that pipelines), its header has the time of a rest, which a silent client has as well.
    pub(super) fn bytes_came(&self) {
        if self.get() == RESTING {
            self.set(IN_HEADER);
        }
    }

    /// A handler has a request, until the turn is dropped.
    pub(super) fn answer(&self) -> Turn {
        self.set(ANSWERING);
        Turn(self.clone())
    }

    /// A handler gave up its request's body before the end.
    pub(super) fn left_unread(&self) {
        self.0.left_unread.store(true, Ordering::Relaxed);
    }

    /// Whether everything that the client has sent has been read and answered.
    pub(super) fn is_resting(&self) -> bool {
        self.get() == RESTING
    }

    /// Whether a handler has a request.
    pub(super) fn is_answering(&self) -> bool {
        self.get() == ANSWERING
    }

    fn get(&self) -> u8 {
        self.0.phase.load(Ordering::Relaxed)
    }

    fn set(&self, phase: u8) {
        self.0.phase.store(phase, Ordering::Relaxed);
    }
}

/// A handler's turn; over when its answer has been handed to the connection.
pub(super) struct Turn(Phase);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.set(ANSWERED);
    }
}

/// How long to bear with the client.
pub(super) struct Patience {
    limits: Arc<ConnectionLimits>,
    phase: Phase,
    /// The phase that must be over by a certain time.
    timed: Option<(u8, Instant)>,
    alarm: Alarm,
    /// For whom a rest is cut short; nobody, if the client is a proxy.
    crowd: Option<Crowd>,
    /// When a rest is long enough to look whether it must be.
    look: Instant,
}

impl Patience {
    pub(super) fn new(limits: Arc<ConnectionLimits>, phase: Phase, crowd: Option<Crowd>) -> Self {
        let look = Instant::now();
        Self { limits, phase, timed: None, alarm: Alarm(None), crowd, look }
    }

    /// Whether the client has taken too long; if not, wakes the task when it will have.
    ///
    /// To be asked whenever the connection has done what it can and waits. The reads themselves
    /// cannot be asked: after an answer hyper does not try to read before it is woken.
    pub(super) fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        let mut phase = self.phase.get();
        if phase == ANSWERED {
            if self.phase.0.left_unread.swap(false, Ordering::Relaxed) {
                // hyper takes the rest of a body out of the way at its next turn: let it have
                // that turn now, so that what it reads is not taken for a request.
                cx.waker().wake_by_ref();
                return false;
            }
            phase = RESTING;
            self.phase.set(RESTING);
            self.timed = None;
        }
        let time_max = match phase {
            ANSWERING => return false,
            IN_HEADER => self.limits.header_time_max,
            _ => self.limits.idle_time_max,
        };
        let deadline = match self.timed {
            Some((timed, deadline)) if timed == phase => deadline,
            _ => {
                self.look = Instant::now() + self.limits.crowded_rest_max;
                Instant::now() + time_max
            }
        };
        self.timed = Some((phase, deadline));
        match &self.crowd {
            Some(crowd) if phase == RESTING => {
                while self.look < deadline {
                    if self.alarm.poll(cx, self.look).is_pending() {
                        return false;
                    }
                    if crowd.is_full() {
                        return true;
                    }
                    self.look += self.limits.crowded_rest_max;
                }
            }
            _ => (),
        }
        self.alarm.poll(cx, deadline).is_ready()
    }
}

/// Resetting a timer takes a lock of the runtime, and a connection has a new deadline with every
/// request. So the timer stays where it is while it is early enough; when it goes off, the true
/// deadline decides.
struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready once `deadline` has passed.
    fn poll(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if deadline < sleep.deadline() {
            sleep.as_mut().reset(deadline);
        }
        while sleep.as_mut().poll(cx).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}
