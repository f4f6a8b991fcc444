//! The two listeners and what they answer. The only module that knows axum.
//!
//! - [`internal_router`]: the query API of the internal listener.
mod api;
mod auth;
mod paging;
mod problem;
mod query_string;

pub use api::{ApiSettings, InternalState, internal_router};
pub use auth::digest_of;
