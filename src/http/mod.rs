//! The two listeners and what they answer. The only module that knows axum.
//!
//! - [`server`]: connections, under both: how many, how long, and how they end.
//! - [`public_app`]: pushes, and nothing else.
//! - [`internal_router`]: the query API, and the page.
//! - [`client_ip`]: who a request is from; [`failures`]: how often a source may be wrong.
mod api;
mod auth;
pub mod client_ip;
mod cookie;
pub mod failures;
mod forbidden;
mod gzip;
mod hosts;
mod internal;
mod internal_body;
mod key_failures;
mod page;
mod paging;
mod problem;
mod proof;
mod push;
mod query_string;
mod rate;
pub mod server;

pub use api::{
    ApiSettings, Connections, DocumentSettings, InternalState, Live, Origin, OriginError, Rcms,
    StreamLimits, TestAnswer, TestPusher, openapi, read_as_every_list,
};
pub use auth::{LiveAdminKey, digest_of};
pub use internal::internal_router;
pub use page::{PageSettings, PushAddress, Registration, Registrations, UnitBase};
pub use proof::{CHALLENGE, PROOF, proof_of, proving};
pub use push::{Elsewhere, PathTokens, ProbeAnswer, PushLog, PushSettings, Wellness, public_app};
