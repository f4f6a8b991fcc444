//! Requests that two parsers may read as one or as two. Whoever smuggles one past the server in
//! front of us, past its filters and under its name, must not find it answered as a push.
use std::{fmt::Write, time::Duration};

use futures_util::future::join_all;
use serde_json::Value;
use tokio::time::timeout;

use super::{fronts::Front, line::Line, say};
use crate::server::{Simdeck, signed, usage};

/// Only a smuggled request says that it is from here: a front overwrites what a client says.
const FORGED: &str = "203.0.113.66";
const KIND: &str = "smuggled";
/// A front that has said nothing for so long waits for more.
const QUIET: Duration = Duration::from_millis(400);

/// The request inside: a whole push that would be stored.
fn inner() -> String {
    let body = signed(&usage("8944501503181377993"));
    format!(
        "POST /v1/{KIND} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {FORGED}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn post(headers: &str, body: &str) -> String {
    format!("POST /v1/carrier HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n{body}")
}

/// `Transfer-Encoding` that one side may overlook, beside the length of all that follows.
const ENCODINGS: [&str; 28] = [
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: CHUNKED",
    "tRANSFER-eNCODING: chunked",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding:\tchunked",
    "Transfer-Encoding:chunked ",
    "Transfer-Encoding: \x0bchunked",
    "Transfer-Encoding: \"chunked\"",
    "Transfer-Encoding: 'chunked'",
    "Transfer-Encoding: chunked;q=1",
    "Transfer-Encoding: ,chunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: identity, chunked",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: x\r\n chunked",
    "X: x\r\n Transfer-Encoding: chunked",
    "X: x\nTransfer-Encoding: chunked",
    "X: x\rTransfer-Encoding: chunked",
    "Transfer-Encoding\n: chunked",
    "Transfer-Encoding\u{85}: chunked",
    "Transfer_Encoding: chunked",
    "Transfer-Encoding: chunked\0",
    "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
];

/// Lengths that one side may read as nothing, `N` being that of all that follows.
const LENGTHS: [&str; 22] = [
    "Content-Length: 0\r\nContent-Length: N",
    "Content-Length: N\r\nContent-Length: 0",
    "Content-Length: 0, N",
    "Content-Length: N, 0",
    "Content-Length: N, N",
    "Content-Length: +N",
    "Content-Length: -N",
    "Content-Length: -0\r\nContent-Length: N",
    "Content-Length: 0xN",
    "Content-Length: N.0",
    "Content-Length: 0;N",
    "Content-Length: 0 N",
    "Content-Length: \x0bN",
    "Content-Length: 'N'",
    "Content-Length:\r\n N",
    "Content-Length : N",
    "Content-Length: 99999999999999999999N",
    "X: x\nContent-Length: 0\r\nContent-Length: N",
    "Content-Length: 0\r\nContent-Length : N",
    "Content-Length: N\r\nConnection: Content-Length",
    "Content-Length: N\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMA",
    "Content-Length: N\r\nExpect: 100-continue",
];

/// Pieces of a chunked body that one side may take for its end, or read over. `N` and `I` are the
/// request inside: its length in hex, and itself.
const CHUNKS: [&str; 18] = [
    "N\r\nI\r\n0\r\n\r\n",
    "N;x\r\nI\r\n0\r\n\r\n",
    "N;x=\"\r\n0\r\n\r\nI",
    "N;\n0\r\n\r\nI",
    "0;\nx\r\n\r\nI",
    "0x0\r\n\r\nI",
    "+0\r\n\r\nI",
    "-1\r\n\r\nI",
    "0_0\r\n\r\nI",
    "\r\n0\r\n\r\nI",
    "0\n\nI",
    "0\r\r\n\r\nI",
    "10000000000000000\r\n\r\nI",
    "ffffffffffffffff\r\nI",
    "1\nx\n0\n\nI",
    "1\r\nxy\r\n0\r\n\r\nI",
    "N\r\nI\n0\r\n\r\n",
    "N\r\nI\r\n0\r\nContent-Length: 9\r\n\r\n",
];

/// Heads in front of a body that is the request inside.
const HEADS: [&str; 14] = [
    "GET /v1/carrier HTTP/1.1\r\nHost: x\r\nContent-Length: N\r\n\r\n",
    "HEAD /v1/carrier HTTP/1.1\r\nHost: x\r\nContent-Length: N\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: x\r\nContent-Length: N\r\n\r\n",
    "TRACE /v1/carrier HTTP/1.1\r\nHost: x\r\nContent-Length: N\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: N\r\n\r\n",
    "POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: N\r\n\r\n",
    "POST /v1/carrier HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\nContent-Length: N\r\n\r\n",
    "POST /v1/carrier HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\nContent-Length: N\r\n\r\n",
    "POST /v1/carrier HTTP/1.2\r\nHost: x\r\nContent-Length: N\r\n\r\n",
    "POST /v1/carrier HTTP/1.1 HTTP/1.1\r\nHost: x\r\nContent-Length: N\r\n\r\n",
    "POST http://y/v1/carrier HTTP/1.1\r\nHost: x\r\nHost: y\r\nContent-Length: N\r\n\r\n",
    "POST /v1/carrier\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\nContent-Length: N\r\n\r\n",
];

/// Every case: what is sent on one connection.
fn corpus() -> Vec<String> {
    let inner = inner();
    let ended = format!("0\r\n\r\n{inner}");
    let length = |text: &str, of: &str| text.replace('N', &of.len().to_string());
    let mut cases = Vec::new();
    for encoding in ENCODINGS {
        cases.push(post(&format!("{encoding}\r\nContent-Length: {}", ended.len()), &ended));
        cases.push(post(&format!("Content-Length: {}\r\n{encoding}", ended.len()), &ended));
    }
    for lengths in LENGTHS {
        // Only the number: the names have an N, too.
        let lengths = lengths.replace("HTTP2-Settings", "HTTP2-settings");
        let headers = lengths
            .split("\r\n")
            .map(|line| match line.split_once(':') {
                Some((name, value)) if name.trim() == "Content-Length" => {
                    format!("{name}:{}", length(value, &inner))
                }
                _ => line.replace(" N", &format!(" {}", inner.len())),
            })
            .collect::<Vec<_>>();
        cases.push(post(&headers.join("\r\n"), &inner));
    }
    for chunks in CHUNKS {
        let mut size = String::new();
        write!(size, "{:x}", inner.len()).unwrap();
        let body = chunks.replacen('N', &size, 1).replace('I', &inner);
        cases.push(post("Transfer-Encoding: chunked", &body));
    }
    for head in HEADS {
        let head = head.replace("Length: N", &format!("Length: {}", inner.len()));
        cases.push(format!("{head}{inner}"));
    }
    cases
}

/// Sends all there is, takes all that comes until the other side closes or waits for more.
async fn send(address: &str, case: &str) -> String {
    let Ok(mut line) = Line::to(address).await else { return String::new() };
    // A side that refuses early may have closed already.
    drop(line.send(case).await);
    let mut heard = String::new();
    while let Ok(Ok(answer)) = timeout(QUIET, line.answer()).await {
        writeln!(heard, "{}", answer.head).unwrap();
    }
    heard
}

async fn send_all(address: &str) -> usize {
    let cases = corpus();
    for some in cases.chunks(24) {
        join_all(some.iter().map(|case| send(address, case))).await;
    }
    cases.len()
}

/// What the public listener saw and took for a request.
async fn seen(simdeck: &Simdeck, is_it: impl Fn(&Value) -> bool) -> Vec<Value> {
    let rows = simdeck.get("/v1/pushes?size=1000").await;
    rows.as_array().unwrap().iter().filter(|row| is_it(row)).cloned().collect()
}

/// After all that, whoever pushes honestly has the answer to its own push.
async fn honest_pushes_are_answered(address: &str) {
    let mut line = Line::to(address).await.unwrap();
    for nth in 0..20 {
        let body = signed(&usage(&format!("89445015031813{nth:05}")));
        let answer = line.push("/v1/honest", &body).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(answer.body.starts_with(r#"{"stored":1,"duplicates":0"#), "{}", answer.body);
    }
}

#[tokio::test]
async fn no_smuggled_request_is_answered_alone() {
    let simdeck = Simdeck::start(&[]);
    let of_kind = |row: &Value| row["kind"] == KIND;
    let count = send_all(simdeck.public()).await;
    assert!(count >= 40, "{count}");
    assert_eq!(seen(&simdeck, of_kind).await, Vec::<Value>::new());
    honest_pushes_are_answered(simdeck.public()).await;
    // The control: where it is no smuggling but a second request, it is seen and stored.
    let two = format!("{}{}", post("Content-Length: 2", "{}"), inner());
    assert!(send(simdeck.public(), &two).await.contains(" 200 "));
    assert_eq!(seen(&simdeck, of_kind).await.len(), 1);
    say(&format!("{count} trials, 0 failures"));
    simdeck.end();
}

/// Nothing that a front has not itself passed on as a request is taken for one.
async fn nothing_is_smuggled_past(simdeck: Simdeck, front: Front) {
    front.listens().await;
    let address = &front.address;
    let count = send_all(address).await;
    let forged = |row: &Value| row["source"] == FORGED;
    assert_eq!(seen(&simdeck, forged).await, Vec::<Value>::new());
    honest_pushes_are_answered(address).await;
    // The control: who comes past the front would be seen.
    assert!(send(simdeck.public(), &inner()).await.contains(" 200 "));
    assert_eq!(seen(&simdeck, forged).await.len(), 1);
    say(&format!("{count} trials, 0 failures"));
    drop(front);
    simdeck.end();
}

#[tokio::test]
async fn no_smuggled_request_is_answered_behind_nginx() {
    let simdeck = Simdeck::start(&[]);
    let front = Front::nginx(simdeck.public());
    nothing_is_smuggled_past(simdeck, front).await;
}

#[tokio::test]
async fn no_smuggled_request_is_answered_behind_haproxy() {
    let simdeck = Simdeck::start(&[]);
    let front = Front::haproxy(simdeck.public());
    nothing_is_smuggled_past(simdeck, front).await;
}

#[tokio::test]
async fn no_smuggled_request_is_answered_behind_apache() {
    let simdeck = Simdeck::start(&[]);
    let front = Front::apache(simdeck.public());
    nothing_is_smuggled_past(simdeck, front).await;
}
