//! A database that was there and is not there any more. To start would make an empty one in its place,
//! answer pushes from it, and have SQLite delete the log of the one that is gone: so nothing is made until
//! a person says what is meant. Held by `tests/it/disk/missing.rs`.
//!
//! What tells is what only comes to be beside a whole database: a note in its lock, its log, the list of
//! erased SIMs. The lock's file alone tells nothing: a first start that ends before it has made the database
//! leaves one, too. Nor do copies: whoever begins anew may keep them. Where the whole folder has gone, as
//! with a volume that is not mounted, the lock of the data directory tells, if that lies elsewhere.
use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use super::{
    backup::folder_of,
    database_file::{beside, own_name, real_path},
    erasures::list_of,
    folder::{LOCK, lock_of},
    lock::noted_database,
};

/// A database that is not where it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct MissingDatabase {
    /// The database.
    pub path: PathBuf,
    /// It is there, and nothing is in it.
    pub is_empty: bool,
    /// What says that there was more.
    pub traces: Vec<PathBuf>,
}

impl fmt::Display for MissingDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        let state = if self.is_empty { "is empty" } else { "is not there" };
        let traces: Vec<String> =
            self.traces.iter().map(|trace| trace.display().to_string()).collect();
        let traces = traces.join(" and ");
        write!(
            f,
            "the database {path} {state}, though {traces} say{} that it was there: mount its disk, move \
             it back, or put a backup in its place with `simdeck restore`; only if you want a new, empty \
             store, remove {traces}",
            if self.traces.len() == 1 { "s" } else { "" }
        )
    }
}

/// The database, if it was there once and is not now. Nothing is changed. Of one that cannot be looked at
/// it is opening it that tells what is wrong.
pub fn missing_database(data_dir: &Path, database: &Path) -> Option<MissingDatabase> {
    let is_empty = match fs::metadata(database) {
        Ok(file) if file.len() == 0 => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        _ => return None,
    };
    let has_bytes = |path: &Path| fs::metadata(path).is_ok_and(|file| file.len() > 0);
    let mut traces = vec![list_of(database), beside(&own_name(database), "-wal")];
    traces.retain(|path| has_bytes(path));
    // Without its folder it has no name of its own that could be compared.
    if let Ok(real) = real_path(database) {
        let lock = lock_of(&own_name(database));
        if noted_database(&lock).is_some() {
            traces.push(lock);
        }
        let lock = data_dir.join(LOCK);
        if noted_database(&lock).is_some_and(|noted| noted == real.to_string_lossy()) {
            traces.push(lock);
        }
    }
    let path = database.to_owned();
    (!traces.is_empty()).then_some(MissingDatabase { path, is_empty, traces })
}

/// Whether a database lies in its data directory, whose lock goes where it goes and need not name it.
pub(super) fn is_inside(data_dir: &Path, real_database: &Path) -> bool {
    fs::canonicalize(data_dir).is_ok_and(|data_dir| data_dir == folder_of(real_database))
}
