//! The public listener and the reading of pushes: a real server, a real socket.
mod busy;
mod doors;
mod held;
mod identity;
mod life;
mod limits;
mod proof;
mod quarantine;
mod records;
mod request_id;
mod sources;
