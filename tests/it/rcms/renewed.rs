//! Another secret of RCMS while the server runs.
use std::{fs, sync::Arc};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    live::{account, until},
    stand_in::{CLIENT_ID, StandIn, fleet},
};
use crate::server::{Simdeck, UNSET};

#[tokio::test]
async fn another_secret_is_taken_up_without_a_restart_and_ends_the_pause_of_the_old_one() {
    let rcms = StandIn::start().await;
    rcms.set_fleet(fleet(3));
    let folder = Arc::new(TempDir::new().unwrap());
    let file = folder.path().join("rcms-secret");
    let (path, url) = (file.to_str().unwrap().to_owned(), rcms.url());
    let secret = |text: &str| {
        let new = folder.path().join("new-secret");
        fs::write(&new, text).unwrap();
        fs::rename(&new, &file).unwrap();
    };
    secret("CANARY-before");
    let mut variables = account(&url).to_vec();
    variables.extend([
        ("SIMDECK_RCMS_CLIENT_SECRET", UNSET),
        ("SIMDECK_RCMS_CLIENT_SECRET_FILE", path.as_str()),
        ("SIMDECK_RCMS_POLL_EVERY", "10s"),
    ]);
    let mut simdeck = Simdeck::start_in(Arc::clone(&folder), &variables);
    let paused = |status: &Value| status["rcms"]["paused_until"].is_string();
    let status = until(&simdeck, "/v1/status", paused).await;
    assert!(status["rcms"]["error"].as_str().unwrap().contains("40002"), "{status}");

    rcms.forget_requests();
    rcms.edit(|world| world.account.client_secret = "CANARY-after".to_owned());
    secret("CANARY-after");
    simdeck.wait_for("Renewed the client id and secret of RCMS");
    rcms.wait_for(1).await;
    let first = rcms.requests().remove(0);
    assert_eq!(first.verdict, Ok(()), "no question is signed with the old one meanwhile");
    until(&simdeck, "/v1/status", |status| status["rcms"]["state"] == "ok").await;
    let rows = |audit: &Value| !audit.as_array().unwrap().is_empty();
    let audit = until(&simdeck, "/v1/audit?action=reload", rows).await;
    assert_eq!(audit[0]["details"], "RCMS client secret: 1 added, 1 removed", "{audit}");
    assert!(rcms.requests().iter().all(|seen| seen.header("clientid") == Some(CLIENT_ID)));
    assert!(!simdeck.end().contains("CANARY"), "the secret is never told");
}
