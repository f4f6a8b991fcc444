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
    [disk, folder, moved].into_iter().flatten()
}
