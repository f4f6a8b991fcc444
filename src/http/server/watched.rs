//! A client's socket: what comes from it, how long a write may wait, how it is closed.
use std::{
    io::{self, ErrorKind, IoSlice},
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::FutureExt;
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};
use tokio_rustls::server::TlsStream;

use super::phase::Phase;

/// How long, after we have said all, we still take in what the client is sending. Closing a socket
/// with unread bytes in it sends a reset, and a reset can destroy the answer before the client has
/// read it. A client that is blindly sending a body we refused has this long to look up; one far
/// away needs a few round trips, one that is near can send its 100 MB out.
const LINGER_TIME_MAX: Duration = Duration::from_secs(2);
/// How much of it we take in at most: what a 1 Gbit/s line delivers in a second.
const LINGER_BYTES_MAX: usize = 128 * 1024 * 1024;
/// On the stack: a crowd that lingers costs no memory.
const LINGER_BUFFER_BYTES: usize = 4 * 1024;

/// A client's connection.
pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// What its bytes come by.
    fn tcp(&self) -> &TcpStream;
}

impl Socket for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Socket for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// A client's socket, or what TLS makes of it. It tells the phase of bytes that come; a write that waits too long for a
/// client that does not read fails, and so ends the connection.
pub(super) struct Watched<S> {
    stream: S,
    write_time_max: Duration,
    phase: Phase,
    /// Goes off when a write has made no progress for too long; set only while one waits.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Whether the client has said that it will send no more.
    ended: bool,
    linger: Option<Linger>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, write_time_max: Duration, phase: Phase) -> Self {
        Self { stream, write_time_max, phase, stalled: None, ended: false, linger: None }
    }

    fn poll_wrote(
        &mut self,
        cx: &mut Context<'_>,
        wrote: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if wrote.is_ready() {
            self.stalled = None;
            return wrote;
        }
        let time_max = self.write_time_max;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(time_max)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(ErrorKind::TimedOut.into()))
    }
}

impl<S: Socket> Watched<S> {
    /// Whether the client has said that it will send no more, or is gone. While a handler has the
    /// request nobody reads, since what comes then is the next one.
    fn look_for_end(&self, cx: &mut Context<'_>) {
        if !self.phase.is_answering() || self.stream.tcp().poll_read_ready(cx).is_pending() {
            return;
        }
        let both = self.stream.tcp().ready(Interest::READABLE | Interest::WRITABLE);
        match both.now_or_never() {
            // Nor can anything be written: it was reset.
            Some(Ok(ready)) if ready.is_write_closed() => self.phase.client_is_gone(),
            Some(Ok(ready)) if ready.is_read_closed() => self.phase.client_sent_all(),
            _ => (),
        }
    }
}

impl<S: Socket> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match ready!(Pin::new(&mut self.stream).poll_read(cx, buf)) {
            Ok(()) => (),
            // TLS without its own word for the end: HTTP knows itself where a request ends.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => (),
            Err(error) => return Poll::Ready(Err(error)),
        }
        if buf.filled().len() > before {
            self.phase.bytes_came();
        } else {
            self.ended = true;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Socket> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.poll_wrote(cx, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.poll_wrote(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper flushes whenever it has done what it can.
        self.look_for_end(cx);
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Says that we are done, then takes in what the client is still sending, within bounds.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            // A client at rest has sent nothing that we have not read.
            if this.ended || this.phase.is_resting() {
                return Poll::Ready(Ok(()));
            }
        }
        let linger = this.linger.get_or_insert_with(Linger::new);
        linger.poll(cx, &mut this.stream).map(Ok)
    }
}

/// The time between our last word and the closed socket.
struct Linger {
    over: Pin<Box<Sleep>>,
    bytes_left: usize,
}

impl Linger {
    fn new() -> Self {
        Self { over: Box::pin(sleep(LINGER_TIME_MAX)), bytes_left: LINGER_BYTES_MAX }
    }

    /// Ready when the client has ended, or time or bytes are used up.
    fn poll<S: AsyncRead + Unpin>(&mut self, cx: &mut Context<'_>, stream: &mut S) -> Poll<()> {
        let mut scratch = [MaybeUninit::uninit(); LINGER_BUFFER_BYTES];
        while self.over.as_mut().poll(cx).is_pending() {
            let mut buf = ReadBuf::uninit(&mut scratch);
            let outcome = ready!(Pin::new(&mut *stream).poll_read(cx, &mut buf));
            let taken = buf.filled().len();
            self.bytes_left = self.bytes_left.saturating_sub(taken);
            if outcome.is_err() || taken == 0 || self.bytes_left == 0 {
                break;
            }
        }
        Poll::Ready(())
    }
}
