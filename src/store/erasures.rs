//! The list of erased SIMs beside the database. It outlives the database: what a backup brings back
//! of them is taken out again.
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use hmac::{Hmac, KeyInit, Mac};
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

/// The row of `meta` that holds the secret of [`keyed`], in hex.
pub(super) const SECRET: &str = "erasure_secret";

/// A secret for a new store.
pub(super) fn new_secret() -> String {
    hex::encode(rand::random::<[u8; 32]>())
}

/// What may be shown of an erased SIM's number: without the store's secret nobody can guess it.
pub(super) fn keyed(secret: &str, giccid: &str) -> Option<String> {
    // HMAC takes a key of any length.
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(giccid.as_bytes());
    Some(hex::encode(mac.finalize().into_bytes()))
}

/// What the list and the database know an erased SIM by. Whoever knows most of the number can guess
/// the rest.
pub(super) fn hashed(giccid: &str) -> String {
    hex::encode(Sha256::digest(giccid))
}

/// A SIM in a list. Of several lines about one SIM the newest times count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) hash: String,
    /// When it was erased.
    pub(super) at: Timestamp,
    /// From when on what comes of it is kept again.
    pub(super) lifted_at: Option<Timestamp>,
}

impl Listed {
    /// Whether what comes of it is kept again. What was there when it was erased goes all the same.
    pub(super) fn is_lifted(&self) -> bool {
        self.lifted_at.is_some_and(|lifted_at| lifted_at >= self.at)
    }

    fn merge(&mut self, other: &Self) {
        self.at = self.at.max(other.at);
        self.lifted_at = self.lifted_at.max(other.lifted_at);
    }
}

/// All that a list names, each once; one that is not there names none.
pub(super) fn read(list: &Path) -> io::Result<Vec<Listed>> {
    let text = match fs::read_to_string(list) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut named: Vec<Listed> = Vec::new();
    // A line that a crash cut short names none.
    for line in text.lines().filter_map(listed) {
        match named.iter_mut().find(|known| known.hash == line.hash) {
            Some(known) => known.merge(&line),
            None => named.push(line),
        }
    }
    Ok(named)
}

fn listed(line: &str) -> Option<Listed> {
    let mut words = line.split(' ');
    let hash = words.next()?;
    let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    let time = |word: &str| Some(Timestamp::from_unix_ms(word.parse().ok()?));
    let at = time(words.next()?)?;
    let lifted_at = match words.next() {
        None => None,
        Some(word) => Some(time(word)?),
    };
    is_hash.then(|| Listed { hash: hash.to_owned(), at, lifted_at })
}

/// Adds one to a list, unless it says the same already. It is on disk when this returns.
pub(super) fn add(list: &Path, new: &Listed) -> io::Result<()> {
    if let Some(known) = read(list)?.into_iter().find(|known| known.hash == new.hash) {
        let mut both = known.clone();
        both.merge(new);
        if both.is_lifted() == known.is_lifted() {
            return Ok(());
        }
    }
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(list)?;
    let lifted = new.lifted_at.map(|at| format!(" {}", at.unix_ms())).unwrap_or_default();
    file.write_all(format!("\n{} {}{lifted}\n", new.hash, new.at.unix_ms()).as_bytes())?;
    file.sync_all()?;
    match list.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}
