//! Every promise, by the front door.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod api_harness;
mod api_keys;
mod api_lists;
mod api_log;
mod architecture;
mod caddy;
mod client_ip;
mod commands;
mod failure_limiter;
mod front;
mod kill;
mod listener;
mod live_commands;
mod mutated;
mod plain_json;
mod process;
mod program;
mod properties;
mod rcms;
mod rcms_offline;
mod rings;
mod server;
mod settings;
mod smarthub_vectors;
mod store_contract;
