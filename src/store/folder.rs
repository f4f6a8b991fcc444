//! Where a store lies: its data directory and its database.
//!
//! A process holds two locks: one stands in the data directory, since what is beside the database has
//! one owner, too, and one beside the database, since two data directories may name the same one. Two
//! names of one database in different folders, as hard links or single files in containers are, are
//! told by a lock on the file itself. Held by `tests/it/disk/held.rs`.
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use rustix::fs::fstatfs;

use super::{
    OpenFiles,
    backup::folder_of,
    database_file::{beside, opened, real_path},
    leftovers::{NEW, remove_leftovers, remove_parts},
    lock::{Busy, FileLock, LockError, is_held, wait_for},
    made_files::{make_file, make_folder},
    missing::{MissingDatabase, is_inside, missing_database},
};
use crate::domain::{invisible_in, without_mark};

/// The file whose lock says that a process holds the directory.
pub(super) const LOCK: &str = "simdeck.lock";

/// The data directory and its database, held by this process alone until it is dropped.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    locks: [FileLock; 2],
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It cannot be made.
    #[error(
        "cannot make the data directory {path}; make it, or choose another with SIMDECK_DATA_DIR"
    )]
    Make {
        /// The directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// It cannot be written.
    #[error(
        "cannot write to the data directory {path}; {}, or choose another with SIMDECK_DATA_DIR",
        remedy(source)
    )]
    Write {
        /// The directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The lock beside the database cannot be made.
    #[error(
        "cannot write beside the database {path}; {}, or choose another database with \
         SIMDECK_DATABASE_URL",
        remedy(source)
    )]
    WriteBesideDatabase {
        /// The database.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Another process holds it.
    #[error(
        "another simdeck is running on the data directory {path}{holder}; \
         stop it, or choose another directory with SIMDECK_DATA_DIR"
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The process, in brackets, where it is known.
        holder: String,
    },
    /// Another process holds the database.
    #[error(
        "another simdeck has the database {path} open{holder}, from another data directory; \
         stop it, or choose another database with SIMDECK_DATABASE_URL"
    )]
    DatabaseInUse {
        /// The database.
        path: PathBuf,
        /// The process, in brackets, where it is known.
        holder: String,
    },
    /// What lies in the database's place is no file.
    #[error(
        "{path} is no file and cannot be the database; name another with SIMDECK_DATABASE_URL, or move \
         it away"
    )]
    NoFile {
        /// The path.
        path: PathBuf,
    },
    /// A file system does not keep SQLite's promises.
    #[error(
        "{path} lies on {file_system}, which can corrupt a SQLite database; \
         use a local disk (with Docker: a named volume)"
    )]
    NotLocal {
        /// The data directory, or the folder of the database.
        path: PathBuf,
        /// What it lies on.
        file_system: &'static str,
    },
    /// A database was there, and a start would make an empty one in its place.
    #[error(transparent)]
    Missing(#[from] MissingDatabase),
}

impl FolderError {
    /// Whether it stays so until a person changes it. A disk may not be mounted yet, and another server
    /// may be about to end.
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::NotLocal { .. } | Self::Missing(_) | Self::NoFile { .. } => true,
            // A file where a folder should be. A link that leads nowhere may lead to a disk.
            Self::Make { path, source } => {
                source.kind() == io::ErrorKind::NotADirectory || path.is_file()
            }
            Self::Write { source, .. } | Self::WriteBesideDatabase { source, .. } => {
                source.kind() == io::ErrorKind::NotADirectory
            }
            Self::InUse { .. } | Self::DatabaseInUse { .. } => false,
        }
    }
}

/// What helps against it. A command that root once ran has left locks that are root's; and root itself is
/// kept out by other things than owners.
fn remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => {
            "make it and all in it belong to the user that runs simdeck (chown -R)"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "it is read-only: mount it for writing (under systemd: ReadWritePaths)"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room on its disk",
        io::ErrorKind::NotFound => "make its folder, or mount the disk",
        _ => "look at what lies there",
    }
}

impl DataFolder {
    /// Makes the directory if it is not there, and takes it and the database for this process.
    pub fn take(path: &Path, database: &Path) -> Result<Self, FolderError> {
        let path = path.to_owned();
        make_folder(&path).map_err(|source| FolderError::Make { path: path.clone(), source })?;
        let unwritable = |source| FolderError::Write { path: path.clone(), source };
        let lock = FileLock::open(path.join(LOCK)).map_err(unwritable)?;
        check_file_system(&lock.file, &path, unwritable)?;
        let lock = lock.take().map_err(|error| match error {
            LockError::Held(holder) => FolderError::InUse { path: path.clone(), holder },
            LockError::File(source) => unwritable(source),
        })?;
        let locks = [lock, take_database(database)?];
        remove_leftovers(&path, database);
        Ok(Self { path, locks })
    }

    /// Refuses a database that was there and is not there now: whoever opens it would make an empty one.
    pub fn check_database(&self, database: &Path) -> Result<(), FolderError> {
        missing_database(&self.path, database).map_or(Ok(()), |missing| Err(missing.into()))
    }

    /// Notes in the locks that the database is there.
    pub fn note_database(&self, database: &Path) {
        let [folder_lock, database_lock] = &self.locks;
        let noted = real_path(database).and_then(|real| {
            if !is_inside(&self.path, &real) {
                folder_lock.note_database(&real)?;
            }
            database_lock.note_database(&real)
        });
        if let Err(error) = noted {
            tracing::warn!(
                %error,
                "The locks do not say that there is a database: if it is taken away, the next start \
                 makes an empty one"
            );
        }
    }

    /// Holds a database that may have been made just now, too, and has the locks looked after with its
    /// files.
    pub fn guard(&self, database: &Path, files: &mut OpenFiles) -> Result<(), FolderError> {
        lock_itself(database)?;
        self.note_database(database);
        let unwritable = |source| FolderError::Write { path: self.path.clone(), source };
        for lock in &self.locks {
            files.add_guard(&lock.path, &lock.file.metadata().map_err(unwritable)?);
        }
        Ok(())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The same as [`Self::keep_secret`] for a file that may be there already.
    pub fn replace_secret(&self, name: &str, secret: &str) -> io::Result<PathBuf> {
        replace_secret(&self.path, name, secret)
    }

    /// Keeps a secret in a file of its own that only this user can read, and that is not there yet. It is
    /// on disk, and whole, when the file has its name.
    pub fn keep_secret(&self, name: &str, secret: &str) -> io::Result<PathBuf> {
        match fs::symlink_metadata(self.path.join(name)) {
            // Nobody else makes it meanwhile: the directory is ours.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.replace_secret(name, secret)
            }
            Err(error) => Err(error),
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        }
    }
}

/// Keeps a secret in a data directory that is ours, in place of what its file held.
pub fn replace_secret(folder: &Path, name: &str, secret: &str) -> io::Result<PathBuf> {
    let (path, fresh) = (folder.join(name), folder.join(format!("{name}{NEW}")));
    remove_parts(&fresh);
    let mut file = make_file(&fresh)?;
    let written = file
        .write_all(format!("{secret}\n").as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&fresh, &path));
    if written.is_err() {
        remove_parts(&fresh);
    }
    written?;
    File::open(folder)?.sync_all()?;
    Ok(path)
}

/// Takes the lock beside a database, and the database's own if it is there.
fn take_database(database: &Path) -> Result<FileLock, FolderError> {
    let unwritable =
        |source| FolderError::WriteBesideDatabase { path: database.to_owned(), source };
    // To open a pipe would last until somebody writes to it.
    if fs::metadata(database).is_ok_and(|there| !there.is_file()) {
        return Err(FolderError::NoFile { path: database.to_owned() });
    }
    let real = real_path(database).map_err(unwritable)?;
    let lock = FileLock::open(lock_of(&real)).map_err(unwritable)?;
    check_file_system(&lock.file, folder_of(database), unwritable)?;
    let lock = lock.take().map_err(|error| match error {
        LockError::Held(holder) => FolderError::DatabaseInUse { path: database.to_owned(), holder },
        LockError::File(source) => unwritable(source),
    })?;
    lock_itself(database)?;
    Ok(lock)
}

/// Where the lock of a database lies. It must not be that of a data directory, which a database called
/// `simdeck` would give it.
pub(super) fn lock_of(database: &Path) -> PathBuf {
    let lock = beside(database, ".lock");
    if lock.ends_with(LOCK) { beside(database, ".database.lock") } else { lock }
}

/// Takes the lock of a database file, whatever it is called, if it is there. The file stays open until
/// the process ends, and so does the lock.
fn lock_itself(database: &Path) -> Result<(), FolderError> {
    let path = database.to_owned();
    let unwritable =
        |source| FolderError::WriteBesideDatabase { path: database.to_owned(), source };
    let Some(file) = opened(database).map_err(unwritable)? else { return Ok(()) };
    wait_for(&file).map_err(|error| match error {
        // By another name, so that nobody can tell who.
        Busy::Held => FolderError::DatabaseInUse { path, holder: String::new() },
        Busy::File(source) => unwritable(source),
    })
}

fn check_file_system(
    lock: &File,
    folder: &Path,
    unwritable: impl FnOnce(io::Error) -> FolderError,
) -> Result<(), FolderError> {
    let kind = fstatfs(lock).map_err(|errno| unwritable(errno.into()))?.f_type;
    match unfit_file_system(kind) {
        Some(file_system) => Err(FolderError::NotLocal { path: folder.to_owned(), file_system }),
        None => Ok(()),
    }
}

/// Whether a process holds the directory. One that is not there is held by nobody.
pub fn is_taken(path: &Path) -> io::Result<bool> {
    is_held(&path.join(LOCK))
}

/// Reads a secret that [`DataFolder::keep_secret`] has kept, without taking the directory.
pub fn kept_secret(folder: &Path, name: &str) -> io::Result<Option<String>> {
    match fs::read_to_string(folder.join(name)) {
        Ok(text) => {
            let secret = without_mark(&text).trim_end_matches(['\r', '\n']);
            match invisible_in(secret) {
                None => Ok(Some(secret.to_owned())),
                Some(invisible) => Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("it holds {invisible}: remove it"),
                )),
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The name of a file system on which locks or syncs are not what they seem, by its magic number
/// from `linux/magic.h`.
fn unfit_file_system(kind: impl TryInto<u64>) -> Option<&'static str> {
    Some(match kind.try_into().unwrap_or_default() {
        0x6969 => "NFS",
        0x517B | 0xFF53_4D42 | 0xFE53_4D42 => "SMB",
        0x0102_1997 => "9p",
        0x6573_5546 => "FUSE (or virtiofs)",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_lacks_the_right_to_a_file_is_told_to_give_it_to_its_user() {
        use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem, StorageFull};
        assert!(remedy(&PermissionDenied.into()).contains("chown -R"));
        for kind in [ReadOnlyFilesystem, StorageFull] {
            assert!(!remedy(&kind.into()).contains("chown"), "{kind}");
        }
    }

    #[test]
    fn a_file_system_that_breaks_locks_or_syncs_is_called_by_its_name() {
        let unfit: [(u64, &str); 6] = [
            (0x6969, "NFS"),
            (0x517B, "SMB"),
            (0xFF53_4D42, "SMB"),
            (0xFE53_4D42, "SMB"),
            (0x0102_1997, "9p"),
            (0x6573_5546, "FUSE (or virtiofs)"),
        ];
        for (magic, name) in unfit {
            assert_eq!(unfit_file_system(magic), Some(name));
        }
        // ext4, XFS, Btrfs, tmpfs, overlayfs
        for magic in [0xEF53_u64, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0x794C_7630] {
            assert_eq!(unfit_file_system(magic), None);
        }
    }
}
