//! The copies that lie beside the database: those that are kept before a migration, and what a restore
//! has replaced; and all copies of ours, where room is sought.
use std::{
    error::Error,
    fmt, fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use sqlx::{ConnectOptions, Connection};

use super::{
    backup::{BackupError, alone, copy, folder_of, put_in_place},
    copies,
    copy_owner::CopyOwner,
    copy_room::{Claim, CopyWatch},
    database_file::{beside, database_folder, own_name},
    disk::is_same_disk,
    leftovers::{PARTIAL, RESTORING, remove_parts},
};
use crate::domain::{Timestamp, counted, mib};

/// How a database ends that a restore has replaced.
pub(super) const REPLACED: &str = ".replaced";
/// How a copy ends that is kept before a migration, but for its number.
pub(super) const BEFORE: &str = ".before-";

/// A copy of the database as it is, before a newer version changes its schema. One is kept: the
/// newest. One that is there may be of an earlier upgrade, before somebody went back to an older version
/// that took pushes: it is replaced once the new one is whole. Where an operator has put an empty file in
/// its place, none is made.
pub(super) async fn keep_copy_before(
    database: &Path,
    version: i64,
    reserve: u64,
) -> Result<(), BackupError> {
    let path = copy_before(database, version);
    if fs::metadata(&path).is_ok_and(|there| there.len() == 0) {
        return Ok(());
    }
    let partial = beside(&path, PARTIAL);
    let done = make_copy_before(database, &partial, reserve).await;
    if done.is_err() {
        remove_parts(&partial);
        return done;
    }
    put_in_place(&partial, &path)?;
    // It takes the place of those that earlier versions have made.
    let newest = format!("{BEFORE}{version}");
    let is_older = |ending: &str| is_before_migration(ending) && ending != newest;
    if let Err(error) = forget(database, |ending, _| is_older(ending)) {
        let error = &error as &dyn Error;
        tracing::warn!(error, "An older copy of the database could not be removed");
    }
    Ok(())
}

/// Where the copy lies that is kept before this migration.
pub(super) fn copy_before(database: &Path, version: i64) -> PathBuf {
    beside(&own_name(database), &format!("{BEFORE}{version}"))
}

async fn make_copy_before(
    database: &Path,
    partial: &Path,
    reserve: u64,
) -> Result<(), BackupError> {
    if partial.exists() {
        fs::remove_file(partial)
            .map_err(|source| BackupError::File { path: partial.to_owned(), source })?;
    }
    let folder = folder_of(partial);
    let pushes_need = [folder.to_owned()];
    let claim = Claim { folder, needed: 0, pushes_need: &pushes_need, reserve, log_bytes: 0 };
    let remove_one = |lacks| remove_oldest_before(database, lacks);
    copy(database, partial, claim, remove_one, &Arc::new(CopyWatch::default())).await?;
    let mut copy = alone(partial).connect().await?;
    let told: String = sqlx::query_scalar("pragma quick_check(1)").fetch_one(&mut copy).await?;
    copy.close().await?;
    if told == "ok" { Ok(()) } else { Err(BackupError::NotWhole(told)) }
}

/// Removes the oldest copy that an earlier version has kept, where this much would become free without all
/// of them: they go in any case once the new one is there. Gives what it took.
fn remove_oldest_before(database: &Path, lacks: u64) -> io::Result<Option<u64>> {
    let version = |ending: &str| ending.strip_prefix(BEFORE)?.parse::<i64>().ok();
    let mut older: Vec<_> = copies_beside(database)?
        .into_iter()
        .filter_map(|(ending, path, bytes)| Some((version(&ending)?, path, bytes)))
        .collect();
    older.sort();
    let sizes = older.into_iter().map(|(_, path, bytes)| (path, bytes)).collect();
    let Some((path, bytes)) = copies::first_to_go(sizes, lacks) else { return Ok(None) };
    fs::remove_file(&path)?;
    tracing::warn!(path = %path.display(), bytes, "Removed an older copy, so that a new one fits");
    Ok(Some(bytes))
}

/// Takes away the copies beside a database that were last written before a moment: those that were
/// kept before a migration, and what a restore has replaced.
pub fn forget_copies(database: &Path, before: Timestamp) -> Result<(), BackupError> {
    forget(database, |_, about| about.mtime() < before.unix_seconds())
}

fn forget(
    database: &Path,
    is_meant: impl Fn(&str, &fs::Metadata) -> bool,
) -> Result<(), BackupError> {
    let unread = |source| BackupError::File { path: folder_of(database).to_owned(), source };
    for (ending, path, _) in copies_beside(database).map_err(unread)? {
        if is_meant(&ending, &fs::metadata(&path).map_err(unread)?) {
            let bytes = fs::metadata(&path).map_or(0, |copy| copy.len());
            fs::remove_file(&path).map_err(unread)?;
            tracing::info!(path = %path.display(), bytes, "Removed a copy beside the database");
        }
    }
    Ok(())
}

/// The copies beside a database: how their names end, where they are, and what they take.
fn copies_beside(database: &Path) -> io::Result<Vec<(String, PathBuf, u64)>> {
    let own_name = own_name(database);
    let mut found = copies_of_name(&own_name)?;
    if own_name != database {
        // Where earlier versions have put them.
        found.extend(copies_of_name(database)?);
    }
    Ok(found)
}

fn copies_of_name(database: &Path) -> io::Result<Vec<(String, PathBuf, u64)>> {
    let name = database.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut found = Vec::new();
    for entry in fs::read_dir(folder_of(database))? {
        let entry = entry?;
        let other = entry.file_name();
        let Some(ending) = other.to_str().and_then(|other| other.strip_prefix(&name)) else {
            continue;
        };
        if is_ending_of_copy(ending) {
            found.push((ending.to_owned(), entry.path(), taken(&entry.metadata()?)));
        }
    }
    Ok(found)
}

/// What a file takes on its disk. One with a second name gives nothing back when it goes.
pub(super) fn taken(file: &fs::Metadata) -> u64 {
    if file.nlink() > 1 { 0 } else { file.blocks().saturating_mul(512) }
}

fn is_ending_of_copy(ending: &str) -> bool {
    // A restore that did not come to its end leaves a copy, of which there may be one in turn.
    let ending = match ending.strip_prefix(RESTORING) {
        Some("" | "-wal" | "-shm") => return true,
        Some(of_restored) => of_restored,
        None => ending,
    };
    is_before_migration(ending) || ending.strip_prefix(REPLACED).is_some_and(is_rest_of_replaced)
}

/// The first one has no number, and each may have a log.
fn is_rest_of_replaced(rest: &str) -> bool {
    let of_log = ["-wal", "-shm"].iter().find_map(|log| rest.strip_suffix(log));
    match of_log.unwrap_or(rest).strip_prefix('-') {
        None => of_log.unwrap_or(rest).is_empty(),
        Some(number) => is_number(number),
    }
}

/// Whether a name ends so behind that of the database.
pub(super) fn is_before_migration(ending: &str) -> bool {
    ending.strip_prefix(BEFORE).is_some_and(is_number)
}

fn is_number(text: &str) -> bool {
    // Migrations have few digits; eight are the date in the name of somebody's own copy.
    (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The copies that we have made on the disk of the database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnCopies {
    /// How many backups lie in their folder, and what they take, if it is on this disk.
    backups: Option<(PathBuf, usize, u64)>,
    /// What lies beside the database, and what each takes.
    beside: Vec<(PathBuf, u64)>,
}

/// Looks for the copies that we have made on the disk of the database.
pub fn own_copies(database: &Path, backups: &Path, owner: &CopyOwner) -> io::Result<OwnCopies> {
    let beside = copies_beside(database)?;
    let beside = beside.into_iter().map(|(_, path, bytes)| (path, bytes)).collect();
    // A folder on another disk, or none, takes no room here.
    let is_here = is_same_disk(&database_folder(database), backups).unwrap_or(false);
    let backups = match is_here {
        true => {
            let sizes = copies::sizes(backups, owner)?;
            Some((backups.to_owned(), sizes.len(), sizes.iter().sum()))
        }
        false => None,
    };
    Ok(OwnCopies { backups, beside })
}

impl OwnCopies {
    /// What the backups take, if their folder is on the disk of the database.
    pub fn backup_bytes(&self) -> Option<u64> {
        self.backups.as_ref().map(|(_, _, bytes)| *bytes)
    }
}

impl fmt::Display for OwnCopies {
    /// A clause that names them with their sizes, or nothing where there are none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let there = self.backups.iter().filter(|(_, count, _)| *count > 0);
        let backups = there.map(|(folder, count, bytes)| {
            let count = counted(*count as i128, "backup", "backups");
            format!("{count} in {} ({})", folder.display(), mib(*bytes))
        });
        let beside =
            self.beside.iter().map(|(path, bytes)| format!("{} ({})", path.display(), mib(*bytes)));
        let named: Vec<String> = backups.chain(beside).collect();
        match named.is_empty() {
            true => Ok(()),
            false => write!(f, "simdeck's own copies on this disk are {}", named.join(", ")),
        }
    }
}
