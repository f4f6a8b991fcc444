use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::fs::{StatVfs, fstatfs, statvfs};

use crate::domain::{invisible_in, without_mark};

/// The file whose lock says that a process holds the directory.
const LOCK: &str = "simdeck.lock";
/// Somebody who only looks whether it is held, with [`is_taken`], may hold it for an instant.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LOOKS_MAX: u32 = 4;

/// The data directory, held by this process alone until it is dropped.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    /// The lock goes with the open file.
    _lock: File,
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
        "cannot write to the data directory {path}; \
         make it belong to the user that runs simdeck (chown), or choose another with SIMDECK_DATA_DIR"
    )]
    Write {
        /// The directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Another process holds it.
    #[error(
        "another simdeck is running on the data directory {path}; \
         stop it, or choose another directory with SIMDECK_DATA_DIR"
    )]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// Its file system does not keep SQLite's promises.
    #[error(
        "the data directory {path} lies on {file_system}, which can corrupt a SQLite database; \
         use a local disk (with Docker: a named volume)"
    )]
    NotLocal {
        /// The directory.
        path: PathBuf,
        /// What it lies on.
        file_system: &'static str,
    },
}

impl DataFolder {
    /// Makes the directory if it is not there, and takes it for this process.
    pub fn take(path: &Path) -> Result<Self, FolderError> {
        let path = path.to_owned();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(|source| FolderError::Make { path: path.clone(), source })?;
        let unwritable = |source| FolderError::Write { path: path.clone(), source };
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join(LOCK))
            .map_err(unwritable)?;
        let kind = fstatfs(&lock).map_err(|errno| unwritable(errno.into()))?.f_type;
        if let Some(file_system) = unfit_file_system(kind) {
            return Err(FolderError::NotLocal { path, file_system });
        }
        let mut looks = LOOKS_MAX;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Self { path, _lock: lock }),
                Err(TryLockError::WouldBlock) if looks > 0 => {
                    looks -= 1;
                    thread::sleep(LOOK_EVERY);
                }
                Err(TryLockError::WouldBlock) => return Err(FolderError::InUse { path }),
                Err(TryLockError::Error(source)) => return Err(unwritable(source)),
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The same as [`Self::keep_secret`] for a file that may be there already.
    pub fn replace_secret(&self, name: &str, secret: &str) -> io::Result<()> {
        let fresh = format!("{name}.new");
        match fs::remove_file(self.path.join(&fresh)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => (),
        }
        fs::rename(self.keep_secret(&fresh, secret)?, self.path.join(name))
    }

    /// Keeps a secret in a file of its own that only this user can read. It is on disk when this
    /// returns.
    pub fn keep_secret(&self, name: &str, secret: &str) -> io::Result<PathBuf> {
        let path = self.path.join(name);
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path)?;
        file.write_all(secret.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        File::open(&self.path)?.sync_all()?;
        Ok(path)
    }
}

/// Whether a process holds the directory. One that is not there is held by nobody.
pub fn is_taken(path: &Path) -> io::Result<bool> {
    let lock = match File::open(path.join(LOCK)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        lock => lock?,
    };
    match lock.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
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

/// Bytes that are free for us on the disk that holds a path.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let disk = statvfs(path)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Whether two paths lie on one disk, so that what fills one fills the other. Parts of a Btrfs or ZFS
/// pool have numbers of their own, and the same room.
pub(super) fn is_same_disk(one: &Path, other: &Path) -> io::Result<bool> {
    if fs::metadata(one)?.dev() == fs::metadata(other)?.dev() {
        return Ok(true);
    }
    let (one, other) = (statvfs(one)?, statvfs(other)?);
    let room = |disk: &StatVfs| (disk.f_blocks, disk.f_frsize, disk.f_bavail);
    Ok(room(&one) == room(&other))
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
