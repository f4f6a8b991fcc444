use std::{ffi::OsString, fs, io, path::PathBuf};

use super::Store;
use crate::store::folder::free_bytes;

/// How much room the store takes, and how much there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes of the database file.
    pub database_bytes: u64,
    /// Bytes of the log beside it.
    pub wal_bytes: u64,
    /// Bytes that are free on its disk.
    pub free_bytes: u64,
}

impl Store {
    /// How much room the store takes, and how much there is.
    pub async fn room(&self) -> io::Result<Room> {
        let database = self.database.clone();
        let look = move || {
            let mut wal = OsString::from(&*database);
            wal.push("-wal");
            Ok(Room {
                database_bytes: fs::metadata(&database)?.len(),
                // There is none before the first commit.
                wal_bytes: fs::metadata(PathBuf::from(wal)).map_or(0, |wal| wal.len()),
                free_bytes: free_bytes(&database)?,
            })
        };
        // A disk that hangs must not take the thread that others need.
        tokio::task::spawn_blocking(look).await.map_err(io::Error::other)?
    }
}
