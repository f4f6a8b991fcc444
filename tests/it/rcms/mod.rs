//! RCMS as the tests know it: a server that stands in for it, and what is asked of the two.
pub(crate) mod stand_in;
mod stand_in_tests;
