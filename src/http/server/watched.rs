//! A socket with deadlines, and the way it is closed.
use std::{
    io::{self, ErrorKind, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep, sleep_until},
};

use super::ConnectionLimits;

/// How long, after we have said all, we still take in what the client is sending. Closing a socket
/// with unread bytes in it sends a reset, and a reset can destroy the answer before the client has
/// read it. A client that is blindly sending a body we refused has this long to look up; one far
/// away needs a few round trips, one that is near can send its 100 MB out.
const LINGER_TIME_MAX: Duration = Duration::from_secs(2);
/// How much of it we take in at most: what a 1 Gbit/s line delivers in a second.
const LINGER_BYTES_MAX: usize = 128 * 1024 * 1024;
const LINGER_BUFFER_BYTES: usize = 64 * 1024;

/// The connection waits for a request's first byte.
const RESTING: u8 = 0;
/// A request has begun, and its header is not complete.
const IN_HEADER: u8 = 1;
/// A handler has the request: its deadlines are its own.
const ANSWERING: u8 = 2;
/// The answer has been handed over. What arrives now may be left over of its request.
const ANSWERED: u8 = 3;

/// What a connection is at: told by the service and by the socket, which hyper keeps apart. Both
/// run in the connection's one task, so no order among other memory is asked for.
#[derive(Clone, Default)]
pub(super) struct Phase(Arc<AtomicU8>);

impl Phase {
    /// A handler has a request, until the turn is dropped.
    pub(super) fn answer(&self) -> Turn {
        self.set(ANSWERING);
        Turn(self.clone())
    }

    fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, phase: u8) {
        self.0.store(phase, Ordering::Relaxed);
    }
}

/// A handler's turn; over when its answer has been handed to the connection.
pub(super) struct Turn(Phase);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.set(ANSWERED);
    }
}

/// A client's socket. Reads fail when the client is too slow with a header or rests too long,
/// writes fail when it does not read; a read that fails makes hyper close without an answer.
///
/// What it costs a request is one look at the clock: see [`Alarm`].
pub(super) struct Watched {
    stream: TcpStream,
    limits: Arc<ConnectionLimits>,
    phase: Phase,
    /// When the present rest or header must be over; unset until a read has had to wait in it.
    read_by: Option<Instant>,
    alarm: Alarm,
    /// Goes off when a write has made no progress for too long; set only while one waits.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Whether the client has said that it will send no more.
    ended: bool,
    linger: Option<Linger>,
}

impl Watched {
    pub(super) fn new(stream: TcpStream, limits: Arc<ConnectionLimits>, phase: Phase) -> Self {
        Self {
            stream,
            limits,
            phase,
            read_by: None,
            alarm: Alarm(None),
            stalled: None,
            ended: false,
            linger: None,
        }
    }

    fn bytes_came(&mut self) {
        // In `ANSWERED` no clock starts: the bytes may be the end of a body that the handler left
        // unread, which hyper takes out of the way. If they begin a request after all (a client
        // that pipelines), its header has the time of a rest: as long as a silent client has.
        if self.phase.get() == RESTING {
            self.phase.set(IN_HEADER);
            self.read_by = None;
        }
    }

    /// A read has to wait; errs when it has waited too long.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let time_max = match self.phase.get() {
            ANSWERING => return Poll::Pending,
            IN_HEADER => self.limits.header_time_max,
            phase => {
                if phase == ANSWERED {
                    self.phase.set(RESTING);
                    self.read_by = None;
                }
                self.limits.idle_time_max
            }
        };
        let read_by = *self.read_by.get_or_insert_with(|| Instant::now() + time_max);
        ready!(self.alarm.poll(cx, read_by));
        Poll::Ready(Err(ErrorKind::TimedOut.into()))
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
        let time_max = self.limits.write_time_max;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(time_max)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Ready(Ok(())) if buf.filled().len() > before => self.bytes_came(),
            Poll::Ready(Ok(())) => self.ended = true,
            Poll::Ready(Err(err)) => return Poll::Ready(Err(err)),
            Poll::Pending => return self.poll_wait(cx),
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
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
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Says that we are done, then takes in what the client is still sending, within bounds.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            // A client at rest has sent nothing that we have not read.
            if this.ended || this.phase.get() == RESTING {
                return Poll::Ready(Ok(()));
            }
        }
        let linger = this.linger.get_or_insert_with(Linger::new);
        linger.poll(cx, &mut this.stream).map(Ok)
    }
}

/// The timer of a connection's reads. Resetting a timer takes a lock of the runtime, and a
/// connection has a new deadline with every request. So the timer stays where it is while it is
/// early enough; when it goes off, the true deadline decides.
struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready once `deadline` has passed.
    fn poll(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if deadline < sleep.deadline() {
            sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }
}

/// The time between our last word and the closed socket.
struct Linger {
    over: Pin<Box<Sleep>>,
    bytes_left: usize,
    scratch: Box<[u8]>,
}

impl Linger {
    fn new() -> Self {
        Self {
            over: Box::pin(sleep(LINGER_TIME_MAX)),
            bytes_left: LINGER_BYTES_MAX,
            scratch: vec![0; LINGER_BUFFER_BYTES].into(),
        }
    }

    /// Ready when the client has ended, or time or bytes are used up.
    fn poll(&mut self, cx: &mut Context<'_>, stream: &mut TcpStream) -> Poll<()> {
        while self.over.as_mut().poll(cx).is_pending() {
            let mut buf = ReadBuf::new(&mut self.scratch);
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
