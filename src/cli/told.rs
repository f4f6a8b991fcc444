//! What the parts are told of the settings.
use std::sync::Arc;

use ipnet::IpNet;

use super::{
    made::Secrets,
    settings::{AllowMode, Probe, Settings},
    welcome::is_local,
};
use crate::{
    http::{
        Elsewhere, PageSettings, PathTokens, ProbeAnswer, PushAddress, PushSettings, Wellness,
        server::TlsFiles,
    },
    smarthub::kind::{KNOWN, KnownKind},
};

/// What the page shows of the settings.
pub(super) fn page_settings(settings: &Settings, secrets: &Secrets, is_demo: bool) -> PageSettings {
    let address = |known: &KnownKind| PushAddress {
        kind: known.slug.to_owned(),
        title: known.title.to_owned(),
        title_zh: known.title_zh.map(str::to_owned),
        url: settings.push_url(known.slug),
    };
    let keys = secrets.push_keys.iter().map(|key| (key.label.clone(), key.key.clone()));
    PageSettings {
        unit_base: settings.unit_base,
        addresses: KNOWN.iter().map(address).collect(),
        push_keys: keys.collect(),
        is_public: settings.public.url.as_ref().is_some_and(|url| !is_local(url)),
        is_demo,
    }
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
