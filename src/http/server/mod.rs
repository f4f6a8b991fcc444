//! Connections, under both listeners: how many there may be, how long each may wait, how they end.
//!
//! - this file: bind, accept, and the ending;
//! - `limits`: the numbers; `slots`: who may still come in; `idle`: who makes room; `counts`: figures;
//! - `connection`: HTTP/1.1 on one connection; `closing`: how it hears that it should end;
//! - `phase`: what a connection is at, and how long it may be;
//! - `unread`: what a handler leaves of a request's body;
//! - `tls`: the certificate;
//! - `watched`: the socket: stalled writes, clients that left, and the way it is closed.
//!
//! `axum::serve` is not used because it has no such deadlines. Nor is hyper's own header timeout:
//! it would also end kept-alive connections that rest, and a proxy's next POST on one would fail.
mod closing;
mod connection;
mod counts;
mod idle;
mod limits;
mod phase;
mod slots;
mod tls;
mod unread;
mod watched;

use std::{
    convert::Infallible,
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use axum::{http::Request, response::Response};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    task::{JoinError, JoinSet},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tower::Service;

pub use connection::Peer;
pub use counts::{ConnectionCounts, ConnectionFigures, Excess, LargeHeaders, Shortage};
pub use limits::ConnectionLimits;
pub use tls::{OutOfDate, Tls, TlsError, TlsFiles};
pub use unread::Asked;

use connection::Connection;
use slots::{Admitted, Slot, Slots};

/// Connections that the kernel holds for us until we accept them.
const BACKLOG: u32 = 1024;

/// After a `kill -9` the old process's connections may hold the address for a moment.
const BIND_TIME_MAX: Duration = Duration::from_secs(5);
const BIND_RETRY_EVERY: Duration = Duration::from_millis(100);

/// How long to leave the door shut when the machine can give us no more connections.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Listens on `address`; waits up to 5 seconds for an address that is still in use.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let give_up = Instant::now() + BIND_TIME_MAX;
    let mut told = false;
    loop {
        match listen(address) {
            Err(err) if err.kind() == ErrorKind::AddrInUse && Instant::now() < give_up => {
                if !told {
                    tracing::warn!(%address, "The address is in use; trying for 5 seconds");
                    told = true;
                }
                sleep(BIND_RETRY_EVERY).await;
            }
            outcome => return outcome,
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Answers requests: a [`Router`](axum::Router), or a service of one's own.
pub trait App:
    Service<Request<Asked>, Response = Response, Error = Infallible, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> App for S where
    S: Service<Request<Asked>, Response = Response, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// Answers with `app` whoever connects to `listener`, until `stop` is cancelled.
///
/// Then nobody new comes in, connections at rest are closed, requests in flight are answered, and
/// what is left after [`ConnectionLimits::drain_time_max`] is cut off. There is no other way for
/// it to end: a connection that fails, a handler that panics or a machine without descriptors is
/// logged and costs no more than itself.
pub async fn serve(
    listener: TcpListener,
    app: impl App,
    limits: ConnectionLimits,
    stop: CancellationToken,
) {
    serve_with(listener, app, limits, None, Arc::default(), stop).await;
}

/// The same, encrypted where there is a certificate, and counted.
pub async fn serve_with(
    listener: TcpListener,
    app: impl App,
    limits: ConnectionLimits,
    tls: Option<Tls>,
    counts: Arc<ConnectionCounts>,
    stop: CancellationToken,
) {
    let limits = Arc::new(limits);
    let slots = Arc::new(Slots::new(&limits, counts));
    let connection = Arc::new(Connection::new(app, Arc::clone(&limits), tls, Arc::clone(&slots)));
    let mut connections = JoinSet::new();
    let mut door = Door { listener, slots, waiting: None, paused: false };
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(ended) = connections.join_next() => see_off(ended),
            guest = door.next() => let_in(&mut connections, &connection, guest),
        }
    }
    door.close(|guest| let_in(&mut connections, &connection, guest));
    connection.close_all();
    let all_ended = async {
        while let Some(ended) = connections.join_next().await {
            see_off(ended);
        }
    };
    if timeout(limits.drain_time_max, all_ended).await.is_err() {
        tracing::warn!(connections = connections.len(), "Cut off connections that did not end");
        connections.shutdown().await;
    }
}

/// Who has come in by the door, and has a place.
type Guest = (TcpStream, SocketAddr, Slot);

fn let_in<A: App>(
    connections: &mut JoinSet<()>,
    connection: &Arc<Connection<A>>,
    (stream, peer, slot): Guest,
) {
    let served = Arc::clone(connection).serve(stream, peer);
    connections.spawn(async move {
        served.await;
        drop(slot);
    });
}

/// A connection task has no result; that it panicked must not go unseen.
fn see_off(ended: Result<(), JoinError>) {
    if ended.is_err_and(|err| err.is_panic()) {
        // Where, the log knows by the panic hook.
        tracing::error!("A connection's task panicked; the connection was closed");
    }
}

/// The listener and who may come in by it.
struct Door {
    listener: TcpListener,
    slots: Arc<Slots>,
    /// Who has been accepted and has no place yet.
    waiting: Option<(TcpStream, SocketAddr, Admitted)>,
    /// Whether the last attempt to accept failed, so that a streak of failures is logged once.
    paused: bool,
}

impl Door {
    /// The next connection that may stay. Can be dropped at any await without losing one.
    async fn next(&mut self) -> Guest {
        loop {
            if self.waiting.is_some() {
                // Others wait in the kernel's queue meanwhile.
                let free = self.slots.free().await;
                if let Some((stream, peer, admitted)) = self.waiting.take() {
                    return (stream, peer, self.slots.take(free, admitted));
                }
            }
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    self.paused = false;
                    self.admit(stream, peer);
                }
                Err(err) if is_of_one_connection(&err) => {}
                Err(err) => self.pause(&err).await,
            }
        }
    }

    fn admit(&mut self, stream: TcpStream, peer: SocketAddr) {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        self.waiting = self.slots.admit(peer.ip()).map(|admitted| (stream, peer, admitted));
    }

    /// Lets in those who are connected already, as far as there are places, and nobody after them:
    /// the kernel resets a connection that nobody has accepted, and a push on it would be lost to
    /// a proxy that has sent it.
    fn close(mut self, mut let_in: impl FnMut(Guest)) {
        let mut let_in_waiting = |waiting: &mut Option<_>, slots: &Slots| {
            if waiting.is_some()
                && let Some(free) = slots.free_now()
                && let Some((stream, peer, admitted)) = waiting.take()
            {
                let_in((stream, peer, slots.take(free, admitted)));
            }
            // Nobody else can come in while one waits.
            waiting.is_none()
        };
        if !let_in_waiting(&mut self.waiting, &self.slots) {
            return;
        }
        // What tokio listened on does not block; nor does it hold back what is there.
        let Ok(listener) = self.listener.into_std() else { return };
        for _ in 0..BACKLOG {
            let Ok((stream, peer)) = listener.accept() else { return };
            let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
            let admitted = self.slots.admit(peer.ip());
            let mut waiting = stream.ok().zip(admitted).map(|(stream, it)| (stream, peer, it));
            if !let_in_waiting(&mut waiting, &self.slots) {
                return;
            }
        }
    }

    async fn pause(&mut self, err: &io::Error) {
        if !self.paused {
            self.paused = true;
            tracing::error!(
                error = err as &dyn std::error::Error,
                "Cannot accept connections; raise the limit of open files if this lasts"
            );
        }
        sleep(ACCEPT_PAUSE).await;
    }
}

/// Whether accept failed for one client that has already gone, not for the listener.
fn is_of_one_connection(err: &io::Error) -> bool {
    matches!(
        err.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted
    )
}
