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
    collections::BTreeSet,
    fs::{self, File},
    io,
    ops::Range,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use tokio::sync::oneshot;

use super::{
    StoreError, backup::folder_of, made_files::make_file, number_bytes::NumberBytes, page,
    read::give_way,
};

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

/// The name of the file itself, where a link leads to it: copies lie beside the file, on its disk, and what
/// takes its place must not take that of the link.
pub(super) fn own_name(database: &Path) -> PathBuf {
    let is_link = fs::symlink_metadata(database).is_ok_and(|there| there.is_symlink());
    let real = if is_link { real_path(database).ok() } else { None };
    real.unwrap_or_else(|| database.to_owned())
}

/// The log of a database, which lies beside the file itself, whatever links lead to it.
pub(super) fn log_of(database: &Path) -> PathBuf {
    let real = real_path(database).unwrap_or_else(|_| database.to_owned());
    beside(&real, "-wal")
}

/// The folder that holds a database, whatever links lead to it.
pub fn database_folder(database: &Path) -> PathBuf {
    let real = real_path(database).unwrap_or_else(|_| database.to_owned());
    folder_of(&real).to_owned()
}

/// What database and log have on the disk.
pub fn database_bytes(database: &Path) -> u64 {
    let bytes = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
    bytes(database) + bytes(&log_of(database))
}

/// Makes the database file, if it is not there, so that only this user can read it. SQLite would let
/// everybody, and gives the log beside it the mode that the database has. One that is there is not
/// opened.
pub(super) fn make_private(database: &Path) -> io::Result<()> {
    match make_file(database) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// The pages whose bytes hold a SIM's number, in the database or in its log: rows, or what is left of
/// deleted ones. The log comes first: what is brought back from it meanwhile is found in the database.
pub(super) async fn pages_that_hold(
    database: &Path,
    number: &NumberBytes,
) -> Result<BTreeSet<u32>, StoreError> {
    let (database, number) = (database.to_owned(), number.clone());
    on_search_thread(move || {
        let mut pages = pages_of_log(&log_of(&database), &number)?;
        pages.extend(pages_of_file(&database, &number)?);
        Ok(pages)
    })
    .await
}

/// Looks through files on a thread of its own, which ends with it: it makes itself less urgent than all
/// others.
pub(super) async fn on_search_thread<T: Send + 'static>(
    look: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, StoreError> {
    let (told, looked) = oneshot::channel();
    let looking = move || {
        give_way();
        // Nobody may wait any more.
        drop(told.send(look()));
    };
    thread::Builder::new()
        .name("simdeck-search".to_owned())
        .spawn(looking)
        .map_err(sqlx::Error::from)?;
    let found = looked.await.map_err(|_| sqlx::Error::WorkerCrashed)?;
    Ok(found.map_err(sqlx::Error::from)?)
}

fn pages_of_file(database: &Path, number: &NumberBytes) -> io::Result<BTreeSet<u32>> {
    let mut pages = BTreeSet::new();
    each_match(database, number, |file, place| {
        let size = page::page_size(&bytes_at::<18>(file, 0)?).ok_or(io::ErrorKind::InvalidData)?;
        let page = |at: u64| u32::try_from(at / size as u64 + 1).unwrap_or(u32::MAX);
        pages.extend(page(place.start)..=page(place.end - 1));
        Ok(())
    })?;
    Ok(pages)
}

/// Each frame of a log says which page it holds.
fn pages_of_log(log: &Path, number: &NumberBytes) -> io::Result<BTreeSet<u32>> {
    const LOG_HEADER: u64 = 32;
    const FRAME_HEADER: u64 = 24;
    let mut pages = BTreeSet::new();
    let looked = each_match(log, number, |file, place| {
        let frame = FRAME_HEADER + u64::from(u32::from_be_bytes(bytes_at(file, 8)?));
        for at in [place.start, place.end - 1] {
            let nth = at.saturating_sub(LOG_HEADER) / frame;
            pages.insert(u32::from_be_bytes(bytes_at(file, LOG_HEADER + nth * frame)?));
        }
        Ok(())
    });
    match looked {
        // It was emptied meanwhile: what it held is in the database, which is yet to be looked through.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(pages),
        looked => looked.map(|()| pages),
    }
}

fn bytes_at<const N: usize>(file: &File, at: u64) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact_at(&mut bytes, at)?;
    Ok(bytes)
}

/// Opens the log beside the descriptors that are never closed: SQLite holds no lock on it that closing this
/// one could drop.
pub(super) fn open_log(log: &Path) -> io::Result<File> {
    File::open(log)
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

/// Looks through a whole file beside everything else, a little at a time.
fn each_match(
    path: &Path,
    number: &NumberBytes,
    mut found: impl FnMut(&File, Range<u64>) -> io::Result<()>,
) -> io::Result<()> {
    let Some(file) = opened(path)? else { return Ok(()) };
    let longest = number.len();
    let mut window = vec![0; LOOK_BYTES];
    let (mut at, mut kept) = (0, 0);
    loop {
        let read = file.read_at(&mut window[kept..], at)?;
        if read == 0 {
            return Ok(());
        }
        let first = at - kept as u64;
        at += read as u64;
        let end = kept + read;
        let mut places = Vec::new();
        number.each_in(&window[..end], |place| places.push(place));
        for place in places {
            found(&file, first + place.start as u64..first + place.end as u64)?;
        }
        kept = longest.min(end);
        window.copy_within(end - kept..end, 0);
    }
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
    fn a_log_that_is_emptied_while_it_is_searched_is_no_failure() -> io::Result<()> {
        let mut log = tempfile::NamedTempFile::new()?;
        // Of its header nothing but this is left, nor any of its frames.
        log.write_all(b"89860012345678900001")?;
        let pages = pages_of_log(log.path(), &NumberBytes::of("89860012345678900001"))?;
        assert_eq!(pages, BTreeSet::new());
        Ok(())
    }

    #[test]
    fn a_number_is_found_across_the_border_of_two_looks_and_said_to_be_on_both_pages()
    -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new()?;
        let mut bytes = vec![b' '; LOOK_BYTES - 7];
        bytes[16..18].copy_from_slice(&4096_u16.to_be_bytes());
        file.write_all(&bytes)?;
        file.write_all(b"89860012345678900001")?;
        let pages = |giccid| pages_of_file(file.path(), &NumberBytes::of(giccid));
        assert_eq!(pages("89860012345678900001")?, BTreeSet::from([256, 257]));
        assert_eq!(pages("10000987654321006898")?, BTreeSet::from([256, 257]), "backwards");
        assert_eq!(pages("89860012345678900002")?, BTreeSet::new());
        Ok(())
    }
}
