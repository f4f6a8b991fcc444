//! The list of erased SIMs beside the database. It outlives the database: what a backup brings back
//! of them is taken out again.
//!
//! A line names a SIM by HMAC with the store's secret, so that nobody can guess a number from the list
//! alone, and says by which secret. The lists of earlier versions have plain hashes; the next start
//! writes them anew. Held by `store_contract::keep::listed`.
use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use sqlx::SqliteConnection;

use super::{
    StoreError,
    leftovers::{NEW, remove_parts},
    made_files::make_file,
};
use crate::domain::Timestamp;

/// The row of `meta` that holds the store's secret, in hex.
pub(super) const SECRET: &str = "erasure_secret";

/// Where the list of a database lies.
pub(super) fn list_of(database: &Path) -> PathBuf {
    with_ending(database, ".erased")
}

/// The list that lies with copies of databases.
pub(super) fn list_in(folder: &Path) -> PathBuf {
    folder.join("simdeck.erased")
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// A secret for a new store.
pub(super) fn new_secret() -> String {
    hex::encode(rand::random::<[u8; 32]>())
}

/// What the database knows an erased SIM by. Whoever knows most of the number can guess the rest.
pub(super) fn hashed(giccid: &str) -> String {
    hex::encode(Sha256::digest(giccid))
}

fn hmac(secret: &str, text: &str) -> String {
    // HMAC takes a key of any length.
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes());
    mac.map_or_else(
        |_| String::new(),
        |mac| hex::encode(mac.chain_update(text).finalize().into_bytes()),
    )
}

/// The secrets by which lists name SIMs: the store's own, and those of databases that a restore has
/// replaced.
#[derive(Clone, Default)]
pub(super) struct Secrets {
    own: String,
    others: Vec<String>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

impl Secrets {
    /// Those that a database has.
    pub(super) async fn load(connection: &mut SqliteConnection) -> Result<Self, StoreError> {
        const ALL: &str = "
            select name = $1, value from meta where name = $1 or name like $1 || ':%' order by name";
        let rows: Vec<(bool, String)> =
            sqlx::query_as(ALL).bind(SECRET).fetch_all(connection).await?;
        let (own, others): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(is_own, _)| *is_own);
        let values = |rows: Vec<(bool, String)>| rows.into_iter().map(|(_, value)| value);
        Ok(Self { own: values(own).next().unwrap_or_default(), others: values(others).collect() })
    }

    /// Gives a database those that it lacks, so that it understands the lists of both.
    pub(super) async fn carry_to(&self, other: &mut SqliteConnection) -> Result<(), StoreError> {
        const ADD: &str = "
            insert or ignore into meta (name, value)
            select iif(own.value is null, $1, $1 || ':' || $2), $3
            from (select (select value from meta where name = $1) as value) as own
            where own.value is not $3";
        for secret in self.all() {
            sqlx::query(ADD)
                .bind(SECRET)
                .bind(id_of(secret))
                .bind(secret)
                .execute(&mut *other)
                .await?;
        }
        Ok(())
    }

    fn all(&self) -> impl Iterator<Item = &String> {
        [&self.own].into_iter().chain(&self.others).filter(|secret| !secret.is_empty())
    }

    /// What may be shown of an erased SIM's number: without the store's secret nobody can guess it.
    pub(super) fn keyed(&self, giccid: &str) -> String {
        hmac(&self.own, giccid)
    }

    /// A number in a form in which nobody finds it who looks through the file for it: what is hidden so is
    /// shown by hiding it once more. Each number has its own key.
    pub(super) fn hidden(&self, key: i64, text: &[u8]) -> Vec<u8> {
        let mask = hex::decode(hmac(&self.own, &format!("hidden {key}"))).unwrap_or_default();
        text.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect()
    }

    /// How a list names the SIM with this hash.
    pub(super) fn name(&self, hash: &str) -> String {
        name_by(&self.own, hash)
    }

    /// Every name that a list may have for it.
    pub(super) fn names(&self, hash: &str) -> Vec<String> {
        self.all().map(|secret| name_by(secret, hash)).collect()
    }

    /// Whether a list names a SIM by one of these, or by its hash.
    pub(super) fn understand(&self, name: &str) -> bool {
        match name.split_once(':') {
            Some((id, _)) => self.all().any(|secret| id_of(secret) == id),
            None => true,
        }
    }

    /// What is shown of the SIM, if the list tells it by our own secret.
    pub(super) fn keyed_of<'l>(&self, listed: &'l Listed) -> Option<&'l str> {
        let (id, _) = listed.name.split_once(':')?;
        listed.giccid_hmac.as_deref().filter(|_| id == id_of(&self.own))
    }
}

/// Tells a secret from others, and nothing of it.
fn id_of(secret: &str) -> String {
    let mut id = hmac(secret, "id of this secret");
    id.truncate(16);
    id
}

fn name_by(secret: &str, hash: &str) -> String {
    format!("{}:{}", id_of(secret), hmac(secret, hash))
}

/// A SIM in a list. Of several lines about one SIM the newest times count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    /// The id of a secret, a colon, and the HMAC of its hash with it; the hash in an older list.
    pub(super) name: String,
    /// When it was erased.
    pub(super) at: Timestamp,
    /// From when on what comes of it is kept again.
    pub(super) lifted_at: Option<Timestamp>,
    /// What may be shown of its number.
    pub(super) giccid_hmac: Option<String>,
}

impl Listed {
    /// Whether what comes of it is kept again. What was there when it was erased goes all the same.
    pub(super) fn is_lifted(&self) -> bool {
        self.lifted_at.is_some_and(|lifted_at| lifted_at >= self.at)
    }

    fn merge(&mut self, other: &Self) {
        self.at = self.at.max(other.at);
        self.lifted_at = self.lifted_at.max(other.lifted_at);
        if self.giccid_hmac.is_none() {
            self.giccid_hmac.clone_from(&other.giccid_hmac);
        }
    }

    fn line(&self) -> String {
        let Self { name, at, lifted_at, giccid_hmac } = self;
        let lifted_at = lifted_at.map_or("-".to_owned(), |at| at.unix_ms().to_string());
        let giccid_hmac = giccid_hmac.as_deref().unwrap_or("-");
        format!("\n{name} {} {lifted_at} {giccid_hmac}\n", at.unix_ms())
    }
}

/// All that a list names, each once; one that is not there names none.
pub(super) fn read(list: &Path) -> io::Result<Vec<Listed>> {
    Ok(each_once(lines_of(list)?))
}

/// Its lines as they are. One that cannot be read names none.
pub(super) fn lines_of(list: &Path) -> io::Result<Vec<Listed>> {
    Ok(text_of(list)?.lines().filter_map(listed).collect())
}

/// The lines of a list that cannot be read, by their numbers from 1 on: cut short by a crash, or
/// damaged since.
pub(super) fn unreadable(list: &Path) -> io::Result<Vec<(usize, String)>> {
    let text = text_of(list)?;
    let lines = (1..).zip(text.lines());
    let unreadable = lines.filter(|(_, line)| !line.is_empty() && listed(line).is_none());
    Ok(unreadable.map(|(number, line)| (number, line.to_owned())).collect())
}

/// Its lines, and a warning for each that cannot be read.
pub(super) fn lines_with_warnings(list: &Path) -> io::Result<Vec<Listed>> {
    for (line, _) in unreadable(list)? {
        tracing::warn!(
            line,
            list = %list.display(),
            "A line of the list of erased SIMs cannot be read, so that a restore could bring a SIM \
             back: compare `simdeck erase list` with what you erased, erase again what is missing, \
             and take the line out"
        );
    }
    lines_of(list)
}

fn text_of(list: &Path) -> io::Result<String> {
    match fs::read(list) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error),
    }
}

pub(super) fn each_once(lines: impl IntoIterator<Item = Listed>) -> Vec<Listed> {
    let (mut named, mut places) = (Vec::<Listed>::new(), BTreeMap::new());
    for line in lines {
        let place = *places.entry(line.name.clone()).or_insert(named.len());
        match named.get_mut(place) {
            Some(known) => known.merge(&line),
            None => named.push(line),
        }
    }
    named
}

/// What a line says; none where a crash has cut it short or it is damaged.
fn listed(line: &str) -> Option<Listed> {
    let is_hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let time = |word: &str| Some(Timestamp::from_unix_ms(word.parse().ok()?));
    let words: Vec<_> = line.split(' ').collect();
    let (name, at, lifted_at, giccid_hmac) = match *words {
        [name, at, lifted_at, hmac] => (name, at, lifted_at, hmac),
        // An older list has hashes, and no HMAC. The beginning of a time is a number, too: all times
        // since 2001 have 13 digits.
        [name, at] if at.len() >= OLD_TIME_DIGITS => (name, at, "-", "-"),
        [name, at, lifted] if lifted == "-" || lifted.len() >= OLD_TIME_DIGITS => {
            (name, at, lifted, "-")
        }
        _ => return None,
    };
    let is_name = match name.split_once(':') {
        Some((id, tag)) => is_hex(id, 16) && is_hex(tag, 64) && words.len() == 4,
        None => is_hex(name, 64),
    };
    let is_whole = is_name && (giccid_hmac == "-" || is_hex(giccid_hmac, 64));
    let lifted_at = match lifted_at {
        "-" => None,
        lifted_at => Some(time(lifted_at)?),
    };
    let giccid_hmac = (giccid_hmac != "-").then(|| giccid_hmac.to_owned());
    let at = time(at)?;
    is_whole.then(|| Listed { name: name.to_owned(), at, lifted_at, giccid_hmac })
}

const OLD_TIME_DIGITS: usize = 13;

/// Adds SIMs to a list, unless it says the same already. They are on disk when this returns.
pub(super) fn add(list: &Path, new: &[Listed]) -> io::Result<()> {
    let known = read(list)?;
    let known: BTreeMap<_, _> = known.iter().map(|known| (&*known.name, known)).collect();
    let is_told = |new: &&Listed| {
        known.get(&*new.name).is_some_and(|known| {
            let mut both = (*known).clone();
            both.merge(new);
            both.is_lifted() == known.is_lifted()
        })
    };
    let lines: String = new.iter().filter(|new| !is_told(new)).map(Listed::line).collect();
    if lines.is_empty() {
        return Ok(());
    }
    let mut file = match OpenOptions::new().append(true).open(list) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => make_file(list)?,
        opened => opened?,
    };
    let before = file.metadata()?.len();
    if let Err(error) = file.write_all(lines.as_bytes()) {
        // Half a line would be told as damage at every start.
        file.set_len(before)?;
        return Err(error);
    }
    file.sync_all()?;
    sync_folder_of(list)
}

/// Writes a list anew, and keeps what of it cannot be read. A crash leaves one or the other.
pub(super) fn write(list: &Path, lines: Vec<Listed>) -> io::Result<()> {
    let new = with_ending(list, NEW);
    let unreadable = unreadable(list)?.into_iter().map(|(_, line)| format!("\n{line}\n"));
    let text: String = each_once(lines).iter().map(Listed::line).chain(unreadable).collect();
    remove_parts(&new);
    let mut file = make_file(&new)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&new, list));
    if written.is_err() {
        remove_parts(&new);
    }
    written?;
    sync_folder_of(list)
}

fn sync_folder_of(list: &Path) -> io::Result<()> {
    match list.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_cut_short_is_not_taken_for_a_whole_one() {
        let (name, hash) = (name_by("secret", "hash"), hashed("8944501503181377993"));
        let at = 1_713_888_842_473_i64;
        for line in [
            format!("{name} {at} - -"),
            format!("{name} {at} {at} {hash}"),
            format!("{hash} {at}"),
            format!("{hash} {at} {at} -"),
        ] {
            assert!(listed(&line).is_some(), "{line}");
            let cuts = (1..line.len()).filter(|length| listed(&line[..*length]).is_some());
            // Of an older line that says more, the erasure may be left: it counts.
            let least = hash.len() + 1 + at.to_string().len();
            let is_old = line.starts_with(&hash);
            assert!(cuts.clone().all(|length| is_old && length >= least), "{line}: {cuts:?}");
        }
        assert!(listed(&format!("{name} {at} -")).is_none(), "without its last word");
    }
}
