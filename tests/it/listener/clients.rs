//! Clients that leave, and clients that rest while others want their place.
use std::{sync::Arc, time::Instant};

use axum::{Router, routing::get};
use simdeck::http::server::ConnectionLimits;
use tokio::sync::mpsc;

use super::wire::{Client, GUARD, SHORT, Server, hello, limits, ok, request, soon};

/// `/never` says that it has begun, does not end by itself, and says when it was given up.
fn never() -> (Router, mpsc::UnboundedReceiver<&'static str>) {
    struct GivenUp(mpsc::UnboundedSender<&'static str>);
    impl Drop for GivenUp {
        fn drop(&mut self) {
            // Whoever listened may have had enough.
            self.0.send("given up").unwrap_or_default();
        }
    }
    let (said, heard) = mpsc::unbounded_channel();
    let handler = move || async move {
        let _given_up = GivenUp(said.clone());
        said.send("begun").unwrap();
        std::future::pending::<()>().await;
    };
    (hello().route("/never", get(handler)), heard)
}

/// One connection at most, and a client on it whose request is being answered.
async fn busy(limits: ConnectionLimits) -> (Server, Client, mpsc::UnboundedReceiver<&'static str>) {
    let (app, mut heard) = never();
    let server = Server::new(app, ConnectionLimits { connections_max: 1, ..limits }).await;
    let mut client = server.connect().await;
    client.send(request("/never")).await;
    assert_eq!(soon(heard.recv()).await, Some("begun"));
    (server, client, heard)
}

#[tokio::test]
async fn a_client_that_resets_its_connection_frees_place_and_handler_at_once() {
    let (server, client, mut heard) = busy(limits()).await;
    client.0.set_zero_linger().unwrap();
    drop(client);
    assert_eq!(soon(heard.recv()).await, Some("given up"));
    assert_eq!(server.connect().await.get("/").await, ok("hello"));
}

#[tokio::test]
async fn a_client_that_leaves_has_the_time_of_one_that_only_sends_no_more() {
    let (server, client, mut heard) =
        busy(ConnectionLimits { half_closed_time_max: SHORT, ..limits() }).await;
    drop(client);
    assert_eq!(soon(heard.recv()).await, Some("given up"));
    assert_eq!(server.connect().await.get("/").await, ok("hello"));
}

fn two_places() -> ConnectionLimits {
    ConnectionLimits {
        connections_max: 2,
        connections_per_source_max: 2,
        crowded_rest_min: SHORT,
        ..limits()
    }
}

#[tokio::test]
async fn the_connection_that_has_rested_longest_makes_room_for_another() {
    // By the listener's own places, and by those of the source.
    for (connections_max, connections_per_source_max) in [(2, 64), (64, 2)] {
        let limits =
            ConnectionLimits { connections_max, connections_per_source_max, ..two_places() };
        let server = Server::new(hello(), limits).await;
        let (mut first, mut second) = (server.connect().await, server.connect().await);
        for client in [&mut second, &mut first] {
            assert_eq!(client.get("/").await, ok("hello"));
        }
        let began = Instant::now();
        let mut newcomer = loop {
            assert!(began.elapsed() < GUARD, "nobody makes room");
            let mut newcomer = server.connect().await;
            newcomer.send(request("/")).await;
            // Where its source has its share and nobody has rested long, it is closed.
            let mut byte = [0];
            match soon(newcomer.0.peek(&mut byte)).await {
                Ok(1..) => break newcomer,
                Ok(0) | Err(_) => assert_eq!(connections_max, 64),
            }
        };
        assert_eq!(newcomer.answer().await, ok("hello"));
        assert!(second.rest().await.is_empty());
        assert_eq!(first.get("/").await, ok("hello"), "it had not rested longest");
        assert_eq!(newcomer.get("/").await, ok("hello"));
    }
}

#[tokio::test]
async fn a_proxy_that_has_all_places_keeps_them_however_long_others_wait() {
    let exempt_sources = Arc::new(["127.0.0.0/8".parse().unwrap()]);
    let server = Server::new(hello(), ConnectionLimits { exempt_sources, ..two_places() }).await;
    let (mut one, mut two) = (server.connect().await, server.connect().await);
    assert_eq!(one.get("/").await, ok("hello"));
    assert_eq!(two.get("/").await, ok("hello"));
    let mut newcomer = server.connect().await;
    newcomer.send(request("/")).await;
    let waits = tokio::time::timeout(SHORT * 3, newcomer.answer()).await;
    assert!(waits.is_err());
    assert_eq!(one.get("/").await, ok("hello"));
    assert_eq!(two.get("/").await, ok("hello"));
}
