//! A request as it came over the wire, and the same request decoded.
use std::{io, time::Instant};

use super::signature::Refusal;
use tokio::{io::AsyncReadExt, net::TcpStream};

const REQUEST_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// When it was read whole, by tokio's clock: a test may have paused it.
    pub(crate) at: Instant,
    /// Counted from 1 in the order of connecting.
    pub(crate) connection: usize,
    pub(crate) request_line: String,
    pub(crate) method: String,
    /// Path and query as they came.
    pub(crate) target: String,
    /// Decoded if it can be, with the prefix if there is one.
    pub(crate) path: String,
    /// As it came; empty without one.
    pub(crate) query: String,
    /// The query decoded by RFC 3986, where `+` is a plus; empty if it cannot be.
    pub(crate) pairs: Vec<(String, String)>,
    /// In their order, names in the case in which they came.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) verdict: Result<(), Refusal>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    pub(crate) fn pair(&self, key: &str) -> Option<&str> {
        let (_, value) = self.pairs.iter().find(|(own, _)| own == key)?;
        Some(value)
    }
}

/// The next request of a connection; `None` when the client has no more.
///
/// `unread` keeps what came beyond it.
pub(super) async fn read(
    stream: &mut TcpStream,
    unread: &mut Vec<u8>,
    connection: usize,
) -> io::Result<Option<Seen>> {
    let head_bytes = loop {
        if let Some(end) = unread.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if !more(stream, unread).await? {
            return Ok(None);
        }
    };
    let head = String::from_utf8(unread[..head_bytes].to_vec()).map_err(io::Error::other)?;
    let mut seen = parse(&head, connection).ok_or(io::ErrorKind::InvalidData)?;
    let body_bytes = match seen.header("content-length") {
        Some(text) => text.parse().map_err(io::Error::other)?,
        None => 0,
    };
    while unread.len() < head_bytes + body_bytes {
        if !more(stream, unread).await? {
            return Ok(None);
        }
    }
    seen.body = unread[head_bytes..head_bytes + body_bytes].to_vec();
    unread.drain(..head_bytes + body_bytes);
    seen.at = tokio::time::Instant::now().into_std();
    Ok(Some(seen))
}

async fn more(stream: &mut TcpStream, unread: &mut Vec<u8>) -> io::Result<bool> {
    if unread.len() > REQUEST_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(stream.read_buf(unread).await? > 0)
}

fn parse(head: &str, connection: usize) -> Option<Seen> {
    let mut lines = head.trim_end_matches("\r\n").split("\r\n");
    let request_line = lines.next()?;
    let [method, target, "HTTP/1.1"] = *request_line.split(' ').collect::<Vec<_>>() else {
        return None;
    };
    let headers = lines
        .map(|line| line.split_once(':').map(|(name, value)| (name.into(), value.trim().into())))
        .collect::<Option<_>>()?;
    let (raw_path, query) = target.split_once('?').unwrap_or((target, ""));
    let (path, pairs) = (decode(raw_path), decode_pairs(query));
    let readable = path.is_some() && pairs.is_some();
    Some(Seen {
        at: Instant::now(),
        connection,
        request_line: request_line.into(),
        method: method.into(),
        target: target.into(),
        path: path.unwrap_or_else(|| raw_path.into()),
        query: query.into(),
        pairs: pairs.unwrap_or_default(),
        headers,
        body: Vec::new(),
        verdict: if readable { Ok(()) } else { Err(Refusal::Encoding) },
    })
}

fn decode_pairs(query: &str) -> Option<Vec<(String, String)>> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=')?;
            Some((decode(key)?, decode(value)?))
        })
        .collect()
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        bytes.push(hex::decode(tail.get(..2)?).ok()?[0]);
        rest = &tail[2..];
    }
    String::from_utf8(bytes).ok()
}
