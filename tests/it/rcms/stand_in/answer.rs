//! An answer before it is sent, and what it looks like on the wire.
use std::{io::Write, mem};

use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};
use jiff::{Timestamp, fmt::rfc2822::DateTimePrinter};
use serde_json::{Value, json};

use super::world::Packed;

#[derive(Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Besides `Date`, `Content-Type` and the length; one of these names replaces the usual value.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    pub(super) date_ms: i64,
}

impl Answer {
    pub(super) fn envelope(code: i64, msg: &str, data: &Value) -> Self {
        Self::json(json!({ "msg": msg, "code": code, "data": data }).to_string())
    }

    pub(super) fn signature_refused() -> Self {
        Self::envelope(40002, "invalid signature", &Value::Null)
    }

    pub(super) fn json(body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, body: body.into(), ..Self::default() }
    }

    pub(super) fn html(status: u16, text: &str) -> Self {
        let body = format!("<!DOCTYPE html><html><body><h1>{text}</h1></body></html>");
        let headers = vec![("Content-Type".into(), "text/html; charset=utf-8".into())];
        Self { status, headers, body: body.into(), ..Self::default() }
    }

    pub(super) fn zip(&mut self) {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&self.body).unwrap();
        self.body = encoder.finish().unwrap();
        self.headers.push(("Content-Encoding".into(), "gzip".into()));
    }

    pub(super) fn pack(&mut self, packed: Packed) {
        let (level, plain) = (Compression::fast(), mem::take(&mut self.body));
        let (encoding, body) = match packed {
            Packed::Zlib => {
                let mut encoder = ZlibEncoder::new(Vec::new(), level);
                encoder.write_all(&plain).unwrap();
                ("deflate", encoder.finish().unwrap())
            }
            Packed::Bare => {
                let mut encoder = DeflateEncoder::new(Vec::new(), level);
                encoder.write_all(&plain).unwrap();
                ("deflate", encoder.finish().unwrap())
            }
            Packed::Other => ("br", plain),
        };
        self.body = body;
        self.headers.push(("Content-Encoding".into(), encoding.into()));
    }

    pub(super) fn head(&self, body_bytes: usize) -> Vec<u8> {
        self.head_with(("Content-Length", body_bytes.to_string()))
    }

    /// The reason phrase is left empty, which is legal and which some clients stumble over.
    pub(super) fn head_with(&self, length: (&str, String)) -> Vec<u8> {
        let date = Timestamp::from_millisecond(self.date_ms).unwrap();
        let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&date).unwrap();
        let usual = [("Date", date), ("Content-Type", "application/json".into()), length];
        let replaced =
            |name: &str| self.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
        let mut head = format!("HTTP/1.1 {} \r\n", self.status);
        for (name, value) in usual.iter().filter(|(name, _)| !replaced(name)) {
            head += &format!("{name}: {value}\r\n");
        }
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head.into_bytes().into_iter().chain(*b"\r\n").collect()
    }
}
