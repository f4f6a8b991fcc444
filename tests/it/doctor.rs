//! `simdeck doctor`: finds what is wrong, says what to do, and leaves nothing behind.
use std::{
    fs::{self, OpenOptions, Permissions},
    io::{Seek, SeekFrom, Write},
    os::unix::fs::PermissionsExt,
    process::Output,
};

use serde_json::Value;

use crate::{
    process::free_port,
    server::{Simdeck, run, signed, usage},
};

const SIM: &str = "8944501503181377993";

fn report(output: &Output) -> (bool, Value) {
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
        panic!("no report: {}", String::from_utf8_lossy(&output.stderr));
    });
    (output.status.success(), report)
}

/// The findings of one check.
fn of<'r>(report: &'r Value, check: &str) -> Vec<&'r Value> {
    let findings = report["findings"].as_array().unwrap();
    for finding in findings {
        assert!(!finding["todo"].as_str().unwrap().is_empty(), "{finding}");
    }
    findings.iter().filter(|finding| finding["check"] == check).collect()
}

fn problems(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings.filter(|it| it["state"] == "problem").map(|it| it["check"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn where_all_is_well_it_says_so_and_its_canary_is_stored_once_and_in_no_total() {
    let token = "a-token-of-a-test-0123456789";
    let mut simdeck = Simdeck::start(&[("SIMDECK_PUBLIC_PATH_TOKEN", token)]);
    simdeck.prefix = format!("/{token}");
    assert_eq!(simdeck.push("data-usage", signed(&usage(SIM))).await, (1, 0, 0));
    let (is_well, plain) = report(&simdeck.run(&["doctor"]));
    assert!(is_well && plain["well"] == true, "{plain}");
    assert_eq!(of(&plain, "front door")[0]["state"], "skipped");

    let before = simdeck.get("/v1/status").await;
    let url = simdeck.public_url();
    let args = ["doctor", "--thorough", "--public-url", &url, "--public-path-token", token];
    let (is_well, whole) = report(&simdeck.run(&args));
    assert!(is_well, "{whole}");
    assert_eq!(of(&whole, "front door")[0]["state"], "ok", "{whole}");
    for check in ["permissions", "disk", "database", "versions", "clock", "server"] {
        assert_eq!(of(&whole, check)[0]["state"], "ok", "{whole}");
    }
    let after = simdeck.get("/v1/status").await;
    assert_eq!((&after["pushes"], &after["held"]), (&before["pushes"], &before["held"]));
    assert_eq!((&before["tests"], &after["tests"]), (&0.into(), &1.into()));
    let newest = &simdeck.get("/v1/pushes").await[0];
    assert_eq!((&newest["outcome"], &newest["test"]), (&"duplicate".into(), &true.into()));

    // The same as a table, with nothing secret in it.
    let mut args = args.to_vec();
    args.extend(["--output", "table"]);
    let table = String::from_utf8(simdeck.run(&args).stdout).unwrap();
    assert!(table.starts_with("CHECK"), "{table}");
    assert!(table.contains("WHAT TO DO") && !table.contains(token), "{table}");
    simdeck.end();
}

#[tokio::test]
async fn a_front_door_that_does_not_lead_here_is_found_out() {
    let simdeck = Simdeck::start(&[]);
    let stranger = Simdeck::start(&[("SIMDECK_PUBLIC_PATH_TOKEN", "another-token-0123456789")]);
    let other = Simdeck::start(&[]);
    let nobody = format!("http://127.0.0.1:{}", free_port());
    for (url, todo) in [
        (stranger.public_url(), "The path token or the path is another"),
        (other.public_url(), "The address leads to another simdeck"),
        (nobody, "Look whether its name leads here"),
    ] {
        let (is_well, report) = report(&simdeck.run(&["doctor", "--public-url", &url]));
        assert!(!is_well && report["well"] == false, "{report}");
        let door = of(&report, "front door")[0];
        assert!(door["todo"].as_str().unwrap().starts_with(todo), "{door}");
        assert_eq!(problems(&report), ["front door"]);
    }
    for simdeck in [simdeck, stranger, other] {
        simdeck.end();
    }
}

#[tokio::test]
async fn what_others_can_read_and_what_the_server_says_is_wrong_are_problems() {
    let simdeck = Simdeck::start(&[]);
    assert_eq!(simdeck.push("data-usage", signed(r#""giccid":"1""#)).await, (0, 0, 1));
    let database = simdeck.folder().path().join("data/simdeck.db");
    fs::set_permissions(&database, Permissions::from_mode(0o644)).unwrap();
    // By the server's reserve, whatever it is here.
    let (is_well, report) = report(&simdeck.run(&["doctor", "--disk-reserve", "1000TiB"]));
    assert!(!is_well);
    assert_eq!(problems(&report), ["permissions", "state"], "{report}");
    let todo = of(&report, "permissions")[0]["todo"].as_str().unwrap();
    assert_eq!(todo, "chmod 600 data/simdeck.db");
    assert!(of(&report, "state")[0]["todo"].as_str().unwrap().contains("simdeck held list"));
    simdeck.end();
}

#[tokio::test]
async fn a_broken_database_and_a_server_that_is_gone_are_found_and_nothing_is_changed() {
    let simdeck = Simdeck::start(&[]);
    assert!(simdeck.run(&["push", "--real", "--count", "60", "--records", "50"]).status.success());
    let (folder, internal) = (simdeck.folder(), simdeck.internal().to_owned());
    simdeck.end();
    let doctor = || run(folder.path(), "127.0.0.1:0", &internal, &["doctor", "--thorough"]);
    let (is_well, gone) = report(&doctor());
    assert!(!is_well);
    assert_eq!(problems(&gone), ["server"], "{gone}");

    let database = folder.path().join("data/simdeck.db");
    let pages = fs::metadata(&database).unwrap().len() / 4096;
    let mut file = OpenOptions::new().write(true).open(&database).unwrap();
    for page in (2..pages).step_by(3) {
        file.seek(SeekFrom::Start(page * 4096)).unwrap();
        file.write_all(&[0xA5; 4096]).unwrap();
    }
    drop(file);
    let before = fs::read(&database).unwrap();
    let (is_well, broken) = report(&doctor());
    assert!(!is_well);
    assert_eq!(of(&broken, "database")[0]["state"], "problem", "{broken}");
    assert!(of(&broken, "database")[0]["todo"].as_str().unwrap().contains("backup"), "{broken}");
    assert!(fs::read(&database).unwrap() == before, "the doctor only looks");

    let empty = tempfile::TempDir::new().unwrap();
    let (is_well, none) = report(&run(empty.path(), "127.0.0.1:0", &internal, &["doctor"]));
    assert!(!is_well);
    assert!(problems(&none).contains(&"database"), "{none}");
    assert!(fs::read_dir(empty.path()).unwrap().next().is_none(), "it makes nothing");
}

#[tokio::test]
async fn another_rule_of_what_is_the_same_record_is_told_at_the_start_and_by_the_doctor() {
    const DATED: [(&str, &str); 1] = [("SIMDECK_PUSH_IDENTITY", "content+date")];
    const WARNING: &str = "SIMDECK_PUSH_IDENTITY is `content+date`, and what is stored was stored";
    let simdeck = Simdeck::start(&[]);
    // Nothing is stored yet that could be stored twice.
    let folder = simdeck.folder();
    simdeck.end();
    let simdeck = Simdeck::start_in(folder.clone(), &DATED);
    assert!(!simdeck.end().contains(WARNING));
    let simdeck = Simdeck::start_in(folder.clone(), &[]);
    let body = signed(&usage(SIM));
    assert_eq!(simdeck.push("data-usage", body.clone()).await, (1, 0, 0));
    let simdeck = simdeck.restart(&[]);
    assert!(of(&report(&simdeck.run(&["doctor"])).1, "identity").is_empty());
    assert!(!simdeck.end().contains("SIMDECK_PUSH_IDENTITY"));

    let simdeck = Simdeck::start_in(folder.clone(), &DATED);
    assert_eq!(simdeck.push("data-usage", body.clone()).await, (1, 0, 0), "a second time");
    let doctor = ["doctor", "--push-identity", "content+date"];
    let (is_well, told) = report(&simdeck.run(&doctor));
    let [finding] = &of(&told, "identity")[..] else { panic!("{told}") };
    assert!(!is_well && finding["finding"].as_str().unwrap().starts_with(WARNING), "{finding}");
    assert!(finding["todo"].as_str().unwrap().contains("Set it back to `content`"), "{finding}");
    assert_eq!(simdeck.end().matches(WARNING).count(), 1, "at the first start with it");
    let simdeck = Simdeck::start_in(folder, &DATED);
    assert!(!simdeck.end().contains(WARNING), "once");
}
