//! Every promise, by the front door.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod smarthub_vectors;
