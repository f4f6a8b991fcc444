//! What a handler leaves of a request's body. The next request on the connection comes after it, and
//! a proxy that has sent both would lose the second one if the connection just closed. So before the
//! answer leaves, a small rest is taken in; where that is not done in time, the answer says that the
//! connection closes after it.
use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::{Bytes, HttpBody},
    http::{HeaderMap, HeaderValue, Request, header},
};
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::time::timeout;

/// How much of a body is taken in that nobody wants.
const REST_BYTES_MAX: usize = 64 * 1024;
/// How long the answer waits for it. A proxy sends the head of a slow client's request before the body.
const REST_TIME_MAX: Duration = Duration::from_millis(500);

/// All of the body was read, or there was none.
const READ: u8 = 0;
/// A handler has it, or it is broken.
const HELD: u8 = 1;
/// A handler gave it up before its end.
const LEFT: u8 = 2;

/// What has become of the body of a connection's last request.
#[derive(Clone, Default)]
pub(super) struct Unread(Arc<State>);

#[derive(Default)]
struct State {
    body: AtomicU8,
    left: Mutex<Option<Incoming>>,
}

impl Unread {
    /// The request as its handler gets it.
    pub(super) fn watch(&self, request: Request<Incoming>) -> Request<Asked> {
        // The first read of a body that was asked for makes hyper ask the client to send it.
        let may_read = !request.headers().contains_key(header::EXPECT);
        request.map(|body| {
            self.set(if body.is_end_stream() { READ } else { HELD });
            Asked { body: Some(body), may_read, is_read: false, unread: self.clone() }
        })
    }

    /// Makes sure that what comes after this answer's request can be told from it: takes what is
    /// left of the request, or has the answer say that the connection closes. False if it does.
    pub(super) async fn settle(&self, answer: &mut HeaderMap) -> bool {
        if self.0.body.load(Ordering::Relaxed) == READ {
            return true;
        }
        // As long as there is a body, hyper waits for somebody to read it.
        let left = self.0.left.lock().unwrap_or_else(PoisonError::into_inner).take();
        let is_read = match left {
            Some(body) if !says_close(answer) => {
                timeout(REST_TIME_MAX, read_rest(body)).await.unwrap_or(false)
            }
            _ => false,
        };
        if !is_read {
            answer.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        is_read
    }

    /// Whether a handler has the body, and may be waiting for the rest of it.
    pub(super) fn is_awaited(&self) -> bool {
        self.0.body.load(Ordering::Relaxed) == HELD
    }

    fn set(&self, body: u8) {
        self.0.body.store(body, Ordering::Relaxed);
    }
}

fn says_close(answer: &HeaderMap) -> bool {
    answer.get(header::CONNECTION).is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(b"close"))
}

/// Whether the body came to its end, and was short.
async fn read_rest(mut body: Incoming) -> bool {
    let mut bytes_left = REST_BYTES_MAX;
    let is_small = |hint: SizeHint| hint.lower() <= REST_BYTES_MAX as u64;
    while is_small(body.size_hint()) {
        match body.frame().await {
            None => return true,
            Some(Err(_)) => return false,
            Some(Ok(frame)) => match bytes_left.checked_sub(frame.data_ref().map_or(0, Bytes::len))
            {
                Some(left) => bytes_left = left,
                None => return false,
            },
        }
    }
    false
}

/// A request's body, which is not lost if it is given up before its end.
pub struct Asked {
    /// None only once it is dropped.
    body: Option<Incoming>,
    /// Whether it may be read when its handler does not want it.
    may_read: bool,
    is_read: bool,
    unread: Unread,
}

impl HttpBody for Asked {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        // From now on the client knows that it is wanted.
        this.may_read = true;
        let frame = ready!(Pin::new(body).poll_frame(cx));
        match &frame {
            None => this.is_read = true,
            // A body that is broken ends nowhere: what comes after it is no request.
            Some(Err(_)) => this.may_read = false,
            Some(Ok(_)) => (),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, Incoming::size_hint)
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let Some(body) = self.body.take() else { return };
        if self.is_read || (body.is_end_stream() && self.may_read) {
            self.unread.set(READ);
        } else if self.may_read {
            let mut left = self.unread.0.left.lock().unwrap_or_else(PoisonError::into_inner);
            *left = Some(body);
            self.unread.set(LEFT);
        }
    }
}
