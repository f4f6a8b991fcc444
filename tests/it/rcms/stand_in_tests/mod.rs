//! The stand-in is held to the reference client's vectors, and to its own script.
mod asked;
mod client;
mod faults;
mod served;
mod signed;
