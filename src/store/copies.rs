//! The backups in a folder, in the order in which they were made.
//!
//! A name tells the time by the clock of that moment, which may have been wrong, and ends with the
//! number of the copy: `simdeck-20240905T013048000Z-12.db`. The number is what counts. Copies of
//! earlier versions have none and are older than all that have; one of these from the future counts
//! as made now.
use std::{
    ffi::OsStr,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    RememberedBackups,
    copy_owner::{CopyOwner, Whose},
    kept_copies::taken,
    leftovers::{BESIDE, PARTIAL},
};
use crate::domain::Timestamp;

const FIRST: &str = "simdeck-";
const LAST: &str = ".db";
/// A list of erased SIMs that is not whole yet.
const NEW_LIST: &str = "simdeck.erased.new";
/// A part that does not say whose it is goes when nobody has written it for so long.
const UNTAGGED_AFTER: Duration = Duration::from_secs(60 * 60);

/// A copy, as its name tells.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    number: u64,
    at: Timestamp,
    path: PathBuf,
}

/// Where the next copy goes, and where it is written before it is whole: that name says whose it will be.
pub(super) fn next(
    folder: &Path,
    now: Timestamp,
    owner: &CopyOwner,
) -> io::Result<(PathBuf, PathBuf)> {
    let number = in_order(folder, now)?.last().map_or(0, |last| last.number) + 1;
    let stamp: String =
        now.to_string().chars().filter(|it| it.is_ascii_digit() || "TZ".contains(*it)).collect();
    let named = |ending: &str| folder.join(format!("{FIRST}{stamp}-{number}{ending}"));
    Ok((named(LAST), named(&format!(".{}{PARTIAL}", owner.tag()))))
}

/// Removes what is left of copies that were not finished, and of the list that lies with them.
pub(super) fn remove_partial(folder: &Path, now: Timestamp, owner: &CopyOwner) -> io::Result<()> {
    remove_older_parts(folder, (None, now), owner)
}

/// The same where a copy may be growing: only what was last written before a moment. The folder may be
/// far away and hang.
pub fn remove_parts_of_backups(
    folder: &Path,
    before: Timestamp,
    owner: &CopyOwner,
) -> io::Result<()> {
    match remove_older_parts(folder, (Some(before), before), owner) {
        // There was never a copy.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn remove_older_parts(
    folder: &Path,
    (before, now): (Option<Timestamp>, Timestamp),
    owner: &CopyOwner,
) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let before = match name.to_str().and_then(part) {
            Some(Part::Tagged(tag)) if owner.has_tag(&tag) => before,
            // Of an earlier version, and perhaps of another server: one that grows was just written.
            Some(Part::Untagged) => Some(now.minus(UNTAGGED_AFTER)),
            None if name == NEW_LIST => before,
            _ => continue,
        };
        let is_old =
            |at: Timestamp| Ok::<_, io::Error>(entry.metadata()?.mtime() < at.unix_seconds());
        if before.map_or(Ok(true), is_old)? {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Removes all but the copies of ours that were made last.
pub(super) fn rotate(
    folder: &Path,
    keep: usize,
    now: Timestamp,
    owner: &CopyOwner,
) -> io::Result<()> {
    let copies = ours(folder, now, owner)?;
    copies.iter().rev().skip(keep.max(1)).try_for_each(|old| fs::remove_file(&old.path))
}

/// Removes the oldest copy of ours, where this much would become free without all but the newest one, which
/// stays. Gives what the copy took; nothing where none was removed.
pub(super) fn remove_oldest(
    folder: &Path,
    lacks: u64,
    now: Timestamp,
    owner: &CopyOwner,
) -> io::Result<Option<u64>> {
    let mut copies = ours(folder, now, owner)?;
    copies.pop();
    let mut sizes = Vec::new();
    for copy in copies {
        let bytes = taken(&fs::metadata(&copy.path)?);
        sizes.push((copy.path, bytes));
    }
    let Some((path, bytes)) = first_to_go(sizes, lacks) else { return Ok(None) };
    fs::remove_file(&path)?;
    tracing::warn!(
        backup.path = %path.display(),
        backup.bytes = bytes,
        "Removed an old backup before its time, so that a new one fits: SIMDECK_BACKUP_KEEP asks for \
         more than the disk holds"
    );
    Ok(Some(bytes))
}

/// The first of these files that takes room, if all together take as much as is lacking.
pub(super) fn first_to_go(sizes: Vec<(PathBuf, u64)>, lacks: u64) -> Option<(PathBuf, u64)> {
    let all = sizes.iter().fold(0_u64, |all, (_, bytes)| all.saturating_add(*bytes));
    let is_enough = all >= lacks;
    sizes.into_iter().find(|(_, bytes)| is_enough && *bytes > 0)
}

/// What each copy of ours in a folder takes on its disk.
pub(super) fn sizes(folder: &Path, owner: &CopyOwner) -> io::Result<Vec<u64>> {
    let copies = files(folder, LAST)?.into_iter().filter_map(named);
    let ours = copies.filter(|copy| owner.whose(&copy.path) == Whose::Ours);
    ours.map(|copy| Ok(taken(&fs::metadata(copy.path)?))).collect()
}

/// The copy in a folder that was made last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewestBackup {
    /// Where it is.
    pub path: PathBuf,
    /// When it was made, by the clock of that moment.
    pub at: Timestamp,
    /// How large it is.
    pub bytes: u64,
}

/// The copy in a folder that was made last, and is not of another store. The folder may be far away and
/// hang.
pub fn newest_backup(
    folder: &Path,
    now: Timestamp,
    owner: &CopyOwner,
) -> io::Result<Option<NewestBackup>> {
    let mut copies = in_order(folder, now)?.into_iter().rev();
    let newest = copies.find(|copy| owner.whose(&copy.path) != Whose::OfAnother);
    let Some(Named { path, at, .. }) = newest else { return Ok(None) };
    let bytes = fs::metadata(&path)?.len();
    Ok(Some(NewestBackup { path, at, bytes }))
}

/// The copies in a folder that are of another store, the one that was made last at the end.
pub fn backups_of_others(
    folder: &Path,
    now: Timestamp,
    owner: &CopyOwner,
) -> io::Result<Vec<PathBuf>> {
    let copies = in_order(folder, now)?.into_iter().map(|copy| copy.path);
    Ok(copies.filter(|path| owner.whose(path) == Whose::OfAnother).collect())
}

/// The copy that the store remembers to have made last in a folder, where it is not there any more.
pub fn lost_backup(
    folder: &Path,
    keep: usize,
    owner: &CopyOwner,
    remembered: &RememberedBackups,
) -> io::Result<Option<PathBuf>> {
    let there = match sizes(folder, owner) {
        // As where the disk of a folder below the one that it is mounted on is away.
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        sizes => sizes?.len(),
    };
    Ok(remembered.lost_in(folder, there, keep).map(Path::to_owned))
}

/// The copies that are ours, the one that was made last at the end.
fn ours(folder: &Path, now: Timestamp, owner: &CopyOwner) -> io::Result<Vec<Named>> {
    let mut copies = in_order(folder, now)?;
    copies.retain(|copy| owner.whose(&copy.path) == Whose::Ours);
    Ok(copies)
}

/// The copies, the one that was made last at the end. What people put there under names of their own is
/// none, nor is a database that somebody calls so: what is a copy may be deleted.
fn in_order(folder: &Path, now: Timestamp) -> io::Result<Vec<Named>> {
    let mut copies: Vec<Named> = files(folder, LAST)?.into_iter().filter_map(named).collect();
    copies.sort_by(|a, b| {
        let place = |copy: &Named| (copy.number, copy.at.min(now));
        place(a).cmp(&place(b)).then_with(|| a.path.cmp(&b.path))
    });
    Ok(copies)
}

/// What a name tells, if we gave it.
fn named(path: PathBuf) -> Option<Named> {
    let (number, at) = number_and_time(path.file_name()?.to_str()?.strip_suffix(LAST)?)?;
    Some(Named { number, at, path })
}

/// A part of a copy that was not finished.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// Of the store with this epoch.
    Tagged(String),
    /// Of an earlier version, whose parts do not say so.
    Untagged,
}

/// What a name says, if it is that of a part.
fn part(name: &str) -> Option<Part> {
    let parts = BESIDE.iter().filter_map(|beside| name.strip_suffix(beside));
    let mut copies = parts.filter_map(|part| part.strip_suffix(PARTIAL));
    copies.find_map(|copy| match copy.split_once('.') {
        Some((copy, tag)) => number_and_time(copy).map(|_| Part::Tagged(tag.to_owned())),
        None => number_and_time(copy).map(|_| Part::Untagged),
    })
}

/// What the name of a copy tells, without its ending.
fn number_and_time(name: &str) -> Option<(u64, Timestamp)> {
    let name = name.strip_prefix(FIRST)?;
    let (stamp, number) = name.split_once('-').unwrap_or((name, "0"));
    let (day, time) = stamp.strip_suffix('Z')?.split_once('T')?;
    let (seconds, ms) = time.split_at_checked(6)?;
    let moment: jiff::Timestamp = format!("{day}T{seconds}.{ms}Z").parse().ok()?;
    Some((number.parse().ok()?, Timestamp::from_unix_ms(moment.as_millisecond())))
}

/// Our copies in a folder, or parts of such.
fn files(folder: &Path, ending: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if name.starts_with(FIRST) && name.ends_with(ending) {
            found.push(path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_ms(1_725_499_848_000);

    fn there(folder: &Path) -> Vec<String> {
        let copies = in_order(folder, NOW).expect("a folder");
        let name = |copy: &Named| copy.path.file_name().map(|name| name.to_string_lossy().into());
        copies.iter().filter_map(name).collect()
    }

    #[test]
    fn copies_are_in_the_order_in_which_they_were_made_whatever_their_names_say() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let ordered = [
            "simdeck-20240801T000000000Z.db",
            // By a clock that was a year ahead, of a version that gave no numbers.
            "simdeck-20250905T013048000Z.db",
            "simdeck-20240904T000000000Z-1.db",
            "simdeck-20250905T013048000Z-2.db",
            "simdeck-20240905T013048000Z-10.db",
        ];
        let somebodys = folder.path().join("simdeck-of-somebody.db");
        fs::write(&somebodys, "").expect("a file");
        for name in ordered.iter().rev() {
            fs::write(folder.path().join(name), "").expect("a file");
        }
        assert_eq!(there(folder.path()), ordered);
        let owner = &CopyOwner::default();
        let newest = newest_backup(folder.path(), NOW, owner).expect("a folder").expect("a copy");
        assert_eq!((newest.at, newest.bytes), (NOW, 0));
        let (path, partial) = next(folder.path(), NOW, owner).expect("a name");
        assert!(path.ends_with("simdeck-20240905T013048000Z-11.db"), "{path:?}");
        assert!(partial.ends_with("simdeck-20240905T013048000Z-11.0.partial"), "{partial:?}");
        rotate(folder.path(), 2, NOW, owner).expect("removed");
        assert_eq!(there(folder.path()), ordered[3..]);
        rotate(folder.path(), 0, NOW, owner).expect("removed");
        assert_eq!(there(folder.path()), ordered[4..], "never the last");
        assert!(somebodys.exists());
    }
}
