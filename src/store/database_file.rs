//! The files of a database, as files.
//!
//! POSIX drops all locks that a process has on a file when the process closes any descriptor of it.
//! So beside SQLite nothing in the process may open and close the database, its log or the log's
//! index while they may be in use: another process that closes the database then takes itself for
//! the last one and deletes the log, with what was acknowledged since. What must be read here is read
//! through one descriptor for each file, which stays open until the process ends. Asking for the
//! length of a file is harmless. Held by `tests/it/database_locks.rs`, and by a rule in
//! `tests/it/architecture.rs` that names who may open files.
use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::{StoreError, backup::folder_of, card::reversed};

/// Each file that was ever opened here, by device and number. Being open, neither number is given to
/// another file.
static OPENED: Mutex<Vec<Opened>> = Mutex::new(Vec::new());

struct Opened {
    device_and_inode: (u64, u64),
    file: Arc<File>,
}

/// How much of a file is looked through at once.
const LOOK_BYTES: usize = 1 << 20;

/// `simdeck.db` and `-wal` are `simdeck.db-wal`.
pub(super) fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// The database's own name, whatever links lead to it: that is where SQLite puts its log.
pub(super) fn real_path(database: &Path) -> io::Result<PathBuf> {
    /// As the system has it.
    const LINKS_MAX: usize = 40;
    let mut path = database.to_owned();
    for _ in 0..LINKS_MAX {
        match fs::canonicalize(&path) {
            // It will be made where the link leads.
            Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::read_link(&path) {
                Ok(to) => path = folder_of(&path).join(to),
                Err(_) => {
                    let name = path.file_name().ok_or(error)?;
                    return Ok(fs::canonicalize(folder_of(&path))?.join(name));
                }
            },
            real => return real,
        }
    }
    Err(io::ErrorKind::InvalidInput.into())
}

/// What database and log have on the disk.
pub fn database_bytes(database: &Path) -> u64 {
    let bytes = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
    bytes(database) + bytes(&beside(database, "-wal"))
}

/// Makes the database file, if it is not there, so that only this user can read it. SQLite would let
/// everybody, and gives the log beside it the mode that the database has. One that is there is not
/// opened.
pub(super) fn make_private(database: &Path) -> io::Result<()> {
    match OpenOptions::new().create_new(true).write(true).mode(0o600).open(database) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Whether the bytes of a database and its log hold a SIM's number, forwards or backwards, as itself
/// or within another: between bytes that are no text, nobody can tell where a number ends.
pub async fn is_in_files(database: &Path, giccid: &str) -> Result<bool, StoreError> {
    let numbers = [giccid.to_owned(), reversed(giccid, usize::MAX)];
    let files = [database.to_owned(), beside(database, "-wal")];
    let looking = tokio::task::spawn_blocking(move || {
        for file in files {
            if has_any(&file, &numbers)? {
                return Ok(true);
            }
        }
        Ok(false)
    });
    let found: io::Result<bool> = looking.await.map_err(|_| sqlx::Error::WorkerCrashed)?;
    Ok(found.map_err(sqlx::Error::from)?)
}

/// The one descriptor of a file; nothing where there is no such file.
pub(super) fn opened(path: &Path) -> io::Result<Option<Arc<File>>> {
    let number = |file: &fs::Metadata| (file.dev(), file.ino());
    let mut all = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    let opening = fs::metadata(path).and_then(|there| {
        let known = all.iter().find(|known| known.device_and_inode == number(&there));
        if let Some(known) = known {
            return Ok(Arc::clone(&known.file));
        }
        // It is kept whatever it is: by now there may be another file of this name.
        let file = Arc::new(File::open(path)?);
        let device_and_inode = number(&file.metadata()?);
        all.push(Opened { device_and_inode, file: Arc::clone(&file) });
        Ok(file)
    });
    match opening {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn has_any(path: &Path, texts: &[String]) -> io::Result<bool> {
    let Some(file) = opened(path)? else { return Ok(false) };
    let longest = texts.iter().map(String::len).max().unwrap_or_default();
    let mut window = vec![0; LOOK_BYTES];
    let (mut at, mut kept) = (0, 0);
    loop {
        let read = file.read_at(&mut window[kept..], at)?;
        if read == 0 {
            return Ok(false);
        }
        at += read as u64;
        let there = &window[..kept + read];
        // Only letters and digits can be the number: looking for runs of them is faster than for
        // each text.
        let mut runs = there.split(|byte| !byte.is_ascii_alphanumeric());
        if runs.any(|run| texts.iter().any(|text| has(run, text.as_bytes()))) {
            return Ok(true);
        }
        let end = there.len();
        kept = longest.min(end);
        window.copy_within(end - kept..end, 0);
    }
}

fn has(run: &[u8], text: &[u8]) -> bool {
    run.len() >= text.len() && run.windows(text.len()).any(|window| window == text)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn each_file_is_opened_once_and_never_closed() -> io::Result<()> {
        let folder = tempfile::TempDir::new()?;
        let path = folder.path().join("simdeck.db");
        assert!(opened(&path)?.is_none());
        fs::write(&path, "one")?;
        let first = opened(&path)?.ok_or(io::ErrorKind::NotFound)?;
        let again = opened(&path)?.ok_or(io::ErrorKind::NotFound)?;
        assert!(Arc::ptr_eq(&first, &again));
        fs::remove_file(&path)?;
        fs::write(&path, "two")?;
        let second = opened(&path)?.ok_or(io::ErrorKind::NotFound)?;
        assert!(!Arc::ptr_eq(&first, &second));
        assert!(Arc::strong_count(&first) > 2, "it stays open");
        Ok(())
    }

    #[test]
    fn a_number_is_found_across_the_border_of_two_looks() -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new()?;
        file.write_all(&vec![b' '; LOOK_BYTES - 7])?;
        file.write_all(b"89860012345678900001")?;
        let text = |text: &str| [text.to_owned()];
        assert!(has_any(file.path(), &text("89860012345678900001"))?);
        assert!(!has_any(file.path(), &text("89860012345678900002"))?);
        Ok(())
    }
}
