//! What an earlier process left half made: parts of copies, of a restore, of lists and of secrets. Nothing
//! of it is of use to anybody, and some of it is as large as the database. Held by
//! `tests/it/disk/leftovers.rs`.
use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use super::{backup::folder_of, database_file::own_name, kept_copies::is_before_migration};

/// How a file ends that is renamed once it is whole.
pub(super) const NEW: &str = ".new";
/// How a copy ends that is not whole yet.
pub(super) const PARTIAL: &str = ".partial";
/// How a copy ends that is to become the database.
pub(super) const RESTORING: &str = ".restoring";
/// What SQLite puts beside a database that is being written.
pub(super) const BESIDE: [&str; 4] = ["", "-journal", "-wal", "-shm"];

/// Takes away what is left beside a database, and the secrets that were not whole. Both have to be ours.
pub(super) fn remove_leftovers(data_dir: &Path, database: &Path) {
    let is_half_made_of = |name: &Path, file: &str| {
        let name = name.file_name().and_then(OsStr::to_str).unwrap_or_default();
        file.strip_prefix(name).is_some_and(is_half_made)
    };
    // The list lies beside the link, where one leads to the database.
    let own_name = own_name(database);
    let of_database = |file: &str| is_half_made_of(database, file);
    let of_own_name = |file: &str| is_half_made_of(&own_name, file);
    let of_secret = |file: &str| {
        ["server", "push-key", "api-key"]
            .iter()
            .any(|secret| file.strip_prefix(secret).is_some_and(|ending| ending == NEW))
    };
    for (folder, is_left) in [
        (folder_of(database), &of_database as &dyn Fn(&str) -> bool),
        (folder_of(&own_name), &of_own_name),
        (data_dir, &of_secret),
    ] {
        if let Err(error) = remove_if(folder, is_left) {
            tracing::warn!(
                %error,
                folder = %folder.display(),
                "What an earlier process left half made could not be removed"
            );
        }
    }
}

/// Takes away the parts of one copy.
pub(super) fn remove_parts(partial: &Path) {
    for ending in BESIDE {
        let mut part = partial.as_os_str().to_owned();
        part.push(ending);
        match fs::remove_file(PathBuf::from(part)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, "A part of a copy could not be removed");
            }
            _ => (),
        }
    }
}

/// Whether a file whose name has this ending behind that of the database is half made.
fn is_half_made(ending: &str) -> bool {
    // Earlier versions kept a copy of what was being restored, too.
    let copy = ending.strip_prefix(RESTORING);
    let is_before_of_restored = copy.is_some_and(is_before_migration);
    let ending = copy.unwrap_or(ending);
    let parts = || BESIDE.iter().filter_map(|beside| ending.strip_suffix(beside));
    let is_part = |part: &str| part.strip_suffix(PARTIAL).is_some_and(is_before_migration);
    is_before_of_restored
        || copy.is_some() && parts().any(str::is_empty)
        || ending.strip_suffix(NEW) == Some(".erased")
        || parts().any(is_part)
}

fn remove_if(folder: &Path, is_left: &dyn Fn(&str) -> bool) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(is_left) {
            let bytes = entry.metadata()?.len();
            fs::remove_file(entry.path())?;
            tracing::info!(
                path = %entry.path().display(),
                bytes,
                "Removed what an earlier process left half made"
            );
        }
    }
    Ok(())
}
