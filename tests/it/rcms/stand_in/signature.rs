//! Whether a request is signed as the protocol page says, judged from what was on the wire.
use sha2::{Digest, Sha256};

use super::{ParametersIn, Seen, SignBody, UniqueCode, World};

/// In the order of the canonical query.
const FIXED: [&str; 5] = ["apiVersion", "clientId", "signatureVersion", "timestamp", "uniqueCode"];
/// RCMS says nothing of its own tolerance; this is ours.
pub(crate) const TOLERANCE_MS: i64 = 600_000;

/// Why a request is answered with 40002. The client is not told, the test is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A `%` without two hex digits, no UTF-8, or a piece of query without `=`.
    Encoding,
    /// A key of the query, or one of the signing headers, stands there twice.
    Twice(String),
    HeaderMissing(&'static str),
    /// A fixed parameter that this account wants in the query.
    QueryLacks(&'static str),
    /// A fixed parameter that this account wants in the headers only.
    QueryHas(&'static str),
    Disagree(&'static str),
    Version(&'static str),
    ClientId,
    UniqueCode,
    /// No number, or too far from the stand-in's clock.
    Timestamp,
    Signature,
}

pub(super) fn check(seen: &Seen, world: &World) -> Result<(), Refusal> {
    let mut pairs = seen.pairs.clone();
    pairs.sort();
    if let Some(two) = pairs.windows(2).find(|two| two[0].0 == two[1].0) {
        return Err(Refusal::Twice(two[0].0.clone()));
    }
    for name in FIXED {
        let value = only_header(seen, name)?;
        match (seen.pair(name), world.variant.parameters_in) {
            (Some(_), ParametersIn::HeadersOnly) => return Err(Refusal::QueryHas(name)),
            (None, ParametersIn::QueryAndHeaders) => return Err(Refusal::QueryLacks(name)),
            (Some(own), _) if own != value => return Err(Refusal::Disagree(name)),
            (Some(_), _) => {}
            (None, _) => pairs.push((name.into(), value.into())),
        }
    }
    pairs.sort();
    check_fixed(seen, world)?;

    let canonical: Vec<_> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let path = seen.path.strip_prefix(&world.prefix).unwrap_or(&seen.path);
    let mut text = format!("{}{path}{}", seen.method, canonical.join("&")).into_bytes();
    let body_counts = world.variant.sign_body == SignBody::AmpersandJson;
    if body_counts && seen.method != "GET" && !seen.body.is_empty() {
        text.push(b'&');
        text.extend(&seen.body);
    }
    text.extend(world.account.client_secret.as_bytes());
    let key = format!("{}{}", world.account.client_id, only_header(seen, "uniqueCode")?);
    let expected = hex::encode(hmac_sha256(key.as_bytes(), &text));
    if only_header(seen, "signature")? == expected { Ok(()) } else { Err(Refusal::Signature) }
}

/// What the fixed parameters must say, wherever they stand.
fn check_fixed(seen: &Seen, world: &World) -> Result<(), Refusal> {
    for name in ["apiVersion", "signatureVersion"] {
        if only_header(seen, name)? != "1.0" {
            return Err(Refusal::Version(name));
        }
    }
    let client_id = only_header(seen, "clientId")?;
    if client_id != world.account.client_id {
        return Err(Refusal::ClientId);
    }
    let is_client_id = only_header(seen, "uniqueCode")? == client_id;
    if is_client_id != (world.variant.unique_code == UniqueCode::ClientId) {
        return Err(Refusal::UniqueCode);
    }
    let timestamp = only_header(seen, "timestamp")?;
    let at_ms: i64 = timestamp.parse().map_err(|_| Refusal::Timestamp)?;
    let off_ms = at_ms.abs_diff((world.now_ms)());
    if off_ms > TOLERANCE_MS.unsigned_abs() || at_ms.to_string() != timestamp {
        return Err(Refusal::Timestamp);
    }
    Ok(())
}

fn only_header<'a>(seen: &'a Seen, name: &'static str) -> Result<&'a str, Refusal> {
    let mut values = seen.headers.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
    let (_, value) = values.next().ok_or(Refusal::HeaderMissing(name))?;
    if values.next().is_some() { Err(Refusal::Twice(name.into())) } else { Ok(value) }
}

/// RFC 2104, by hand: the product has its HMAC from a crate.
pub(crate) fn hmac_sha256(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut block = [0; 64];
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(text);
    Sha256::new()
        .chain_update(block.map(|byte| byte ^ 0x5c))
        .chain_update(inner.finalize())
        .finalize()
        .into()
}
