//! A poller whose hours pass in a moment, over a real store and real sockets.
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use simdeck::{
    domain::{
        Clock, Device, DeviceEvent, DeviceFilter, Freshness, HistoryFilter, PageSize, Place,
        PollReport, Secret, SerialNumber, Timestamp, Walk,
    },
    intake::{Acknowledge, Intake, IntakeOptions, KeepOptions},
    poller::{Pace, Poller, PollerOptions, good_for},
    rcms::{Client, ClientOptions},
    smarthub::{
        AgePolicy, IdentityRule,
        signature::{PushKey, Verifier},
    },
    store::{self, Limits, OpenOptions, Store},
};
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    asking::{PATIENCE, account},
    stand_in::StandIn,
};

pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(3600);
/// What takes so long in truth will not happen.
const GUARD: Duration = Duration::from_secs(120);
/// When every simulation begins.
pub(super) const START_MS: i64 = 1_760_000_000_000;
/// From one cycle to the next, more or less.
pub(super) const CYCLE: Duration = MINUTE;

/// Time that passes only where the poller waits, and only as far as the test allows.
#[derive(Clone)]
pub(super) struct SimulatedTime(Arc<Shared>);

struct Shared {
    elapsed: Mutex<Duration>,
    allowed: watch::Sender<Duration>,
    is_held: watch::Sender<bool>,
}

impl SimulatedTime {
    pub(super) fn new() -> Self {
        let (allowed, is_held) = (watch::Sender::new(Duration::ZERO), watch::Sender::new(false));
        Self(Arc::new(Shared { elapsed: Mutex::default(), allowed, is_held }))
    }

    /// Lets time pass up to here, and waits until the poller waits for more.
    async fn pass_to(&self, allowed: Duration) {
        self.0.is_held.send_replace(false);
        self.0.allowed.send_replace(allowed);
        let mut is_held = self.0.is_held.subscribe();
        timeout(GUARD, is_held.wait_for(|held| *held)).await.expect("the poller hangs").unwrap();
        let mut elapsed = self.0.elapsed.lock().unwrap();
        *elapsed = allowed.max(*elapsed);
    }

    /// Lets so much time pass at once, whoever waits.
    pub(super) fn take(&self, span: Duration) {
        *self.0.elapsed.lock().unwrap() += span;
    }
}

impl Clock for SimulatedTime {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(START_MS).plus(self.elapsed())
    }
}

impl Pace for SimulatedTime {
    fn elapsed(&self) -> Duration {
        *self.0.elapsed.lock().unwrap()
    }

    async fn wait(&self, span: Duration) {
        let until = self.elapsed() + span;
        let mut allowed = self.0.allowed.subscribe();
        while *allowed.borrow_and_update() < until {
            self.0.is_held.send_replace(true);
            allowed.changed().await.unwrap();
        }
        let mut elapsed = self.0.elapsed.lock().unwrap();
        *elapsed = until.max(*elapsed);
    }
}

/// A poller at work.
pub(super) struct Polled {
    pub(super) rcms: StandIn,
    pub(super) time: SimulatedTime,
    pub(super) report: watch::Receiver<PollReport>,
    store: Store,
    passed: Duration,
    _stop: DropGuard,
    folder: TempDir,
}

impl Polled {
    /// A poller that has just begun. `devices` are those that the settings name.
    pub(super) async fn start(rcms: StandIn, devices: &[&str]) -> Self {
        Self::start_in(SimulatedTime::new(), CYCLE, rcms, devices).await
    }

    /// The same in a time that others know of, with cycles of this length.
    pub(super) async fn start_in(
        time: SimulatedTime,
        cycle: Duration,
        rcms: StandIn,
        devices: &[&str],
    ) -> Self {
        let folder = TempDir::new().unwrap();
        let clock = time.clone();
        rcms.edit(|world| world.now_ms = Box::new(move || clock.now().unix_ms()));
        let options = OpenOptions {
            database: folder.path().join("simdeck.db"),
            time_zone: None,
            limits: Limits::of_quarantine(1 << 20),
        };
        let opened = store::open(&options).await.unwrap();
        let stop = CancellationToken::new();
        let options = intake_options(&time, &folder);
        let (intake, tasks) = Intake::new(opened, options, stop.clone()).await.unwrap();
        tokio::spawn(tasks.run());
        let options = ClientOptions {
            clock: Arc::new(time.clone()),
            total_time_max: PATIENCE,
            retries: 0,
            authorities: None,
        };
        let client = Client::new(account(&rcms.url()), options).unwrap();
        let devices = devices.iter().map(|sn| sn.parse().unwrap()).collect();
        let options = PollerOptions { poll_every: cycle, devices, page_size: 100 };
        let store = intake.store().clone();
        let (poller, report) = Poller::new(client, intake, time.clone(), options);
        tokio::spawn(poller.run(stop.clone()));
        let passed = Duration::ZERO;
        let mut polled =
            Self { rcms, time, report, store, passed, _stop: stop.drop_guard(), folder };
        // Half a minute off the cycles, so that none is cut in two.
        polled.pass(cycle / 2).await;
        polled
    }

    /// Lets so much time pass.
    pub(super) async fn pass(&mut self, span: Duration) {
        self.passed += span;
        self.time.pass_to(self.passed).await;
    }

    pub(super) async fn device(&self, sn: &str) -> Device {
        let sn: SerialNumber = sn.parse().unwrap();
        self.store.device(&sn, self.freshness()).await.unwrap().unwrap()
    }

    pub(super) async fn devices(&self) -> Vec<Device> {
        let walk = Walk { top: i64::MAX, place: Place::Oldest, size: PageSize::LARGEST };
        let filter = DeviceFilter::default();
        let portion = self.store.devices(&filter, self.freshness(), &walk).await.unwrap();
        let mut devices = portion.rows;
        devices.reverse();
        devices
    }

    /// What has happened to a device, the oldest first.
    pub(super) async fn history(&self, sn: &str) -> Vec<DeviceEvent> {
        let walk = Walk { top: i64::MAX, place: Place::Oldest, size: PageSize::LARGEST };
        let (sn, filter) = (sn.parse().unwrap(), HistoryFilter::default());
        let mut events = self.store.device_history(&sn, &filter, &walk).await.unwrap();
        events.reverse();
        events
    }

    pub(super) fn freshness(&self) -> Freshness {
        let good_for = self.report.borrow().good_for.unwrap_or(good_for(CYCLE));
        Freshness { now: self.time.now(), good_for }
    }

    /// When each request was signed, since the start.
    pub(super) fn asked_at(&self) -> Vec<Duration> {
        let signed_ms = |text: Option<&str>| text.unwrap().parse::<i64>().unwrap() - START_MS;
        let requests = self.rcms.requests();
        let times = requests.iter().map(|seen| signed_ms(seen.header("timestamp")));
        times.map(|ms| Duration::from_millis(ms.try_into().unwrap())).collect()
    }

    /// The paths of all requests, without what they have in common.
    pub(super) fn asked(&self) -> Vec<String> {
        let short = |path: &str| path.rsplit("/link/").next().unwrap().to_owned();
        self.rcms.requests().iter().map(|seen| short(&seen.path)).collect()
    }

    /// Changes the database past the store, for what no front door lets in.
    pub(super) async fn sql(&self, statement: &'static str) {
        let options = SqliteConnectOptions::new().filename(self.folder.path().join("simdeck.db"));
        let mut raw = options.connect().await.unwrap();
        sqlx::raw_sql(statement).execute(&mut raw).await.unwrap();
        raw.close().await.unwrap();
    }
}

fn intake_options(time: &SimulatedTime, folder: &TempDir) -> IntakeOptions {
    let key = PushKey { label: None, key: Secret::from("push key".to_owned()) };
    IntakeOptions {
        verifier: Verifier::new(&[key], 0),
        age: AgePolicy { max_age: HOUR, max_ahead: HOUR },
        identity: IdentityRule::Content,
        clock: Arc::new(time.clone()),
        data_dir: folder.path().to_owned(),
        disk_reserve_bytes: 0,
        keep: KeepOptions::usual(folder.path().join("simdeck.db")),
        acknowledge: Acknowledge::AfterCommit,
    }
}
