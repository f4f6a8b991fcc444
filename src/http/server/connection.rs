//! HTTP/1.1 on one connection.
use std::{
    convert::Infallible,
    error::Error,
    future::{Future, poll_fn},
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use super::{
    App, ConnectionLimits,
    closing::Closing,
    phase::{Patience, Phase, Turn},
    watched::Watched,
};
use axum::{
    body::{Body, Bytes, HttpBody},
    http::Request,
};
use hyper::{
    body::{Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

const HEADERS_MAX: usize = 64;

/// Who is at the other end of the connection: the client, or the proxy in front of us. An
/// extension of each request; an IPv4-mapped address is already IPv4 here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// What all connections of a listener share.
pub(super) struct Connection<A> {
    app: A,
    limits: Arc<ConnectionLimits>,
    http: http1::Builder,
    closing: Closing,
}

impl<A: App> Connection<A> {
    pub(super) fn new(app: A, limits: Arc<ConnectionLimits>) -> Self {
        let mut http = http1::Builder::new();
        // Answers are small: one buffer costs the kernel less than a list of two.
        http.writev(false)
            .header_read_timeout(None)
            .max_headers(HEADERS_MAX)
            .max_buf_size(limits.header_bytes_max);
        Self { app, limits, http, closing: Closing::default() }
    }

    /// Tells every connection to end: at once if it rests, else after the answer it is at.
    pub(super) fn close_all(&self) {
        self.closing.close();
    }

    /// Answers the requests of one connection until it ends.
    pub(super) async fn serve(self: Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        // An answer is one small write; waiting to fill a segment would only delay it.
        if let Err(err) = stream.set_nodelay(true) {
            tracing::debug!(%peer, error = &err as &dyn Error, "Cannot set TCP_NODELAY");
        }
        let phase = Phase::default();
        let mut patience = Patience::new(Arc::clone(&self.limits), phase.clone());
        let io = TokioIo::new(Watched::new(stream, self.limits.write_time_max, phase.clone()));
        let app = self.app.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            let turn = phase.answer();
            request.extensions_mut().insert(Peer(peer));
            let asked = |body| Asked { body, ended: false, phase: phase.clone() };
            let answer = app.clone().call(request.map(asked));
            async move {
                let response = answer.await?;
                Ok::<_, Infallible>(response.map(|body| Answer { body, _turn: turn }))
            }
        });
        let mut http = pin!(self.http.serve_connection(io, service));
        let mut order = self.closing.order();
        let mut ending = false;
        let outcome = poll_fn(|cx| {
            // First the connection: a request that has come is answered, even while closing.
            let mut outcome = http.as_mut().poll(cx);
            if outcome.is_pending() && !ending && order.has_come(cx) {
                ending = true;
                http.as_mut().graceful_shutdown();
                outcome = http.as_mut().poll(cx);
            }
            match outcome {
                Poll::Ready(outcome) => Poll::Ready(outcome),
                // Dropping the connection closes it without an answer.
                Poll::Pending if patience.is_over(cx) => Poll::Ready(Ok(())),
                Poll::Pending => Poll::Pending,
            }
        })
        .await;
        if let Err(err) = outcome {
            // The client's doing: gone, too slow, or no HTTP. Nothing that a person should see.
            tracing::debug!(%peer, error = &err as &dyn Error, "A connection ended early");
        }
    }
}

/// A request body that says when it has been given up before its end.
pub struct Asked {
    body: Incoming,
    ended: bool,
    phase: Phase,
}

impl HttpBody for Asked {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        self.ended = matches!(frame, Poll::Ready(None));
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if !self.ended && !self.body.is_end_stream() {
            self.phase.left_unread();
        }
    }
}

/// A response body that says when it has been handed over or given up.
struct Answer {
    body: Body,
    _turn: Turn,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
