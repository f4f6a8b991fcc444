//! A disk under attack: simdeck runs with `tests/disk/disk.c` between it and the system, which
//! keeps a journal of what the disk was told, fails when told to, and turns the clock.
mod as_root;
mod backlog_clock;
mod backup_cut;
mod backup_room;
mod clock;
mod copy_room;
mod crash;
mod faults;
mod forecast;
mod full;
mod held;
mod journal;
mod leftovers;
mod linked;
mod lost_writes;
pub(crate) mod migration;
mod missing;
mod mounted;
mod moved;
mod no_room;
mod operations;
mod outsider;
mod poll_clock;
mod restored;
mod retention_clock;
mod ring;
mod room_made;
mod sender;
mod shared_folder;
mod silent_folder;
mod unseen_dates;
mod upgraded_again;

use std::{
    env,
    ffi::{OsStr, OsString},
    fmt,
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use tempfile::TempDir;

use crate::{
    process::{Process, WRONG_SETTINGS},
    program::Program,
};

/// A number that the library in `disk.c` shares with the test, by its place.
#[derive(Clone, Copy)]
pub(crate) enum Number {
    Syncs,
    Writes,
    SyncFailsFrom,
    SyncFailsTo,
    WriteFailsFrom,
    WriteFailsTo,
    Errno,
    RoomIsSmall,
    Room,
    ClockAheadS,
    SyncsLie,
    ReadOnly,
    Hangs,
    UptimeAheadS,
}

/// What stands between a simdeck and its data directory.
pub(crate) struct Disk {
    folder: TempDir,
    control: File,
}

impl Disk {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let control = folder.path().join("control");
        fs::write(&control, [0; 4096]).unwrap();
        let control = File::options().read(true).write(true).open(control).unwrap();
        Self { folder, control }
    }

    /// Starts a program on this disk.
    pub(crate) fn start(&self, program: &Program) -> Process {
        let mut process = self.spawn(program);
        process.wait_for(&["Ready"]);
        process
    }

    /// The same, and does not wait.
    pub(crate) fn spawn(&self, program: &Program) -> Process {
        let environment = self.environment(&program.data());
        let variables: Vec<_> =
            environment.iter().map(|(name, value)| (*name, value.as_os_str())).collect();
        program.spawn(&variables)
    }

    /// What a program must be told to run on this disk.
    pub(crate) fn environment(&self, data: &Path) -> [(&'static str, OsString); 4] {
        [
            ("LD_PRELOAD", library().into()),
            ("DISK_FOLDER", data.into()),
            ("DISK_CONTROL", self.folder.path().join("control").into()),
            ("DISK_JOURNAL", self.journal().into()),
        ]
    }

    /// The same without a journal, which long runs would fill.
    pub(crate) fn without_journal(&self, data: &Path) -> Vec<(&'static str, OsString)> {
        let given = self.environment(data).into_iter();
        given.filter(|(name, _)| *name != "DISK_JOURNAL").collect()
    }

    /// What the disk was told, so far.
    pub(crate) fn journal(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    /// How long the journal is now: what comes later was not yet told.
    pub(crate) fn position(&self) -> u64 {
        fs::metadata(self.journal()).map_or(0, |about| about.len())
    }

    pub(crate) fn get(&self, number: Number) -> i64 {
        let mut bytes = [0; 8];
        self.control.read_exact_at(&mut bytes, 8 * number as u64).unwrap();
        i64::from_ne_bytes(bytes)
    }

    pub(crate) fn set(&self, number: Number, value: i64) {
        self.control.write_all_at(&value.to_ne_bytes(), 8 * number as u64).unwrap();
    }
}

/// A server that a disk has ended did not panic, and says what it ended of.
fn says_why(cause: &impl fmt::Debug, (code, log): (Option<i32>, String)) {
    assert!(matches!(code, Some(1 | WRONG_SETTINGS)), "{cause:?}, {code:?}: {log}");
    let last = log.lines().last().unwrap_or_default();
    assert!(last.starts_with("error: ") && last.len() > 40, "{cause:?}: {log}");
    assert!(!log.contains("panicked"), "{cause:?}: {log}");
}

/// The library, compiled once for this process with the compiler that Rust links with.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, library) = LIBRARY.get_or_init(|| {
        let folder = TempDir::new().unwrap();
        let library = folder.path().join("disk.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/disk/disk.c");
        let compiler = env::var_os("CC").unwrap_or("cc".into());
        let compiled = Command::new(compiler)
            .args(["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"].map(OsStr::new))
            .args([library.as_os_str(), source.as_os_str()])
            .args(["-ldl", "-lpthread"])
            .status();
        assert!(compiled.unwrap().success(), "{} does not compile", source.display());
        (folder, library)
    });
    library
}
