//! simdeck receives what the SmartHub platform pushes about a fleet's SIM cards, keeps it without
//! loss or double count, and answers questions about it.
//!
//! # Map
//!
//! From the bottom up; a module uses only those with a lower number, and `tests/it` checks it.
//!
//! 0. [`domain`]: what a SIM, a record, a held push and a device are; the clock; secrets. No I/O.
//! 1. [`smarthub`]: SmartHub's protocol: push kinds, signature, a body turned into records.
//! 1. [`rcms`]: RCMS's protocol: signature, client, lenient answers.
//! 1. [`store`]: keeps records. The only module that knows SQL.
//! 2. [`intake`]: the one way a push gets in: verify, read, queue, commit, reply.
//! 2. [`watch`]: what is wrong with how data comes in, and what to do about it.
//! 3. [`poller`]: asks RCMS at its own pace.
//! 3. [`demo`]: a made-up fleet, to look around.
//! 3. [`http`]: the two listeners and what they answer. The only module that knows axum.
//! 4. [`cli`]: settings, wiring, one file for each subcommand.
//!
//! # A push, from socket to disk
//!
//! [`http::server`] accepts the connection and [`http`]'s push handler applies the limits;
//! [`intake::Intake::accept`] verifies the body with [`smarthub`] and queues its records; the
//! writer task gathers what waits, commits it with [`store::Writer`] and only then replies.
//!
//! # Where would I add …
//!
//! - a push kind: `smarthub/kind.rs`, and a type in [`domain`] if its fields are known;
//! - an API route: `http/api/routes/`, with what the OpenAPI document says of it;
//! - a page: a file in `http/page/`, its template, and its words in both languages;
//! - an API filter: `http/api/params/` names it, `store/read/filter.rs` turns it into SQL;
//! - something that can be wrong: `domain/condition.rs`, and its rule in `watch/`;
//! - a figure for Prometheus: `http/api/metrics/`;
//! - a subcommand: a file in `cli/` and a line in `cli/mod.rs`;
//! - a setting: `cli/settings/table/`;
//! - a database: `store/` and a folder beside `migrations/sqlite`.
pub mod domain;

pub mod rcms;
pub mod smarthub;
pub mod store;

pub mod intake;
pub mod watch;

pub mod demo;
pub mod http;
pub mod poller;

pub mod cli;
