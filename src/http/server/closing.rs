//! The order to end, given once to all connections of a listener.
use std::{
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Waker},
};

use tokio::sync::{Notify, futures::Notified};

/// Whether the listener's connections are to end.
///
/// A connection asks at every wake-up, several times a request. Asking a `CancellationToken` or a
/// `Notify` takes a lock that all connections share; asking this reads one atomic.
#[derive(Default)]
pub(super) struct Closing {
    ordered: AtomicBool,
    wake: Notify,
}

impl Closing {
    pub(super) fn close(&self) {
        self.ordered.store(true, Ordering::Release);
        self.wake.notify_waiters();
    }

    /// One connection's ear for the order.
    pub(super) fn order(&self) -> Order<'_> {
        Order { closing: self, woken: Box::pin(self.wake.notified()), waker: None }
    }
}

pub(super) struct Order<'a> {
    closing: &'a Closing,
    woken: Pin<Box<Notified<'a>>>,
    /// The task that will be woken; as long as it is the same, there is nothing to register.
    waker: Option<Waker>,
}

impl Order<'_> {
    /// Whether the order has been given; if not, wakes the asking task when it is.
    pub(super) fn has_come(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
            if self.woken.as_mut().poll(cx).is_ready() {
                return true;
            }
        }
        self.closing.ordered.load(Ordering::Acquire)
    }
}
