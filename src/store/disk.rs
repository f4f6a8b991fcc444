//! The room on the disks of a store and of its copies.
use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use rustix::fs::{StatVfs, statfs, statvfs};

/// The disk that holds a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Tells it from others.
    pub device: u64,
    /// Bytes that are free for us.
    pub free_bytes: u64,
}

/// The disk that holds a folder, or will hold it where it is not there yet.
pub fn disk_of(folder: &Path) -> io::Result<Disk> {
    let mut there = folder;
    let device = loop {
        match fs::metadata(there) {
            Ok(about) => break about.dev(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                there = there.parent().ok_or(error)?;
                if there.as_os_str().is_empty() {
                    there = Path::new(".");
                }
            }
            Err(error) => return Err(error),
        }
    };
    Ok(Disk { device, free_bytes: free_bytes(there)? })
}

/// Bytes that are free for us on the disk that holds a path.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let disk = statvfs(path)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Whether two paths lie on one disk, so that what fills one fills the other.
///
/// Subvolumes of Btrfs, datasets of ZFS and the layers of a container have numbers of their own, and the
/// same room. Of datasets only what is free is the same, since what each says it has is what it uses and
/// that. Nobody can tell a dataset with a quota or a reservation from another pool, nor two disks of one
/// size that are used alike from one: then a copy is given up when the reserve is reached, or leaves free
/// more than it would have to.
pub(super) fn is_same_disk(one: &Path, other: &Path) -> io::Result<bool> {
    if fs::metadata(one)?.dev() == fs::metadata(other)?.dev() {
        return Ok(true);
    }
    let are_datasets = [one, other].into_iter().all(is_on_zfs);
    // Others write meanwhile, and what is free is told anew now and then.
    for _ in 0..SAME_ROOM_LOOKS {
        if has_same_room(&statvfs(one)?, &statvfs(other)?, are_datasets) {
            return Ok(true);
        }
    }
    Ok(false)
}

const SAME_ROOM_LOOKS: usize = 3;
/// What others may write between two looks.
const SAME_ROOM_SLACK: u64 = 1 << 20;

fn has_same_room(one: &StatVfs, other: &StatVfs, are_datasets: bool) -> bool {
    let bytes = |blocks: u64, disk: &StatVfs| blocks.saturating_mul(disk.f_frsize);
    let is_same_size = bytes(one.f_blocks, one) == bytes(other.f_blocks, other);
    let free = bytes(one.f_bavail, one).abs_diff(bytes(other.f_bavail, other));
    (is_same_size || are_datasets) && free <= SAME_ROOM_SLACK
}

fn is_on_zfs(path: &Path) -> bool {
    const ZFS: u64 = 0x2FC1_2FC1;
    statfs(path).is_ok_and(|disk| u64::try_from(disk.f_type).unwrap_or_default() == ZFS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datasets_of_one_pool_have_the_same_room_and_two_disks_have_not() {
        let here = statvfs("/").expect("a disk");
        let free = 1 << 20;
        let disk =
            |blocks, free| StatVfs { f_blocks: blocks, f_bavail: free, f_frsize: 512, ..here };
        let (one, other) = (disk(2 * free, free), disk(3 * free, free + 8));
        assert!(has_same_room(&one, &other, true), "each counts what it uses");
        assert!(!has_same_room(&one, &other, false));
        assert!(has_same_room(&one, &disk(2 * free, free - 8), false), "somebody wrote meanwhile");
        assert!(!has_same_room(&one, &disk(3 * free, free / 2), true), "another pool");
    }
}
