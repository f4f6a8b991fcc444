//! Whether everybody on the way reads a request as we do.
use axum::http::{HeaderMap, Request, Version, header};

use super::refusal::Refusal;

/// A request that a proxy in front of us might end elsewhere than we do, or take for another host's,
/// is refused and its connection closed: what follows on it may be what somebody smuggled in. hyper
/// itself refuses what contradicts itself, and closes after a length beside an encoding.
pub(super) fn check<B>(request: &Request<B>) -> Result<(), Refusal> {
    let headers = request.headers();
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        // HTTP/1.0 knows no Host header.
        (None, _) if request.uri().host().is_none() && request.version() > Version::HTTP_10 => {
            return Err(Refusal::NoHost);
        }
        (_, Some(_)) => {
            return Err(Refusal::Ambiguous("The request has more than one Host header"));
        }
        _ => (),
    }
    if is_plainly_framed(request.version(), headers) {
        Ok(())
    } else {
        Err(Refusal::Ambiguous("Transfer-Encoding may be chunked, once and alone"))
    }
}

fn is_plainly_framed(version: Version, headers: &HeaderMap) -> bool {
    let mut encodings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (encodings.next(), encodings.next()) {
        (None, _) => true,
        (Some(only), None) => {
            version == Version::HTTP_11
                && only.as_bytes().eq_ignore_ascii_case(b"chunked")
                && !headers.contains_key(header::CONTENT_LENGTH)
        }
        _ => false,
    }
}
