//! How the parts are put together: a server, or the internal API alone for a single command.
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Experiment, Failure,
    alert::Alerts,
    announcement::Announcement,
    demo,
    ending::{Running, ended_early_because, tell_that_we_end},
    identity_rule,
    listeners::Listeners,
    made::{Secrets, secrets},
    output::passing_notes,
    rcms_ca, recorded,
    reload::{self, Reload, Renewing, Reread},
    settings::Settings,
    systemd, test_push,
    told::{ListenerTls, page_settings, push_settings, unusable_tls},
};
use crate::{
    demo::{Demo, DemoClock, good_for as good_for_in_demo},
    domain::{Clock, Secret, SystemClock},
    http::{
        ApiSettings, InternalState, Live, LiveAdminKey, PageSettings, PushLog, Rcms, Wellness,
        digest_of,
        failures::FailureLimiter,
        internal_router, proving, public_app,
        server::{ConnectionLimits, serve, serve_with},
    },
    intake::{Intake, IntakeError, IntakeOptions, KeepOptions},
    poller::{Poller, PollerOptions, SystemPace, good_for},
    rcms::{Account, Client, ClientOptions},
    smarthub::{AgePolicy, signature::Verifier},
    store::{DataFolder, Limits, OpenOptions, Progress, open_to_serve},
};

/// A server that listens and is not yet run.
pub(super) struct Server {
    /// None in a demo, which nobody pushes to.
    pub(super) public: Option<SocketAddr>,
    pub(super) internal: SocketAddr,
    pub(super) secrets: Secrets,
    parts: Parts,
    poller: Option<Poller<SystemPace>>,
    alerts: Option<Alerts>,
    listeners: Listeners,
    settings: Settings,
    tls: ListenerTls,
    /// By which a command on this machine knows us.
    announcement: Announcement,
    reload: Reload,
    demo: Option<Demo>,
    /// Whether the demo has still to be told.
    is_untold: bool,
    /// Says that we end, before we do.
    wellness: Wellness,
}

/// What a server and a single command have in common.
struct Parts {
    intake: Intake,
    /// Runs from the start: what is stored before anybody is answered goes through it, too.
    tasks: JoinHandle<Result<(), IntakeError>>,
    stop_intake: CancellationToken,
    internal: InternalState,
    /// Ours until all is done.
    folder: DataFolder,
}

/// The internal API of a store that no server runs on, for one command.
pub(super) struct Offline {
    pub(super) base_url: String,
    /// A key that it accepts.
    pub(super) key: Secret,
    _stop: DropGuard,
    _folder: DataFolder,
}

/// Opens the store under the instance lock and serves the internal API to one command.
pub(super) async fn open_offline(settings: &Settings) -> Result<Offline, Failure> {
    demo::refuse_as_real(settings)?;
    let clock = Arc::new(SystemClock);
    let (mut parts, secrets) = parts(settings, Experiment::default(), clock, false).await?;
    let settings = ApiSettings { is_command: true, ..(*parts.internal.settings).clone() };
    parts.internal.settings = Arc::new(settings);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(cannot_listen)?;
    let base_url = format!("http://{}", listener.local_addr().map_err(cannot_listen)?);
    let stop = CancellationToken::new();
    let (router, limits) =
        (internal_router(parts.internal, PageSettings::default()), ConnectionLimits::internal());
    // Both end with the command: what it asked for is on disk when it was answered.
    tokio::spawn(serve(listener, router, limits, stop.clone()));
    let key = secrets.api_key;
    Ok(Offline { base_url, key, _stop: stop.drop_guard(), _folder: parts.folder })
}

impl Server {
    /// Opens everything that can fail, so that a server that starts also runs.
    pub(super) async fn open(
        settings: Settings,
        reread: Reread,
        experiment: Experiment,
        is_demo: bool,
    ) -> Result<Self, Failure> {
        let hangup = reload::hangup()?;
        let tls = ListenerTls::open(&settings).map_err(|error| unusable_tls(&error))?;
        for warning in tls.warnings(SystemClock.now()) {
            tracing::warn!("{warning}");
        }
        let demo_clock = Arc::new(DemoClock::default());
        let (is_untold, clock): (bool, Arc<dyn Clock>) = if is_demo {
            (demo::prepare(&settings)?, demo_clock.clone())
        } else {
            demo::refuse_as_real(&settings)?;
            (false, (experiment.clock)())
        };
        let (mut parts, secrets) = parts(&settings, experiment, clock, true).await?;
        let fleet = is_demo.then(|| demo_fleet(&parts, demo_clock.clone(), &secrets));
        if let Some(fleet) = &fleet {
            let rcms = demo::rcms(fleet.report(), good_for_in_demo(), demo_clock)?;
            parts.internal.rcms = Some(rcms);
        }
        let poller = match settings.rcms.account() {
            Some(account) => {
                let (poller, rcms) = poller(account, &settings, &parts.intake)?;
                parts.internal.rcms = Some(rcms);
                Some(poller)
            }
            None => None,
        };
        let alerts = Alerts::open(&settings)?.map(|(alerts, changes)| {
            parts.internal.live.watch.tell(changes);
            alerts
        });
        let listeners = Listeners::open(&settings, is_demo).await?;
        let (public, internal) = listeners.addresses()?;
        let announcement = Announcement::make(&parts.folder, internal, tls.internal.is_some())?;
        let reload = Reload::new(
            reread,
            &settings,
            &secrets,
            Renewing {
                intake: parts.intake.clone(),
                admin_key: parts.internal.admin_key.clone(),
                tls: tls.clone(),
                rcms: poller.as_ref().and(parts.internal.rcms.as_ref()).map(|it| it.client.clone()),
            },
            hangup,
        );
        if let Some(address) = public {
            let pusher = test_push::pusher(&settings, address, reload.credentials.subscribe())?;
            parts.internal.live.test_pusher = Some(pusher);
        }
        Ok(Self {
            public,
            internal,
            announcement,
            secrets,
            parts,
            poller,
            alerts,
            listeners,
            settings,
            tls,
            reload,
            demo: fleet,
            is_untold,
            wellness: Wellness::default(),
        })
    }

    /// What the internal listener answers from.
    pub(super) fn state(&self) -> InternalState {
        self.parts.internal.clone()
    }

    /// Tells the demo, where there is one that is not told yet. False if that was broken off.
    pub(super) async fn tell_demo(&self, stop: &CancellationToken) -> Result<bool, Failure> {
        let Some(fleet) = self.demo.as_ref().filter(|_| self.is_untold) else { return Ok(true) };
        let bar = demo::progress();
        tokio::select! {
            () = stop.cancelled() => return Ok(false),
            done = fleet.tell(|done, all| demo::show(&bar, done, all)) => done.map_err(told)?,
        }
        bar.finish_and_clear();
        demo::told(&self.settings)?;
        Ok(true)
    }

    /// Runs until `stop`. Then what people and programs inside have asked for ends within a second,
    /// while pushes are still taken; after that no new push comes in, those in flight are answered, what
    /// waits is committed, and the log is brought back into the database. A part that ends by itself
    /// ends all others, and that is a failure.
    pub(super) async fn run(self, stop: CancellationToken) -> Result<(), Failure> {
        let Self {
            mut parts,
            poller,
            alerts,
            listeners,
            settings,
            tls,
            announcement,
            reload,
            demo,
            wellness,
            ..
        } = self;
        parts.internal.live.stop = stop.clone();
        recorded::start(&parts.intake, &settings, &reload.credentials.borrow());
        let failures = Arc::new(FailureLimiter::default());
        let trusted: Arc<[_]> = settings.public.trusted_proxies.clone().into();
        let limits = ConnectionLimits::public(trusted.clone());
        let public = public_app(
            parts.intake.clone(),
            push_settings(&settings, trusted, reload.path_tokens.clone(), wellness.clone()),
            failures.clone(),
            parts.internal.live.pushes.clone(),
        );
        let (mut fronts, mut pushes) = (JoinSet::new(), JoinSet::new());
        let public_stop = CancellationToken::new();
        let counts = parts.internal.live.connections.clone();
        fronts.spawn(parts.internal.clone().watch_over(stop.clone()));
        let credentials = reload.credentials.subscribe();
        let page = page_settings(&settings, credentials, demo.is_some());
        let state = parts.internal.clone();
        let internal = proving(internal_router(parts.internal, page), announcement.secret.clone());
        tokio::spawn(announcement.write_later(stop.clone()));
        if let Some(listener) = listeners.public {
            let (counts, stop) = (counts.public, public_stop.clone());
            pushes.spawn(serve_with(listener, public, limits, tls.public, counts, stop));
        }
        if let Some(demo) = demo {
            fronts.spawn(demo.run(stop.clone()));
        }
        let (limits, counts) = (ConnectionLimits::internal(), counts.internal);
        let listener = listeners.internal;
        fronts.spawn(serve_with(listener, internal, limits, tls.internal, counts, stop.clone()));
        if let Some(poller) = poller {
            fronts.spawn(poller.run(stop.clone()));
        }
        if let Some(alerts) = alerts {
            fronts.spawn(alerts.run(stop.clone()));
        }
        // None has anything to say when it ends, and all do so when we stop.
        tokio::spawn(systemd::tell_status(state.clone(), stop.clone()));
        tokio::spawn(systemd::feed_watchdog(parts.intake.clone(), stop.clone()));
        tokio::spawn(reload.run(stop.clone()));
        let mut intake = parts.tasks;
        let told = tokio::spawn(tell_that_we_end(stop.clone(), parts.intake.clone(), wellness));
        let running = Running { intake: &mut intake, failures: &failures, stop: &stop };
        let ended_early =
            running.until_stopped(&mut fronts, &mut pushes, told, &public_stop).await?;
        recorded::stop(&state).await;
        parts.stop_intake.cancel();
        let outcome = match intake.await {
            Ok(Ok(())) => ended_early.map_or(Ok(()), Err),
            done => Err(ended_early_because(done)),
        };
        drop(parts.folder);
        outcome
    }
}

/// Takes the data directory, opens the store, finds or makes the secrets.
async fn parts(
    settings: &Settings,
    experiment: Experiment,
    clock: Arc<dyn Clock>,
    is_server: bool,
) -> Result<(Parts, Secrets), Failure> {
    let folder = take_folder(settings)?;
    let limits = Limits {
        quarantine_bytes_max: settings.quarantine.max_bytes,
        tail_records_max: experiment.tail_records_max,
        sums_tail_records_max: experiment.sums_tail_records_max,
        disk_reserve_bytes: settings.disk.reserve_bytes,
    };
    let (database, time_zone) = (settings.database.clone(), settings.time_zone.clone());
    let options = OpenOptions { database, time_zone, limits };
    let notes = passing_notes();
    let progress: Progress<'_> = if is_server { &systemd::starting } else { &notes };
    let mut opened = open_to_serve(&options, progress).await?;
    folder.guard(&settings.database, &mut opened.files)?;
    identity_rule::note(&mut opened.writer, settings, is_server).await;
    let secrets = secrets(settings, &folder, opened.is_empty)?;
    let stop_intake = CancellationToken::new();
    let options = IntakeOptions {
        verifier: Verifier::new(&secrets.push_keys, settings.push.date_shift_s),
        age: AgePolicy { max_age: settings.push.max_age, max_ahead: settings.push.max_ahead },
        identity: settings.push.identity,
        clock,
        data_dir: settings.data_dir.clone(),
        disk_reserve_bytes: settings.disk.reserve_bytes,
        keep: KeepOptions {
            database: settings.database.clone(),
            retention: settings.retention,
            backup_every: settings.backup.every,
            backups_kept: settings.backup.kept,
            backup_dir: settings.backup.dir.clone(),
        },
        acknowledge: experiment.acknowledge,
    };
    let (intake, tasks) = Intake::new(opened, options, stop_intake.clone())
        .await
        .map_err(Failure::because("the store cannot be read"))?;
    let internal = InternalState {
        store: intake.store().clone(),
        intake: intake.clone(),
        rcms: None,
        live: Live::new(PushLog::new((experiment.clock)()), CancellationToken::new()),
        clock: (experiment.clock)(),
        admin_key: LiveAdminKey::new(digest_of(secrets.api_key.expose())),
        settings: Arc::new(ApiSettings {
            first_page: settings.api.first_page,
            internal_url: settings.internal.url.clone(),
            is_encrypted: settings.internal_is_encrypted(),
            internal_names: settings.internal.names.clone(),
            sms_text_field: settings.sms.text_field.clone(),
            requests_per_hour: settings.api.requests_per_hour,
            is_unlimited: settings.api.requests_per_hour.is_none(),
            cors_origins: settings.api.cors_origins.clone(),
            trusted_proxies: settings.public.trusted_proxies.clone().into(),
            is_command: false,
        }),
    };
    let tasks = tokio::spawn(tasks.run());
    Ok((Parts { intake, tasks, stop_intake, internal, folder }, secrets))
}

/// Takes the data directory, where no database is missing. That of a demo is made anew when it is old.
fn take_folder(settings: &Settings) -> Result<DataFolder, Failure> {
    let folder = DataFolder::take(&settings.data_dir, &settings.database)?;
    if !demo::is_demo(settings) {
        folder.check_database(&settings.database)?;
    }
    Ok(folder)
}

/// What asks RCMS, and what the internal listener knows of it.
fn poller(
    account: Account,
    settings: &Settings,
    intake: &Intake,
) -> Result<(Poller<SystemPace>, Rcms), Failure> {
    let options = ClientOptions {
        clock: Arc::new(SystemClock),
        total_time_max: ClientOptions::TOTAL_TIME_MAX,
        // When to ask again is the poller's to decide.
        retries: 0,
        authorities: rcms_ca::read(settings)?,
    };
    let client = Client::new(account, options).map_err(told)?;
    let client = client.in_zone(settings.rcms.time_zone.clone());
    let poll_every = settings.rcms.poll_every;
    let options = PollerOptions {
        poll_every,
        devices: settings.rcms.devices.clone(),
        page_size: settings.rcms.page_size,
    };
    let (poller, report) = Poller::new(client.clone(), intake.clone(), SystemPace::new(), options);
    Ok((poller, Rcms { client, report, good_for: good_for(poll_every) }))
}

/// The fleet of a demo, which pushes with the first key.
fn demo_fleet(parts: &Parts, clock: Arc<DemoClock>, secrets: &Secrets) -> Demo {
    let key = secrets.push_keys.first().map(|key| key.key.clone());
    let key = key.unwrap_or_else(|| String::new().into());
    Demo::new(parts.intake.clone(), clock, key, parts.intake.store().zone())
}

/// An error that is a whole sentence itself, with its causes.
fn told(error: impl std::error::Error + 'static) -> Failure {
    Failure::told(&error)
}

fn cannot_listen(error: io::Error) -> Failure {
    Failure::because("cannot listen")(error)
}
