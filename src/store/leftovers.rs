//! What an earlier process left half made: parts of copies, of a restore, of lists and of secrets. Nothing
//! of it is of use to anybody, and some of it is as large as the database. Held by
//! `tests/it/disk/leftovers.rs`.
use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use super::{backup::folder_of, copies::PARTIAL};

/// How a file ends that is renamed once it is whole.
pub(super) const NEW: &str = ".new";
/// What SQLite puts beside a database that is being written.
const BESIDE: [&str; 4] = ["", "-journal", "-wal", "-shm"];

/// Takes away what is left beside a database, and the secrets that were not whole. Both have to be ours.
pub(super) fn remove_leftovers(data_dir: &Path, database: &Path) {
    let name = database.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let of_database = |file: &str| file.strip_prefix(name).is_some_and(is_half_made);
    let of_secret = |file: &str| {
        ["server", "push-key", "api-key"]
            .iter()
            .any(|secret| file.strip_prefix(secret).is_some_and(|ending| ending == NEW))
    };
    for (folder, is_left) in
        [(folder_of(database), &of_database as &dyn Fn(&str) -> bool), (data_dir, &of_secret)]
    {
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
    let is_part = |copy: &str| {
        copy.strip_suffix(PARTIAL).is_some_and(|before| {
            before
                .strip_prefix(".before-")
                .is_some_and(|version| version.bytes().all(|b| b.is_ascii_digit()))
        })
    };
    ending.starts_with(".restoring")
        || ending.strip_suffix(NEW) == Some(".erased")
        || BESIDE.iter().any(|beside| ending.strip_suffix(beside).is_some_and(is_part))
}

/// Whether a file in the folder of backups is a part of one that was not finished.
pub(super) fn is_part_of_backup(file: &str) -> bool {
    let parts = BESIDE.iter().filter_map(|beside| file.strip_suffix(beside));
    file.starts_with("simdeck-") && parts.into_iter().any(|part| part.ends_with(PARTIAL))
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
