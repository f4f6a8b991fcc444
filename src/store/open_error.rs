use std::path::PathBuf;

use sqlx::migrate::MigrateError;

use super::{BackupError, StoreError};
use crate::domain::mib;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The SQLite in this binary is too old to be trusted.
    #[error("SQLite {0} can lose committed writes; simdeck needs 3.51.3 or newer")]
    SqliteTooOld(String),
    /// A newer simdeck has changed the schema.
    #[error(
        "the database {path} was written by a newer simdeck (its schema is {version}); \
         use that version, or restore a backup"
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// The first migration that this version does not know.
        version: i64,
    },
    /// The schema could not be brought up to date.
    #[error("the database {path} could not be migrated")]
    Migrate {
        /// The database.
        path: PathBuf,
        /// The cause.
        source: MigrateError,
    },
    /// The schema has to be brought up to date, and no copy of the database could be kept before.
    #[error(
        "the database {path} needs a newer schema, and no copy of it could be kept before; \
         it was left as it is, so that the version before still runs on it. Make room or mend the \
         folder; to go on without a copy, make an empty file {copy}"
    )]
    NoCopy {
        /// The database.
        path: PathBuf,
        /// Where the copy should lie.
        copy: PathBuf,
        /// The cause.
        source: BackupError,
    },
    /// The schema has to be brought up to date, and the disk would not hold it.
    #[error(
        "the database {path} needs a newer schema, and {} more have to be free on its disk to bring it up \
         to date and leave what pushes need; it was left as it is, so that the version before still runs \
         on it. Make room{}{copies}", mib(*lacks), if copies.is_empty() { "" } else { ": " }
    )]
    NoRoomToMigrate {
        /// The database.
        path: PathBuf,
        /// What is lacking.
        lacks: u64,
        /// A clause that names copies of ours there.
        copies: String,
    },
    /// The list beside the database names SIMs by the secret of another store.
    #[error(
        "{list} names {sims} erased SIMs by a secret that is not in the database {path}, so that they \
         could come back; restore a backup of the store that the list belongs to, or move the list \
         away if they may"
    )]
    ForeignErasures {
        /// The list.
        list: PathBuf,
        /// The database.
        path: PathBuf,
        /// How many.
        sims: usize,
    },
    /// The sums by day could not be cut by the days of another zone.
    #[error(
        "the sums by day of {path} could not be brought to the time zone {zone}; those in {kept} are \
         still there, and without SIMDECK_TIME_ZONE the server starts with them"
    )]
    Rebuild {
        /// The database.
        path: PathBuf,
        /// The store's zone.
        kept: String,
        /// The setting.
        zone: String,
        /// The cause.
        source: StoreError,
    },
    /// The database is one of another program.
    #[error(
        "{path} is an SQLite file of another program: it has tables and none of them is simdeck's; it was \
         left as it is. Name another file with SIMDECK_DATABASE_URL or SIMDECK_DATA_DIR"
    )]
    OfAnotherProgram {
        /// The file.
        path: PathBuf,
    },
    /// The database cannot be opened or read.
    #[error("cannot open the database {path}")]
    Unusable {
        /// The database.
        path: PathBuf,
        /// The cause.
        source: StoreError,
    },
}

impl OpenError {
    /// Whether it stays so until a person changes it.
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::SqliteTooOld(_)
            | Self::Newer { .. }
            | Self::ForeignErasures { .. }
            | Self::OfAnotherProgram { .. } => true,
            Self::Unusable { source, .. } => source.is_no_database(),
            Self::Migrate { .. }
            | Self::NoCopy { .. }
            | Self::NoRoomToMigrate { .. }
            | Self::Rebuild { .. } => false,
        }
    }
}
