//! The newest backup: whether there is one, how old it is, and whether it opens.
use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{task::spawn_blocking, time::timeout};

use crate::{
    cli::{finding::Finding, settings::Settings},
    domain::{Clock, SystemClock, Timestamp, counted, mib, sentence, span},
    store::{
        CopyOwner, NewestBackup, backups_of_others, examine, known_copies, lost_backup,
        newest_backup, opens,
    },
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

/// Looks at it, and says how it is: whether it opens, or whether all of it is whole; and what the folder has
/// of others, and what it has lost.
pub(super) async fn look(settings: &Settings, thorough: bool) -> Vec<Finding> {
    let (owner, remembered) = known_copies(&settings.database).await.unwrap_or_default();
    let (owner, now) = (Arc::new(owner), SystemClock.now());
    let newest = look_at_newest(settings, Arc::clone(&owner), (now, thorough)).await;
    let (folder, keep) = (settings.backup.dir.clone(), settings.backup.kept);
    let looking = spawn_blocking(move || {
        let others = backups_of_others(&folder, now, &owner).unwrap_or_default();
        let lost = lost_backup(&folder, keep, &owner, &remembered).unwrap_or_default();
        (others, lost)
    });
    let (others, lost) = match timeout(WAIT_MAX, looking).await {
        Ok(Ok(looked)) => looked,
        // That it does not answer was told.
        _ => Default::default(),
    };
    [Some(newest), lost.map(of_lost), of_others(&others)].into_iter().flatten().collect()
}

fn of_lost(path: PathBuf) -> Finding {
    let finding = format!(
        "The backup folder has lost its copies: is its disk mounted? {}, the one that was made last, is \
         not there.",
        path.display()
    );
    let todo = "Mount it, or make a new one with `simdeck backup`; where you have taken that copy away \
                yourself, nothing is lost.";
    Finding::problem(CHECK, finding, todo)
}

fn of_others(others: &[PathBuf]) -> Option<Finding> {
    let finding = format!(
        "{} there of another store, the newest is {}: simdeck neither counts nor removes them.",
        counted(others.len() as i128, "copy is", "copies are"),
        others.last()?.display()
    );
    let todo = "If another server makes its backups there, give each a folder of its own with \
                SIMDECK_BACKUP_DIR: they share the list of erased SIMs, too. If they are from before this \
                store was restored in another place, delete them when nobody needs them.";
    Some(Finding::problem(CHECK, finding, todo))
}

async fn look_at_newest(
    settings: &Settings,
    owner: Arc<CopyOwner>,
    (now, thorough): (Timestamp, bool),
) -> Finding {
    let folder = settings.backup.dir.clone();
    let looking = spawn_blocking(move || newest_backup(&folder, now, &owner));
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
