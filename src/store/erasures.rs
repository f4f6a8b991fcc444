//! The list of erased SIMs beside the database. It outlives the database: what a backup brings back
//! of them is taken out again.
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{StoreError, backup::beside, card::reversed};
use crate::domain::Timestamp;

/// Where the list of a database lies.
pub(super) fn list_of(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".erased");
    name.into()
}

/// The list that lies with copies of databases.
pub(super) fn list_in(folder: &Path) -> PathBuf {
    folder.join("simdeck.erased")
}

/// What is kept of an erased SIM's number.
pub(super) fn hashed(giccid: &str) -> String {
    hex::encode(Sha256::digest(giccid))
}

/// All that a list names; one that is not there names none.
pub(super) fn read(list: &Path) -> io::Result<Vec<(String, Timestamp)>> {
    let text = match fs::read_to_string(list) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    // A line that a crash cut short names none.
    let named = text.lines().filter_map(|line| {
        let (hash, at_ms) = line.split_once(' ')?;
        let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        let at = Timestamp::from_unix_ms(at_ms.parse().ok()?);
        is_hash.then(|| (hash.to_owned(), at))
    });
    Ok(named.collect())
}

/// Adds one to a list. It is on disk when this returns.
pub(super) fn add(list: &Path, hash: &str, at: Timestamp) -> io::Result<()> {
    if read(list)?.iter().any(|(known, _)| known == hash) {
        return Ok(());
    }
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(list)?;
    file.write_all(format!("\n{hash} {}\n", at.unix_ms()).as_bytes())?;
    file.sync_all()?;
    match list.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

/// How much of a file is looked through at once.
const LOOK_BYTES: usize = 1 << 20;

/// Whether the files of a database still hold a SIM's number, forwards or backwards.
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

fn has_any(path: &Path, texts: &[String]) -> io::Result<bool> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let longest = texts.iter().map(String::len).max().unwrap_or_default();
    let mut window = vec![0; LOOK_BYTES];
    let mut kept = 0;
    loop {
        let read = file.read(&mut window[kept..])?;
        if read == 0 {
            return Ok(false);
        }
        let there = &window[..kept + read];
        // Only digits can be the number: looking for runs of them is faster than for each text.
        let mut runs = there.split(|byte| !byte.is_ascii_digit());
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
