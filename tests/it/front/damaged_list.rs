//! The list of erased SIMs, a line of which nobody can read any more.
use std::{fs, sync::Arc};

use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;

use crate::server::Simdeck;

#[tokio::test]
async fn a_line_of_the_list_that_cannot_be_read_stays_and_is_told() {
    let folder = Arc::new(TempDir::new().unwrap());
    let simdeck = Simdeck::start_in(Arc::clone(&folder), &[]);
    for giccid in ["8944501503181377993", "8944501503181377994"] {
        let body = json!({ "giccid": giccid, "force": true }).to_string();
        assert_eq!(simdeck.send_json(Method::POST, "/v1/erase", &body).await.0, 200);
    }
    let whole = simdeck.run(&["doctor", "--output", "json"]);
    assert!(!String::from_utf8(whole.stdout).unwrap().contains("erased_list"));
    simdeck.end();
    let list = folder.path().join("data/simdeck.db.erased");
    let mut bytes = fs::read(&list).unwrap();
    let first = bytes.iter().position(|byte| byte.is_ascii_hexdigit()).unwrap();
    bytes[first] = 0xff;
    fs::write(&list, &bytes).unwrap();

    let simdeck = Simdeck::start_in(Arc::clone(&folder), &[]);
    let doctor = simdeck.run(&["doctor", "--output", "json"]);
    let found = String::from_utf8(doctor.stdout).unwrap();
    assert!(found.contains("1 line that cannot be read; the first is line 2"), "{found}");
    let log = simdeck.end();
    assert!(log.contains("A line of the list of erased SIMs cannot be read"), "{log}");
    assert!(fs::read(&list).unwrap().starts_with(&bytes), "it is kept");
}
