//! An erasure whose search through the files of the database fails.
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    sync::Arc,
};

use reqwest::Method;
use rustix::process::geteuid;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::retract::{SIM, TRUE_SENDER, usage};
use crate::server::{Simdeck, now_s};

#[tokio::test]
async fn an_erasure_that_was_done_says_so_though_the_files_cannot_be_searched() {
    // Without what lets root read all files.
    let wrapper: &[&str] = match geteuid().is_root() {
        true => &["setpriv", "--bounding-set", "-dac_override,-dac_read_search"],
        false => &[],
    };
    let simdeck = Simdeck::start_under(wrapper, Arc::new(TempDir::new().unwrap()), &[]);
    let second = now_s();
    let record = usage(SIM, second * 1000, 5, "CN");
    simdeck.push_as(TRUE_SENDER, "data-usage", second, &record).await;
    assert_eq!(simdeck.get(&format!("/v1/sims/{SIM}")).await["giccid"], SIM);
    // It can be opened no more; the database goes on with what it has open.
    let log = simdeck.folder().path().join("data/simdeck.db-wal");
    fs::set_permissions(&log, Permissions::from_mode(0o000)).unwrap();
    let body = json!({"giccid": SIM, "force": true}).to_string();
    let (status, done) = simdeck.send_json(Method::POST, "/v1/erase", &body).await;
    assert_eq!((status, &done["data_usage"]), (200, &json!(1)), "{done}");
    assert_eq!(done["is_in_no_file"], false, "{done}");
    let reason = done["not_searched"].as_str().unwrap_or_default();
    assert!(reason.contains("ermission denied"), "{done}");
    fs::set_permissions(&log, Permissions::from_mode(0o600)).unwrap();
    let rows = simdeck.rows("/v1/audit?action=erase").await;
    assert_eq!((rows.len(), &rows[0]["outcome"]), (1, &json!("done")), "{rows:?}");
    let body = json!({"giccid": SIM, "force": true}).to_string();
    let (status, done) = simdeck.send_json(Method::POST, "/v1/erase", &body).await;
    let told = (status, &done["is_in_no_file"], &done["not_searched"]);
    assert_eq!(told, (200, &json!(true), &Value::Null), "{done}");
    simdeck.end();
}
