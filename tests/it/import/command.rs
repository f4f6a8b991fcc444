//! `simdeck import`, with a server running and with none.
use std::{fs, process::Output};

use serde_json::Value;

use super::{SIM, counts};
use crate::{
    commands::Machine,
    server::{API_KEY, Simdeck, run, signed, usage},
};

/// Where nobody listens.
const NOBODY: [&str; 2] = ["127.0.0.1:1", "127.0.0.1:2"];

fn report(output: &Output) -> Value {
    let error = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{error}"))
}

fn error(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[tokio::test]
async fn what_export_writes_import_reads_with_a_server_and_with_none() {
    let first = Simdeck::start(&[]);
    first.push("data-usage", signed(&usage(SIM))).await;
    let folder = first.folder();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (ndjson, csv) = (path("usage.ndjson"), path("usage.csv"));
    for (format, file) in [("ndjson", &ndjson), ("csv", &csv)] {
        let args = ["export", "data-usage", "--format", format, "--out", file];
        assert!(first.run(&args).status.success());
    }
    let second = Simdeck::start(&[]);
    let import = ["import", &ndjson, "--kind", "data-usage"];
    for expected in [(1, 0, 0), (0, 1, 0)] {
        let output = second.run(&import);
        assert!(output.status.success(), "{}", error(&output));
        assert_eq!(counts(&report(&output)), expected);
    }
    let shown = second.run(&["import", &csv, "--kind", "data-usage", "--output", "table"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert_eq!(shown, "1 line: 0 records stored, 1 record was there already, 0 lines refused\n");
    let empty = second.folder();
    second.end();
    let output = run(empty.path(), NOBODY[0], NOBODY[1], &["import", &csv, "--kind", "data-usage"]);
    assert_eq!(counts(&report(&output)), (0, 1, 0), "{}", error(&output));

    // By a pipe, into the first again.
    let rows = fs::read_to_string(&ndjson).unwrap();
    let (internal, key) = (first.internal_url(), ("SIMDECK_API_KEY", API_KEY));
    let args = ["import", "-", "--kind", "data-usage", "--internal-url", &internal];
    let output = Machine::new().run_with(&args, &[key], &rows);
    assert_eq!(counts(&report(&output)), (0, 1, 0), "{}", error(&output));
    first.end();
}

#[tokio::test]
async fn it_fails_unless_every_row_was_taken_and_says_what_to_do() {
    let simdeck = Simdeck::start(&[]);
    let folder = simdeck.folder();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let file = path("usage.jsonl");
    fs::write(&file, format!("{{{}}}\n{{\"giccid\":\"{SIM}\"}}\n", usage(SIM))).unwrap();
    let output = simdeck.run(&["import", &file, "--kind", "data-usage"]);
    assert_eq!(counts(&report(&output)), (1, 0, 1));
    assert_eq!(output.status.code(), Some(1));
    assert!(error(&output).starts_with("error: 1 of 2 lines refused: mend"), "{output:?}");
    let output = simdeck.run(&["import", &file, "--kind", "data-usage", "--output", "table"]);
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(
        shown.starts_with("LINE  FIELD       REASON\n2     data_usage  field_missing\n"),
        "{shown}"
    );

    fs::write(path("usage.txt"), "").unwrap();
    for (args, says) in [
        (vec!["import", &path("usage.txt"), "--kind", "data-usage"], "say --format"),
        (vec!["import", &path("none.csv"), "--kind", "data-usage"], "cannot be read"),
        (vec!["import", folder.path().to_str().unwrap(), "--format", "csv"], "is a folder"),
        (vec!["import", &file, "--kind", "Data"], "`kind` should be"),
    ] {
        let output = simdeck.run(&args);
        assert!(!output.status.success() && error(&output).contains(says), "{output:?}");
    }
    simdeck.end();
}
