//! Files and folders of ours as they are made: for one user alone, and where root makes them, as a command
//! by `sudo` does, for the owner of the folder that they are in. Else the service, which runs as that user,
//! could not open them any more. Only what was made just now is given away: a file that is there may be a
//! link to anything. Held by `tests/it/disk/as_root.rs`.
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::Path,
};

use rustix::{
    fs::{Gid, Uid, fchown},
    process::geteuid,
};

use super::backup::folder_of;

/// Makes a file that is not there yet, for its owner alone.
pub fn make_file(path: &Path) -> io::Result<File> {
    let made = OpenOptions::new().create_new(true).read(true).write(true).mode(0o600).open(path)?;
    give(&made, path);
    Ok(made)
}

/// Makes a folder, and those that it is in, unless it is there.
pub fn make_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if !folder_of(path).exists() && folder_of(path) != path {
        make_folder(folder_of(path))?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        // Somebody else made it meanwhile.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => {
            made?;
            give(&File::open(path)?, path);
            Ok(())
        }
    }
}

/// Gives what was made to the owner of its folder. Where that is not allowed it stays ours.
fn give(made: &File, path: &Path) {
    if !geteuid().is_root() {
        return;
    }
    let given = || {
        let (folder, ours) = (fs::metadata(folder_of(path))?, made.metadata()?);
        if (folder.uid(), folder.gid()) == (ours.uid(), ours.gid()) {
            return Ok(());
        }
        let (user, group) = (Uid::from_raw(folder.uid()), Gid::from_raw(folder.gid()));
        fchown(made, Some(user), Some(group)).map_err(io::Error::from)
    };
    if let Err(error) = given() {
        tracing::warn!(
            %error,
            path = %path.display(),
            "It belongs to root and not to the owner of its folder, who may not be able to open it"
        );
    }
}
