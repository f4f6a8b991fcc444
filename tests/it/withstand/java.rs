//! Java's own HTTP client, which keeps its connections and trusts them.
use std::process::Command;

use super::say;
use crate::server::{PUSH_KEY, Simdeck};

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/withstand/Push.java");

#[test]
fn javas_client_loses_no_good_push_between_refused_ones() {
    let version = Command::new("java").arg("-version").output();
    if !version.is_ok_and(|version| version.status.success()) {
        say("skipped: no java here, and it is only for this test");
        return;
    }
    let simdeck = Simdeck::start(&[]);
    let output = Command::new("java")
        .args([PROGRAM, &simdeck.public_url(), PUSH_KEY, "60"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{error}");
    assert!(said.contains("60 good pushes, 0 lost"), "{said}\n{error}");
    simdeck.end();
}
