//! HTTP/1.1 on one connection.
use std::{
    convert::Infallible,
    error::Error,
    future::{Future, poll_fn},
    mem,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use super::{
    App, ConnectionLimits, Tls,
    closing::{Closing, Order},
    idle::Listed,
    phase::{Patience, Phase, Turn},
    slots::Slots,
    unread::Unread,
    watched::{Socket, Watched},
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
use tokio::{
    net::TcpStream,
    time::{Instant, Sleep, sleep, timeout},
};
use tokio_rustls::server::TlsStream;

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
    tls: Option<Tls>,
    slots: Arc<Slots>,
    closing: Closing,
}

impl<A: App> Connection<A> {
    pub(super) fn new(
        app: A,
        limits: Arc<ConnectionLimits>,
        tls: Option<Tls>,
        slots: Arc<Slots>,
    ) -> Self {
        let mut http = http1::Builder::new();
        // Answers are small: one buffer costs the kernel less than a list of two.
        http.writev(false)
            // A client that sends no more still reads.
            .half_close(true)
            .header_read_timeout(None)
            .max_headers(HEADERS_MAX)
            .max_buf_size(limits.header_bytes_max);
        Self { app, limits, http, tls, slots, closing: Closing::default() }
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
        let listed = self.slots.list(peer.ip());
        match &self.tls {
            None => self.talk(stream, peer, listed).await,
            Some(tls) => {
                if let Some(stream) = self.shake_hands(tls, stream, peer, listed.as_ref()).await {
                    self.talk(stream, peer, listed).await;
                }
            }
        }
    }

    /// What was agreed on in time. A connection that is still at it when the server is told to stop
    /// has asked for nothing yet, and is closed.
    async fn shake_hands(
        &self,
        tls: &Tls,
        stream: TcpStream,
        peer: SocketAddr,
        listed: Option<&Listed>,
    ) -> Option<TlsStream<TcpStream>> {
        let mut shaking = pin!(timeout(self.limits.tls_time_max, tls.acceptor().accept(stream)));
        let mut order = self.closing.order();
        let mut has_begun = false;
        let outcome = poll_fn(|cx| {
            if let Some(listed) = listed.filter(|_| !mem::replace(&mut has_begun, true)) {
                listed.begins(cx.waker(), Instant::now());
            }
            match shaking.as_mut().poll(cx) {
                Poll::Pending if order.has_come(cx) || listed.is_some_and(Listed::is_over) => {
                    Poll::Ready(None)
                }
                outcome => outcome.map(Some),
            }
        });
        match outcome.await? {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(err)) => {
                tracing::debug!(%peer, error = &err as &dyn Error, "A TLS handshake failed");
            }
            Err(_) => tracing::debug!(%peer, "A TLS handshake took too long"),
        }
        None
    }

    async fn talk(&self, stream: impl Socket, peer: SocketAddr, listed: Option<Listed>) {
        let (phase, unread) = (Phase::default(), Unread::default());
        let mut farewell = Farewell::new(self.closing.order(), phase.clone());
        let mut patience =
            Patience::new(Arc::clone(&self.limits), phase.clone(), unread.clone(), listed);
        let client = phase.clone();
        let io = TokioIo::new(Watched::new(stream, self.limits.write_time_max, phase.clone()));
        let app = self.app.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            let turn = phase.answer();
            request.extensions_mut().insert(Peer(peer));
            let unread = unread.clone();
            let answer = app.clone().call(unread.watch(request));
            async move {
                let mut response = answer.await?;
                if !unread.settle(response.headers_mut()).await {
                    turn.was_the_last();
                }
                Ok::<_, Infallible>(response.map(|body| Answer { body, _turn: turn }))
            }
        });
        let mut http = pin!(self.http.serve_connection(io, service));
        let outcome = poll_fn(|cx| {
            // First the connection: a request that has come is answered, even while closing.
            let mut outcome = http.as_mut().poll(cx);
            if outcome.is_pending() && farewell.begins(cx, self.limits.farewell_time) {
                http.as_mut().graceful_shutdown();
                outcome = http.as_mut().poll(cx);
            }
            match outcome {
                Poll::Ready(outcome) => Poll::Ready(outcome),
                // Dropping the connection closes it without an answer.
                Poll::Pending if client.is_gone() || patience.is_over(cx) => Poll::Ready(Ok(())),
                Poll::Pending => Poll::Pending,
            }
        })
        .await;
        if let Err(err) = outcome {
            if err.is_parse_too_large() {
                self.slots.header_was_too_large(peer.ip());
            }
            // The client's doing: gone, too slow, or no HTTP. Nothing that a person should see.
            tracing::debug!(%peer, error = &err as &dyn Error, "A connection ended early");
        }
    }
}

/// When a connection is told that its next answer is its last.
struct Farewell<'c> {
    order: Order<'c>,
    phase: Phase,
    /// The time for one last request; set once the order has come.
    over: Option<Pin<Box<Sleep>>>,
    has_begun: bool,
}

impl<'c> Farewell<'c> {
    fn new(order: Order<'c>, phase: Phase) -> Self {
        Self { order, phase, over: None, has_begun: false }
    }

    /// True once: when a handler has the last request, or none has come in time. Before that hyper
    /// would close a connection at rest at once, though a request is half way here.
    fn begins(&mut self, cx: &mut Context<'_>, time: Duration) -> bool {
        if self.has_begun || !self.order.has_come(cx) {
            return false;
        }
        let over = self.over.get_or_insert_with(|| Box::pin(sleep(time)));
        self.has_begun =
            time.is_zero() || self.phase.is_answering() || over.as_mut().poll(cx).is_ready();
        self.has_begun
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
