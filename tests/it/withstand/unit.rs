//! The shipped unit: what its filter of system calls and its limits leave of us.
//!
//! systemd itself does not run here, so the filter is made from the unit's lines as systemd.exec(5)
//! describes them, with the groups that `systemd-analyze` tells, and laid on the thread that starts
//! the server. Folders that are read-only or not there are not shown.
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};

use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    process::geteuid,
    thread::{CapabilitySet, remove_capability_from_bounding_set},
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule,
};
use sqlx::{
    ConnectOptions, Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode},
};
use tempfile::TempDir;

use crate::{
    process::WRONG_SETTINGS,
    server::{Simdeck, refused_start_with, run_with, signed, usage},
};

const UNIT: &str = include_str!("../../../deploy/simdeck.service");
/// The unit's `LimitNOFILE` and `LimitCORE`.
const LIMITS: [&str; 3] = ["prlimit", "--nofile=16384", "--core=0"];
const EPERM: u32 = 1;
/// As of all commands that cannot be understood.
const WRONG_COMMAND: i32 = 2;

/// The values of a setting of the unit, in their order.
fn of_unit(name: &str) -> impl Iterator<Item = &'static str> {
    UNIT.lines().filter_map(move |line| line.strip_prefix(name)?.strip_prefix('='))
}

/// What stands in a group of system calls, by name.
fn group(name: &str) -> BTreeSet<String> {
    let told = Command::new("systemd-analyze").args(["syscall-filter", name]).output().unwrap();
    assert!(told.status.success(), "{told:?}");
    let told = String::from_utf8(told.stdout).unwrap();
    let words = told.lines().skip(1).map(str::trim).filter(|word| !word.starts_with('#'));
    words.flat_map(named).collect()
}

/// A system call, or all of a group.
fn named(word: &str) -> BTreeSet<String> {
    match word {
        "" => BTreeSet::new(),
        group_name if group_name.starts_with('@') => group(group_name),
        call => [call.to_owned()].into(),
    }
}

/// What the unit's filter lets through: the first list allows, each later one adds or takes away.
fn allowed() -> BTreeSet<String> {
    // systemd always leaves what a program needs to start and to end.
    let mut allowed = group("@default");
    for line in of_unit("SystemCallFilter") {
        let (takes_away, line) = line.strip_prefix('~').map_or((false, line), |line| (true, line));
        for call in line.split_whitespace().flat_map(named) {
            match takes_away {
                true => allowed.remove(&call),
                false => allowed.insert(call),
            };
        }
    }
    allowed
}

/// The numbers of system calls on this machine, from the kernel's header, which comes with a C library's.
fn numbers() -> BTreeMap<String, i64> {
    let header = ["x86_64-linux-gnu/asm/unistd_64.h", "aarch64-linux-gnu/asm/unistd_64.h"]
        .into_iter()
        .chain(["asm/unistd_64.h", "asm-generic/unistd.h"])
        .map(|path| Path::new("/usr/include").join(path))
        .find(|path| path.exists());
    let header = fs::read_to_string(header.expect("apt-get install linux-libc-dev")).unwrap();
    let number = |line: &str| {
        let (name, number) = line.strip_prefix("#define __NR_")?.split_once(char::is_whitespace)?;
        Some((name.to_owned(), number.trim().parse().ok()?))
    };
    header.lines().filter_map(number).collect()
}

fn argument(index: u8, operator: SeccompCmpOp, value: u64) -> SeccompRule {
    let condition = SeccompCondition::new(index, Dword, operator, value).unwrap();
    SeccompRule::new(vec![condition]).unwrap()
}

/// The unit's `SystemCallFilter`, `RestrictAddressFamilies` and `MemoryDenyWriteExecute`.
fn filter() -> BpfProgram {
    const WRITE: u64 = 2;
    const EXECUTE: u64 = 4;
    let families = of_unit("RestrictAddressFamilies").flat_map(str::split_whitespace);
    let families = families.map(|name| match name {
        "AF_UNIX" => 1,
        "AF_INET" => 2,
        "AF_INET6" => 10,
        other => panic!("{other} is not known here"),
    });
    let families: Vec<_> = families.map(|it| argument(0, SeccompCmpOp::Eq, it)).collect();
    let masked = |mask, value| argument(2, SeccompCmpOp::MaskedEq(mask), value);
    let numbers = numbers();
    let allowed = allowed();
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        allowed.iter().filter_map(|name| Some((*numbers.get(name)?, vec![]))).collect();
    rules.insert(numbers["socket"], families);
    assert_eq!(of_unit("MemoryDenyWriteExecute").next(), Some("yes"));
    let maps = [0, WRITE, EXECUTE].map(|value| masked(WRITE | EXECUTE, value));
    rules.insert(numbers["mmap"], maps.into());
    rules.insert(numbers["mprotect"], vec![masked(EXECUTE, 0)]);
    let (refused, let_through) = (SeccompAction::Errno(EPERM), SeccompAction::Allow);
    let arch = std::env::consts::ARCH.try_into().unwrap();
    SeccompFilter::new(rules, refused, let_through, arch).unwrap().try_into().unwrap()
}

/// Starts it as the unit does.
fn start() -> Simdeck {
    let filter = filter();
    // What the thread may not do, what it starts may not do either.
    let starting = thread::spawn(move || {
        assert_eq!(of_unit("CapabilityBoundingSet").collect::<Vec<_>>(), [""]);
        if geteuid().is_root() {
            for capability in CapabilitySet::all() {
                // Those that this kernel does not know, nobody has.
                let _unknown = remove_capability_from_bounding_set(capability);
            }
        }
        seccompiler::apply_filter(&filter).unwrap();
        Simdeck::start_under(&LIMITS, Arc::new(TempDir::new().unwrap()), &[])
    });
    starting.join().unwrap()
}

/// How nice each thread is.
fn niceness(simdeck: &Simdeck) -> Vec<i64> {
    let tasks = format!("/proc/{}/task", simdeck.pid().as_raw_nonzero());
    let stat = |task: fs::DirEntry| fs::read_to_string(task.path().join("stat")).ok();
    let stats = fs::read_dir(tasks).unwrap().filter_map(|task| stat(task.unwrap()));
    // Behind the name, which is in brackets, nice is the 17th.
    let nice = |stat: String| stat.rsplit_once(')')?.1.split_whitespace().nth(16)?.parse().ok();
    stats.filter_map(nice).collect()
}

#[tokio::test]
async fn under_the_units_filter_all_works_and_reads_give_way() {
    let simdeck = start();
    // So many that to read them takes long enough to give way.
    let row = |giccid: u64| format!("{{{}}}", usage(&giccid.to_string()));
    let rows: Vec<_> = (8_944_501_503_181_377_993..).take(2_000).map(row).collect();
    let rows = signed(&format!(r#""rows":[{}]"#, rows.join(",")));
    assert_eq!(simdeck.push("data-usage", rows).await, (2_000, 0, 0));
    simdeck.get("/v1/data-usage/aggregate?group_by=giccid").await;
    let (status, made) = simdeck.ask(reqwest::Method::POST, "/v1/backup").await;
    assert!((200..300).contains(&status), "{status} {made}");
    let nice = niceness(&simdeck);
    assert!(nice.iter().min() < nice.iter().max(), "no read gave way: {nice:?}");
    let log = simdeck.end();
    assert!(!log.contains("ERROR"), "{log}");
}

#[test]
fn what_stays_wrong_ends_with_the_code_that_the_unit_does_not_start_again() {
    let codes = format!("{WRONG_COMMAND} {WRONG_SETTINGS}");
    assert_eq!(of_unit("RestartPreventExitStatus").collect::<Vec<_>>(), [codes]);
    let folder = TempDir::new().unwrap();
    for misspelt in [&["serve", "--publik-listen", "127.0.0.1:0"][..], &["sreve"]] {
        let ended = run_with(folder.path(), &[], misspelt).status.code();
        assert_eq!(ended, Some(WRONG_COMMAND), "{misspelt:?}");
    }
    for (name, value) in [
        ("SIMDECK_PUBLIC_LISTEN", "nowhere"),
        ("SIMDECK_LOG", "no=such=filter"),
        ("SIMDECK_LOG", "inof"),
        ("SIMDECK_LOG", "info,loud"),
        ("SIMDECK_API_KEY", "short"),
    ] {
        refused_start_with(WRONG_SETTINGS, folder.path(), &[(name, value)]);
    }
    // A certificate's folder is there, and the file in it is not, or is none.
    let (there, none) = (folder.path().join("there.pem"), folder.path().join("their.pem"));
    fs::write(&there, "no PEM").unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(3_600);
    fs::File::options().write(true).open(&there).unwrap().set_modified(long_ago).unwrap();
    let elsewhere = folder.path().join("not-mounted/there.pem");
    for (code, path) in [(WRONG_SETTINGS, &none), (WRONG_SETTINGS, &there), (1, &elsewhere)] {
        let path = path.to_str().unwrap();
        let settings = [("SIMDECK_PUBLIC_TLS_CERT", path), ("SIMDECK_PUBLIC_TLS_KEY", path)];
        refused_start_with(code, folder.path(), &settings);
    }
    // Whoever renews it is about to write the rest.
    fs::write(&there, "-----BEGIN CERTI").unwrap();
    let path = there.to_str().unwrap();
    let settings = [("SIMDECK_PUBLIC_TLS_CERT", path), ("SIMDECK_PUBLIC_TLS_KEY", path)];
    refused_start_with(1, folder.path(), &settings);
    // What nobody is about to mend needs no minute to be told so.
    let long = "x".repeat(5_000);
    for junk in [&*long, "-----END CERTIFICATE-----", "-----BEGIN A-----\nA\n-----END A-----\n"] {
        fs::write(&there, junk).unwrap();
        refused_start_with(WRONG_SETTINGS, folder.path(), &settings);
    }
    // The disk of the settings may be mounted in a moment, and the address be free.
    refused_start_with(1, folder.path(), &[("SIMDECK_CONFIG", "missing.toml")]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    refused_start_with(1, folder.path(), &[("SIMDECK_PUBLIC_LISTEN", &address)]);
}

async fn sqlite_file(path: &Path, mode: SqliteJournalMode) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut file = options.journal_mode(mode).connect().await.unwrap();
    sqlx::raw_sql("create table track (id integer primary key, name text)")
        .execute(&mut file)
        .await
        .unwrap();
    file
}

#[tokio::test]
async fn what_is_no_database_of_ours_is_refused_for_good_and_left_as_it_is() {
    let folder = TempDir::new().unwrap();
    let place = |name: &str| folder.path().join(name);
    let refused = |path: &Path| {
        let url = format!("sqlite://{}", path.display());
        refused_start_with(WRONG_SETTINGS, folder.path(), &[("SIMDECK_DATABASE_URL", &url)])
    };
    fs::create_dir(place("folder.db")).unwrap();
    mknodat(CWD, place("pipe.db"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    for path in [place("folder.db"), place("pipe.db")] {
        let said = refused(&path);
        assert!(said.contains("is no file") && said.contains("SIMDECK_DATABASE_URL"), "{said}");
    }
    fs::write(place("text.db"), "no database".repeat(1_000)).unwrap();
    refused(&place("text.db"));
    assert!(fs::read(place("text.db")).unwrap() == "no database".repeat(1_000).as_bytes());
    refused(&place("text.db/simdeck.db"));
    let text = place("text.db");
    let settings = [("SIMDECK_DATA_DIR", text.to_str().unwrap())];
    refused_start_with(WRONG_SETTINGS, folder.path(), &settings);

    sqlite_file(&place("other.db"), SqliteJournalMode::Delete).await.close().await.unwrap();
    let before = fs::read(place("other.db")).unwrap();
    let said = refused(&place("other.db"));
    assert!(said.contains("of another program"), "{said}");
    let (database, nothing) = (format!("sqlite://{}", place("other.db").display()), "backup.db");
    let url = [("SIMDECK_DATABASE_URL", &*database)];
    let restored = run_with(folder.path(), &url, &["restore", nothing]);
    let said = String::from_utf8_lossy(&restored.stderr);
    assert!(said.contains("of another program"), "{said}");
    assert!(fs::read(place("other.db")).unwrap() == before, "it was changed");
    // One whose tables are in its log: whoever was killed has left it so.
    let open = sqlite_file(&place("open.db"), SqliteJournalMode::Wal).await;
    for ending in ["", "-wal"] {
        let copy = fs::copy(place(&format!("open.db{ending}")), place(&format!("log.db{ending}")));
        assert!(copy.unwrap() > 0);
    }
    let said = refused(&place("log.db"));
    assert!(said.contains("of another program"), "{said}");
    open.close().await.unwrap();
}
