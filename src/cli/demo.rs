//! `serve --demo`: a made-up fleet in a data directory of its own.
use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::watch;

use super::{
    Failure,
    reload::Reread,
    settings::{Settings, Source},
};
use crate::{
    demo::{DemoClock, ROUTERS, SIMS},
    domain::{PollReport, Secret},
    http::Rcms,
    rcms,
    store::{is_taken, make_file, make_folder},
};

/// The demo's data directory, inside the configured one.
const FOLDER: &str = "demo";
/// The file in it that tells a demo's data directory from any other; it says whether the story was
/// told to its end. A folder of this name is no such file: it is what the directory around a demo has.
const MARK: &str = "demo";
const TOLD: &str = "told";
const DATABASE: &str = "simdeck.db";
/// A demo that stopped longer ago is made anew: its incidents are old.
const FRESH: Duration = Duration::from_secs(15 * 60);
/// Where a demo listens unless the settings say otherwise: beside the true server, not in its place.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8082);
/// The member of a message that holds its text.
const TEXT_FIELD: &str = "content";

/// The settings of a demo: its own data directory and port, and nobody outside who asks or is asked.
pub(super) fn settings(mut settings: Settings) -> Settings {
    let mut lines = settings.in_force.iter();
    let is_default = lines.any(|line| {
        line.setting.name() == "internal.listen" && matches!(line.source, Source::Default)
    });
    if is_default {
        settings.internal.listen = LISTEN;
        // What is set is the address of the true server.
        settings.internal.url = None;
    }
    settings.data_dir = settings.data_dir.join(FOLDER);
    settings.backup.dir = settings.data_dir.join("backups");
    settings.database = settings.data_dir.join(DATABASE);
    settings.public.tls_cert = None;
    settings.public.tls_key = None;
    settings.internal.tls_cert = None;
    settings.internal.tls_key = None;
    settings.push.keys = Vec::new();
    settings.push.date_shift_s = 0;
    settings.rcms.endpoint = None;
    settings.alert.url = None;
    settings.backup.every = None;
    settings.sms.text_field = Some(TEXT_FIELD.to_owned());
    settings
}

/// A demo pushes with its own key whatever the settings say when they are read again.
pub(super) fn reread(reread: Reread) -> Reread {
    Box::new(move || reread().map(settings))
}

/// Makes the data directory, or takes a demo that is old out of it. True if a story has to be told.
pub(super) fn prepare(settings: &Settings) -> Result<bool, Failure> {
    let folder = &settings.data_dir;
    let cannot = |error: io::Error| {
        Failure::because(format!("the demo's data directory {} cannot be made", folder.display()))(
            error,
        )
    };
    make_folder(folder).map_err(cannot)?;
    let mark = folder.join(MARK);
    let database = folder.join(DATABASE);
    if !mark.is_file() && database.exists() {
        return Err(Failure::new(format!(
            "{} holds a store that is no demo: choose another directory with SIMDECK_DATA_DIR",
            folder.display()
        ))
        .lasting());
    }
    let is_told = fs::read_to_string(&mark).is_ok_and(|text| text == TOLD);
    if is_told && is_fresh(&database) {
        return Ok(false);
    }
    // The list names SIMs by the secret of the database that goes.
    for ending in ["", "-wal", "-shm", ".erased"] {
        match fs::remove_file(folder.join(format!("{DATABASE}{ending}"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(cannot(error)),
            _ => (),
        }
    }
    match make_file(&mark) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::write(&mark, ""),
        made => made.map(drop),
    }
    .map_err(cannot)?;
    Ok(true)
}

/// Whether the data directory is a demo's.
pub(super) fn is_demo(settings: &Settings) -> bool {
    settings.data_dir.join(MARK).is_file()
}

/// The settings of the demo beside the store of these, where a demo runs and no server does.
pub(super) fn running_alone(settings: &Settings) -> Option<Settings> {
    let is_held = |folder: &Path| is_taken(folder).unwrap_or_default();
    if is_held(&settings.data_dir) {
        return None;
    }
    let demo = self::settings(settings.clone());
    (is_demo(&demo) && is_held(&demo.data_dir)).then_some(demo)
}

/// Notes that the story was told.
pub(super) fn told(settings: &Settings) -> Result<(), Failure> {
    fs::write(settings.data_dir.join(MARK), TOLD)
        .map_err(Failure::because("the demo cannot be marked as whole"))
}

/// Refuses to serve a demo as if it were true.
pub(super) fn refuse_as_real(settings: &Settings) -> Result<(), Failure> {
    if !is_demo(settings) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{} holds a demo: run `simdeck serve --demo`, or choose another directory with SIMDECK_DATA_DIR",
        settings.data_dir.display()
    ))
    .lasting())
}

/// It is written each second while it runs.
fn is_fresh(database: &Path) -> bool {
    let written = fs::metadata(database).and_then(|file| file.modified());
    written.is_ok_and(|at| at.elapsed().is_ok_and(|ago| ago < FRESH))
}

/// RCMS as it would look; nobody is at its address.
pub(super) fn rcms(
    report: watch::Receiver<PollReport>,
    good_for: Duration,
    clock: Arc<DemoClock>,
) -> Result<Rcms, Failure> {
    let wrong = |what: &str| Failure::new(format!("the demo's {what} is none"));
    let account = rcms::Account {
        endpoint: "http://127.0.0.1:9".parse().map_err(|_| wrong("address"))?,
        client_id: "demo".parse().map_err(|_| wrong("name"))?,
        client_secret: Secret::from("demo".to_owned()),
        variant: rcms::SigningVariant::default(),
    };
    let options = rcms::ClientOptions {
        clock,
        total_time_max: Duration::from_secs(2),
        retries: 0,
        authorities: None,
    };
    let client = rcms::Client::new(account, options).map_err(|error| Failure::told(&error))?;
    Ok(Rcms { client, report, good_for })
}

/// Shows on a terminal how far the story is.
pub(super) fn progress() -> ProgressBar {
    let template = "{msg} {wide_bar} {percent}% {eta}";
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(0).with_style(style);
    bar.with_message(format!("Making {SIMS} SIMs, {ROUTERS} routers and four weeks of them"))
}

/// Says how many of how many hours are told.
pub(super) fn show(bar: &ProgressBar, done: u64, all: u64) {
    bar.set_length(all);
    // What is shown nowhere is told now and then.
    if bar.is_hidden() && done > bar.position() && done.is_multiple_of(all / 6) {
        tracing::info!(done, all, "Making four weeks of a demo, hour by hour");
    }
    bar.set_position(done);
}
