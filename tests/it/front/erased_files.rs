//! An erasure whose search through the files of the database fails.
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::Method;
use rustix::process::geteuid;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::retract::{OTHER_SIM, SIM, TRUE_SENDER, usage};
use crate::server::{Simdeck, now_s};

const GUARD: Duration = Duration::from_secs(120);

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

#[tokio::test]
async fn a_list_of_erased_sims_that_was_taken_away_is_written_anew_while_it_runs() {
    let mut simdeck = Simdeck::start(&[]);
    let second = now_s();
    let sims = [SIM, OTHER_SIM];
    let records = sims.map(|sim| usage(sim, second * 1000, 7, "CN"));
    simdeck.push_as(TRUE_SENDER, "data-usage", second, &records.join(",")).await;
    let list = simdeck.folder().path().join("data/simdeck.db.erased");
    let lines = || {
        let text = fs::read_to_string(&list).unwrap_or_default();
        text.lines().filter(|line| !line.is_empty()).count()
    };
    for (sim, expected) in sims.into_iter().zip(1..) {
        let erase = json!({ "giccid": sim }).to_string();
        assert_eq!(simdeck.send_json(Method::POST, "/v1/erase", &erase).await.0, 200);
        // Also the one of before.
        assert_eq!(lines(), expected);
        fs::remove_file(&list).unwrap();
    }
    // As each hour.
    assert_eq!(simdeck.ask(Method::POST, "/v1/prune").await.0, 200);
    simdeck.says("The list of erased SIMs was not there any more");
    let began = Instant::now();
    while lines() < 2 {
        assert!(began.elapsed() < GUARD, "{}", lines());
    }
    simdeck.end();
}
