//! The newest backup: whether there is one, how old it is, and whether it opens.
use std::{path::Path, time::Duration};

use tokio::{task::spawn_blocking, time::timeout};

use super::Finding;
use crate::{
    cli::settings::Settings,
    domain::{Clock, SystemClock, Timestamp, mib, sentence, span},
    store::{NewestBackup, examine, newest_backup},
};

const CHECK: &str = "backup";
/// How long a folder may take that is perhaps far away.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// One may take long, and the next one waits for it.
const EVERY_TIMES_MAX: u32 = 2;
const MAKE_ONE: &str = "Look at the disk of the backups, then make one with `simdeck backup`.";

/// Looks at it, and says how it is.
pub(super) async fn look(settings: &Settings) -> Finding {
    let (folder, now) = (settings.backup.dir.clone(), SystemClock.now());
    let looking = spawn_blocking(move || newest_backup(&folder, now));
    let folder = settings.backup.dir.display();
    match timeout(WAIT_MAX, looking).await {
        Ok(Ok(Ok(Some(newest)))) => judge(&newest, settings.backup.every, now).await,
        Ok(_) if settings.backup.every.is_none() => Finding::skipped(
            CHECK,
            format!("None is made by itself, and there is none in {folder}."),
            "Set SIMDECK_BACKUP_EVERY, and SIMDECK_BACKUP_DIR to a folder on another disk.",
        ),
        Ok(_) => Finding::problem(CHECK, format!("There is none in {folder}."), MAKE_ONE),
        Err(_) => Finding::problem(
            CHECK,
            format!("{folder} does not answer."),
            "Mend its disk or its mount, or choose another folder with SIMDECK_BACKUP_DIR.",
        ),
    }
}

async fn judge(newest: &NewestBackup, every: Option<Duration>, now: Timestamp) -> Finding {
    let NewestBackup { path, at, bytes } = newest;
    let shown = path.display();
    if let Some(fault) = fault(path).await {
        let finding = sentence(format!("The newest one, {shown}, cannot be restored: {fault}"));
        return Finding::problem(CHECK, finding, MAKE_ONE);
    }
    let told = format!("{shown} ({}), made at {at}", mib(*bytes));
    match every {
        Some(every) if now.since(*at) > every * EVERY_TIMES_MAX => {
            let finding = format!(
                "The newest one is {told}, though one should be made every {}.",
                span(every)
            );
            let todo = "Look at `backup` in /v1/status for why there is no newer one.";
            Finding::problem(CHECK, finding, todo)
        }
        _ => Finding::ok(CHECK, format!("The newest one opens and is whole: {told}.")),
    }
}

/// What is wrong with a copy, if anything is.
async fn fault(path: &Path) -> Option<String> {
    match examine(path, false).await {
        Ok(examined) => examined.faults.into_iter().next(),
        Err(error) => Some(super::place::with_causes(&error)),
    }
}
