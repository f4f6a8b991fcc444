//! A disk under attack: simdeck runs with `tests/disk/disk.c` between it and the system, which
//! keeps a journal of what the disk was told, fails when told to, and turns the clock.
mod crash;
mod journal;
mod lost_writes;

use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use tempfile::TempDir;

use crate::{process::Process, program::Program};

/// A number that the library in `disk.c` shares with the test, by its place.
#[derive(Clone, Copy)]
pub(crate) enum Number {
    SyncsLie = 10,
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
        let (control, journal) = (self.folder.path().join("control"), self.journal());
        program.spawn(&[
            ("LD_PRELOAD", library().as_os_str()),
            ("DISK_FOLDER", program.data().as_os_str()),
            ("DISK_CONTROL", control.as_os_str()),
            ("DISK_JOURNAL", journal.as_os_str()),
        ])
    }

    /// What the disk was told, so far.
    pub(crate) fn journal(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    /// How long the journal is now: what comes later was not yet told.
    pub(crate) fn position(&self) -> u64 {
        fs::metadata(self.journal()).map_or(0, |about| about.len())
    }

    pub(crate) fn set(&self, number: Number, value: i64) {
        self.control.write_all_at(&value.to_ne_bytes(), 8 * number as u64).unwrap();
    }
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
