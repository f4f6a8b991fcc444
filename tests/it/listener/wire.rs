//! A server to connect to, and a client that says exactly what it is told.
use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, http::StatusCode, routing::get};
use simdeck::http::server::{ConnectionLimits, bind, serve};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

pub(super) const SHORT: Duration = Duration::from_millis(150);
pub(super) const LONG: Duration = Duration::from_secs(60);
/// A test that waits this long has failed.
pub(super) const GUARD: Duration = Duration::from_secs(120);

pub(super) fn limits() -> ConnectionLimits {
    ConnectionLimits {
        connections_max: 64,
        connections_per_source_max: 64,
        exempt_sources: Arc::new([]),
        tls_time_max: LONG,
        header_time_max: LONG,
        header_bytes_max: 16 * 1024,
        idle_time_max: LONG,
        crowded_rest_min: LONG,
        half_closed_time_max: LONG,
        write_time_max: LONG,
        farewell_time: Duration::ZERO,
        drain_time_max: LONG,
    }
}

pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) stop: CancellationToken,
    pub(super) running: JoinHandle<()>,
}

impl Server {
    pub(super) async fn new(app: Router, limits: ConnectionLimits) -> Self {
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let running = tokio::spawn(serve(listener, app, limits, stop.clone()));
        Self { address, stop, running }
    }

    pub(super) async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.unwrap())
    }

    pub(super) async fn ended(self) {
        soon(self.running).await.unwrap();
    }
}

pub(super) struct Client(pub(super) TcpStream);

impl Client {
    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// One answer: its head, and as much body as it announces.
    pub(super) async fn answer(&mut self) -> (StatusCode, String) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(soon(self.0.read_u8()).await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        soon(self.0.read_exact(&mut body)).await.unwrap();
        (head[9..12].parse().unwrap(), String::from_utf8(body).unwrap())
    }

    pub(super) async fn get(&mut self, path: &str) -> (StatusCode, String) {
        self.send(request(path)).await;
        self.answer().await
    }

    /// What comes until the server closes; a reset also ends it.
    pub(super) async fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match soon(self.0.read_to_end(&mut bytes)).await {
            Ok(_) => bytes,
            Err(err) if err.kind() == std::io::ErrorKind::ConnectionReset => bytes,
            Err(err) => panic!("{err}"),
        }
    }
}

pub(super) fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n")
}

pub(super) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(GUARD, future).await.expect("nothing happened")
}

pub(super) fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

pub(super) fn ok(body: &str) -> (StatusCode, String) {
    (StatusCode::OK, body.to_owned())
}
