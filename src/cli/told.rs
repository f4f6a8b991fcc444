//! What the parts are told of the settings.
use std::sync::Arc;

use ipnet::IpNet;
use tokio::sync::watch;

use super::{
    reload::Credentials,
    settings::{AllowMode, Probe, Settings, push_url},
    welcome::is_local,
};
use crate::{
    http::{
        Elsewhere, PageSettings, PathTokens, ProbeAnswer, PushAddress, PushSettings, Registration,
        Registrations, Wellness, server::TlsFiles,
    },
    smarthub::kind::{KNOWN, KnownKind},
};

/// What the page shows of the settings, and of the keys and tokens of the moment.
pub(super) fn page_settings(
    settings: &Settings,
    credentials: watch::Receiver<Credentials>,
    is_demo: bool,
) -> PageSettings {
    let base = settings.public.url.clone().unwrap_or_else(|| settings.public_url_here());
    let is_public = settings.public.url.as_ref().is_some_and(|url| !is_local(url));
    let registrations = Registrations::new(move || {
        let Credentials { push_keys, path_tokens } = credentials.borrow().clone();
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

/// The pair for TLS, where there is one.
pub(super) fn tls_files(settings: &Settings) -> Option<TlsFiles> {
    let public = &settings.public;
    Some(TlsFiles { certificate: public.tls_cert.clone()?, key: public.tls_key.clone()? })
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
