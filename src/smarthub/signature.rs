//! `signature`: `HEX(SHA256(pushKey + datePush))`, `datePush` as ten digits of epoch seconds.
//!
//! It proves that the sender knew the key in that second, and nothing about the rest of the body.
use std::sync::Arc;

use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::date_push;
use crate::domain::Secret;

/// A key that SmartHub signs with, and the name a person gave it.
#[derive(Clone, Debug)]
pub struct PushKey {
    /// A name to show instead of the key.
    pub label: Option<String>,
    /// The key.
    pub key: Secret,
}

/// Checks signatures against every live key.
#[derive(Clone)]
pub struct Verifier {
    /// SHA-256 with the key already taken in.
    keyed: Vec<Sha256>,
    /// The keys themselves, to find out why a signature fails.
    keys: Arc<[PushKey]>,
    date_shift_s: i64,
}

impl Verifier {
    /// A verifier for these keys; `date_shift_s` seconds are added to `datePush` before hashing.
    pub fn new(keys: &[PushKey], date_shift_s: i64) -> Self {
        let keyed = keys
            .iter()
            .map(|key| Sha256::new().chain_update(key.key.expose().as_bytes()))
            .collect();
        Self { keyed, keys: keys.into(), date_shift_s }
    }

    /// The second that enters the hash for this `datePush`.
    pub fn shifted(&self, date_push_s: i64) -> i64 {
        date_push_s.saturating_add(self.date_shift_s)
    }

    pub(super) fn keys(&self) -> &[PushKey] {
        &self.keys
    }

    /// The seconds between `datePush` and what enters the hash.
    pub fn date_shift_s(&self) -> i64 {
        self.date_shift_s
    }

    /// Whether any live key makes this signature for this second. It takes the same time whichever
    /// key matches, or none.
    pub fn verify(&self, date_push_s: i64, signature: &[u8; 32]) -> bool {
        let Some(seconds) = date_push::in_range(self.shifted(date_push_s)) else { return false };
        let digits = ten_digits(seconds);
        let matches = self.keyed.iter().fold(Choice::from(0), |found, keyed| {
            let expected: [u8; 32] = keyed.clone().chain_update(digits).finalize().into();
            found | expected.ct_eq(signature)
        });
        matches.into()
    }
}

/// The signature for a second, as lower-case hex.
pub fn sign(key: &str, date_push_s: i64) -> String {
    hex::encode(Sha256::digest(format!("{key}{date_push_s}")))
}

/// The 32 bytes of a signature: 64 hex digits in either case.
pub fn decode(text: &[u8]) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

/// The same for keeping what is refused: a signature in Base64 is not what SmartHub documents, and would be
/// gone for good if only hex were understood here.
pub fn decode_for_keeping(text: &[u8]) -> Option<[u8; 32]> {
    decode(text).or_else(|| {
        [STANDARD_NO_PAD, URL_SAFE_NO_PAD].iter().find_map(|base64| {
            let text = text.strip_suffix(b"=").unwrap_or(text);
            base64.decode(text).ok()?.try_into().ok()
        })
    })
}

/// A number between [`date_push::SECONDS_MIN`] and [`date_push::SECONDS_MAX`] as text.
fn ten_digits(mut number: i64) -> [u8; 10] {
    let mut digits = [b'0'; 10];
    for digit in digits.iter_mut().rev() {
        *digit += u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
    digits
}
