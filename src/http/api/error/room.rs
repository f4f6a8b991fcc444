//! What could not be done for lack of room on a disk, and why a backup was not made.
use std::{
    error::Error,
    io::{self, ErrorKind},
    iter,
    path::Path,
};

use axum::http::StatusCode;

use crate::{
    domain::sentence,
    http::problem::Problem,
    store::{BackupError, StoreError},
};

/// A change, or a question whose rows did not fit into memory, found no room. Work that the store owns
/// is tried again.
pub(super) fn no_room(error: &StoreError) -> Problem {
    insufficient().detail(match error {
        StoreError::NoRoom => {
            "The disk has no room for this. Free some: it is tried again by itself until it is done. \
             `simdeck doctor` says what takes the room."
        }
        _ => {
            "The disk has no room for this. Free some, then ask again; `simdeck doctor` says what takes \
             it."
        }
    })
}

fn insufficient() -> Problem {
    Problem::new(StatusCode::INSUFFICIENT_STORAGE, "Insufficient Storage")
}

/// Why no backup was made, and what to do.
pub(super) fn backup_problem(error: &BackupError) -> Problem {
    const ELSEWHERE: &str = "or choose another folder with SIMDECK_BACKUP_DIR";
    if error.is_for_room() {
        let why = match error {
            BackupError::NoRoom { .. } | BackupError::RoomGone { .. } => error.to_string(),
            _ => "there is no room for the copy".to_owned(),
        };
        return insufficient()
            .detail(format!("No backup was made: {why}. Free some room, {ELSEWHERE}."));
    }
    let conflict = |detail: String| {
        Problem::new(StatusCode::CONFLICT, "Conflict")
            .detail(format!("No backup was made: {}", sentence(detail)))
    };
    match error {
        BackupError::File { path, source } => conflict(cause_in(path, source)),
        BackupError::Silent { folder } => conflict(format!(
            "{} does not answer; mend its disk or its mount, {ELSEWHERE}. A restart of simdeck \
             lets go of what hangs",
            folder.display()
        )),
        BackupError::LogTooLarge { .. } => {
            conflict(format!("{error}; choose a faster folder with SIMDECK_BACKUP_DIR"))
        }
        BackupError::GivenUp => conflict(error.to_string()),
        _ => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error").detail(
            format!(
                "No backup was made: {}. Look at the disks of the database and of the backups, \
             {ELSEWHERE}.",
                with_causes(error)
            ),
        ),
    }
}

/// What a file or a folder keeps a copy from, and what to do.
fn cause_in(path: &Path, source: &io::Error) -> String {
    let path = path.display();
    match source.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => format!(
            "the server may not write {path}; let its user write there, or choose another folder \
             with SIMDECK_BACKUP_DIR"
        ),
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::AlreadyExists => format!(
            "{path} is no folder that can be used ({source}); make it one, or choose another with \
             SIMDECK_BACKUP_DIR"
        ),
        _ => format!(
            "{path} could not be written ({source}); look at its disk, or choose another folder with \
             SIMDECK_BACKUP_DIR"
        ),
    }
}

fn with_causes(error: &BackupError) -> String {
    let causes = iter::successors(Some(error as &dyn Error), |it| (*it).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
