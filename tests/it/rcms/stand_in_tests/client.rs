//! A client that writes its requests itself, so that each byte of them can be wrong.
use std::{future::Future, io, time::Duration};

use crate::rcms::stand_in::{CLIENT_ID, CLIENT_SECRET, StandIn, signature::hmac_sha256};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

pub(super) const TOTAL: &str = "/api/link/dashboard/deviceTotal";
pub(super) const LIST: &str = "/api/link/device/devices";

/// A signed request in its parts; whatever is changed after signing is a forgery.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) method: String,
    /// On the wire, without the query.
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Request {
    pub(super) fn get(path: &str, own: &[(&str, &str)]) -> Self {
        Self::signed("GET", path, own, "")
    }

    pub(super) fn signed(method: &str, path: &str, own: &[(&str, &str)], body: &str) -> Self {
        Self::signed_with(CLIENT_ID, "", method, path, own, body)
    }

    /// `signed_body` is what follows the canonical query in the string to sign. The parameters are
    /// sent as they are, so they must need no encoding.
    pub(super) fn signed_with(
        unique_code: &str,
        signed_body: &str,
        method: &str,
        path: &str,
        own: &[(&str, &str)],
        body: &str,
    ) -> Self {
        let now_ms = jiff::Timestamp::now().as_millisecond().to_string();
        let fixed = [
            ("apiVersion", "1.0"),
            ("clientId", CLIENT_ID),
            ("signatureVersion", "1.0"),
            ("timestamp", &now_ms),
            ("uniqueCode", unique_code),
        ];
        let mut pairs = [own, &fixed].concat();
        pairs.sort_unstable();
        let pairs: Vec<_> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let query = pairs.join("&");
        let text = format!("{method}{path}{query}{signed_body}{CLIENT_SECRET}");
        let key = format!("{CLIENT_ID}{unique_code}");
        let signature = hex::encode(hmac_sha256(key.as_bytes(), text.as_bytes()));
        let headers = fixed.into_iter().chain([("signature", signature.as_str())]);
        Self {
            method: method.into(),
            path: path.into(),
            query,
            headers: headers.map(|(name, value)| (name.into(), value.into())).collect(),
            body: body.into(),
        }
    }

    pub(super) fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(own, _)| own != name);
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(super) fn text(&self) -> String {
        let Self { method, path, query, headers, body } = self;
        let headers: String =
            headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = body.len();
        format!(
            "{method} {path}?{query} HTTP/1.1\r\nHost: x\r\n{headers}\
             Content-Length: {length}\r\n\r\n{body}"
        )
    }

    /// On a connection of its own.
    pub(super) async fn send(&self, stand_in: &StandIn) -> Answer {
        Answer::of(&self.exchange(stand_in).await.unwrap())
    }

    /// Everything that came back until the server had no more to say.
    pub(super) async fn exchange(&self, stand_in: &StandIn) -> io::Result<Vec<u8>> {
        let mut stream = connect(stand_in).await;
        stream.write_all(self.text().as_bytes()).await?;
        stream.shutdown().await?;
        let mut all = Vec::new();
        soon(stream.read_to_end(&mut all)).await?;
        Ok(all)
    }
}

pub(super) struct Answer {
    pub(super) status: u16,
    head: String,
    /// Without the frames of the chunks.
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn of(text: &[u8]) -> Self {
        let end = text.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(text[..end].to_vec()).unwrap();
        let mut answer =
            Self { status: head[9..12].parse().unwrap(), head, body: text[end + 4..].to_vec() };
        if answer.header("Transfer-Encoding") == Some("chunked") {
            answer.body = without_frames(&answer.body);
        }
        answer
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub(super) fn length(&self) -> usize {
        self.header("Content-Length").unwrap().parse().unwrap()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(super) fn code(&self) -> i64 {
        self.json()["code"].as_i64().unwrap()
    }

    /// Of an answer that must be a success.
    pub(super) fn data(&self) -> Value {
        assert_eq!(self.code(), 0, "{}", self.json());
        self.json()["data"].clone()
    }
}

pub(super) async fn connect(stand_in: &StandIn) -> TcpStream {
    TcpStream::connect(stand_in.url().strip_prefix("http://").unwrap()).await.unwrap()
}

/// A test that waits this long has failed.
pub(super) async fn soon<F: Future>(future: F) -> F::Output {
    timeout(Duration::from_secs(20), future).await.expect("nothing happened")
}

fn without_frames(mut framed: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = framed.iter().position(|byte| *byte == b'\r').unwrap();
        let size = std::str::from_utf8(&framed[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return body;
        }
        body.extend(&framed[end + 2..end + 2 + size]);
        framed = &framed[end + 2 + size + 2..];
    }
}
