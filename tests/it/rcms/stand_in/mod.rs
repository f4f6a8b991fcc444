//! A stand-in for RCMS: a real server on a real socket that sees each request byte for byte.
//!
//! It is written from the protocol page alone and shares no code with the product, so that the two
//! can disagree. It can also misbehave in every way that a server on the internet does.
mod answer;
mod calls;
mod elsewhere;
mod faults;
mod request;
pub(crate) mod signature;
mod wire;
mod world;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use answer::Answer;
use faults::Script;
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use wire::Way;

pub(crate) use elsewhere::Elsewhere;
pub(crate) use faults::{Fault, On, Times};
pub(crate) use request::Seen;
pub(crate) use world::{
    Account, CLIENT_ID, CLIENT_SECRET, Container, OnRequest, Packed, ParametersIn, Sample,
    SignBody, UniqueCode, Variant, World, device, fleet,
};

/// The server; clones share it. It lives as long as the runtime that started it.
#[derive(Clone)]
pub(crate) struct StandIn {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// How many requests `State::seen` holds.
    seen: watch::Sender<usize>,
    in_flight: AtomicUsize,
    max_in_flight: AtomicUsize,
}

#[derive(Default)]
struct State {
    world: World,
    script: Script,
    seen: Vec<Seen>,
}

impl StandIn {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared }
    }

    /// Without the prefix that [`World::prefix`] may ask for, and without a slash at the end.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The items of the device list, in order; [`fleet`] and [`device`] make plain ones.
    pub(crate) fn set_fleet(&self, devices: Vec<Value>) {
        self.edit(|world| world.devices = devices);
    }

    /// Changes the world, or reads it: what the closure returns comes back.
    pub(crate) fn edit<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut self.shared.state().world)
    }

    /// Adds to the script. Where several faults fit a request, the one added first is played.
    pub(crate) fn fault(&self, on: On, fault: Fault, times: Times) {
        self.shared.state().script.add(on, fault, times);
    }

    pub(crate) fn clear_faults(&self) {
        self.shared.state().script = Script::default();
    }

    /// Every request that was read whole, in the order in which they were.
    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.shared.state().seen.clone()
    }

    /// Begins anew with [`Self::requests`], [`Self::wait_for`] and [`Self::max_in_flight`].
    pub(crate) fn forget_requests(&self) {
        let mut state = self.shared.state();
        state.seen.clear();
        self.shared.seen.send_replace(0);
        let now = self.shared.in_flight.load(Ordering::SeqCst);
        self.shared.max_in_flight.store(now, Ordering::SeqCst);
    }

    /// How many requests were being answered at once, at most. A client that gave up is counted
    /// until the server notices; with an answer that comes whole the count is exact.
    pub(crate) fn max_in_flight(&self) -> usize {
        self.shared.max_in_flight.load(Ordering::SeqCst)
    }

    /// Waits until so many requests were seen; answers may still be on their way. It has no time
    /// limit of its own, so that a test with a paused clock can use it.
    pub(crate) async fn wait_for(&self, requests: usize) {
        self.shared.seen.subscribe().wait_for(|seen| *seen >= requests).await.unwrap();
    }
}

/// What is to be done about one request.
struct Turn {
    answer: Answer,
    way: Way,
    delay: Duration,
    close: bool,
    busy: Busy,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Judges a request, keeps it, and settles how it is answered.
    fn take(self: &Arc<Self>, mut seen: Seen) -> Turn {
        let mut state = self.state();
        let State { world, script, seen: all } = &mut *state;
        if seen.verdict.is_ok() {
            seen.verdict = signature::check(&seen, world);
        }
        let call = calls::Call::of(&seen, world);
        let refused = world.on_request.as_mut().and_then(|it| it(&seen.path));
        let refused = refused.map(|status| Fault::Status(status, Vec::new(), String::new()));
        let fault = refused.or_else(|| script.next(&call, &seen));
        let (mut answer, way) = faults::play(fault, || calls::answer(&call, &seen, world));
        answer.date_ms = (world.now_ms)() + world.clock_skew_ms;
        let unzips = seen.header("accept-encoding").is_some_and(|text| text.contains("gzip"));
        if world.gzip && unzips && !answer.body.is_empty() {
            answer.zip();
        }
        if let Some(packed) = world.packed {
            answer.pack(packed);
        }
        let close = seen.header("connection").is_some_and(|text| text.contains("close"));
        let turn = Turn { answer, way, delay: world.delay, close, busy: Busy::new(self) };
        all.push(seen);
        self.seen.send_replace(all.len());
        turn
    }
}

/// Held while a request is being answered. It is let go just before the last byte leaves: a client
/// that has its answer may ask again before this task runs on, and that is no overlap.
struct Busy(Arc<Shared>);

impl Busy {
    fn new(shared: &Arc<Shared>) -> Self {
        let now = shared.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        shared.max_in_flight.fetch_max(now, Ordering::SeqCst);
        Self(Arc::clone(shared))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) -> io::Result<()> {
    for connection in 1.. {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(converse(stream, connection, Arc::clone(&shared)));
    }
    Ok(())
}

/// One connection, to its end. An error is a client that left, which is the client's right.
async fn converse(mut stream: TcpStream, connection: usize, shared: Arc<Shared>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut unread = Vec::new();
    while let Some(seen) = request::read(&mut stream, &mut unread, connection).await? {
        let Turn { answer, way, delay, close, busy } = shared.take(seen);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let stays = wire::send(&mut stream, answer, way, busy).await?;
        if close || !stays {
            break;
        }
    }
    Ok(())
}
