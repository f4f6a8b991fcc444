//! The list of erased SIMs beside the database. It outlives the database: what a backup brings back
//! of them is taken out again.
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

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
