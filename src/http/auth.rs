//! Who asks: an API key in `X-API-Key`, or behind `Authorization: Bearer`; or a browser, by the
//! cookie of a session that stands for a key.
//!
//! A cookie is sent by a browser whoever made it ask. So it opens only requests that look, and those
//! that act where the page that made them is ours.
//!
//! A handler that takes a [`Reader`] or an [`Admin`] cannot be reached without a key of that scope.
use std::{
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use axum::{
    extract::{FromRef, FromRequestParts, MatchedPath},
    http::{HeaderMap, HeaderValue, header, request::Parts},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ipnet::IpNet;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{
    domain::{AUDITED_COMMAND, Caller, KeyDigest, PassDigest, Scope, Secret},
    http::{
        client_ip::client_ip, cookie, forbidden::Forbidden, key_failures::KeyFailures, rate::Meter,
        server::Peer,
    },
    intake::Intake,
};

/// What opens the internal listener.
#[derive(Clone)]
pub(super) struct Gate {
    /// The admin key of settings or data directory, which is not in the store.
    pub(super) admin_key: LiveAdminKey,
    /// Whether people come over HTTPS.
    pub(super) is_https: bool,
    /// Knows the keys that are in the store.
    pub(super) intake: Intake,
    /// Keys that are not live.
    pub(super) failures: Arc<KeyFailures>,
    /// Whether a source that shows dead keys again and again is sent away.
    pub(super) limits_failures: bool,
    /// Who is believed about the address of a client.
    pub(super) trusted_proxies: Arc<[IpNet]>,
    /// What keys asked for and do not allow.
    pub(super) forbidden: Arc<Forbidden>,
    /// Only a command asks, which works on the files itself.
    pub(super) is_command: bool,
}

/// The digest of the admin key of settings or data directory, which may be replaced while we run.
/// Clones share it.
#[derive(Clone, Debug, Default)]
pub struct LiveAdminKey(Arc<RwLock<Option<KeyDigest>>>);

impl LiveAdminKey {
    /// A key with this digest (see [`digest_of`]).
    pub fn new(digest: KeyDigest) -> Self {
        Self(Arc::new(RwLock::new(Some(digest))))
    }

    /// The one in force.
    pub fn get(&self) -> Option<KeyDigest> {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on this one opens, and the one before opens nothing, nor do its sessions.
    pub fn replace(&self, digest: KeyDigest) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(digest);
    }
}

/// What audit rows call the holder of the admin key.
pub(super) const ADMIN_LABEL: &str = "admin";

/// Why nobody may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// No key, or none that is live.
    NoKey,
    /// A key that does not allow it.
    Forbidden,
    /// A session, and a page that is not ours.
    ForeignPage,
    /// The store cannot tell whether there is such a session.
    Unknown,
    /// A key that asked too often.
    TooOften {
        /// When it may ask again.
        retry_after_s: i64,
    },
}

/// A caller who may look.
#[derive(Clone, Debug)]
pub(super) struct Reader(pub(super) Caller);

/// A caller who may look and act.
#[derive(Clone, Debug)]
pub(super) struct Admin(pub(super) Caller);

/// The key of a caller who may look and act.
pub(super) struct AdminKey {
    pub(super) caller: Caller,
    pub(super) key: KeyDigest,
}

/// A caller who may look, and stays: the key may be revoked before the answer ends.
#[derive(Clone)]
pub(super) struct Guest {
    pub(super) caller: Caller,
    gate: Gate,
    key: KeyDigest,
    session: Option<PassDigest>,
}

/// What a request shows to get in.
struct Shown {
    key: KeyDigest,
    /// Where it came by a session, that one's.
    session: Option<PassDigest>,
}

impl Guest {
    /// Whether the key is still live, and the session by which the guest came.
    pub(super) async fn may_stay(&self) -> bool {
        let is_over = match &self.session {
            // A store that does not answer now throws nobody out.
            Some(session) => matches!(self.gate.intake.session(session).await, Ok(None)),
            None => false,
        };
        !is_over && self.has_live_key()
    }

    /// Refuses a caller whose key does not allow a list, and notes that.
    pub(super) fn must_have(&self, scope: Scope, list: &str) -> Result<(), Denied> {
        if self.caller.scope >= scope {
            return Ok(());
        }
        self.gate.forbidden.note(&self.caller, format!("GET /v1/{list}"), &self.gate.intake);
        Err(Denied::Forbidden)
    }

    /// The same of the key alone, which is known without a look at the store.
    pub(super) fn has_live_key(&self) -> bool {
        self.gate.holder(&self.key).is_some()
    }
}

/// A new API key: 256 random bits, told from other secrets by its first letters.
pub(super) fn new_api_key() -> Secret {
    format!("sd_{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())).into()
}

/// A new word for a link or a session: 256 random bits.
pub(super) fn new_word() -> Secret {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()).into()
}

/// What the store keeps of a key. A key has 256 random bits, so a plain hash is enough.
pub fn digest_of(key: &str) -> KeyDigest {
    Sha256::digest(key.as_bytes()).into()
}

impl Gate {
    async fn caller(&self, parts: &Parts) -> Result<(Caller, Shown), Denied> {
        let shown = match sent_key(&parts.headers) {
            Some(key) => Shown { key: digest_of(key), session: None },
            None => self.session(parts).await?,
        };
        let caller = match self.holder(&shown.key) {
            // A command asks from no address but itself.
            Some(caller) => caller.at(self.source(parts).filter(|_| !self.is_command)),
            // A session's key may have been revoked: its browser guesses nothing.
            None if shown.session.is_some() => return Err(Denied::NoKey),
            None => return Err(self.unknown_key(parts)),
        };
        match parts.extensions.get::<Meter>().map(|meter| meter.count(&shown.key)) {
            Some(rate) if rate.is_over => Err(Denied::TooOften { retry_after_s: rate.reset_s }),
            _ => Ok((caller, shown)),
        }
    }

    /// The address that a request comes from; a page that asks in process hands on its browser's.
    pub(super) fn source(&self, parts: &Parts) -> Option<IpAddr> {
        let peer = parts.extensions.get::<Peer>()?.0.ip();
        Some(client_ip(peer, &parts.headers, &self.trusted_proxies))
    }

    /// Counts a key or a link that is not live; says how long its source should wait when it has had
    /// its share.
    pub(super) fn failed(&self, source: Option<IpAddr>) -> Result<(), Duration> {
        source.map_or(Ok(()), |source| self.failures.failed(source, &self.intake))
    }

    /// What to say of a key that is not live.
    fn unknown_key(&self, parts: &Parts) -> Denied {
        match self.failed(self.source(parts)) {
            Err(wait) if self.limits_failures => {
                let seconds = i64::try_from(wait.as_secs()).unwrap_or(i64::MAX);
                Denied::TooOften { retry_after_s: seconds.saturating_add(1) }
            }
            _ => Denied::NoKey,
        }
    }

    /// What the session of a browser stands for.
    async fn session(&self, parts: &Parts) -> Result<Shown, Denied> {
        let word = cookie::word(&parts.headers, self.is_https).ok_or(Denied::NoKey)?;
        if !parts.method.is_safe() && !is_of_our_page(parts) {
            return Err(Denied::ForeignPage);
        }
        let session = digest_of(word);
        match self.intake.session(&session).await {
            Ok(Some(key)) => Ok(Shown { key, session: Some(session) }),
            Ok(None) => Err(Denied::NoKey),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "Sessions cannot be read");
                Err(Denied::Unknown)
            }
        }
    }

    /// Who holds the live key with this hash.
    pub(super) fn holder(&self, digest: &KeyDigest) -> Option<Caller> {
        // Both are asked always, so that the time tells nothing about which one knew the key.
        let is_admin = self.admin_key.get().is_some_and(|admin| admin.ct_eq(digest).into());
        let stored = self.intake.caller(digest);
        if is_admin {
            let label = if self.is_command { AUDITED_COMMAND } else { ADMIN_LABEL };
            return Some(Caller::new(label, Scope::Admin));
        }
        stored
    }

    /// The caller of a request that takes an admin; any other is in the audit.
    async fn admin(&self, parts: &Parts) -> Result<(Caller, Shown), Denied> {
        let (caller, shown) = self.caller(parts).await?;
        if caller.scope < Scope::Admin {
            // Not the path itself: it may name a SIM.
            let route = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
            let route = format!("{} {route}", parts.method);
            self.forbidden.note(&caller, route, &self.intake);
            return Err(Denied::Forbidden);
        }
        Ok((caller, shown))
    }
}

impl<S> FromRequestParts<S> for Reader
where
    S: Send + Sync,
    Gate: FromRef<S>,
{
    type Rejection = Denied;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Denied> {
        Gate::from_ref(state).caller(parts).await.map(|(caller, _)| Self(caller))
    }
}

impl<S> FromRequestParts<S> for Guest
where
    S: Send + Sync,
    Gate: FromRef<S>,
{
    type Rejection = Denied;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Denied> {
        let gate = Gate::from_ref(state);
        let (caller, Shown { key, session }) = gate.caller(parts).await?;
        Ok(Self { caller, gate, key, session })
    }
}

impl<S> FromRequestParts<S> for Admin
where
    S: Send + Sync,
    Gate: FromRef<S>,
{
    type Rejection = Denied;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Denied> {
        Gate::from_ref(state).admin(parts).await.map(|(caller, _)| Self(caller))
    }
}

impl<S> FromRequestParts<S> for AdminKey
where
    S: Send + Sync,
    Gate: FromRef<S>,
{
    type Rejection = Denied;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Denied> {
        let (caller, Shown { key, .. }) = Gate::from_ref(state).admin(parts).await?;
        Ok(Self { caller, key })
    }
}

/// Whether the page that had a browser send this lies at the very address that it was sent to.
pub(super) fn is_of_our_page(parts: &Parts) -> bool {
    let text = |name| parts.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let host = text(header::HOST).or_else(|| parts.uri.authority().map(|it| it.as_str()));
    let origin = text(header::ORIGIN).and_then(|origin| origin.split_once("://"));
    origin
        .is_some_and(|(_, authority)| host.is_some_and(|host| host.eq_ignore_ascii_case(authority)))
}

/// The key in the header of its own, else the bearer token.
fn sent_key(headers: &HeaderMap) -> Option<&str> {
    if let Some(key) = headers.get("x-api-key") {
        return key.to_str().ok();
    }
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(name: &'static str, value: &'static str) -> Option<String> {
        let headers = HeaderMap::from_iter([(
            axum::http::HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )]);
        sent_key(&headers).map(str::to_owned)
    }

    #[test]
    fn a_key_is_read_from_either_header_and_from_no_other_scheme() {
        assert_eq!(sent("x-api-key", "sd_a").as_deref(), Some("sd_a"));
        assert_eq!(sent("authorization", "Bearer sd_a").as_deref(), Some("sd_a"));
        assert_eq!(sent("authorization", "bearer  sd_a").as_deref(), Some("sd_a"));
        assert_eq!(sent("authorization", "Basic sd_a"), None);
        assert_eq!(sent("authorization", "sd_a"), None);
        assert_eq!(sent("cookie", "sd_a"), None);
    }
}
