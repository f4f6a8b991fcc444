//! The internal listener on a port of its own, over a store that signed pushes fill.
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use reqwest::{Method, Response, StatusCode};
use serde_json::Value;
use simdeck::{
    domain::{Clock, DevicePoll, Freshness, PollReport, Secret, Timestamp},
    http::{
        ApiSettings, InternalState, Live, LiveAdminKey, PageSettings, PushLog, Rcms, StreamLimits,
        TestPusher, digest_of, internal_router,
        server::{ConnectionLimits, serve},
    },
    intake::{AcceptError, Acknowledge, Intake, IntakeOptions, KeepOptions, Push},
    rcms,
    smarthub::{
        AgePolicy, IdentityRule,
        signature::{PushKey, Verifier, sign},
    },
    store::{self, Limits, OpenOptions},
};
use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(crate) const ADMIN_KEY: &str = "sd_admin";
const PUSH_KEY: &str = "UzE4MDkxNDA2MTE1M";
/// The second of `datePush`, and of all that the pushes tell.
pub(crate) const SECOND: i64 = 1_725_499_848;

/// For how long what a poll learned holds.
pub(crate) const GOOD_FOR: Duration = Duration::from_secs(180);

pub(crate) struct Api {
    pub(crate) base: String,
    /// What the router says of itself to people who debug it.
    pub(crate) router: String,
    clock: Arc<HeldClock>,
    report: watch::Sender<PollReport>,
    database: PathBuf,
    intake: Intake,
    client: reqwest::Client,
    pushed: AtomicUsize,
    _folder: TempDir,
}

/// What new things are told by.
pub(crate) struct Given {
    pub(crate) streams: StreamLimits,
    /// How long an answer waits for a client that does not read.
    pub(crate) write_time_max: Duration,
    pub(crate) test_pusher: Option<TestPusher>,
    /// How many records a summary may be behind.
    pub(crate) tail_records_max: usize,
}

impl Default for Given {
    fn default() -> Self {
        let write_time_max = ConnectionLimits::internal().write_time_max;
        Self {
            streams: StreamLimits::default(),
            write_time_max,
            test_pusher: None,
            tail_records_max: Limits::TAIL_RECORDS_MAX,
        }
    }
}

/// A clock that moves when it is told to.
struct HeldClock(AtomicI64);

impl Clock for HeldClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.0.load(Ordering::Relaxed))
    }
}

impl Api {
    /// RCMS is not set up.
    pub(crate) async fn new(settings: ApiSettings) -> Self {
        Self::open(settings, Given::default(), |_| None).await
    }

    /// RCMS is not set up, and what new things are told by is as given.
    pub(crate) async fn given(given: Given) -> Self {
        Self::open(ApiSettings::default(), given, |_| None).await
    }

    /// RCMS is set up, at a port where nobody listens.
    pub(crate) async fn with_rcms() -> Self {
        Self::open(ApiSettings::default(), Given::default(), |(clock, report)| {
            let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let account = rcms::Account {
                endpoint: format!("http://{}", nobody.local_addr().unwrap()).parse().unwrap(),
                client_id: "tester".parse().unwrap(),
                client_secret: Secret::from("canary".to_owned()),
                variant: rcms::SigningVariant::default(),
            };
            let total_time_max = rcms::ClientOptions::TOTAL_TIME_MAX;
            let options =
                rcms::ClientOptions { clock, total_time_max, retries: 0, authorities: None };
            let client = rcms::Client::new(account, options).unwrap();
            Some(Rcms { client, report, good_for: GOOD_FOR })
        })
        .await
    }

    async fn open(
        settings: ApiSettings,
        given: Given,
        rcms: impl FnOnce((Arc<HeldClock>, watch::Receiver<PollReport>)) -> Option<Rcms>,
    ) -> Self {
        let folder = TempDir::new().unwrap();
        let database = folder.path().join("simdeck.db");
        let options = OpenOptions {
            database: database.clone(),
            time_zone: None,
            limits: Limits {
                tail_records_max: given.tail_records_max,
                sums_tail_records_max: given.tail_records_max.min(Limits::SUMS_TAIL_RECORDS_MAX),
                ..Limits::of_quarantine(1 << 20)
            },
        };
        let opened = store::open(&options).await.unwrap();
        let clock = Arc::new(HeldClock(AtomicI64::new((SECOND + 1) * 1000)));
        let report = watch::Sender::new(PollReport::default());
        let key = PushKey { label: None, key: Secret::from(PUSH_KEY.to_owned()) };
        let options = IntakeOptions {
            verifier: Verifier::new(&[key], 0),
            age: AgePolicy {
                max_age: std::time::Duration::from_secs(60),
                max_ahead: std::time::Duration::from_secs(60),
            },
            identity: IdentityRule::Content,
            clock: clock.clone(),
            data_dir: folder.path().to_owned(),
            disk_reserve_bytes: 0,
            keep: KeepOptions::usual(folder.path().join("simdeck.db")),
            acknowledge: Acknowledge::AfterCommit,
        };
        let (intake, tasks) = Intake::new(opened, options, CancellationToken::new()).await.unwrap();
        tokio::spawn(tasks.run());
        let stop = CancellationToken::new();
        let mut live = Live::with_limits(PushLog::new(clock.clone()), stop.clone(), given.streams);
        live.test_pusher = given.test_pusher;
        let state = InternalState {
            store: intake.store().clone(),
            intake: intake.clone(),
            rcms: rcms((clock.clone(), report.subscribe())),
            live,
            clock: clock.clone(),
            admin_key: LiveAdminKey::new(digest_of(ADMIN_KEY)),
            settings: Arc::new(settings),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let router = internal_router(state, PageSettings::default());
        let told = format!("{router:?}");
        let limits = ConnectionLimits {
            write_time_max: given.write_time_max,
            ..ConnectionLimits::internal()
        };
        tokio::spawn(serve(listener, router, limits, stop.clone()));
        let (client, pushed) = (reqwest::Client::new(), AtomicUsize::new(0));
        Self {
            base,
            router: told,
            clock,
            report,
            database,
            intake,
            client,
            pushed,
            _folder: folder,
        }
    }

    pub(crate) fn store(&self) -> &store::Store {
        self.intake.store()
    }

    pub(crate) fn freshness(&self) -> Freshness {
        Freshness { now: self.clock.now(), good_for: GOOD_FOR }
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::Relaxed);
    }

    /// Stores what the poller would have learned.
    pub(crate) async fn poll(&self, poll: DevicePoll) {
        self.intake.keep_poll(poll).await.unwrap();
    }

    /// Counts silent SIMs at once. The server does so itself in the first minutes of a quarter hour.
    pub(crate) async fn count_silent(&self) {
        self.intake.count_silent_sims().await.unwrap();
    }

    /// Says how the poller fares.
    pub(crate) fn report(&self, report: PollReport) {
        self.report.send_replace(report);
    }

    /// Pushes one body with these members, well signed.
    pub(crate) async fn push(&self, kind: &str, members: &str) {
        self.push_dated(kind, SECOND, members).await;
    }

    /// The same under the `datePush` of the clock.
    pub(crate) async fn push_now(&self, kind: &str, members: &str) {
        self.push_dated(kind, self.clock.now().unix_seconds(), members).await;
    }

    /// The same under any other.
    pub(crate) async fn push_dated(&self, kind: &str, second: i64, members: &str) {
        let signature = sign(PUSH_KEY, second);
        let body = format!(r#"{{"datePush":{second},"signature":"{signature}",{members}}}"#);
        self.intake.accept(push_of(kind, body)).await.unwrap();
    }

    /// Moves the clock far ahead. A push says so, and what comes next bears it out, a day later; until
    /// then nothing is old by it.
    pub(crate) async fn advance_far(&self, seconds: i64) {
        const DAY_S: i64 = 86_400;
        self.advance(seconds - DAY_S);
        self.push_now("data-usage", r#""giccid":"x""#).await;
        self.advance(DAY_S);
    }

    /// Pushes a body that is refused, and waits until it is held.
    pub(crate) async fn push_refused(&self, kind: &str, body: String) {
        let error = self.intake.accept(push_of(kind, body)).await.unwrap_err();
        let AcceptError::Refused(refused) = error else { panic!("{error}") };
        self.intake.hold(refused).await;
        while self.rows("/v1/held?class=refused").await.is_empty() {
            tokio::task::yield_now().await;
        }
    }

    /// Pushes so many usage records, each unlike all others.
    pub(crate) async fn add_usage(&self, rows: usize) {
        let first = self.pushed.fetch_add(rows, Ordering::Relaxed);
        let records: Vec<String> = (first..first + rows)
            .map(|number| {
                format!(
                    r#"{{"giccid":"89860012345678901234","data_usage":{number},
                        "start_time":{SECOND}000,"mcc":"460","sim_group":"=cmd"}}"#
                )
            })
            .collect();
        self.push("data-usage", &format!(r#""cdrs":[{}]"#, records.join(","))).await;
    }

    /// Makes a stored row such as nothing of ours would write.
    pub(crate) async fn spoil(&self, id: i64) {
        let options = SqliteConnectOptions::new().filename(&self.database);
        let mut connection = options.connect().await.unwrap();
        let sql = "update usage set extra = '{broken' where id = $1";
        sqlx::query(sql).bind(id).execute(&mut connection).await.unwrap();
    }

    /// Who did what to whom, in order.
    pub(crate) async fn audit(&self) -> Vec<(String, String, String)> {
        let options = SqliteConnectOptions::new().filename(&self.database);
        let mut connection = options.connect().await.unwrap();
        let sql = "select who, action, target from audit order by id";
        sqlx::query_as(sql).fetch_all(&mut connection).await.unwrap()
    }

    pub(crate) async fn send(&self, method: Method, url: &str, key: Option<&str>) -> Response {
        self.try_send(method, url, key).await.unwrap()
    }

    async fn try_send(
        &self,
        method: Method,
        url: &str,
        key: Option<&str>,
    ) -> reqwest::Result<Response> {
        let url = if url.starts_with('/') { format!("{}{url}", self.base) } else { url.to_owned() };
        let mut request = self.client.request(method, url);
        if let Some(key) = key {
            request = request.header("X-API-Key", key);
        }
        request.send().await
    }

    pub(crate) async fn post(&self, url: &str, key: &str, body: &str) -> Response {
        self.client
            .post(format!("{}{url}", self.base))
            .bearer_auth(key)
            .body(body.to_owned())
            .send()
            .await
            .unwrap()
    }

    /// Sends a file, packed as it says.
    pub(crate) async fn post_bytes(
        &self,
        url: &str,
        body: Vec<u8>,
        coding: Option<&str>,
    ) -> Response {
        let request = self.client.post(format!("{}{url}", self.base)).bearer_auth(ADMIN_KEY);
        let request = match coding {
            Some(coding) => request.header("Content-Encoding", coding),
            None => request,
        };
        request.body(body).send().await.unwrap()
    }

    pub(crate) async fn put(&self, url: &str, key: &str, body: &str) -> Response {
        self.client
            .put(format!("{}{url}", self.base))
            .bearer_auth(key)
            .body(body.to_owned())
            .send()
            .await
            .unwrap()
    }

    pub(crate) async fn get(&self, url: &str) -> Response {
        self.send(Method::GET, url, Some(ADMIN_KEY)).await
    }

    /// An answer that may break off before it begins.
    pub(crate) async fn try_get(&self, url: &str) -> reqwest::Result<Response> {
        self.try_send(Method::GET, url, Some(ADMIN_KEY)).await
    }

    pub(crate) async fn rows(&self, url: &str) -> Vec<Value> {
        let response = self.get(url).await;
        assert_eq!(response.status(), StatusCode::OK, "{url}");
        response.json().await.unwrap()
    }

    pub(crate) async fn problem(&self, url: &str) -> (u16, Value) {
        problem_of(self.get(url).await).await
    }
}

fn push_of(kind: &str, body: String) -> Push {
    let source = [192, 0, 2, 1].into();
    Push { kind: kind.parse().unwrap(), body: body.into(), source, test_nonce: None }
}

/// Checks the shape that every refusal has.
pub(crate) async fn problem_of(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["type"], "about:blank");
    assert_eq!(problem["status"], status);
    (status, problem)
}

pub(crate) fn ids(rows: &[Value]) -> Vec<i64> {
    rows.iter().map(|row| row["id"].as_i64().unwrap()).collect()
}

/// The address behind a `rel` of the `Link` header.
pub(crate) fn link(response: &Response, rel: &str) -> Option<String> {
    let value = response.headers().get("link")?.to_str().unwrap();
    value.split(", ").find_map(|link| {
        let (url, found) = link.strip_prefix('<')?.split_once(">; rel=")?;
        (found.trim_matches('"') == rel).then(|| url.to_owned())
    })
}
