//! How a command on this machine knows our internal listener from somebody else's: both can read a
//! secret in the data directory, and nobody else can.
use axum::{
    Router,
    extract::Request,
    http::{HeaderName, HeaderValue},
    middleware::{self, Next},
};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::domain::Secret;

/// The request header that asks for a proof, on `GET /healthz`.
pub const CHALLENGE: HeaderName = HeaderName::from_static("simdeck-challenge");
/// The header of the answer.
pub const PROOF: HeaderName = HeaderName::from_static("simdeck-proof");

const CHALLENGE_BYTES_MAX: usize = 128;

/// What only a holder of the secret can answer to this challenge.
pub fn proof_of(secret: &Secret, challenge: &str) -> String {
    let mut mac = match Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()) {
        Ok(mac) => mac,
        Err(_) => unreachable!("an HMAC takes keys of any length"),
    };
    mac.update(b"simdeck internal listener\n");
    mac.update(challenge.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// The same answers, and proofs for who asks for them.
pub fn proving(router: Router, secret: Secret) -> Router {
    router.layer(middleware::from_fn(move |request: Request, next: Next| {
        let asked = (request.uri().path() == "/healthz")
            .then(|| request.headers().get(CHALLENGE)?.to_str().ok())
            .flatten()
            .filter(|challenge| challenge.len() <= CHALLENGE_BYTES_MAX);
        let proof = asked.map(|challenge| proof_of(&secret, challenge));
        async move {
            let mut response = next.run(request).await;
            if let Some(proof) = proof.and_then(|proof| HeaderValue::from_str(&proof).ok()) {
                response.headers_mut().insert(PROOF, proof);
            }
            response
        }
    }))
}
