//! Who asks: an API key in `X-API-Key`, or behind `Authorization: Bearer`.
//!
//! A handler that takes a [`Reader`] or an [`Admin`] cannot be reached without a key of that scope.
use axum::{
    extract::{FromRef, FromRequestParts},
    http::{HeaderMap, header, request::Parts},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{
    domain::{Caller, KeyDigest, Scope, Secret},
    http::rate::Meter,
    intake::Intake,
};

/// What opens the internal listener.
#[derive(Clone)]
pub(super) struct Gate {
    /// The admin key of settings or data directory, which is not in the store.
    pub(super) admin_key: Option<KeyDigest>,
    /// Knows the keys that are in the store.
    pub(super) intake: Intake,
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

/// A caller who may look, and stays: the key may be revoked before the answer ends.
#[derive(Clone)]
pub(super) struct Guest {
    gate: Gate,
    digest: KeyDigest,
}

impl Guest {
    /// Whether the key is still live.
    pub(super) fn may_stay(&self) -> bool {
        self.gate.holder(&self.digest).is_some()
    }
}

/// A new API key: 256 random bits, told from other secrets by its first letters.
pub(super) fn new_api_key() -> Secret {
    format!("sd_{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())).into()
}

/// What the store keeps of a key. A key has 256 random bits, so a plain hash is enough.
pub fn digest_of(key: &str) -> KeyDigest {
    Sha256::digest(key.as_bytes()).into()
}

impl Gate {
    fn caller(&self, parts: &Parts) -> Result<Caller, Denied> {
        let digest = digest_of(sent_key(&parts.headers).ok_or(Denied::NoKey)?);
        let caller = self.holder(&digest).ok_or(Denied::NoKey)?;
        match parts.extensions.get::<Meter>().map(|meter| meter.count(&digest)) {
            Some(rate) if rate.is_over => Err(Denied::TooOften { retry_after_s: rate.reset_s }),
            _ => Ok(caller),
        }
    }

    fn holder(&self, digest: &KeyDigest) -> Option<Caller> {
        // Both are asked always, so that the time tells nothing about which one knew the key.
        let is_admin = self.admin_key.is_some_and(|admin| admin.ct_eq(digest).into());
        let stored = self.intake.caller(digest);
        if is_admin {
            return Some(Caller { label: ADMIN_LABEL.to_owned(), scope: Scope::Admin });
        }
        stored
    }
}

impl<S> FromRequestParts<S> for Reader
where
    S: Send + Sync,
    Gate: FromRef<S>,
{
    type Rejection = Denied;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Denied> {
        Gate::from_ref(state).caller(parts).map(Self)
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
        gate.caller(parts)?;
        let digest = digest_of(sent_key(&parts.headers).ok_or(Denied::NoKey)?);
        Ok(Self { gate, digest })
    }
}

impl<S> FromRequestParts<S> for Admin
where
    S: Send + Sync,
    Gate: FromRef<S>,
{
    type Rejection = Denied;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Denied> {
        let caller = Gate::from_ref(state).caller(parts)?;
        if caller.scope < Scope::Admin { Err(Denied::Forbidden) } else { Ok(Self(caller)) }
    }
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
    use axum::http::HeaderValue;

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
