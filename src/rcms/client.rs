use std::{
    mem,
    panic::resume_unwind,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use backon::{ExponentialBuilder, Retryable};
use jiff::{fmt::rfc2822, tz::TimeZone};
use reqwest::{
    Response, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER},
    redirect,
};
use serde_json::value::RawValue;
use tokio::{sync::watch, task::spawn_blocking};

use super::{
    account::{Account, ClientId},
    answer::{self, DevicePage, StatusPage},
    authorities::Authorities,
    clock_there::ClockThere,
    error::RcmsError,
    group_name::GroupName,
    packed,
    request::{Method, Page, Request},
    sample_time::{LocalZone, Span},
};
use crate::domain::{
    Clock, FleetTotals, ListedDevice, Secret, SerialNumber, ShortText, StatusSample, Timestamp,
};

/// No answer that we ask for comes near.
const ANSWER_BYTES_MAX: usize = 16 << 20;
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a connection that nobody uses is kept. RCMS's own patience is not known; one that it
/// has closed costs a failed request.
const IDLE_TIME_MAX: Duration = Duration::from_secs(4);
/// The first pause before a question is asked again; each is twice the one before, more or less.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// A `Retry-After` beyond this is not waited for: whoever asks hears of it.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(30);
/// How many answers are kept as they came: a few smaller page sizes, and the first pages.
const RAW_ANSWERS_MAX: usize = 5;

/// How a [`Client`] behaves.
#[derive(Clone)]
pub struct ClientOptions {
    /// Where the signed time comes from.
    pub clock: Arc<dyn Clock>,
    /// How long a question may take, from connecting to the answer's last byte.
    pub total_time_max: Duration,
    /// How often a read is asked again when it fails for a reason that may pass. What changes
    /// something is asked once.
    pub retries: usize,
    /// The authorities of its certificate, where they are not the public ones.
    pub authorities: Option<Authorities>,
}

impl ClientOptions {
    /// How long a question may usually take.
    pub const TOTAL_TIME_MAX: Duration = Duration::from_secs(30);
}

/// The machine has no certificates, or no memory.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client for RCMS cannot start")]
pub struct ClientError(#[from] reqwest::Error);

/// Asks RCMS. Clones share their connections.
#[derive(Clone)]
pub struct Client {
    /// The same for all clones, also once it is renewed.
    account: watch::Sender<Arc<Account>>,
    options: ClientOptions,
    http: reqwest::Client,
    /// By how much our clock was ahead of RCMS's when RCMS answered last.
    clock_there: Arc<Mutex<ClockThere>>,
    /// The zone of times that name none.
    zone: Arc<LocalZone>,
    /// Answers as they came, for somebody who looks at them.
    raw: Option<Arc<Mutex<Vec<RawAnswer>>>>,
}

/// Tells when the account of a [`Client`] is renewed.
pub struct Renewals(watch::Receiver<Arc<Account>>);

impl Renewals {
    /// Waits until it was, since the last time.
    pub async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            // No client is left that could be renewed.
            std::future::pending::<()>().await;
        }
    }
}

/// An answer as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawAnswer {
    /// Its HTTP status.
    pub status: u16,
    /// Its body, as text.
    pub body: String,
}

impl Client {
    /// A client that has no connection yet.
    pub fn new(account: Account, options: ClientOptions) -> Result<Self, ClientError> {
        let mut builder = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIME_MAX)
            .timeout(options.total_time_max)
            .pool_idle_timeout(IDLE_TIME_MAX);
        if account.endpoint.is_plain {
            builder = builder.tls_certs_only([]);
        } else if let Some(Authorities(certificates)) = &options.authorities {
            builder = builder.tls_certs_only(certificates.clone());
        }
        if account.endpoint.is_loopback {
            builder = builder.no_proxy();
        }
        let http = builder.build()?;
        let (account, clock_there) = (watch::Sender::new(Arc::new(account)), Arc::default());
        Ok(Self { account, options, http, clock_there, zone: Arc::default(), raw: None })
    }

    /// The same; it keeps the first few answers as they came, until they are taken.
    pub fn keeping_answers(self) -> Self {
        Self { raw: Some(Arc::default()), ..self }
    }

    /// The answers that were kept since the last time.
    pub fn take_answers(&self) -> Vec<RawAnswer> {
        let raw = self.raw.as_ref();
        let taken =
            raw.map(|raw| mem::take(&mut *raw.lock().unwrap_or_else(PoisonError::into_inner)));
        taken.unwrap_or_default()
    }

    /// The same, with the zone of times that name none; otherwise it is learned of the answers.
    pub fn in_zone(self, zone: Option<TimeZone>) -> Self {
        Self { zone: Arc::new(zone.map(LocalZone::set).unwrap_or_default()), ..self }
    }

    /// The time by RCMS's clock, if its answers tell that.
    pub fn time_there(&self) -> Option<Timestamp> {
        let ahead_ms = self.clock_there.lock().unwrap_or_else(PoisonError::into_inner).ahead_ms();
        Some(Timestamp::from_unix_ms(self.options.clock.now().unix_ms() - ahead_ms?))
    }

    /// Signs each request from now on with this id and this secret. Requests under way end as they
    /// began.
    pub fn renew(&self, client_id: ClientId, client_secret: Secret) {
        self.account.send_modify(|account| {
            let account = Arc::make_mut(account);
            (account.client_id, account.client_secret) = (client_id, client_secret);
        });
    }

    /// Tells when id and secret are others.
    pub fn renewals(&self) -> Renewals {
        Renewals(self.account.subscribe())
    }

    /// Asks anything; gives the `data` of a success. Each attempt is signed anew.
    pub async fn call(&self, request: &Request) -> Result<Option<Box<RawValue>>, RcmsError> {
        let retries = if request.is_read() { self.options.retries } else { 0 };
        let pauses = ExponentialBuilder::default()
            .with_min_delay(RETRY_PAUSE)
            .with_max_times(retries)
            .with_jitter();
        (async || self.attempt(request).await)
            .retry(pauses)
            .when(RcmsError::is_temporary)
            .adjust(|error, pause| match error.retry_after() {
                Some(asked) if asked > RETRY_PAUSE_MAX => None,
                asked => pause.map(|pause| pause.max(asked.unwrap_or_default())),
            })
            .await
    }

    /// RCMS's counts of the whole fleet.
    pub async fn device_total(&self) -> Result<FleetTotals, RcmsError> {
        let data = self.call(&Request::device_total()?).await?;
        answer::totals(data.as_deref().unwrap_or(RawValue::NULL))
    }

    /// A page of the device list.
    pub async fn devices(&self, page: Page) -> Result<DevicePage, RcmsError> {
        let data = self.call(&Request::devices(page)?).await?;
        aside(move || answer::device_page(data.as_deref())).await
    }

    /// All that RCMS says of one device, as JSON.
    pub async fn device(&self, sn: &SerialNumber) -> Result<Option<Box<RawValue>>, RcmsError> {
        self.call(&Request::device(sn)?).await
    }

    /// What RCMS says of one device; none if that cannot be read as one.
    pub async fn device_of(&self, sn: &SerialNumber) -> Result<Option<ListedDevice>, RcmsError> {
        Ok(self.device(sn).await?.and_then(|data| answer::device(&data)))
    }

    /// A page of what a device told about itself between two moments.
    pub async fn status_data(
        &self,
        sn: &SerialNumber,
        page: Page,
        begin: Timestamp,
        end: Timestamp,
    ) -> Result<StatusPage, RcmsError> {
        let request = Request::status_data(sn, page, begin.unix_ms(), end.unix_ms())?;
        let data = self.call(&request).await?;
        let zone = Arc::clone(&self.zone);
        aside(move || answer::status_page(data.as_deref(), Span { begin, end }, &zone)).await
    }

    /// Dates those samples of this span that no page alone was enough for, by all of them together.
    pub async fn date(
        &self,
        samples: Vec<StatusSample>,
        begin: Timestamp,
        end: Timestamp,
    ) -> Vec<StatusSample> {
        if samples.iter().all(|sample| sample.sampled_at.is_some()) {
            return samples;
        }
        let zone = Arc::clone(&self.zone);
        aside(move || answer::date_by_all(samples, Span { begin, end }, &zone)).await
    }

    /// Puts a device into a group. Where the answer is missing, RCMS is asked whether it has.
    pub async fn set_group(&self, sn: &SerialNumber, group: &GroupName) -> Result<(), RcmsError> {
        let cause = match self.call(&Request::set_group(sn, group)?).await {
            Err(error) if error.may_have_been_done() => Box::new(error),
            other => return other.map(drop),
        };
        let found = match self.group_of(sn).await {
            Some(now) if *now == *group.as_str() => return Ok(()),
            Some(now) => format!("RCMS says that {sn} is in the group {}", &*now),
            None => format!("look at what RCMS says of {sn}, and try it again if it has not"),
        };
        Err(RcmsError::Unsure { cause, found })
    }

    /// The group that RCMS says a device is in, if it says one.
    async fn group_of(&self, sn: &SerialNumber) -> Option<ShortText> {
        let data = self.attempt(&Request::device(sn).ok()?).await.ok()??;
        let device = answer::device(&data).filter(|device| device.sn == *sn)?;
        device.group.sent().is_some().then_some(device.group)
    }

    async fn attempt(&self, request: &Request) -> Result<Option<Box<RawValue>>, RcmsError> {
        let account = Arc::clone(&self.account.borrow());
        let signed = account.sign(request, self.options.clock.now().unix_ms());
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut sending = self.http.request(method, &signed.url);
        for (name, value) in &signed.headers {
            sending = sending.header(*name, value);
        }
        if let Some(body) = &request.body {
            sending = sending.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        let response = sending.send().await.map_err(|error| self.broken(error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let clock_ahead_ms = self.clock_ahead_ms(&headers);
        self.clock_there.lock().unwrap_or_else(PoisonError::into_inner).note(clock_ahead_ms);
        let body = self.body(response).await;
        self.keep_answer(status, &body);
        let opened = match body {
            // Done, and nothing to say of it.
            Ok(body) if body.is_empty() && !request.is_read() => Ok(None),
            Ok(body) => aside(move || answer::open(&body, clock_ahead_ms)).await,
            Err(error) => Err(error),
        };
        if status.is_success() {
            return opened;
        }
        let said = match opened {
            // RCMS may say with any status that the signature is the reason.
            Err(refused @ RcmsError::Signature { .. }) => return Err(refused),
            Err(RcmsError::Code { code, msg }) => format!(": code {code}, {msg}"),
            _ if status == StatusCode::NOT_FOUND => account.endpoint.doubled_path().to_owned(),
            _ => String::new(),
        };
        let retry_after = self.retry_after(&headers);
        Err(RcmsError::Status { status: status.as_u16(), said, retry_after })
    }

    fn keep_answer(&self, status: StatusCode, body: &Result<Vec<u8>, RcmsError>) {
        let (Some(raw), Ok(body)) = (&self.raw, body) else { return };
        let mut raw = raw.lock().unwrap_or_else(PoisonError::into_inner);
        if raw.len() < RAW_ANSWERS_MAX {
            let body = String::from_utf8_lossy(body).into_owned();
            raw.push(RawAnswer { status: status.as_u16(), body });
        }
    }

    /// The answer's body, unpacked, as long as it is not larger than any that we ask for.
    async fn body(&self, mut response: Response) -> Result<Vec<u8>, RcmsError> {
        // What was unpacked already no longer says so.
        let encoding = response.headers().get(CONTENT_ENCODING);
        let encoding = encoding.map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.broken(error))? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(RcmsError::TooLarge(ANSWER_BYTES_MAX));
            }
            body.extend_from_slice(&chunk);
        }
        match encoding {
            Some(encoding) => {
                aside(move || packed::unpacked(body, &encoding, ANSWER_BYTES_MAX)).await
            }
            None => Ok(body),
        }
    }

    fn broken(&self, error: reqwest::Error) -> RcmsError {
        if error.is_timeout() && !error.is_connect() {
            return RcmsError::Timeout(self.options.total_time_max);
        }
        RcmsError::Transport(error.without_url())
    }

    fn clock_ahead_ms(&self, headers: &HeaderMap) -> Option<i64> {
        let date = moment(headers.get(DATE)?.to_str().ok()?)?;
        Some(self.options.clock.now().unix_ms() - date.unix_ms())
    }

    /// Seconds, or a moment by RCMS's own clock.
    fn retry_after(&self, headers: &HeaderMap) -> Option<Duration> {
        let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let until_ms = moment(text)?.unix_ms();
        let now_ms = match headers.get(DATE).and_then(|date| moment(date.to_str().ok()?)) {
            Some(theirs) => theirs.unix_ms(),
            None => self.options.clock.now().unix_ms(),
        };
        Some(Duration::from_millis(u64::try_from(until_ms - now_ms).unwrap_or(0)))
    }
}

/// Reads an answer on a thread of its own: it may be as large as [`ANSWER_BYTES_MAX`], and this one
/// answers pushes.
async fn aside<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> T {
    let read = spawn_blocking(read).await;
    read.unwrap_or_else(|broken| resume_unwind(broken.into_panic()))
}

/// A date as HTTP writes it.
fn moment(text: &str) -> Option<Timestamp> {
    let moment = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Timestamp::from_unix_ms(moment.as_millisecond()))
}
