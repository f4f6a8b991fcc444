//! RCMS as the tests know it: a server that stands in for it, and what is asked of the two.
mod answers;
mod asking;
mod commands;
mod commands_offline;
mod fake_fleet;
mod faults;
mod gone;
mod live;
mod outage;
mod polling;
mod second_client;
mod short_list;
mod simulated;
pub(crate) mod stand_in;
mod stand_in_tests;
mod vectors;
mod wire_properties;
mod writes;
