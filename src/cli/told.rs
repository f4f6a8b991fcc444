//! What the parts are told of the settings.
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ipnet::IpNet;
use tokio::sync::watch;

use super::{
    Failure,
    reload::Credentials,
    settings::{AllowMode, Probe, Settings, push_url},
    welcome::is_local,
};
use crate::{
    domain::Timestamp,
    http::{
        Elsewhere, PageSettings, PathTokens, ProbeAnswer, PushAddress, PushSettings, Registration,
        Registrations, Wellness,
        server::{Tls, TlsError, TlsFiles},
    },
    smarthub::kind::{KNOWN, KnownKind},
};

/// Whoever renews a certificate has written both of its files within this time.
const RENEWED_WITHIN: Duration = Duration::from_secs(60);

/// What the page shows of the settings, and of the keys and tokens of the moment.
pub(super) fn page_settings(
    settings: &Settings,
    credentials: watch::Receiver<Credentials>,
    is_demo: bool,
) -> PageSettings {
    let base = settings.public.url.clone().unwrap_or_else(|| settings.public_url_here());
    let is_public = settings.public.url.as_ref().is_some_and(|url| !is_local(url));
    let registrations = Registrations::new(move || {
        let Credentials { push_keys, path_tokens, .. } = credentials.borrow().clone();
        let address = |known: &KnownKind| PushAddress {
            kind: known.slug.to_owned(),
            title: known.title.to_owned(),
            title_zh: known.title_zh.map(str::to_owned),
            url: push_url(&base, path_tokens.first(), known.slug),
        };
        Registration {
            addresses: KNOWN.iter().map(address).collect(),
            push_keys: push_keys.into_iter().map(|key| (key.label, key.key)).collect(),
        }
    });
    PageSettings { unit_base: settings.unit_base, registrations, is_public, is_demo }
}

/// What each listener encrypts with, where it does.
#[derive(Clone)]
pub(super) struct ListenerTls {
    pub(super) public: Option<Tls>,
    pub(super) internal: Option<Tls>,
}

impl ListenerTls {
    /// Reads both pairs.
    pub(super) fn open(settings: &Settings) -> Result<Self, TlsError> {
        let open = |certificate: &Option<PathBuf>, key: &Option<PathBuf>| {
            let files = certificate.clone().zip(key.clone());
            files.map(|(certificate, key)| Tls::open(TlsFiles { certificate, key })).transpose()
        };
        let (public, internal) = (&settings.public, &settings.internal);
        Ok(Self {
            public: open(&public.tls_cert, &public.tls_key)?,
            internal: open(&internal.tls_cert, &internal.tls_key)?,
        })
    }

    /// A sentence for each certificate that no client accepts now.
    pub(super) fn warnings(&self, now: Timestamp) -> Vec<String> {
        self.pairs().filter_map(|tls| tls.out_of_date(now)).map(|it| it.to_string()).collect()
    }

    /// Those that there are.
    pub(super) fn pairs(&self) -> impl Iterator<Item = &Tls> {
        self.public.iter().chain(&self.internal)
    }
}

/// Why we cannot start with this certificate. What a person has to correct would be the same after
/// another start; a disk that is not mounted yet and files that are being renewed would not.
pub(super) fn unusable_tls(error: &TlsError) -> Failure {
    let is_passing = match error {
        TlsError::File { path, source } => {
            source.kind() == io::ErrorKind::NotFound && !has_neighbours(path)
        }
        TlsError::Pem { path, is_cut, .. } => *is_cut && was_just_written(path),
        TlsError::Torn(files) => {
            was_just_written(&files.certificate) || was_just_written(&files.key)
        }
        TlsError::Unusable { .. } => false,
    };
    let failure = Failure::told(error);
    if is_passing { failure } else { failure.lasting() }
}

/// Whether something lies in the folder where a file should be: then its disk is there.
fn has_neighbours(path: &Path) -> bool {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let entries = fs::read_dir(folder.unwrap_or(Path::new(".")));
    entries.is_ok_and(|mut entries| entries.next().is_some())
}

fn was_just_written(path: &Path) -> bool {
    let written = fs::metadata(path).and_then(|file| file.modified());
    written.is_ok_and(|at| at.elapsed().is_ok_and(|age| age < RENEWED_WITHIN))
}

/// How pushes are taken and answered.
pub(super) fn push_settings(
    settings: &Settings,
    trusted_proxies: Arc<[IpNet]>,
    path_tokens: PathTokens,
    wellness: Wellness,
) -> PushSettings {
    let public = &settings.public;
    PushSettings {
        path_tokens,
        trusted_proxies,
        allow_sources: public.allow_sources.clone(),
        elsewhere: match public.allow_mode {
            AllowMode::Off => Elsewhere::Ignored,
            AllowMode::Monitor => Elsewhere::Told,
            AllowMode::Enforce => Elsewhere::Refused,
        },
        body_bytes_max: public.max_body_bytes,
        success_status: settings.push.answer_status,
        success_body: settings.push.answer_body.clone(),
        probe: match settings.push.probe {
            Probe::MethodNotAllowed => ProbeAnswer::MethodNotAllowed,
            Probe::Ok => ProbeAnswer::Ok,
        },
        wellness,
    }
}
