//! The newest backup: whether there is one, how old it is, and whether it opens.
use std::{io::ErrorKind, path::Path, time::Duration};

use tokio::{task::spawn_blocking, time::timeout};

use super::Finding;
use crate::{
    cli::settings::Settings,
    domain::{Clock, SystemClock, Timestamp, mib, sentence, span},
    store::{NewestBackup, examine, newest_backup, opens},
};

const CHECK: &str = "backup";
/// How long a folder may take that is perhaps far away.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// How long a thorough look at a whole copy may take.
const THOROUGH_WAIT_MAX: Duration = Duration::from_secs(60 * 60);
/// One may take long, and the next one waits for it.
const EVERY_TIMES_MAX: u32 = 2;
const MEND: &str = "Mend its disk or its mount, or choose another folder with SIMDECK_BACKUP_DIR.";
const MAKE_ONE: &str = "Look at the disk of the backups, then make one with `simdeck backup`.";

/// Looks at it, and says how it is: whether it opens, or whether all of it is whole.
pub(super) async fn look(settings: &Settings, thorough: bool) -> Finding {
    let (folder, now) = (settings.backup.dir.clone(), SystemClock.now());
    let looking = spawn_blocking(move || newest_backup(&folder, now));
    let folder = settings.backup.dir.display();
    match timeout(WAIT_MAX, looking).await {
        Ok(Ok(Ok(Some(newest)))) => {
            let judging = judge(&newest, settings.backup.every, now, thorough);
            let wait_max = if thorough { THOROUGH_WAIT_MAX } else { WAIT_MAX };
            timeout(wait_max, judging).await.unwrap_or_else(|_| {
                let shown = newest.path.display();
                let finding =
                    format!("The newest one, {shown}, was not read within {}.", span(wait_max));
                Finding::problem(CHECK, finding, MEND)
            })
        }
        Ok(Ok(Err(error))) if error.kind() != ErrorKind::NotFound => {
            let finding = format!("{folder} cannot be looked at: {error}.");
            let todo =
                "Run the doctor as the user that runs simdeck, and let that user read the folder.";
            Finding::problem(CHECK, finding, todo)
        }
        Ok(_) if settings.backup.every.is_none() => Finding::skipped(
            CHECK,
            format!("None is made by itself, and there is none in {folder}."),
            "Set SIMDECK_BACKUP_EVERY, and SIMDECK_BACKUP_DIR to a folder on another disk.",
        ),
        Ok(_) => Finding::problem(CHECK, format!("There is none in {folder}."), MAKE_ONE),
        Err(_) => Finding::problem(CHECK, format!("{folder} does not answer."), MEND),
    }
}

async fn judge(
    newest: &NewestBackup,
    every: Option<Duration>,
    now: Timestamp,
    thorough: bool,
) -> Finding {
    let NewestBackup { path, at, bytes } = newest;
    let shown = path.display();
    if let Some(fault) = fault(path, thorough).await {
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
        _ if thorough => Finding::ok(CHECK, format!("The newest one opens and is whole: {told}.")),
        _ => Finding::ok(CHECK, format!("The newest one opens: {told}.")),
    }
}

/// What is wrong with a copy, if anything is.
async fn fault(path: &Path, thorough: bool) -> Option<String> {
    let looked = match thorough {
        true => examine(path, true).await.map(|examined| examined.faults.into_iter().next()),
        false => opens(path).await.map(|()| None),
    };
    looked.unwrap_or_else(|error| Some(super::place::with_causes(&error)))
}
