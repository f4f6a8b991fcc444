//! Disks that the system itself makes small or read-only. Where nothing can be mounted, what stands
//! between simdeck and the system tells the same, and the line says so.
use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::{BufRead, BufReader, ErrorKind, Write},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use tempfile::TempDir;

use super::{
    says_why,
    sender::{Answer, Sender},
};
use crate::{
    process::Process,
    program::{Line, Program},
    trials::{tell, trials},
};

/// How often it fills; the long run sets `SIMDECK_TEST_TMPFS`.
const FULL: usize = 4;
/// How often it turns read-only; the long run sets `SIMDECK_TEST_READ_ONLY`.
const READ_ONLY: usize = 2;
/// Once it is known that the disk is full, 503 comes within this time.
const AT_ONCE: Duration = Duration::from_secs(2);

const TMPFS: &str = r#"mount -t tmpfs -o size=24m simdeck "$1""#;
const EXT4: &str = r#"mount -t ext4 -o loop "$2" "$1""#;

/// A data directory that lies on a disk of its own, for nobody else to see. It goes with this.
pub(super) struct Mounted {
    holder: Child,
    /// What a command must be begun with to see it.
    pub(super) within: Vec<OsString>,
    data: PathBuf,
    image: PathBuf,
}

impl Mounted {
    /// Mounts it, as root or as who may be root among its own; none where neither is allowed.
    pub(super) fn new(program: &Program, image: &Path, mount: &str) -> Option<Self> {
        fs::create_dir(program.data()).unwrap();
        let ways: [(&[&str], &[&str]); 2] =
            [(&[], &[]), (&["--map-root-user"], &["--user", "--preserve-credentials"])];
        ways.into_iter().find_map(|(unshare, enter)| {
            // It ends when the pipe does, however the test ends.
            let mut holder = Command::new("unshare")
                .arg("--mount")
                .args(unshare)
                .args(["sh", "-c", &format!("{mount} && echo mounted && exec cat"), "sh"])
                .args([&program.data(), image])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .ok()?;
            let mut said = String::new();
            BufReader::new(holder.stdout.take().unwrap()).read_line(&mut said).unwrap();
            if said != "mounted\n" {
                holder.wait().unwrap();
                return None;
            }
            let pid = holder.id().to_string();
            let within =
                ["nsenter", "--mount", "--target", &pid].into_iter().chain(enter.iter().copied());
            let within = within.map(OsString::from).collect();
            let (data, image) = (program.data(), image.to_owned());
            Some(Self { holder, within, data, image })
        })
    }

    pub(super) fn start(&self, program: &Program) -> Process {
        let mut process = program.spawn_within(&self.within, &[]);
        process.wait_for(&["Ready"]);
        process
    }

    /// Runs a line of shell where the disk is.
    fn run(&self, line: &str) {
        let ran = Command::new(&self.within[0])
            .args(&self.within[1..])
            .args(["sh", "-c", line, "sh"].map(OsStr::new))
            .args([&self.data, &self.image])
            .output()
            .unwrap();
        assert!(ran.status.success(), "{line}: {}", String::from_utf8_lossy(&ran.stderr));
    }

    /// A file in the data directory, as others have to call it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.data.strip_prefix("/").unwrap()).join(name)
    }

    /// Takes or gives back room, so that this much is left.
    pub(super) fn leave(&self, bytes_left: u64) {
        let filler = File::create(self.file("filler")).unwrap();
        // The server may take some of it meanwhile.
        for _ in 0..100 {
            let disk = statvfs(self.file("")).unwrap();
            let free = disk.f_bavail * disk.f_frsize;
            let length = free.saturating_sub(bytes_left);
            let empty = FallocateFlags::empty();
            if length == 0 || fallocate(&filler, empty, 0, length).is_ok() {
                return;
            }
        }
        panic!("the disk cannot be filled");
    }

    /// The names of all files in a folder of the data directory, in order.
    pub(super) fn names(&self, folder: &str) -> Vec<String> {
        let names = fs::read_dir(self.file(folder)).into_iter().flatten();
        let mut names: Vec<_> =
            names.map(|name| name.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Takes all room but so many bytes.
    fn fill(&self, bytes_left: u64) {
        let mut filler = File::create(self.file("filler")).unwrap();
        let zeros = [0; 1 << 16];
        let full = loop {
            if let Err(error) = filler.write_all(&zeros) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::StorageFull);
        let length = filler.metadata().unwrap().len();
        filler.set_len(length - bytes_left.min(length)).unwrap();
    }

    /// How many acknowledged pushes the database, which nobody has open, lacks.
    pub(super) async fn lost(&self, sender: &Sender) -> usize {
        let copy = TempDir::new().unwrap();
        let database = copy.path().join("simdeck.db");
        fs::copy(self.file("simdeck.db"), &database).unwrap();
        assert!(!self.file("simdeck.db-wal").exists(), "not all is in the file that was copied");
        sender.lost(&database).await
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(self.holder.kill());
        drop(self.holder.wait());
    }
}

pub(super) fn readiness(program: &Program) -> u16 {
    Line::to(program.internal).unwrap().get("/readyz").unwrap().status
}

#[tokio::test]
async fn a_tmpfs_that_is_full_is_503_at_once_and_heals_in_the_same_process_once_there_is_room() {
    let count = trials("SIMDECK_TEST_TMPFS", FULL);
    let program = Program::new();
    let Some(disk) = Mounted::new(&program, Path::new(""), TMPFS) else {
        tell("a real disk that is full: 0 trials, since nothing can be mounted here");
        return;
    };
    let mut sender = Sender::to(&program);
    let mut rng = StdRng::seed_from_u64(20_240_905);
    for _ in 0..count {
        let server = disk.start(&program);
        sender.hang_up();
        sender.must_recover();
        let bits = rng.random_range(12..20);
        disk.fill(rng.random_range(0..1 << bits));
        sender.until_busy();
        for _ in 0..3 {
            let asked = Instant::now();
            // What needs less room than the one that failed may still be stored.
            let status = if sender.push() == Answer::Stored { 200 } else { 503 };
            assert!(asked.elapsed() < AT_ONCE, "{:?}", asked.elapsed());
            assert_eq!(readiness(&program), status);
        }
        fs::remove_file(disk.file("filler")).unwrap();
        sender.must_recover();
        assert_eq!(readiness(&program), 200);
        let log = server.end();
        assert!(!log.contains("panicked"), "{log}");
    }
    assert_eq!(disk.lost(&sender).await, 0);

    disk.run(r#"mount -o remount,bind,ro "$1""#);
    let said = program.spawn_within(&disk.within, &[]).refused();
    assert!(said.contains("simdeck.lock") || said.contains("Read-only file system"), "{said}");
    disk.run(r#"mount -o remount,bind,rw "$1""#);
    let server = disk.start(&program);
    sender.hang_up();
    sender.must_recover();
    server.end();
    assert_eq!(disk.lost(&sender).await, 0);
    tell(&format!("a real disk that is full and has room again: {count} trials, 0 failures"));
}

/// Pushes to a disk that takes nothing more: 503, or the server ends and says why.
fn must_not_acknowledge(mut server: Process, sender: &mut Sender) {
    for _ in 0..5 {
        match sender.push() {
            Answer::Stored => panic!("acknowledged on a disk that is read-only"),
            Answer::Busy => (),
            Answer::Gone => break,
        }
    }
    server.signal_term();
    let Err((code, log)) = server.comes_to("no line of the log says this") else { unreachable!() };
    if code != Some(0) {
        says_why(&"a disk that is read-only", (code, log));
    }
}

#[tokio::test]
async fn a_file_system_that_turns_read_only_acknowledges_nothing_and_has_all_once_it_is_mended() {
    let count = trials("SIMDECK_TEST_READ_ONLY", READ_ONLY);
    let (program, folder) = (Program::new(), TempDir::new().unwrap());
    let image = folder.path().join("image");
    File::create(&image).unwrap().set_len(24 << 20).unwrap();
    let made = Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image).status();
    let is_made = made.is_ok_and(|made| made.success());
    let disk = if is_made { Mounted::new(&program, &image, EXT4) } else { None };
    let Some(disk) = disk else {
        tell("a file system that turns read-only: 0 trials, since none can be mounted here");
        return;
    };
    let mut sender = Sender::to(&program);
    for _ in 0..count {
        let server = disk.start(&program);
        sender.hang_up();
        sender.must_recover();
        // What ext4 does by itself when it finds that its disk has failed. A mere remount is refused
        // for as long as somebody has files open.
        disk.run(r#"mount -o remount,abort "$1""#);
        must_not_acknowledge(server, &mut sender);
        disk.run(r#"umount "$1" && e2fsck -fy "$2" >&2 || [ $? -eq 1 ]"#);
        disk.run(EXT4);
        let server = disk.start(&program);
        sender.hang_up();
        sender.must_recover();
        server.end();
    }
    assert_eq!(disk.lost(&sender).await, 0);
    tell(&format!("a file system that turns read-only and is mended: {count} trials, 0 failures"));
}

/// A program whose data directory or database lies on the disk, and the other in a folder beside it.
fn start_apart(disk: &Mounted, program: &Program, data: &Path, database: &Path) -> Process {
    let url = OsString::from(format!("sqlite://{}", database.display()));
    let variables = [
        ("SIMDECK_DATA_DIR", data.as_os_str()),
        ("SIMDECK_DATABASE_URL", url.as_os_str()),
        ("SIMDECK_DISK_RESERVE", OsStr::new("8MiB")),
    ];
    let mut process = program.spawn_within(&disk.within, &variables);
    process.wait_for(&["Ready"]);
    process
}

/// Pushes until the answer is another, which has to come soon.
fn until(sender: &mut Sender, wanted: Answer) {
    let began = Instant::now();
    while sender.push() != wanted {
        assert!(began.elapsed() < Duration::from_secs(10), "it is never {wanted:?}");
    }
}

fn of_folder(program: &Program, name: &str) -> serde_json::Value {
    let status = program.ask("/v1/status");
    let folders = status["disk"]["folders"].as_array().unwrap();
    folders.iter().find(|folder| folder["name"] == name).unwrap().clone()
}

#[test]
fn the_reserve_is_left_free_on_the_disk_of_the_database_wherever_the_data_directory_lies() {
    let program = Program::new();
    let Some(disk) = Mounted::new(&program, Path::new(""), TMPFS) else {
        tell("a database on a disk of its own: 0 trials, since nothing can be mounted here");
        return;
    };
    let beside = program.data().with_file_name("beside");
    fs::create_dir(&beside).unwrap();
    let link = beside.join("link.db");
    symlink(program.data().join("simdeck.db"), &link).unwrap();
    let mut sender = Sender::to(&program);
    for database in [program.data().join("simdeck.db"), link] {
        let server = start_apart(&disk, &program, &beside, &database);
        sender.hang_up();
        sender.must_recover();
        let (data, database) = (of_folder(&program, "data"), of_folder(&program, "database"));
        assert_eq!(data["is_elsewhere"], true, "{data}");
        assert_eq!(database["is_elsewhere"], false, "{database}");
        assert!(database["free_bytes"].as_u64().unwrap() < 24 << 20, "{database}");
        disk.fill(4 << 20);
        until(&mut sender, Answer::Busy);
        assert_eq!(readiness(&program), 503);
        fs::remove_file(disk.file("filler")).unwrap();
        until(&mut sender, Answer::Stored);
        server.end();
    }

    let server = start_apart(&disk, &program, &program.data(), &beside.join("simdeck.db"));
    sender.hang_up();
    sender.must_recover();
    disk.fill(1 << 20);
    let began = Instant::now();
    let metrics = || Line::to(program.internal).unwrap().get("/metrics").unwrap().text();
    let low = "simdeck_conditions{condition=\"folder_low\"} 1";
    while !metrics().contains(low) {
        assert!(began.elapsed() < Duration::from_secs(10), "{}", metrics());
        assert_eq!(sender.push(), Answer::Stored);
    }
    assert!(
        metrics().contains("simdeck_folder_free_bytes{folder=\"data\"} 1048576"),
        "{}",
        metrics()
    );
    assert_eq!(readiness(&program), 200, "pushes do not go to that disk");
    server.end();
}
