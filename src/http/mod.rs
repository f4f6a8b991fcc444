//! The two listeners and what they answer. The only module that knows axum.
//!
//! - [`server`]: connections: how many, how long, how they end. Both listeners stand on it.
//! - [`client_ip`]: whose request it is when a proxy stands in front, and what counts as one source.
//! - [`failures`]: how many failed pushes one source may send before it is told to wait.
//! - [`internal_router`]: the query API of the internal listener.
pub mod client_ip;
pub mod failures;
pub mod server;

mod api;
mod auth;
mod paging;
mod problem;
mod query_string;
mod rate;

pub use api::{ApiSettings, InternalState, Origin, OriginError, internal_router};
pub use auth::{digest_of, new_api_key};
