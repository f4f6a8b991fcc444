//! How RCMS knows that a request is from us, and that nobody changed it.
//!
//! Signed is the raw text of the request; sent is the same text percent-encoded. What could make
//! the two differ is refused before (see [`super::Request`]).
use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;

use super::{
    account::{Account, ParametersIn, SignBody, UniqueCode},
    request::Request,
};

/// The version of the API and of its signature; RCMS knows no other.
const VERSION: &str = "1.0";

/// A request as it goes on the wire at one moment. It cannot be sent later: its time is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// All parameters, sorted, nothing encoded.
    pub canonical_query: String,
    /// What was signed, with `***` for the secret.
    pub string_to_sign: String,
    /// HMAC-SHA256 as 64 hex digits in lower case.
    pub signature: String,
    /// `GET /path?query HTTP/1.1`
    pub request_line: String,
    /// The six headers, in RCMS's order.
    pub headers: [(&'static str, String); 6],
    /// The whole address.
    pub(super) url: String,
}

impl Account {
    /// Signs a request at this moment, in milliseconds since 1970.
    pub fn sign(&self, request: &Request, timestamp_ms: i64) -> Signed {
        let client_id = self.client_id.as_str();
        let unique_code = match self.variant.unique_code {
            UniqueCode::ClientId => client_id.to_owned(),
            UniqueCode::Random => Uuid::new_v4().to_string(),
        };
        let timestamp = timestamp_ms.to_string();
        let mut parameters: BTreeMap<&str, &str> =
            request.query.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let own_on_wire = query(&parameters, encoded);
        parameters.extend([
            ("apiVersion", VERSION),
            ("clientId", client_id),
            ("signatureVersion", VERSION),
            ("timestamp", &timestamp),
            ("uniqueCode", &unique_code),
        ]);
        let canonical_query = query(&parameters, str::to_owned);
        let body = match self.variant.sign_body {
            SignBody::None => None,
            SignBody::AmpersandJson => request.body.as_deref().map(|body| format!("&{body}")),
        };
        let body = body.unwrap_or_default();
        let open_part = format!("{}{}{canonical_query}{body}", request.method, request.path);
        let signature = self.hmac(&unique_code, &open_part);
        let on_wire = match self.variant.parameters_in {
            ParametersIn::QueryAndHeaders => query(&parameters, encoded),
            ParametersIn::Headers => own_on_wire,
        };
        let mark = if on_wire.is_empty() { "" } else { "?" };
        let target = format!("{}{mark}{on_wire}", encode(&request.path, false));
        Signed {
            request_line: format!("{} {}{target} HTTP/1.1", request.method, self.endpoint.prefix()),
            string_to_sign: format!("{open_part}***"),
            headers: [
                ("apiVersion", VERSION.to_owned()),
                ("signatureVersion", VERSION.to_owned()),
                ("uniqueCode", unique_code),
                ("clientId", client_id.to_owned()),
                ("timestamp", timestamp),
                ("signature", signature.clone()),
            ],
            url: format!("{}{target}", self.endpoint.as_str()),
            canonical_query,
            signature,
        }
    }

    /// The key is what everybody can see; the secret is the end of what is signed. That is the
    /// vendor's way.
    fn hmac(&self, unique_code: &str, open_part: &str) -> String {
        let key = format!("{}{unique_code}", self.client_id);
        let mut mac = match Hmac::<Sha256>::new_from_slice(key.as_bytes()) {
            Ok(mac) => mac,
            Err(never) => unreachable!("HMAC takes keys of any length: {never}"),
        };
        mac.update(open_part.as_bytes());
        mac.update(self.client_secret.expose().as_bytes());
        hex::encode(mac.finalize().into_bytes())
    }
}

fn query(parameters: &BTreeMap<&str, &str>, write: fn(&str) -> String) -> String {
    let pairs = parameters.iter().map(|(key, value)| format!("{key}={}", write(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn encoded(text: &str) -> String {
    encode(text, true)
}

/// As the vendor's reference client writes it: these characters stay, every other byte of the UTF-8
/// text becomes `%XX`.
fn encode(text: &str, is_query: bool) -> String {
    let mut wire = String::with_capacity(text.len());
    for byte in text.bytes() {
        let stays = byte.is_ascii_alphanumeric()
            || b"-._~!$'()*,=:@/".contains(&byte)
            || (is_query && byte == b'?');
        if stays {
            wire.push(char::from(byte));
        } else {
            wire.extend(['%', hex_digit(byte >> 4), hex_digit(byte & 0x0f)]);
        }
    }
    wire
}

fn hex_digit(nibble: u8) -> char {
    char::from(b"0123456789ABCDEF"[usize::from(nibble)])
}
