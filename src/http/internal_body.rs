//! How large a body may be on the internal listener, and how long it may take. Whoever holds no key
//! gets as far as the sign-in form, so its body is small and soon there; only files may take long,
//! as long as they go on coming, and those need a key before they are read.
use std::{
    future::Future,
    io::{Error, ErrorKind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    BoxError,
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};
use hyper::body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::problem::Problem;

/// What a form of the page comes nowhere near.
const FORM_BYTES_MAX: u64 = 16 * 1024;
/// What a JSON body comes nowhere near.
const JSON_BYTES_MAX: u64 = 64 * 1024;
/// How long either may take, from its head to its last byte.
const BODY_TIME_MAX: Duration = Duration::from_secs(10);
/// How long the next piece of a file may take.
const PIECE_TIME_MAX: Duration = Duration::from_secs(30);
/// Where files are sent to; whoever reads them bounds their size.
const FILE_PATHS: [&str; 2] = ["/v1/import", "/v1/sims/import"];

/// All is well.
const WITHIN: u8 = 0;
const TOO_LARGE: u8 = 1;
const TOO_SLOW: u8 = 2;

/// Bounds the request's body, and answers what came of that.
pub(super) async fn bound(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let path = request.uri().path();
    let is_file = FILE_PATHS.contains(&path);
    let bytes_max = if is_file {
        u64::MAX
    } else if path.starts_with("/v1/") {
        JSON_BYTES_MAX
    } else {
        FORM_BYTES_MAX
    };
    let outcome = Arc::new(AtomicU8::new(WITHIN));
    let deadline = (!is_file).then(|| Instant::now() + BODY_TIME_MAX);
    let request = request.map(|body| {
        let outcome = Arc::clone(&outcome);
        Body::new(Bounded { body, bytes_left: bytes_max, deadline, alarm: None, outcome })
    });
    let answer = next.run(request).await;
    // A handler only knows that the body broke off.
    match outcome.load(Ordering::Relaxed) {
        TOO_LARGE if answer.status().is_client_error() => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "Content Too Large").into_response()
        }
        TOO_SLOW if answer.status().is_client_error() => {
            Problem::new(StatusCode::REQUEST_TIMEOUT, "Request Timeout")
                .detail("The body came too slowly. Send it again; what was stored of it stays.")
                .into_response()
        }
        _ => answer,
    }
}

/// A body that fails when it is too large or too slow.
struct Bounded {
    body: Body,
    bytes_left: u64,
    /// When all of it must be there; none for a file, each piece of which has its own time.
    deadline: Option<Instant>,
    /// Set while a piece is waited for.
    alarm: Option<Pin<Box<Sleep>>>,
    outcome: Arc<AtomicU8>,
}

impl Bounded {
    fn fail(&self, outcome: u8, kind: ErrorKind) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.outcome.store(outcome, Ordering::Relaxed);
        Poll::Ready(Some(Err(Error::from(kind).into())))
    }
}

impl HttpBody for Bounded {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        // What says itself that it is too large is not read at all.
        if self.body.size_hint().lower() > self.bytes_left {
            return self.fail(TOO_LARGE, ErrorKind::FileTooLarge);
        }
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.alarm = None;
                let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
                match self.bytes_left.checked_sub(bytes) {
                    Some(left) => self.bytes_left = left,
                    None => return self.fail(TOO_LARGE, ErrorKind::FileTooLarge),
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(end) => Poll::Ready(end.map(|frame| frame.map_err(Into::into))),
            Poll::Pending => {
                let deadline = self.deadline.unwrap_or_else(|| Instant::now() + PIECE_TIME_MAX);
                let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
                match alarm.as_mut().poll(cx) {
                    Poll::Ready(()) => self.fail(TOO_SLOW, ErrorKind::TimedOut),
                    Poll::Pending => Poll::Pending,
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
