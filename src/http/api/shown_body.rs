//! The body of a push as an admin reads it.
use std::ops::RangeInclusive;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;
use utoipa::ToSchema;

use super::doc::words;

/// A body as text where it is text, else encoded; signatures in it are masked. Nothing for who may
/// not read it.
#[derive(Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct BodyOut {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::body_encoding, required = false)]
    body_encoding: Option<&'static str>,
}

impl BodyOut {
    /// A whole body.
    pub(super) fn of(mut body: Vec<u8>) -> Self {
        mask_signatures(&mut body);
        let (body, encoding) = match String::from_utf8(body) {
            Ok(body) => (body, "utf-8"),
            Err(error) => (STANDARD.encode(error.as_bytes()), "base64"),
        };
        Self { body: Some(body), body_encoding: Some(encoding) }
    }

    /// The beginning of a body. Where it was cut may have been in a signature or in a character.
    pub(super) fn of_beginning(mut body: Vec<u8>) -> Self {
        let cut = body.iter().rposition(|byte| !byte.is_ascii_hexdigit()).map_or(0, |at| at + 1);
        body[cut..].fill(b'*');
        if let Err(error) = std::str::from_utf8(&body)
            && error.error_len().is_none()
        {
            body.truncate(error.valid_up_to());
        }
        Self::of(body)
    }
}

/// Blackens every run of hex digits that may be a signature, wherever in a broken body it stands.
/// Together with the rest of the body it could be replayed.
fn mask_signatures(body: &mut [u8]) {
    /// One that was cut off or doubled is still a secret; a UUID or a very long number is none.
    const DIGITS: RangeInclusive<usize> = 33..=128;
    for run in body.chunk_by_mut(|a, b| a.is_ascii_hexdigit() && b.is_ascii_hexdigit()) {
        if DIGITS.contains(&run.len()) {
            run.fill(b'*');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_masked_wherever_it_stands_and_nothing_else_is() {
        let signature = "aB3".repeat(21) + "f";
        let body = |text: &str| BodyOut::of(text.as_bytes().to_vec()).body.unwrap_or_default();
        let masked = "*".repeat(64);
        assert_eq!(body(&format!("{{\"s\":\"{signature}\"}}")), format!("{{\"s\":\"{masked}\"}}"));
        assert_eq!(body(&signature), masked);
        assert_eq!(body(&format!("{signature} {signature}x")), format!("{masked} {masked}x"));
        assert_eq!(body(&signature[..60]), masked[..60]);
        for other in [&signature[..32], &"z".repeat(64), ""] {
            assert_eq!(body(other), other);
        }
    }

    #[test]
    fn a_body_that_is_no_text_is_encoded_and_says_so() {
        let out = BodyOut::of(vec![0xff, b'a']);
        let body = Some("/2E=".to_owned());
        assert_eq!(out, BodyOut { body, body_encoding: Some("base64") });
    }

    #[test]
    fn a_beginning_shows_no_part_of_a_signature_and_no_part_of_a_character() {
        let beginning = |bytes: &[u8]| BodyOut::of_beginning(bytes.to_vec());
        let shown = |bytes: &[u8]| beginning(bytes).body.unwrap_or_default();
        assert_eq!(shown(b"{\"signature\":\"ab12"), "{\"signature\":\"****");
        assert_eq!(shown(b"ab12"), "****");
        let text = "x你".as_bytes();
        let cut = beginning(&text[..3]);
        assert_eq!(cut, BodyOut { body: Some("x".to_owned()), body_encoding: Some("utf-8") });
    }
}
