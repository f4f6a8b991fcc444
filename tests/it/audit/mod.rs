//! The audit: who did what, from where, when, and how it ended.
mod limits;
mod page;
mod recorded;
mod server;
mod shown;
mod truth;
