use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    num::NonZeroU32,
    path::PathBuf,
    time::Duration,
};

use ipnet::IpNet;
use jiff::tz::TimeZone;

use super::{
    InForce,
    words::{AllowMode, LogFormat, Probe},
};
use crate::{
    domain::{Secret, SerialNumber},
    http::{Origin, UnitBase},
    rcms::{Account, ClientId, Endpoint, SigningVariant},
    smarthub::{IdentityRule, signature::PushKey},
    store::Retention,
};

/// All settings, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where everything lies.
    pub data_dir: PathBuf,
    /// The SQLite database's file.
    pub database: PathBuf,
    /// The zone of per-SIM days; where not set, the one that the store has.
    pub time_zone: Option<TimeZone>,
    /// What a kilobyte is on the page.
    pub unit_base: UnitBase,
    /// What is logged and how.
    pub log: Log,
    /// The listener for pushes.
    pub public: Public,
    /// The listener for people and programs.
    pub internal: Internal,
    /// How pushes are verified and answered.
    pub push: Push,
    /// The query API.
    pub api: Api,
    /// Messages.
    pub sms: Sms,
    /// RCMS, which manages the routers.
    pub rcms: Rcms,
    /// Pushes that could not be read.
    pub quarantine: Quarantine,
    /// Room on the disk.
    pub disk: Disk,
    /// Who is told of what is wrong.
    pub alert: Alert,
    /// How long what was stored is kept.
    pub retention: Retention,
    /// Copies of the database.
    pub backup: Backup,
    /// Each setting with its value and where that came from, for `config print`.
    pub in_force: Vec<InForce>,
    /// What is odd but no reason not to start: a sentence each.
    pub warnings: Vec<String>,
}

/// What is logged and how.
#[derive(Clone, Debug)]
pub struct Log {
    /// In the language of `tracing_subscriber::EnvFilter`.
    pub filter: String,
    /// How a line is written.
    pub format: LogFormat,
}

/// The listener for pushes.
#[derive(Clone, Debug)]
pub struct Public {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The address under which SmartHub reaches it, without a slash at its end.
    pub url: Option<String>,
    /// All live; with none of them pushes arrive at `/v1/…`.
    pub path_tokens: Vec<Secret>,
    /// The certificate that it shows; never without the key.
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key; never without the certificate.
    pub tls_key: Option<PathBuf>,
    /// Who is believed about the client's address.
    pub trusted_proxies: Vec<IpNet>,
    /// Where pushes should come from.
    pub allow_sources: Vec<IpNet>,
    /// What happens to a push from elsewhere.
    pub allow_mode: AllowMode,
    /// The largest body.
    pub max_body_bytes: usize,
}

/// The listener for people and programs.
#[derive(Clone, Debug)]
pub struct Internal {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The address that people use for it, without a slash at its end.
    pub url: Option<String>,
    /// The certificate that it shows; never without the key.
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key; never without the certificate.
    pub tls_key: Option<PathBuf>,
    /// Other names under which it is called.
    pub names: Vec<String>,
}

/// How pushes are verified and answered.
#[derive(Clone, Debug)]
pub struct Push {
    /// All live.
    pub keys: Vec<PushKey>,
    /// How old `datePush` may be.
    pub max_age: Duration,
    /// How far ahead of our clock `datePush` may be.
    pub max_ahead: Duration,
    /// Seconds to add to `datePush` before it is hashed.
    pub date_shift_s: i64,
    /// What makes two records the same.
    pub identity: IdentityRule,
    /// The status of success, 200 to 299.
    pub answer_status: u16,
    /// The body of success; none for JSON with the counts.
    pub answer_body: Option<String>,
    /// The answer to GET and HEAD.
    pub probe: Probe,
}

/// The query API.
#[derive(Clone, Debug)]
pub struct Api {
    /// The admin's key, where one was given.
    pub key: Option<Secret>,
    /// 0 or 1.
    pub first_page: u32,
    /// Origins whose pages may ask from a browser.
    pub cors_origins: Vec<Origin>,
    /// How many requests a key has in an hour; no end without it.
    pub requests_per_hour: Option<NonZeroU32>,
}

/// Messages.
#[derive(Clone, Debug)]
pub struct Sms {
    /// The unknown field that holds a message's text.
    pub text_field: Option<String>,
}

/// RCMS, which manages the routers. It is asked where id and secret are set.
#[derive(Clone, Debug)]
pub struct Rcms {
    /// Where it is; always there once the settings are read.
    pub endpoint: Option<Endpoint>,
    /// The authorities of its certificate, where they are not the public ones.
    pub ca_file: Option<PathBuf>,
    /// Our id there; never without the secret.
    pub client_id: Option<ClientId>,
    /// What we sign with; never without the id.
    pub client_secret: Option<Secret>,
    /// Routers whose status is asked for in any case.
    pub devices: Vec<SerialNumber>,
    /// How often it is asked, 10 s to 1 h.
    pub poll_every: Duration,
    /// Items to ask for on a page.
    pub page_size: u32,
    /// The zone of times that name none.
    pub time_zone: Option<TimeZone>,
    /// The variant of the signature.
    pub variant: SigningVariant,
}

/// Pushes that could not be read.
#[derive(Clone, Debug)]
pub struct Quarantine {
    /// The most that may lie there.
    pub max_bytes: u64,
}

/// Room on the disk.
#[derive(Clone, Debug)]
pub struct Disk {
    /// What to leave free.
    pub reserve_bytes: u64,
}

/// Who is told of what is wrong.
#[derive(Clone, Debug)]
pub struct Alert {
    /// Where it is posted to.
    pub url: Option<Secret>,
}

/// Copies of the database.
#[derive(Clone, Debug)]
pub struct Backup {
    /// How often one is made by itself.
    pub every: Option<Duration>,
    /// How many are kept.
    pub kept: usize,
    /// Where they lie; always there once the settings are read.
    pub dir: PathBuf,
}

impl Rcms {
    /// Who we are to RCMS; nobody without id and secret.
    pub fn account(&self) -> Option<Account> {
        Some(Account {
            endpoint: self.endpoint.clone()?,
            client_id: self.client_id.clone()?,
            client_secret: self.client_secret.clone()?,
            variant: self.variant,
        })
    }
}

impl Settings {
    /// The address at which this machine reaches the internal listener.
    pub fn internal_url(&self) -> String {
        self.internal.url.clone().unwrap_or_else(|| {
            let scheme = if self.internal_is_encrypted() { "https" } else { "http" };
            format!("{scheme}://{}", reached_at(self.internal.listen))
        })
    }

    /// Whether the internal listener itself speaks TLS.
    pub fn internal_is_encrypted(&self) -> bool {
        self.internal.tls_cert.is_some()
    }

    /// The address at which this machine reaches the public listener, without a path token.
    pub fn public_url_here(&self) -> String {
        let scheme = if self.public.tls_cert.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", reached_at(self.public.listen))
    }

    /// The address to push a kind to: the public one where it is known, else this machine's own.
    pub fn push_url(&self, kind: &str) -> String {
        let base = self.public.url.clone().unwrap_or_else(|| self.public_url_here());
        push_url(&base, self.public.path_tokens.first(), kind)
    }

    /// The address at which this machine itself pushes a kind.
    pub fn push_url_here(&self, kind: &str) -> String {
        push_url(&self.public_url_here(), self.public.path_tokens.first(), kind)
    }

    /// The state before the table has been read; every setting with a default overwrites its own.
    pub(super) fn blank() -> Self {
        let unset = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let names = Vec::new();
        Self {
            data_dir: PathBuf::new(),
            database: PathBuf::new(),
            time_zone: None,
            unit_base: UnitBase::default(),
            log: Log { filter: String::new(), format: LogFormat::Text },
            public: Public {
                listen: unset,
                url: None,
                path_tokens: Vec::new(),
                tls_cert: None,
                tls_key: None,
                trusted_proxies: Vec::new(),
                allow_sources: Vec::new(),
                allow_mode: AllowMode::Monitor,
                max_body_bytes: 0,
            },
            internal: Internal { listen: unset, url: None, tls_cert: None, tls_key: None, names },
            push: Push {
                keys: Vec::new(),
                max_age: Duration::ZERO,
                max_ahead: Duration::ZERO,
                date_shift_s: 0,
                identity: IdentityRule::Content,
                answer_status: 0,
                answer_body: None,
                probe: Probe::MethodNotAllowed,
            },
            api: Api {
                key: None,
                first_page: 0,
                cors_origins: Vec::new(),
                requests_per_hour: None,
            },
            sms: Sms { text_field: None },
            rcms: Rcms {
                endpoint: None,
                client_id: None,
                client_secret: None,
                devices: Vec::new(),
                poll_every: Duration::ZERO,
                page_size: 0,
                time_zone: None,
                ca_file: None,
                variant: SigningVariant::default(),
            },
            quarantine: Quarantine { max_bytes: 0 },
            disk: Disk { reserve_bytes: 0 },
            alert: Alert { url: None },
            retention: Retention::default(),
            backup: Backup { every: None, kept: 0, dir: PathBuf::new() },
            in_force: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

/// The address to push a kind to, behind a token where there is one.
pub fn push_url(base: &str, token: Option<&Secret>, kind: &str) -> String {
    match token {
        Some(token) => format!("{base}/{}/v1/{kind}", token.expose()),
        None => format!("{base}/v1/{kind}"),
    }
}

/// The address at which this machine reaches a listener: the local one for all addresses.
pub fn reached_at(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
