//! The disk of the database: how much room it has, by the server's own judgement if it answers, and what of
//! ours takes it.
use std::{fs, path::Path, time::Duration};

use tokio::{task::spawn_blocking, time::timeout};

use super::server::Disk;
use crate::{
    cli::{finding::Finding, settings::Settings},
    domain::{mib, sentence},
    intake::eats_reserve,
    store::{CopyOwner, bytes_free_inside, free_bytes, own_copies},
};

const CHECK: &str = "disk";
/// A log that is larger is not brought back into the database as it should.
const WAL_BYTES_MAX: u64 = 512 << 20;
/// How long the folder of the backups may take, which is perhaps far away.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Looks at it, and says how it is.
pub(super) async fn look(settings: &Settings, of_server: Option<&Disk>) -> Finding {
    let database = &*settings.database;
    let folder = database.parent().filter(|folder| !folder.as_os_str().is_empty());
    let free = match free_bytes(folder.unwrap_or(Path::new("."))) {
        Ok(free) => free,
        Err(error) => {
            let finding = format!("Nobody can tell how much room there is: {error}.");
            return Finding::problem(CHECK, finding, "Name the right folder with --data-dir.");
        }
    };
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    let wal = fs::metadata(log).map_or(0, |log| log.len());
    // Room within the database is as good as room on the disk.
    let inside = bytes_free_inside(database).await.unwrap_or_default();
    let (free, reserve, is_low) = match of_server {
        Some(Disk { free_bytes, reserve_bytes, is_low }) => {
            (free_bytes.unwrap_or(free), *reserve_bytes, *is_low)
        }
        None => {
            let reserve = settings.disk.reserve_bytes;
            (free, reserve, eats_reserve(free, inside, reserve))
        }
    };
    let told = format!(
        "{} MiB are free, and {} MiB within the database; {} have to stay free; the database's log has \
         {} MiB.",
        free >> 20,
        inside >> 20,
        mib(reserve),
        wal >> 20
    );
    if is_low {
        let todo = format!(
            "Free some room, keep records for less time (SIMDECK_RETENTION_RECORDS), or lower \
             SIMDECK_DISK_RESERVE: pushes are answered 503.{}",
            copies(settings).await
        );
        return Finding::problem(CHECK, told, todo);
    }
    if wal > WAL_BYTES_MAX {
        let todo = "Something reads the database without end: look for long exports and for other \
                    programs on the file.";
        return Finding::problem(CHECK, told, todo);
    }
    Finding::ok(CHECK, told)
}

/// A further sentence that names our own copies there, if there are any.
async fn copies(settings: &Settings) -> String {
    let (database, backups) = (settings.database.clone(), settings.backup.dir.clone());
    let owner = CopyOwner::of_store(&database).await;
    let looking = spawn_blocking(move || own_copies(&database, &backups, &owner));
    let named = match timeout(WAIT_MAX, looking).await {
        Ok(Ok(Ok(copies))) => copies.to_string(),
        _ => String::new(),
    };
    match named.is_empty() {
        true => named,
        false => sentence(format!(" Besides, {named}: delete those that you do not need")),
    }
}
