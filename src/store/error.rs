use std::io::ErrorKind;

use super::FileMoved;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused or failed.
    #[error("the database did not do it")]
    Database(#[from] sqlx::Error),
    /// A read took longer than it may.
    #[error("the question took too long")]
    TooSlow,
    /// An answer would have more rows than one may have.
    #[error("the answer has more than {0} rows")]
    TooManyRows(usize),
    /// All places for reads are taken.
    #[error("too many questions are asked at once")]
    Busy,
    /// A row holds what this version cannot read.
    #[error("row {id} of {table} holds a value that this version cannot read")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The row.
        id: i64,
    },
    /// All volumes together no longer fit into 64 bits.
    #[error("the sum of all volumes would no longer fit into 64 bits")]
    VolumeOverflow,
    /// An answer would need records that are kept no more.
    #[error("{what} is kept from {from_ms} ms on, and the answer would need what came before")]
    Pruned {
        /// What would be needed.
        what: &'static str,
        /// From which own time on it is kept.
        from_ms: i64,
    },
    /// A record is older than what is kept: whether it was there once, nobody can tell any more.
    #[error("a record is older than those that are kept")]
    TooOld,
    /// A record came under a `datePush` that was retracted after it was read.
    #[error("a record came under a datePush that has been retracted")]
    Retracted,
    /// There is no room for work that is tried again until it is done.
    #[error("there is no room for it on the disk; it goes on by itself once there is")]
    NoRoom,
    /// The database may not grow, though the disk has room.
    #[error("the disk quota of the user that runs simdeck is used up")]
    QuotaUsedUp,
    /// A file of the store is not any more where it was opened.
    #[error(transparent)]
    Moved(#[from] FileMoved),
    /// A batch could not be written as JSON.
    #[error("a batch could not be encoded")]
    Encode(#[from] serde_json::Error),
}

impl StoreError {
    /// A row cannot be read: the same is found at every try.
    pub fn is_corrupt(&self) -> bool {
        matches!(self, Self::Corrupt { .. })
    }

    /// The data is at fault, not the disk: found by bisection, it is left out and the rest is stored.
    pub fn is_of_data(&self) -> bool {
        match self {
            Self::Database(error) => matches!(primary_code(error), Some(1 | 18 | 19 | 20 | 25)),
            Self::VolumeOverflow | Self::TooOld | Self::Retracted | Self::Encode(_) => true,
            Self::TooSlow
            | Self::TooManyRows(_)
            | Self::Busy
            | Self::NoRoom
            | Self::QuotaUsedUp
            | Self::Corrupt { .. }
            | Self::Moved(_)
            | Self::Pruned { .. } => false,
        }
    }

    /// There is no room for what should be written.
    pub fn is_disk_full(&self) -> bool {
        match self {
            // A file beside the database.
            Self::Database(sqlx::Error::Io(error)) => {
                matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
            }
            Self::Database(error) => {
                primary_code(error) == Some(13) || extended_code(error) == Some(NO_ROOM_FOR_SHM)
            }
            Self::NoRoom | Self::QuotaUsedUp => true,
            _ => false,
        }
    }

    /// A write failed, and SQLite does not tell why. It may be for lack of room.
    pub fn is_failed_write(&self) -> bool {
        const IOERR_WRITE: i32 = 10 | (3 << 8);
        matches!(self, Self::Database(error) if extended_code(error) == Some(IOERR_WRITE))
    }

    /// The file is no database.
    pub fn is_no_database(&self) -> bool {
        matches!(self, Self::Database(error) if primary_code(error) == Some(26))
    }

    /// The disk or the file is at fault in a way that only a new start can mend: a failed sync may
    /// have lost what was written before it.
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Database(_) if self.is_disk_full() => false,
            Self::Database(error) => {
                matches!(primary_code(error), Some(10 | 11 | 26))
                    || matches!(error, sqlx::Error::WorkerCrashed)
            }
            Self::Moved(_) => true,
            _ => false,
        }
    }
}

/// What a count gave; none where it would have taken longer than a count may. Whoever changes something
/// does it all the same.
pub fn unless_too_slow<T>(counted: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match counted {
        Err(StoreError::TooSlow) => Ok(None),
        other => other.map(Some),
    }
}

/// SQLite's result code without its extension: 1 error, 5 busy, 9 interrupt, 10 I/O, 11 corrupt,
/// 13 full, 18 too big, 19 constraint, 20 mismatch, 25 range, 26 not a database.
pub(super) fn primary_code(error: &sqlx::Error) -> Option<i32> {
    extended_code(error).map(|code| code & 0xFF)
}

/// The index of the log could not grow. Nothing was written then, nor is anything lost.
const NO_ROOM_FOR_SHM: i32 = 10 | (19 << 8);

fn extended_code(error: &sqlx::Error) -> Option<i32> {
    let sqlx::Error::Database(error) = error else { return None };
    error.code()?.parse().ok()
}

/// A read that its deadline interrupted is too slow, whatever else it says.
pub(super) fn of_read(error: sqlx::Error) -> StoreError {
    if primary_code(&error) == Some(9) { StoreError::TooSlow } else { error.into() }
}

/// Where all connections are taken for too long there is too much to do, not anything broken.
pub(super) fn of_acquire(error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::PoolTimedOut => StoreError::Busy,
        other => other.into(),
    }
}
