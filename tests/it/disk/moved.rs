//! A database that is moved, removed or replaced while it is open: what it takes from then on is lost,
//! so nothing more is acknowledged, and the server ends and says why.
use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use super::{
    says_why,
    sender::{Answer, Sender},
};
use crate::{
    process::Process,
    program::{Line, Program},
};

/// A file that holds nothing that is acknowledged is looked at each second.
const LOOKED_AT_WITHIN: Duration = Duration::from_secs(3);

/// What somebody does to the files of a running server, and which file the log names.
struct Deed {
    name: &'static str,
    /// Whether it takes away what records are written to.
    takes_records: bool,
    names: &'static str,
    work: fn(&Path),
}

const DEEDS: [Deed; 10] = [
    Deed {
        name: "the folder is moved",
        takes_records: true,
        names: "simdeck.db is not there",
        work: |data| fs::rename(data, data.with_file_name("moved")).unwrap(),
    },
    Deed {
        name: "the folder is removed",
        takes_records: true,
        names: "simdeck.db is not there",
        work: |data| fs::remove_dir_all(data).unwrap(),
    },
    Deed {
        name: "the database is removed",
        takes_records: true,
        names: "simdeck.db is not there",
        work: |data| fs::remove_file(data.join("simdeck.db")).unwrap(),
    },
    Deed {
        name: "another database gets its name",
        takes_records: true,
        names: "simdeck.db is another file",
        work: |data| {
            fs::copy(data.join("simdeck.db"), data.join("copy")).unwrap();
            fs::rename(data.join("copy"), data.join("simdeck.db")).unwrap();
        },
    },
    Deed {
        name: "the database is moved, and a link leads to it",
        takes_records: true,
        names: "simdeck.db is another file",
        work: |data| {
            fs::create_dir(data.join("sub")).unwrap();
            fs::rename(data.join("simdeck.db"), data.join("sub/x.db")).unwrap();
            std::os::unix::fs::symlink("sub/x.db", data.join("simdeck.db")).unwrap();
        },
    },
    Deed {
        name: "a copy is written over the database",
        takes_records: true,
        names: "simdeck.db was emptied or written over",
        work: |data| fs::write(data.join("simdeck.db"), [0; 8192]).unwrap(),
    },
    Deed {
        name: "the log is emptied",
        takes_records: true,
        names: "simdeck.db-wal was emptied or written over",
        work: |data| fs::write(data.join("simdeck.db-wal"), "").unwrap(),
    },
    Deed {
        name: "the log is removed",
        takes_records: true,
        names: "simdeck.db-wal is not there",
        work: |data| fs::remove_file(data.join("simdeck.db-wal")).unwrap(),
    },
    Deed {
        name: "the log's index is removed",
        takes_records: false,
        names: "simdeck.db-shm is not there",
        work: |data| fs::remove_file(data.join("simdeck.db-shm")).unwrap(),
    },
    Deed {
        name: "the lock is removed",
        takes_records: false,
        names: "simdeck.lock is not there",
        work: |data| fs::remove_file(data.join("simdeck.lock")).unwrap(),
    },
];

#[test]
fn files_that_are_moved_or_removed_are_503_from_then_on_and_the_end_and_say_so_once() {
    thread::scope(|scope| {
        for deed in &DEEDS {
            scope.spawn(|| attempt(deed));
        }
    });
}

fn attempt(deed: &Deed) {
    let program = Program::new();
    // The end brings all into the database's own file.
    program.start().end();
    let mut server = program.start();
    let mut sender = Sender::to(&program);
    for _ in 0..20 {
        assert_eq!(sender.push(), Answer::Stored, "{}", deed.name);
    }
    (deed.work)(&program.data());
    let began = Instant::now();
    let mut answer = sender.push();
    if !deed.takes_records {
        while answer == Answer::Stored && began.elapsed() < LOOKED_AT_WITHIN {
            answer = sender.push();
        }
    }
    assert_eq!(answer, Answer::Busy, "{}", deed.name);
    tells_and_ends(deed, &program, &mut sender, &mut server);
}

/// It is not ready, says why wherever somebody looks, and ends with a failure.
fn tells_and_ends(deed: &Deed, program: &Program, sender: &mut Sender, server: &mut Process) {
    let name = deed.name;
    let ready = Line::to(program.internal).unwrap().get("/readyz").unwrap();
    assert_eq!(ready.status, 503, "{name}");
    assert!(ready.text().contains("moved or removed"), "{name}: {}", ready.text());
    let metrics = Line::to(program.internal).unwrap().get("/metrics").unwrap().text();
    let on = "simdeck_conditions{condition=\"database_moved\"} 1";
    assert!(metrics.contains(on), "{name}: {metrics}");
    for _ in 0..20 {
        assert_ne!(sender.push(), Answer::Stored, "{name}");
    }
    let Err((code, log)) = server.comes_to("no line of the log says this") else { unreachable!() };
    let errors: Vec<&str> = log.lines().filter(|line| line.contains("ERROR")).collect();
    assert_eq!(errors.len(), 1, "{name}: {log}");
    assert!(errors[0].contains(deed.names), "{name}: {log}");
    let to_do = if deed.names.contains("written over") { "is lost" } else { "Move them back" };
    assert!(errors[0].contains(to_do), "{name}: {log}");
    says_why(&name, (code, log));
}

#[tokio::test]
async fn a_log_that_is_removed_or_left_behind_takes_nothing_along() {
    let removed: fn(&Path) = |data| fs::remove_file(data.join("simdeck.db-wal")).unwrap();
    let left_behind: fn(&Path) = |data| {
        let database = data.join("simdeck.db");
        fs::rename(&database, data.join("moved.db")).unwrap();
        fs::remove_file(data.join("simdeck.db-wal")).unwrap();
    };
    for (work, database) in [(removed, "simdeck.db"), (left_behind, "moved.db")] {
        let program = Program::new();
        let mut server = program.start();
        let mut sender = Sender::to(&program);
        for _ in 0..20 {
            assert_eq!(sender.push(), Answer::Stored);
        }
        work(&program.data());
        assert_eq!(sender.push(), Answer::Busy);
        let Err((_, log)) = server.comes_to("no line of the log says this") else { unreachable!() };
        assert!(log.contains("All that was acknowledged is in the file"), "{log}");
        assert_eq!(sender.lost(&program.data().join(database)).await, 0, "{database}");
    }
}

#[tokio::test]
async fn a_server_that_took_the_name_of_a_moved_one_loses_nothing_to_its_end() {
    let program = Program::new();
    let mut first = program.start();
    let mut old = Sender::to(&program);
    assert_eq!(old.push(), Answer::Stored);
    let moved = program.data().with_file_name("moved");
    fs::rename(program.data(), &moved).unwrap();
    assert_eq!(old.push(), Answer::Busy);

    let second = program.at_other_ports();
    let server = second.start();
    let mut new = Sender::to(&second);
    for _ in 0..20 {
        assert_eq!(new.push(), Answer::Stored);
    }
    first.signal_term();
    let Err((code, log)) = first.comes_to("no line of the log says this") else { unreachable!() };
    says_why(&"the folder is moved", (code, log));
    assert_eq!(new.push(), Answer::Stored);
    // As a power cut does: what is not in the database's log is not there.
    drop(server);
    assert_eq!(new.lost(&second.database()).await, 0);
    assert_eq!(old.lost(&moved.join("simdeck.db")).await, 0);
}

#[test]
fn the_status_is_told_while_the_database_cannot_be_read() {
    let program = Program::new();
    let server = program.start();
    let mut sender = Sender::to(&program);
    assert_eq!(sender.push(), Answer::Stored);
    assert_eq!(program.ask("/v1/status")["pushes"]["data-usage"]["records"], 1);
    for name in ["simdeck.db-wal", "simdeck.db"] {
        fs::write(program.data().join(name), "").unwrap();
    }
    let began = Instant::now();
    loop {
        assert_ne!(sender.push(), Answer::Stored);
        let status = program.ask("/v1/status");
        assert_eq!(status["pushes"]["data-usage"]["records"], 1, "{status}");
        let conditions = status["conditions"].as_array().unwrap();
        let moved = conditions.iter().find(|it| it["name"] == "database_moved").unwrap();
        if moved["on"] == true {
            assert!(status["counted_at"].as_str() < status["now"].as_str(), "{status}");
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{status}");
    }
    drop(server);
}
