//! Every promise, by the front door.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod caddy;
mod process;
mod smarthub_vectors;
