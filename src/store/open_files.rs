//! Whether the files that are open are still the ones that their names stand for.
//!
//! A file that is removed or moved away while it is open takes everything that is written to it, and
//! loses it or has it elsewhere. So what is promised of a path is checked against the path: the writer
//! looks after each commit, before anybody hears of it, and the watch over the disk looks each second.
//! Asking for a file's numbers opens nothing (`database_file` says why that matters).
//!
//! What is written over in place stays the same file. A database never gets shorter while it is open,
//! and its log always begins with SQLite's mark: where that is not so, somebody has copied another file
//! over it or emptied it. Held by `tests/it/disk/moved.rs`.
use std::{
    fmt,
    fs::{self, File},
    io::{self, ErrorKind},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::database_file::{beside, open_log, real_path};

/// How each log of SQLite's begins, but for the last bit, which is the order of bytes in its sums.
const LOG_MARK: u32 = 0x377f_0682;

/// The files of an open store, as they were when they were opened.
#[derive(Clone, Debug, Default)]
pub struct OpenFiles {
    /// Those that hold what is acknowledged.
    records: Vec<OpenFile>,
    /// Those that keep other processes away.
    guards: Vec<OpenFile>,
    /// How long the database was at the last look.
    database_bytes: Arc<AtomicU64>,
    /// The log, read through the descriptor that stays open.
    log: Option<Arc<File>>,
}

#[derive(Clone, Debug)]
struct OpenFile {
    path: PathBuf,
    /// Whether its name is a link that leads to it.
    is_link: bool,
    device_and_inode: (u64, u64),
}

/// A file that is not any more what it was when it was opened, or where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct FileMoved {
    /// Its name when it was opened.
    pub path: PathBuf,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a file that was open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing has its name any more.
    Gone,
    /// Another file, or a link, has the name now.
    Replaced,
    /// It is the same file, and others have written it.
    WrittenOver,
}

impl fmt::Display for FileMoved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.fate {
            Fate::Gone => write!(f, "{path} is not there any more"),
            Fate::Replaced => write!(f, "{path} is another file than the one that is open"),
            Fate::WrittenOver => write!(f, "{path} was emptied or written over from outside"),
        }
    }
}

impl OpenFiles {
    /// The files of a database that was opened for writing and read, so that it has its log by now.
    pub(super) fn of_database(database: &Path) -> io::Result<Self> {
        let real = real_path(database)?;
        let beside = |ending| beside(&real, ending);
        let log = beside("-wal");
        let mut records = vec![OpenFile::now(real.clone())?, OpenFile::now(log.clone())?];
        // Who opens it next comes by the name that was given, and looks for the log where that leads.
        if real != database {
            records.push(OpenFile::behind(database.to_owned())?);
        }
        Ok(Self {
            database_bytes: Arc::new(fs::metadata(&real)?.len().into()),
            log: Some(Arc::new(open_log(&log)?)),
            records,
            guards: vec![OpenFile::now(beside("-shm"))?],
        })
    }

    /// Where the database lies, if it is known.
    pub(super) fn database(&self) -> Option<&Path> {
        self.records.first().map(|file| &*file.path)
    }

    /// Has a lock looked after, too: without its file another process would take it.
    pub(super) fn add_guard(&mut self, path: &Path, open: &fs::Metadata) {
        let device_and_inode = numbers(open);
        self.guards.push(OpenFile { path: path.to_owned(), is_link: false, device_and_inode });
    }

    /// Whether what was just committed can be found under the database's name.
    pub fn check_records(&self) -> Result<(), FileMoved> {
        // Before the look: another thread may see a longer file after it, which is no shorter one now.
        let bytes_before = self.database_bytes.load(Ordering::Acquire);
        for (nth, file) in self.records.iter().enumerate() {
            let Some(there) = file.check()? else { continue };
            let is_written_over = match nth {
                0 => {
                    self.database_bytes.fetch_max(there.len(), Ordering::AcqRel);
                    bytes_before > there.len()
                }
                1 => there.len() > 0 && !self.log_has_its_mark(),
                _ => false,
            };
            if is_written_over {
                return Err(FileMoved { path: file.path.clone(), fate: Fate::WrittenOver });
            }
        }
        Ok(())
    }

    fn log_has_its_mark(&self) -> bool {
        let Some(log) = &self.log else { return true };
        let mut mark = [0; 4];
        // A disk that cannot be read tells a reader so.
        log.read_exact_at(&mut mark, 0).is_err() || u32::from_be_bytes(mark) & !1 == LOG_MARK
    }

    /// The same, and whether other processes are still kept away.
    pub fn check(&self) -> Result<(), FileMoved> {
        self.check_records()?;
        self.guards.iter().try_for_each(|guard| guard.check().map(drop))
    }
}

impl OpenFile {
    /// A file by its own name, no link.
    fn now(path: PathBuf) -> io::Result<Self> {
        let device_and_inode = numbers(&fs::symlink_metadata(&path)?);
        Ok(Self { path, is_link: false, device_and_inode })
    }

    /// The file that a link leads to.
    fn behind(path: PathBuf) -> io::Result<Self> {
        let device_and_inode = numbers(&fs::metadata(&path)?);
        Ok(Self { path, is_link: true, device_and_inode })
    }

    /// What is there, if it is still the same; nothing where nobody can tell, as on a disk that fails:
    /// then a read or a write says so.
    fn check(&self) -> Result<Option<fs::Metadata>, FileMoved> {
        let look = if self.is_link { fs::metadata } else { fs::symlink_metadata::<&PathBuf> };
        let fate = match look(&self.path) {
            Ok(there) if numbers(&there) == self.device_and_inode => return Ok(Some(there)),
            Ok(_) => Fate::Replaced,
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                Fate::Gone
            }
            Err(_) => return Ok(None),
        };
        Err(FileMoved { path: self.path.clone(), fate })
    }
}

fn numbers(file: &fs::Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}
