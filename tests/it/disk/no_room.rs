//! What is asked of the internal listener while the disk is full: whoever asks is told so.
use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::time::timeout;

use super::{
    mounted::{Mounted, readiness},
    sender::{Answer, Sender},
};
use crate::{
    program::{API_KEY, Program},
    trials::tell,
};

const TMPFS: &str = r#"mount -t tmpfs -o size=24m simdeck "$1""#;
/// Nobody who asks waits for room that nobody may make.
const GUARD: Duration = Duration::from_secs(120);

/// Where it would be shown that a removal was taken up.
fn list_of(path: &str) -> Option<&'static str> {
    match path {
        "/v1/erase" => Some("/v1/erasures"),
        "/v1/retract" => Some("/v1/retractions"),
        _ => None,
    }
}

#[tokio::test]
async fn a_change_that_finds_no_room_is_answered_507_and_says_what_to_do() {
    let program = Program::new();
    let Some(disk) = Mounted::new(&program, Path::new(""), TMPFS) else {
        tell("changes without room: 0 trials, since nothing can be mounted here");
        return;
    };
    // A connection to a server that has ended is not used again.
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
    let mut sender = Sender::to(&program);
    let mut server = disk.start(&program);
    sender.must_recover();
    let sim = format!("89860012345678{:06}", 1);
    let changes = [
        ("POST", "/v1/prune", "".to_owned()),
        ("POST", "/v1/backup", "".to_owned()),
        ("POST", "/v1/keys", r#"{"label":"grafana","scope":"read"}"#.to_owned()),
        ("PUT", &format!("/v1/sims/{sim}"), r#"{"name":"Roof 7"}"#.to_owned()),
        ("POST", "/v1/erase", format!(r#"{{"giccid":"{sim}"}}"#)),
        ("POST", "/v1/retract", r#"{"datePush":1725499848,"force":true}"#.to_owned()),
    ];
    for (method, path, body) in changes {
        // A log that has been written once needs no more room: each time it is a new one.
        server.end();
        server = disk.start(&program);
        sender.hang_up();
        disk.leave(0);
        let url = format!("http://127.0.0.1:{}{path}", program.internal);
        let asking = client
            .request(method.parse().unwrap(), url)
            .header("X-API-Key", API_KEY)
            .body(body)
            .send();
        let answer = timeout(GUARD, asking).await.unwrap_or_else(|_| panic!("{path} waits"));
        let answer = answer.unwrap();
        let status = answer.status().as_u16();
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(status, 507, "{path}: {problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("room") && detail.contains("Free some"), "{path}: {problem}");
        std::fs::remove_file(disk.file("filler")).unwrap();
        sender.must_recover();
        if let Some(list) = list_of(path) {
            // Only what outlives a restart is said to be tried again.
            let is_tried_again = detail.contains("tried again");
            server.end();
            server = disk.start(&program);
            sender.hang_up();
            sender.must_recover();
            let url = format!("http://127.0.0.1:{}{list}", program.internal);
            let rows = client.get(url).header("X-API-Key", API_KEY).send().await.unwrap();
            let rows: Value = rows.json().await.unwrap();
            let is_noted = !rows.as_array().unwrap().is_empty();
            assert_eq!(is_noted, is_tried_again, "{path}: {problem}, {rows}");
        }
    }
    server.end();
}

#[tokio::test]
async fn a_server_stops_well_on_a_full_disk_and_starts_on_it_without_taking_pushes() {
    let program = Program::new();
    let Some(disk) = Mounted::new(&program, Path::new(""), TMPFS) else {
        tell("a stop and a start without room: 0 trials, since nothing can be mounted here");
        return;
    };
    let mut sender = Sender::to(&program);
    let start = || {
        let reserve = [("SIMDECK_DISK_RESERVE", "4MiB".as_ref())];
        let mut server = program.spawn_within(&disk.within, &reserve);
        server.wait_for(&["Ready"]);
        server
    };
    let server = start();
    sender.must_recover();
    for _ in 0..200 {
        assert_eq!(sender.push(), Answer::Stored);
    }
    disk.leave(0);
    let log = server.end();
    assert!(log.contains("Nothing is lost"), "{log}");
    disk.leave(0);

    let server = start();
    sender.hang_up();
    let began = Instant::now();
    while readiness(&program) != 503 {
        assert!(began.elapsed() < GUARD, "it is ready on a full disk");
    }
    assert_eq!(sender.push(), Answer::Busy);
    std::fs::remove_file(disk.file("filler")).unwrap();
    sender.must_recover();
    let address = format!("http://127.0.0.1:{} ", program.internal);
    let said = || std::fs::read_to_string(disk.file("server")).unwrap_or_default();
    while !said().starts_with(&address) {
        assert!(began.elapsed() < GUARD * 2, "no command finds the server: {}", said());
    }
    server.end();
    assert_eq!(disk.lost(&sender).await, 0);
}
