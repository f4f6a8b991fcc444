//! A quota that is used up. SQLite tells it as any failure of a write, which ends the server; yet it heals
//! when room is made, as a full disk does. So where a write has failed, another file is written beside the
//! database: the system tells of that why it failed. Held by `tests/it/disk/full.rs`.
use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use super::database_file::{beside, real_path};

/// More than one write of the database takes.
const PROBE_BYTES: usize = 1 << 20;

/// Whether nothing can be written beside a database for lack of room.
pub(super) fn is_used_up(database: &Path) -> bool {
    let Ok(real) = real_path(database) else { return false };
    let probe = beside(&real, ".room");
    let written = write(&probe);
    if let Err(error) = fs::remove_file(&probe)
        && error.kind() != ErrorKind::NotFound
    {
        tracing::warn!(%error, file = %probe.display(), "A file that can go stays");
    }
    matches!(
        written.map_err(|error| error.kind()),
        Err(ErrorKind::QuotaExceeded | ErrorKind::StorageFull)
    )
}

fn write(probe: &Path) -> io::Result<()> {
    let mut file =
        OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(probe)?;
    file.write_all(&vec![1; PROBE_BYTES])?;
    file.sync_all()
}
