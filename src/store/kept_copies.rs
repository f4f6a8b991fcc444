//! The copies that lie beside the database: those that are kept before a migration, and what a restore
//! has replaced; and all copies of ours, where room is sought.
use std::{
    fmt, fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use sqlx::{ConnectOptions, Connection};

use super::{
    backup::{BackupError, alone, copy, folder_of, put_in_place},
    copies::{self, PARTIAL},
    copy_room::{Claim, CopyWatch},
    database_file::beside,
    folder::is_same_disk,
    leftovers::remove_parts,
};
use crate::domain::{Timestamp, counted, mib};

/// A copy of the database as it is, before a newer version changes its schema. One is kept: the
/// newest. Where an operator has put an empty file in its place, none is made.
pub(super) async fn keep_copy_before(
    database: &Path,
    version: i64,
    reserve: u64,
) -> Result<(), BackupError> {
    let path = copy_before(database, version);
    if path.exists() {
        return Ok(());
    }
    let partial = beside(database, &format!(".before-{version}{PARTIAL}"));
    let done = make_copy_before(database, &partial, reserve).await;
    if done.is_err() {
        remove_parts(&partial);
        return done;
    }
    // It takes the place of those that earlier versions have made.
    forget(database, |ending, _| is_before_migration(ending))?;
    put_in_place(&partial, &path)
}

/// Where the copy lies that is kept before this migration.
pub(super) fn copy_before(database: &Path, version: i64) -> PathBuf {
    beside(database, &format!(".before-{version}"))
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
    let folder = folder_of(database);
    let pushes_need = [folder.to_owned()];
    let claim = Claim { folder, needed: 0, pushes_need: &pushes_need, reserve };
    let make_room = |lacks| {
        let older = |ending: &str| is_before_migration(ending);
        let bytes: u64 = copies_beside(database)?
            .iter()
            .filter(|(ending, ..)| older(ending))
            .map(|(_, _, bytes)| bytes)
            .sum();
        // They go in any case once the new one is there.
        if bytes >= lacks {
            forget(database, |ending, _| older(ending)).map_err(io::Error::other)?;
        }
        Ok(())
    };
    copy(database, partial, claim, make_room, &Arc::new(CopyWatch::default())).await?;
    let mut copy = alone(partial).connect().await?;
    let told: String = sqlx::query_scalar("pragma quick_check(1)").fetch_one(&mut copy).await?;
    copy.close().await?;
    if told == "ok" { Ok(()) } else { Err(BackupError::NotWhole(told)) }
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
            fs::remove_file(path).map_err(unread)?;
        }
    }
    Ok(())
}

/// The copies beside a database: how their names end, where they are, and what they take.
fn copies_beside(database: &Path) -> io::Result<Vec<(String, PathBuf, u64)>> {
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
    let ending = match ending.strip_prefix(".restoring") {
        Some("" | "-wal" | "-shm") => return true,
        Some(of_restored) => of_restored,
        None => ending,
    };
    is_before_migration(ending) || [".replaced", ".replaced-wal", ".replaced-shm"].contains(&ending)
}

fn is_before_migration(ending: &str) -> bool {
    let version = ending.strip_prefix(".before-");
    version.is_some_and(|version| version.bytes().all(|byte| byte.is_ascii_digit()))
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
pub fn own_copies(database: &Path, backups: &Path) -> io::Result<OwnCopies> {
    let beside = copies_beside(database)?;
    let beside = beside.into_iter().map(|(_, path, bytes)| (path, bytes)).collect();
    // A folder on another disk, or none, takes no room here.
    let is_here = is_same_disk(folder_of(database), backups).unwrap_or(false);
    let backups = match is_here {
        true => {
            let sizes = copies::sizes(backups)?;
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
