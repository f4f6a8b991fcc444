//! The ceiling: an axum server that answers 204 and does nothing, for `benches/run` to load.
//!
//! `noop 127.0.0.1:9000`

use std::{env, io};

use axum::{Router, http::StatusCode};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = env::args().nth(1).ok_or_else(|| io::Error::other("which address?"))?;
    let listener = TcpListener::bind(address).await?;
    axum::serve(listener, Router::new().fallback(async || StatusCode::NO_CONTENT)).await
}
