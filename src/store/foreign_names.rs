//! Names in a list of erased SIMs by a secret that the database does not have.
//!
//! A database that an older version left has no secret, and no copy of it knows by which one a newer
//! version has named SIMs in the list since. What both know of an erasure is its time, to the
//! millisecond. So a foreign name is that of the SIM which the database, or another line of the list,
//! says was erased at this time; a list in which that tells every name is the database's own. One that
//! names others is of another store. Held by `front::erased_then_downgraded`.
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
};

use sqlx::SqliteConnection;

use super::{
    StoreError,
    erasures::{self, Listed, Secrets},
};
use crate::domain::Timestamp;

/// A list, as far as a database understands it.
#[derive(Debug)]
pub(super) struct Understood {
    /// Its lines, each SIM by a name that the database understands where that is known.
    pub(super) lines: Vec<Listed>,
    /// Whether a line has another name now.
    pub(super) is_renamed: bool,
    /// How many SIMs it names that nobody can tell.
    pub(super) unknown: usize,
}

/// Hashes of erased SIMs, and when they were erased.
pub(super) type ErasedHashes = Vec<(String, Timestamp)>;

/// Those that a database knows, whatever its version.
pub(super) async fn erased_in(
    connection: &mut SqliteConnection,
) -> Result<ErasedHashes, StoreError> {
    const ERASED: &str = "select giccid_sha256, at_ms from erased where giccid_sha256 is not null";
    let rows: Vec<(String, i64)> = sqlx::query_as(ERASED).fetch_all(connection).await?;
    Ok(rows.into_iter().map(|(hash, at_ms)| (hash, Timestamp::from_unix_ms(at_ms))).collect())
}

/// Reads the lines of a list by the secrets of a database and the erasures that it knows. Lines of
/// another list that it understands may tell more.
pub(super) fn understand(
    lines: Vec<Listed>,
    secrets: &Secrets,
    erased: &[(String, Timestamp)],
    others: &[Listed],
) -> Understood {
    let mut is_renamed = false;
    let lines: Vec<Listed> = lines
        .into_iter()
        .map(|line| match line.name.contains(':') {
            true => line,
            false => {
                is_renamed = true;
                Listed { name: secrets.name(&line.name), ..line }
            }
        })
        .collect();
    let (known, foreign): (Vec<_>, Vec<_>) =
        lines.into_iter().partition(|line| secrets.understand(&line.name));
    if foreign.is_empty() {
        return Understood { lines: known, is_renamed, unknown: 0 };
    }
    let at_times = names_at_times(secrets, erased, known.iter().chain(others));
    let own_names = own_names(&foreign, &at_times);
    let names: BTreeSet<&str> = foreign.iter().map(|line| &*line.name).collect();
    let unknown = names.iter().filter(|name| !own_names.contains_key(**name)).count();
    let mut lines = known;
    for line in &foreign {
        match own_names.get(&*line.name) {
            None => lines.push(line.clone()),
            Some(OwnName::Sure(name)) => lines.push(Listed {
                name: (*name).to_owned(),
                // That was told by the secret that is not known.
                giccid_hmac: None,
                ..line.clone()
            }),
            // Another line, or the database, says of each of them that it is erased.
            Some(OwnName::OneOfMany) => (),
        }
    }
    Understood { lines, is_renamed: is_renamed || !own_names.is_empty(), unknown }
}

/// Writes a list anew that has plain hashes, as that of an earlier version, or names by a secret that is
/// lost.
pub(super) fn rename(
    list: &Path,
    secrets: &Secrets,
    erased: &[(String, Timestamp)],
) -> io::Result<()> {
    let understood = understand(erasures::lines_of(list)?, secrets, erased, &[]);
    match understood.is_renamed {
        true => erasures::write(list, understood.lines),
        false => Ok(()),
    }
}

/// Which SIM a foreign name stands for.
enum OwnName<'n> {
    Sure(&'n str),
    /// Several were erased in the same millisecond.
    OneOfMany,
}

type NamesAtTimes = BTreeMap<Timestamp, BTreeSet<String>>;

/// The SIMs that were erased at each time, by names that are understood.
fn names_at_times<'l>(
    secrets: &Secrets,
    erased: &[(String, Timestamp)],
    lines: impl Iterator<Item = &'l Listed>,
) -> NamesAtTimes {
    let mut at_times = NamesAtTimes::new();
    // One SIM may have several names, and counts once.
    let mut firsts = BTreeMap::new();
    for (hash, at) in erased {
        let name = secrets.name(hash);
        firsts.extend(secrets.names(hash).into_iter().map(|other| (other, name.clone())));
        at_times.entry(*at).or_default().insert(name);
    }
    for line in lines.filter(|line| secrets.understand(&line.name)) {
        let name = firsts.get(&line.name).unwrap_or(&line.name);
        at_times.entry(line.at).or_default().insert(name.clone());
    }
    at_times
}

/// What the foreign names stand for, as far as times tell. Of names by one secret each is another SIM's.
fn own_names<'l>(
    foreign: &'l [Listed],
    at_times: &'l NamesAtTimes,
) -> BTreeMap<&'l str, OwnName<'l>> {
    let (mut own_names, mut taken) = (BTreeMap::new(), BTreeSet::new());
    for line in foreign {
        let secret = line.name.split_once(':').map_or("", |(id, _)| id);
        let Some(names) = at_times.get(&line.at) else { continue };
        if own_names.contains_key(&*line.name) {
            continue;
        }
        if let Some(name) = names.iter().find(|name| !taken.contains(&(secret, name.as_str()))) {
            taken.insert((secret, name.as_str()));
            let own = match names.len() {
                1 => OwnName::Sure(name),
                _ => OwnName::OneOfMany,
            };
            own_names.insert(&*line.name, own);
        }
    }
    own_names
}
