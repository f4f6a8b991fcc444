use std::{fs, io};

use super::{READ_TIME_MAX, Store};
use crate::{
    domain::Timestamp,
    store::{StoreError, database_file::log_of, disk::free_bytes, error::of_read},
};

/// Under which name it is kept how large the database was: `1725499848000:4194304 …`, times and bytes.
pub(in crate::store) const ROOM_NOTES: &str = "room_notes";

/// How many bytes of the database held something at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomNote {
    /// When.
    pub at: Timestamp,
    /// How many.
    pub used_bytes: u64,
}

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
    /// Bytes within the database that hold something, and that hold nothing.
    pub async fn bytes_inside(&self) -> Result<(u64, u64), StoreError> {
        const BYTES: &str = "
            select (page_count - freelist_count) * page_size, freelist_count * page_size
            from pragma_page_count, pragma_freelist_count, pragma_page_size";
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let (used, free): (i64, i64) =
            sqlx::query_as(BYTES).fetch_one(&mut *reader).await.map_err(of_read)?;
        Ok((used.unsigned_abs(), free.unsigned_abs()))
    }

    /// How large the database was, the oldest note first. What cannot be read is left out.
    pub async fn room_notes(&self) -> Result<Vec<RoomNote>, StoreError> {
        const NOTES: &str = "select value from meta where name = $1";
        let mut reader = self.reader(READ_TIME_MAX).await?;
        let told: Option<String> = sqlx::query_scalar(NOTES)
            .bind(ROOM_NOTES)
            .fetch_optional(&mut *reader)
            .await
            .map_err(of_read)?;
        let note = |text: &str| {
            let (ms, bytes) = text.split_once(':')?;
            let at = Timestamp::from_unix_ms(ms.parse().ok()?);
            Some(RoomNote { at, used_bytes: bytes.parse().ok()? })
        };
        Ok(told.unwrap_or_default().split(' ').filter_map(note).collect())
    }

    /// How much room the store takes, and how much there is.
    pub async fn room(&self) -> io::Result<Room> {
        let database = self.database.clone();
        let look = move || {
            Ok(Room {
                database_bytes: fs::metadata(&database)?.len(),
                // There is none before the first commit.
                wal_bytes: fs::metadata(log_of(&database)).map_or(0, |wal| wal.len()),
                free_bytes: free_bytes(&database)?,
            })
        };
        // A disk that hangs must not take the thread that others need.
        tokio::task::spawn_blocking(look).await.map_err(io::Error::other)?
    }
}
