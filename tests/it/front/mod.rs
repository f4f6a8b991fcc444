//! The public listener and the reading of pushes: a real server, a real socket.
mod addresses;
mod busy;
mod chunks;
mod doors;
mod giccids;
mod held;
mod identity;
mod life;
mod limits;
mod names;
mod nothing_lost;
mod proof;
mod quarantine;
mod records;
mod request_id;
mod room;
mod sources;
