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

use super::{ConnectionLimits, idle::Listed, unread::Unread};

/// The connection waits for a request's first byte.
const RESTING: u8 = 0;
/// A request has begun, and its header is not complete.
const IN_HEADER: u8 = 1;
/// A handler has the request: its deadlines are its own.
const ANSWERING: u8 = 2;
/// The answer has been handed over. What arrives now may be left over of its request.
const ANSWERED: u8 = 3;
/// A handler waits for the rest of a request's body.
const IN_BODY: u8 = 4;

/// What a connection is at, told by the socket and by the service, which hyper keeps apart. All
/// run in the connection's one task, so no order among other memory is asked for.
#[derive(Clone, Default)]
pub(super) struct Phase(Arc<State>);

#[derive(Default)]
struct State {
    phase: AtomicU8,
    client: AtomicU8,
    /// Whether a part of the last request was not read, so that the connection closes.
    is_last: AtomicBool,
}

/// The client may send more.
const SENDING: u8 = 0;
/// It has said that it will send no more; it may still read.
const SENT_ALL: u8 = 1;
/// It has reset the connection.
const GONE: u8 = 2;

impl Phase {
    /// The socket gave bytes: a request's first, if the connection was at rest.
    ///
    /// Right after an answer they begin nothing yet: hyper may have read them together with the
    /// request before. The header of a request that was pipelined has the time of a rest.
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

    /// The client will send no more.
    pub(super) fn client_sent_all(&self) {
        self.0.client.store(SENT_ALL, Ordering::Relaxed);
    }

    /// The client has reset the connection: nobody reads an answer.
    pub(super) fn client_is_gone(&self) {
        self.0.client.store(GONE, Ordering::Relaxed);
    }

    /// Whether there is nobody any more to answer.
    pub(super) fn is_gone(&self) -> bool {
        self.0.client.load(Ordering::Relaxed) == GONE
    }

    fn has_client_sent_all(&self) -> bool {
        self.0.client.load(Ordering::Relaxed) != SENDING
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

impl Turn {
    /// No request comes after this one.
    pub(super) fn was_the_last(&self) {
        self.0.0.is_last.store(true, Ordering::Relaxed);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.set(ANSWERED);
    }
}

/// How long to bear with the client.
pub(super) struct Patience {
    limits: Arc<ConnectionLimits>,
    phase: Phase,
    unread: Unread,
    /// The phase that must be over by a certain time.
    timed: Option<(u8, Instant)>,
    alarm: Alarm,
    /// Its place among those that may be asked to make room; none for a proxy.
    listed: Option<Listed>,
}

impl Patience {
    pub(super) fn new(
        limits: Arc<ConnectionLimits>,
        phase: Phase,
        unread: Unread,
        listed: Option<Listed>,
    ) -> Self {
        Self { limits, phase, unread, timed: None, alarm: Alarm(None), listed }
    }

    /// Whether the client has taken too long; if not, wakes the task when it will have.
    ///
    /// To be asked whenever the connection has done what it can and waits. The reads themselves
    /// cannot be asked: after an answer hyper does not try to read before it is woken.
    pub(super) fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        let mut phase = self.phase.get();
        if phase == ANSWERED {
            if self.phase.0.is_last.swap(false, Ordering::Relaxed) {
                // hyper finds out that nobody reads the body at its next turn, and then closes.
                cx.waker().wake_by_ref();
                return false;
            }
            phase = RESTING;
            self.phase.set(RESTING);
            self.timed = None;
        }
        if phase == ANSWERING && self.unread.is_awaited() {
            phase = IN_BODY;
        }
        let time_max = match phase {
            ANSWERING if !self.phase.has_client_sent_all() => {
                self.stop_resting();
                return false;
            }
            // It may have left for good: that looks the same.
            ANSWERING => self.limits.half_closed_time_max,
            IN_HEADER => self.limits.header_time_max,
            _ => self.limits.idle_time_max,
        };
        let deadline = match self.timed {
            Some((timed, deadline)) if timed == phase => deadline,
            _ => {
                let now = Instant::now();
                match &self.listed {
                    Some(listed) if phase != ANSWERING => listed.begins(cx.waker(), now),
                    _ => self.stop_resting(),
                }
                now + time_max
            }
        };
        self.timed = Some((phase, deadline));
        let makes_room = phase != ANSWERING && self.listed.as_ref().is_some_and(Listed::is_over);
        makes_room || self.alarm.poll(cx, deadline).is_ready()
    }

    fn stop_resting(&self) {
        if let Some(listed) = &self.listed {
            listed.ends();
        }
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
