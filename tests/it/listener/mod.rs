//! The connection layer: a real socket in front of a small router.
mod clients;
mod wire;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Extension, Router,
    body::{Body, Bytes},
    http::{Request, StatusCode},
    routing::{any, get},
};
use simdeck::http::server::{ConnectionLimits, Peer, bind};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Notify, mpsc},
    time::{MissedTickBehavior, interval},
};

use wire::{Client, LONG, SHORT, Server, hello, limits, ok, request, soon};

/// `/held` says that it has begun, then waits to be let go.
fn held() -> (Router, mpsc::UnboundedReceiver<()>, Arc<Notify>) {
    let (begun, has_begun) = mpsc::unbounded_channel();
    let let_go = Arc::new(Notify::new());
    let gate = Arc::clone(&let_go);
    let handler = move || async move {
        begun.send(()).unwrap();
        gate.notified().await;
        "let go"
    };
    (hello().route("/held", get(handler)), has_begun, let_go)
}

/// Sends one byte at a time of a header that is thousands of bytes long; gives back what came.
async fn dribble(client: &mut Client) -> Vec<u8> {
    let mut came = Vec::new();
    let mut tick = interval(SHORT / 10);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    client.send("GET / HTTP/1.1\r\nHost: test\r\nX-Slow: ").await;
    soon(async {
        loop {
            tokio::select! {
                biased;
                read = client.0.read_buf(&mut came) => if !matches!(read, Ok(1..)) { break },
                _ = tick.tick() => if client.0.write_all(b"x").await.is_err() { break },
            }
        }
    })
    .await;
    came
}

#[tokio::test]
async fn a_slow_header_is_closed_without_an_answer() {
    let server =
        Server::new(hello(), ConnectionLimits { header_time_max: SHORT, ..limits() }).await;
    let mut stalled = server.connect().await;
    stalled.send("GET / HTTP/1.1\r\nHo").await;
    assert!(stalled.rest().await.is_empty());
    let mut dribbling = server.connect().await;
    assert!(dribble(&mut dribbling).await.is_empty());
    let mut second = server.connect().await;
    assert_eq!(second.get("/").await, ok("hello"));
    assert!(dribble(&mut second).await.is_empty(), "the second request had more time");
}

#[tokio::test]
async fn a_header_beyond_its_limit_is_answered_431() {
    for (header_bytes_max, status) in [(16 * 1024, "HTTP/1.1 431"), (64 * 1024, "HTTP/1.1 200")] {
        let limits = ConnectionLimits { header_bytes_max, ..limits() };
        let server = Server::new(hello(), limits).await;
        let mut client = server.connect().await;
        client.send(request(&format!("/?{}", "x".repeat(20_000)))).await;
        let mut start = [0; 12];
        soon(client.0.read_exact(&mut start)).await.unwrap();
        assert_eq!(str::from_utf8(&start).unwrap(), status);
    }
}

#[tokio::test]
async fn a_connection_at_rest_outlives_the_header_time_and_then_serves() {
    let server =
        Server::new(hello(), ConnectionLimits { header_time_max: SHORT, ..limits() }).await;
    let mut fresh = server.connect().await;
    let mut kept = server.connect().await;
    assert_eq!(kept.get("/").await, ok("hello"));
    // A header time that began after theirs passes.
    for _ in 0..2 {
        let mut clock = server.connect().await;
        clock.send("G").await;
        assert!(clock.rest().await.is_empty());
    }
    assert_eq!(kept.get("/").await, ok("hello"));
    assert_eq!(kept.get("/").await, ok("hello"));
    assert_eq!(fresh.get("/").await, ok("hello"));
}

#[tokio::test]
async fn a_connection_that_rests_too_long_is_closed() {
    let server = Server::new(hello(), ConnectionLimits { idle_time_max: SHORT, ..limits() }).await;
    let mut fresh = server.connect().await;
    let mut kept = server.connect().await;
    assert_eq!(kept.get("/").await, ok("hello"));
    assert!(fresh.rest().await.is_empty());
    assert!(kept.rest().await.is_empty());
}

#[tokio::test]
async fn a_handler_may_take_longer_than_a_header_or_a_rest() {
    let (app, mut has_begun, let_go) = held();
    let short = ConnectionLimits { header_time_max: SHORT, idle_time_max: SHORT, ..limits() };
    let server = Server::new(app, short).await;
    let mut waiting = server.connect().await;
    assert_eq!(waiting.get("/").await, ok("hello"));
    waiting.send(request("/held")).await;
    soon(has_begun.recv()).await.unwrap();
    for first in ["", "G"] {
        let mut clock = server.connect().await;
        clock.send(first).await;
        assert!(clock.rest().await.is_empty());
    }
    let_go.notify_one();
    assert_eq!(waiting.answer().await, ok("let go"));
    let rest_began = Instant::now();
    assert!(waiting.rest().await.is_empty());
    assert!(rest_began.elapsed() > SHORT / 2, "the rest was counted from an earlier one");
}

#[tokio::test]
async fn a_body_that_its_handler_left_unread_is_no_beginning_of_a_request() {
    let (begun, mut has_begun) = mpsc::unbounded_channel();
    let let_go = Arc::new(Notify::new());
    let gate = Arc::clone(&let_go);
    let handler = move |request: Request<Body>| async move {
        begun.send(()).unwrap();
        gate.notified().await;
        drop(request);
        "not read"
    };
    let app = hello().route("/unread", any(handler));
    let server = Server::new(app, ConnectionLimits { header_time_max: SHORT, ..limits() }).await;
    let mut client = server.connect().await;
    client.send("POST /unread HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\n").await;
    soon(has_begun.recv()).await.unwrap();
    // hyper reads one piece ahead; the other waits in the socket until the answer is out.
    for piece in ["bo", "dy"] {
        client.send(piece).await;
        // A round trip after it: the server has heard of the piece, too.
        assert_eq!(server.connect().await.get("/").await, ok("hello"));
    }
    let_go.notify_one();
    assert_eq!(client.answer().await, ok("not read"));
    let mut clock = server.connect().await;
    clock.send("G").await;
    assert!(clock.rest().await.is_empty());
    assert_eq!(client.get("/").await, ok("hello"));
}

#[tokio::test]
async fn pipelined_requests_are_all_answered_in_order() {
    let app =
        Router::new().route("/{word}", any(|body: axum::extract::Path<String>| async { body.0 }));
    let server = Server::new(app, limits()).await;
    let mut client = server.connect().await;
    client
        .send(format!("{}{}{}", request("/one"), request("/two"), &request("/three")[..20]))
        .await;
    assert_eq!(client.answer().await, ok("one"));
    assert_eq!(client.answer().await, ok("two"));
    client.send(&request("/three")[20..]).await;
    assert_eq!(client.answer().await, ok("three"));
}

#[tokio::test]
async fn one_source_has_its_share_and_no_more() {
    let capped = ConnectionLimits { connections_per_source_max: 2, ..limits() };
    let server = Server::new(hello(), capped).await;
    let (mut one, mut two) = (server.connect().await, server.connect().await);
    assert_eq!(one.get("/").await, ok("hello"));
    assert_eq!(two.get("/").await, ok("hello"));
    assert!(server.connect().await.rest().await.is_empty());
    assert_eq!(one.get("/").await, ok("hello"));
    assert_eq!(two.get("/").await, ok("hello"));
}

#[tokio::test]
async fn a_trusted_proxy_is_not_counted_by_source() {
    let exempt = ConnectionLimits {
        connections_per_source_max: 1,
        exempt_sources: Arc::new(["127.0.0.0/8".parse().unwrap()]),
        ..limits()
    };
    let server = Server::new(hello(), exempt).await;
    let mut proxied = Vec::new();
    for _ in 0..3 {
        let mut client = server.connect().await;
        assert_eq!(client.get("/").await, ok("hello"));
        proxied.push(client);
    }
}

#[tokio::test]
async fn at_the_cap_a_newcomer_waits_until_a_connection_ends() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let app = Router::new().route(
        "/",
        get(move |peer: Extension<Peer>| async move {
            log.lock().unwrap().push(peer.0.0);
            peer.0.0.to_string()
        }),
    );
    let capped = ConnectionLimits { connections_max: 1, connections_per_source_max: 2, ..limits() };
    let server = Server::new(app, capped).await;
    let mut first = server.connect().await;
    let first_address = first.0.local_addr().unwrap();
    assert_eq!(first.get("/").await, ok(&first_address.to_string()));
    let mut newcomer = server.connect().await;
    let newcomer_address = newcomer.0.local_addr().unwrap();
    newcomer.send(request("/")).await;
    for _ in 0..10 {
        first.get("/").await;
    }
    assert!(!seen.lock().unwrap().contains(&newcomer_address));
    drop(first);
    assert_eq!(newcomer.answer().await, ok(&newcomer_address.to_string()));
}

#[tokio::test]
async fn told_to_stop_it_waits_a_moment_for_a_last_request_on_a_kept_connection() {
    let patient = ConnectionLimits { farewell_time: LONG, ..limits() };
    let server = Server::new(hello(), patient).await;
    let mut kept = server.connect().await;
    assert_eq!(kept.get("/").await, ok("hello"));
    // Connected and not yet accepted: nor is it lost.
    let mut waiting = server.connect().await;
    server.stop.cancel();
    while TcpStream::connect(server.address).await.is_ok() {}
    for client in [&mut kept, &mut waiting] {
        assert_eq!(client.get("/").await, ok("hello"));
    }
    drop((kept, waiting));
    server.ended().await;
}

#[tokio::test]
async fn when_told_to_stop_it_closes_what_rests_and_answers_what_is_in_flight() {
    let (app, mut has_begun, let_go) = held();
    let server = Server::new(app, limits()).await;
    let (mut fresh, mut kept) = (server.connect().await, server.connect().await);
    assert_eq!(kept.get("/").await, ok("hello"));
    let mut waiting = server.connect().await;
    waiting.send(request("/held")).await;
    soon(has_begun.recv()).await.unwrap();
    server.stop.cancel();
    assert!(kept.rest().await.is_empty());
    assert!(fresh.rest().await.is_empty());
    assert!(TcpStream::connect(server.address).await.is_err(), "it still takes connections");
    assert!(!server.running.is_finished());
    let_go.notify_one();
    assert_eq!(waiting.answer().await, ok("let go"));
    assert!(waiting.rest().await.is_empty());
    drop(waiting);
    server.ended().await;
}

#[tokio::test]
async fn clients_at_rest_do_not_hold_up_the_end() {
    let server = Server::new(hello(), limits()).await;
    let mut kept = server.connect().await;
    assert_eq!(kept.get("/").await, ok("hello"));
    let began = Instant::now();
    server.stop.cancel();
    server.ended().await;
    assert!(began.elapsed() < Duration::from_secs(1), "it waited for a client that has nothing");
    drop(kept);
}

#[tokio::test]
async fn what_does_not_end_in_time_is_cut_off() {
    let (app, mut has_begun, _never) = held();
    let server = Server::new(app, ConnectionLimits { drain_time_max: SHORT, ..limits() }).await;
    let mut waiting = server.connect().await;
    waiting.send(request("/held")).await;
    soon(has_begun.recv()).await.unwrap();
    server.stop.cancel();
    server.ended().await;
    assert!(waiting.rest().await.is_empty());
}

#[tokio::test]
async fn an_early_answer_reaches_a_client_that_is_still_sending() {
    const BODY_BYTES: usize = 32 * 1024 * 1024;
    let app =
        Router::new().route("/", any(|| async { (StatusCode::PAYLOAD_TOO_LARGE, "too large") }));
    let server = Server::new(app, limits()).await;
    let mut client = server.connect().await;
    client
        .send(format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: {BODY_BYTES}\r\n\r\n"))
        .await;
    let body = vec![b'x'; BODY_BYTES];
    soon(client.0.write_all(&body)).await.unwrap();
    assert_eq!(client.answer().await, (StatusCode::PAYLOAD_TOO_LARGE, "too large".to_owned()));
    assert!(client.rest().await.is_empty());
}

#[tokio::test]
async fn an_answer_that_nobody_reads_is_given_up() {
    let (alive, mut given_up) = mpsc::unbounded_channel::<()>();
    let handler = move || {
        let alive = alive.clone();
        let chunk = Bytes::from_static(&[0; 64 * 1024]);
        let endless = futures_util::stream::repeat_with(move || {
            let _kept = &alive;
            Ok::<_, std::convert::Infallible>(chunk.clone())
        });
        async { Body::from_stream(endless) }
    };
    let app = Router::new().route("/", get(handler));
    let server = Server::new(app, ConnectionLimits { write_time_max: SHORT, ..limits() }).await;
    let mut client = server.connect().await;
    client.send(request("/")).await;
    let mut status = [0; 12];
    soon(client.0.read_exact(&mut status)).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    server.stop.cancel();
    server.ended().await;
    assert!(given_up.recv().await.is_none());
}

#[tokio::test]
async fn a_handler_that_panics_costs_its_connection_only() {
    async fn broken(_: Request<Body>) -> &'static str {
        panic!("as the test wants it")
    }
    let server = Server::new(hello().route("/broken", any(broken)), limits()).await;
    let mut bystander = server.connect().await;
    assert_eq!(bystander.get("/").await, ok("hello"));
    let mut client = server.connect().await;
    client.send(request("/broken")).await;
    assert!(client.rest().await.is_empty());
    assert_eq!(bystander.get("/").await, ok("hello"));
    assert_eq!(server.connect().await.get("/").await, ok("hello"));
}

#[tokio::test]
async fn a_header_too_large_is_431_and_what_is_not_http_is_400() {
    let server = Server::new(hello(), limits()).await;
    for (sent, status) in [
        (format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(20_000)), "431"),
        (format!("GET / HTTP/1.1\r\n{}\r\n", "X: x\r\n".repeat(65)), "431"),
        ("what is this?\r\n\r\n".to_owned(), "400"),
    ] {
        let mut client = server.connect().await;
        client.send(sent).await;
        let answer = String::from_utf8(client.rest().await).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {answer}");
    }
}

#[tokio::test]
async fn an_address_in_use_is_waited_for() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap();
    let mut binding = std::pin::pin!(bind(address));
    assert!(futures_util::poll!(&mut binding).is_pending());
    drop(holder);
    assert_eq!(soon(binding).await.unwrap().local_addr().unwrap(), address);
}
