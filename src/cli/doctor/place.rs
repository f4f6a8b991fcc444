//! The data directory and its database, without a server.
use std::{
    fs::{self, Metadata},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    time::Duration,
};

use rustix::process::geteuid;

use crate::{
    cli::{
        finding::Finding,
        identity_rule,
        settings::{Settings, WideFile},
    },
    domain::{BelievedTime, Clock, ClockEvidence, SystemClock, Timestamp, counted, sentence},
    store::{StoreError, examine, missing_database},
};

/// What others may not have: anything.
const OTHERS: u32 = 0o077;
/// Clocks of one machine do not differ, and none was right before this was written.
const CLOCK_SLACK: Duration = Duration::from_secs(60);
const WRITTEN: Timestamp = Timestamp::from_unix_ms(1_767_225_600_000);

/// Who may look into the data directory.
pub(super) fn permissions(settings: &Settings) -> Vec<Finding> {
    const CHECK: &str = "permissions";
    let folder = &settings.data_dir;
    let whole = match fs::metadata(folder) {
        Ok(whole) => whole,
        Err(error) => {
            let finding = format!("{} cannot be looked at: {error}.", folder.display());
            let todo =
                "Name the right one with --data-dir, or start `simdeck serve`, which makes it.";
            return vec![Finding::problem(CHECK, finding, todo)];
        }
    };
    let mut found: Vec<Finding> = odd(folder, &whole).into_iter().collect();
    let files = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    match files {
        Ok(files) => found.extend(files.iter().filter_map(|file| {
            let path = file.path();
            // One that has gone meanwhile is no problem.
            let about = fs::symlink_metadata(&path).ok().filter(Metadata::is_file)?;
            odd(&path, &about)
        })),
        Err(error) => {
            let finding = format!("{} cannot be read: {error}.", folder.display());
            let todo = "Run the doctor as the user that runs simdeck.";
            found.push(Finding::problem(CHECK, finding, todo));
        }
    }
    found.extend(settings.wide_files().into_iter().map(|WideFile { path, mode }| {
        let shown = path.display();
        let finding =
            format!("{shown} holds a secret and others can use it: its mode is {mode:04o}.");
        Finding::problem(CHECK, finding, format!("chmod 600 {shown}"))
    }));
    if found.is_empty() {
        let finding = format!("{} and all in it are for its owner alone.", folder.display());
        found.push(Finding::ok(CHECK, finding));
    }
    found
}

fn odd(path: &Path, about: &Metadata) -> Option<Finding> {
    let (shown, mode) = (path.display(), about.permissions().mode() & 0o7777);
    if mode & OTHERS != 0 {
        let finding = format!("Others may use {shown}: its mode is {mode:04o}.");
        let right = if about.is_dir() { "700" } else { "600" };
        return Some(Finding::problem("permissions", finding, format!("chmod {right} {shown}")));
    }
    let we = geteuid();
    if !we.is_root() && about.uid() != we.as_raw() {
        let finding =
            format!("{shown} belongs to user {}, and we are {}.", about.uid(), we.as_raw());
        let todo = "Run the doctor as the user that runs simdeck, or give it the file with chown.";
        return Some(Finding::problem("permissions", finding, todo));
    }
    None
}

/// Integrity and schema of the database, and the clock against what stands in it.
pub(super) async fn database(settings: &Settings, thorough: bool) -> Vec<Finding> {
    let (path, now) = (&settings.database, SystemClock.now());
    let shown = path.display();
    if let Some(absent) = absent(settings) {
        return vec![absent, clock(now, None, BelievedTime::default())];
    }
    let examined = match examine(path, thorough).await {
        Ok(examined) => examined,
        Err(error) => {
            let finding = format!("{shown} cannot be read: {}.", with_causes(&error));
            let todo = "If it is broken, stop simdeck and restore the newest backup; keep the broken \
                        file.";
            return vec![
                Finding::problem("database", finding, todo),
                clock(now, None, BelievedTime::default()),
            ];
        }
    };
    let integrity = match examined.faults.first() {
        None if thorough => Finding::ok("database", format!("{shown} is whole, indexes included.")),
        None => Finding::ok("database", format!("{shown} is whole.")),
        Some(first) => Finding::problem(
            "database",
            format!("{shown} is broken in {} places; the first: {first}.", examined.faults.len()),
            "Stop simdeck, keep a copy of the file, and restore the newest backup.",
        ),
    };
    let (schema, known) = (examined.schema, examined.schema_known);
    let told = format!(
        "simdeck {} with SQLite {}; the database's schema is {schema}, this version's {known}.",
        env!("CARGO_PKG_VERSION"),
        examined.sqlite_version
    );
    let versions = match schema.cmp(&known) {
        std::cmp::Ordering::Equal => Finding::ok("versions", told),
        std::cmp::Ordering::Less => {
            Finding::problem("versions", told, "Start this version's `simdeck serve`: it migrates.")
        }
        std::cmp::Ordering::Greater => {
            Finding::problem("versions", told, "Use the newer simdeck that wrote the database.")
        }
    };
    let clock = clock(now, examined.newest_push, examined.believed_time);
    let list = erased_list(settings, &examined.unreadable_erasures);
    let identity = identity_rule::finding(settings, &examined.identity_rule, now)
        .map(|(finding, todo)| Finding::problem("identity", finding, todo));
    [integrity, versions, clock].into_iter().chain(list).chain(identity).collect()
}

/// Says so where there is no database.
fn absent(settings: &Settings) -> Option<Finding> {
    const CHECK: &str = "database";
    if let Some(missing) = missing_database(&settings.data_dir, &settings.database) {
        let todo =
            "Until that is done no server starts, so that none takes pushes into another database.";
        return Some(Finding::problem(CHECK, sentence(missing.to_string()), todo));
    }
    if settings.database.exists() {
        return None;
    }
    let finding = format!("There is no {}.", settings.database.display());
    let todo = "Name the right one with --database-url or --data-dir, or start `simdeck serve`, which \
                makes it.";
    Some(Finding::problem(CHECK, finding, todo))
}

fn erased_list(settings: &Settings, unreadable: &[usize]) -> Option<Finding> {
    let first = unreadable.first()?;
    let finding = format!(
        "The list {}.erased has {} that cannot be read; the first is line {first}.",
        settings.database.display(),
        counted(unreadable.len() as i128, "line", "lines"),
    );
    let todo = "Compare `simdeck erase list` with what you erased, erase again what is missing, and \
                take the line out: a restore could bring such a SIM back.";
    Some(Finding::problem("erased_list", finding, todo))
}

fn clock(now: Timestamp, newest_push: Option<Timestamp>, believed: BelievedTime) -> Finding {
    const CHECK: &str = "clock";
    const REMEDY: &str = "Set the clock, and keep it right with NTP (`timedatectl set-ntp true`): by a \
                        wrong one pushes count as too old or ahead.";
    if now < WRITTEN {
        return Finding::problem(CHECK, format!("It is {now} by it, which cannot be."), REMEDY);
    }
    if let Some(ClockEvidence { pushed, received }) = believed.newest
        && believed.fault(now).is_some()
    {
        let finding = format!(
            "It is {now} by it; the newest authentic push is of {pushed} and came at {received} by it."
        );
        return Finding::problem(CHECK, finding, REMEDY);
    }
    match newest_push {
        Some(newest) if newest > now.plus(CLOCK_SLACK) => {
            let finding = format!("It is {now} by it, and the newest push came at {newest}.");
            Finding::problem(CHECK, finding, REMEDY)
        }
        _ => Finding::ok(CHECK, format!("It is {now} by it, and nothing says otherwise.")),
    }
}

/// With its causes.
pub(super) fn with_causes(error: &StoreError) -> String {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |it| it.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
