//! The two listeners and what they answer. The only module that knows axum.
//!
//! - [`server`]: connections: how many, how long, how they end. Both listeners stand on it.
//! - [`client_ip`]: whose request it is when a proxy stands in front, and what counts as one source.
//! - [`failures`]: how many failed pushes one source may send before it is told to wait.
pub mod client_ip;
pub mod failures;
pub mod server;
