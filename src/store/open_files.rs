//! Whether the files that are open are still the ones that their names stand for.
//!
//! A file that is removed or moved away while it is open takes everything that is written to it, and
//! loses it or has it elsewhere. So what is promised of a path is checked against the path: the writer
//! looks after each commit, before anybody hears of it, and the watch over the disk looks each second.
//! Asking for a file's numbers opens nothing (`database_file` says why that matters). Held by
//! `tests/it/disk/moved.rs`.
use std::{
    fmt, fs,
    io::{self, ErrorKind},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::database_file::{beside, real_path};

/// The files of an open store, as they were when they were opened.
#[derive(Clone, Debug, Default)]
pub struct OpenFiles {
    /// Those that hold what is acknowledged.
    records: Vec<OpenFile>,
    /// Those that keep other processes away.
    guards: Vec<OpenFile>,
}

#[derive(Clone, Debug)]
struct OpenFile {
    path: PathBuf,
    device_and_inode: (u64, u64),
}

/// A file that is not any more where it was opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct FileMoved {
    /// Its name when it was opened.
    pub path: PathBuf,
    /// Another file has the name now.
    pub is_replaced: bool,
}

impl fmt::Display for FileMoved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.is_replaced {
            true => write!(f, "{path} is another file than the one that is open"),
            false => write!(f, "{path} is not there any more"),
        }
    }
}

impl OpenFiles {
    /// The files of a database that was opened for writing and read, so that it has its log by now.
    pub(super) fn of_database(database: &Path) -> io::Result<Self> {
        let real = real_path(database)?;
        let beside = |ending| OpenFile::now(beside(&real, ending));
        let database = OpenFile::now(database.to_owned())?;
        Ok(Self { records: vec![database, beside("-wal")?], guards: vec![beside("-shm")?] })
    }

    /// Where the database lies, if it is known.
    pub(super) fn database(&self) -> Option<&Path> {
        self.records.first().map(|file| &*file.path)
    }

    /// Has a lock looked after, too: without its file another process would take it.
    pub(super) fn add_guard(&mut self, path: &Path, open: &fs::Metadata) {
        let device_and_inode = numbers(open);
        self.guards.push(OpenFile { path: path.to_owned(), device_and_inode });
    }

    /// Whether what was just committed can be found under the database's name.
    pub fn check_records(&self) -> Result<(), FileMoved> {
        self.records.iter().try_for_each(OpenFile::check)
    }

    /// The same, and whether other processes are still kept away.
    pub fn check(&self) -> Result<(), FileMoved> {
        self.check_records()?;
        self.guards.iter().try_for_each(OpenFile::check)
    }
}

impl OpenFile {
    fn now(path: PathBuf) -> io::Result<Self> {
        let device_and_inode = numbers(&fs::metadata(&path)?);
        Ok(Self { path, device_and_inode })
    }

    fn check(&self) -> Result<(), FileMoved> {
        let is_replaced = match fs::metadata(&self.path) {
            Ok(there) if numbers(&there) == self.device_and_inode => return Ok(()),
            Ok(_) => true,
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                false
            }
            // Nobody can tell, as on a disk that fails: then a read or a write says so.
            Err(_) => return Ok(()),
        };
        Err(FileMoved { path: self.path.clone(), is_replaced })
    }
}

fn numbers(file: &fs::Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}
