//! Files whose lock says that a process holds something.
//!
//! The lock goes with the open file, and so with the process. The first line of the file only helps whoever
//! is turned away: the number of the process, and the machine or container that it runs in. The second one
//! stays when the process has gone, and names the database that was there (`missing` says what for).
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process, thread,
    time::Duration,
};

use rustix::system::uname;

use super::made_files::make_file;

/// Somebody who only looks whether it is held, with [`is_held`], may hold it for an instant.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LOOKS_MAX: u32 = 4;
/// What stands before the database's name.
const DATABASE: &str = "database ";

/// A lock that is held until this is dropped.
#[derive(Debug)]
pub(super) struct FileLock {
    pub(super) path: PathBuf,
    pub(super) file: File,
}

/// Why a lock cannot be had.
#[derive(Debug)]
pub(super) enum LockError {
    /// Another process holds it, and which, in words, where it says so.
    Held(String),
    /// The file cannot be made or locked.
    File(io::Error),
}

impl FileLock {
    /// Opens the file, and makes it if it is not there, but does not take it yet.
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let open = || OpenOptions::new().read(true).write(true).open(&path);
        let file = match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match make_file(&path) {
                    // Another process is as fast.
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
                    _ => open(),
                }
            }
            opened => opened,
        }?;
        Ok(Self { path, file })
    }

    /// Takes the lock.
    pub(super) fn take(self) -> Result<Self, LockError> {
        wait_for(&self.file).map_err(|busy| match busy {
            Busy::Held => LockError::Held(holder(&self.path)),
            Busy::File(error) => LockError::File(error),
        })?;
        let database = noted_database(&self.path);
        if let Err(error) = self.sign(database.as_deref()) {
            // On a full disk, for one. The lock holds all the same.
            tracing::debug!(%error, "The lock does not say who holds it");
        }
        Ok(self)
    }

    /// Notes, for as long as the file is there, that the database is.
    pub(super) fn note_database(&self, database: &Path) -> io::Result<()> {
        let database = database.to_string_lossy().replace('\n', " ");
        if noted_database(&self.path).as_ref() == Some(&database) {
            return Ok(());
        }
        self.sign(Some(&database))?;
        self.file.sync_all()
    }

    /// Writes over what stands there, and cuts it then: where the disk takes nothing more, the note of a
    /// database stays.
    fn sign(&self, database: Option<&str>) -> io::Result<()> {
        let host = uname();
        let host = host.nodename().to_string_lossy();
        let mut text = format!("{} {host}\n", process::id());
        if let Some(database) = database {
            text += &format!("{DATABASE}{database}\n");
        }
        self.file.write_all_at(text.as_bytes(), 0)?;
        self.file.set_len(text.len() as u64)
    }
}

/// The database that a lock's file says was there, if it names one.
pub(super) fn noted_database(path: &Path) -> Option<String> {
    let text = fs::read(path).ok()?;
    let text = String::from_utf8_lossy(&text);
    text.lines().find_map(|line| line.strip_prefix(DATABASE)).map(ToOwned::to_owned)
}

/// Why the lock of an open file cannot be had.
#[derive(Debug)]
pub(super) enum Busy {
    /// Another process holds it.
    Held,
    /// It cannot be locked.
    File(io::Error),
}

/// Takes the lock of an open file.
pub(super) fn wait_for(file: &File) -> Result<(), Busy> {
    let mut looks = LOOKS_MAX;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if looks > 0 => {
                looks -= 1;
                thread::sleep(LOOK_EVERY);
            }
            Err(TryLockError::WouldBlock) => return Err(Busy::Held),
            Err(TryLockError::Error(error)) => return Err(Busy::File(error)),
        }
    }
}

/// Whether a process holds a lock. One that is not there is held by nobody.
pub(super) fn is_held(path: &Path) -> io::Result<bool> {
    let lock = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        lock => lock?,
    };
    match lock.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Who holds a lock, in brackets behind a name; nothing where its file does not say so.
fn holder(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    match text.lines().next().unwrap_or_default().split_once(' ') {
        Some((pid, host)) => format!(" (process {pid} on {host})"),
        None => String::new(),
    }
}
