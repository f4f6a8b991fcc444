//! Where the store lies: room on its disks, and files that are elsewhere than where they were opened.
use super::rules::{Facts, of};
use crate::domain::{Condition, ConditionKind};

pub(super) fn found(facts: &Facts) -> impl Iterator<Item = Condition> {
    let disk = facts.disk.as_ref().map(|todo| {
        let says = "Pushes are answered 503: the disk is nearly full.".to_owned();
        of(ConditionKind::DiskLow, facts.now, says, todo.clone())
    });
    let folder = facts.folder_low.as_ref().map(|folder| {
        let says = format!(
            "The data directory {folder} lies on a disk of its own that has hardly any room left."
        );
        let todo = "Free some room there. Pushes are stored all the same, but secrets cannot be kept, \
                    and after the next start no command on this machine finds the server.";
        of(ConditionKind::FolderLow, facts.now, says, todo)
    });
    let moved = facts.moved_file.as_ref().map(|found| {
        let says = format!("The database was moved or removed while it was open: {found}.");
        let todo = "Move the files back under their names, or restore a backup, then start simdeck \
                    again. Pushes are answered 503 until then; stop simdeck before you move its files.";
        of(ConditionKind::DatabaseMoved, facts.now, says, todo)
    });
    // Where none can be made that is told first: its folder may be gone with all that was in it.
    let lost = facts.backup_lost.as_ref().filter(|_| facts.backup.is_none());
    let lost = lost.map(|(since, path)| {
        let says = format!(
            "The backup folder has lost its copies: {path}, the one that was made last, is not there any \
             more."
        );
        let todo = "Is its disk mounted? Mount it, and look where the copies went that were made since. \
                    Where you have taken that copy away yourself, this ends when SIMDECK_BACKUP_KEEP \
                    others were made, or it is back.";
        of(ConditionKind::BackupFailing, *since, says, todo)
    });
    [disk, folder, moved, lost].into_iter().flatten()
}
