//! The demo: a made-up fleet, by the front door.
use std::{collections::BTreeSet, fs, net::TcpListener, path::Path, process::Command};

use reqwest::Client;
use serde_json::Value;
use tempfile::TempDir;

use crate::{process::Process, program::Program};

const KEY: &str = "sd_0123456789abcdef0123456789abcdef";

/// A demo, once its story is told.
struct Demo {
    process: Process,
    url: String,
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(Program::binary());
    command
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("SIMDECK_API_KEY", KEY)
        .env("SIMDECK_PUBLIC_LISTEN", "127.0.0.1:0")
        .env("SIMDECK_INTERNAL_LISTEN", "127.0.0.1:0");
    command
}

impl Demo {
    fn start(folder: &Path) -> Self {
        let mut command = command(folder, &["serve", "--demo"]);
        let mut process = Process::start("simdeck", &mut command, "cargo builds it");
        let ready = process.wait_for(&["Ready, with a demo"]).remove(0);
        let (_, address) = ready.split_once("internal.address=").unwrap();
        let url = format!("http://{}", address.split_whitespace().next().unwrap());
        Self { process, url }
    }

    async fn get(&self, path: &str) -> Value {
        let request = Client::new().get(format!("{}{path}", self.url)).header("X-API-Key", KEY);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.unwrap()
    }

    async fn records(&self) -> i64 {
        self.get("/v1/status").await["pushes"]["data-usage"]["records"].as_i64().unwrap()
    }

    async fn count(&self, path: &str) -> u64 {
        let request = Client::new().get(format!("{}{path}", self.url)).header("X-API-Key", KEY);
        let response = request.send().await.unwrap();
        response.headers()["x-total-count"].to_str().unwrap().parse().unwrap()
    }
}

/// There is no other store, and a command that looks for one makes none.
fn no_command_makes_a_store(folder: &Path) {
    let giccid = "8986001234567890001";
    for arguments in [
        &["held", "list"][..],
        &["audit"],
        &["erase", "list"],
        &["erase", "show", giccid],
        &["retract", "list"],
        &["key", "list"],
        &["key", "create", "--label", "ops"],
        &["export", "data-usage"],
    ] {
        let refused = command(folder, arguments).output().unwrap();
        let why = String::from_utf8(refused.stderr).unwrap();
        assert!(why.contains("only a demo runs here: ask it with"), "{arguments:?}: {why}");
        let data = fs::read_dir(folder.join("data")).unwrap();
        let made: Vec<_> = data.map(|it| it.unwrap().file_name()).collect();
        assert_eq!(made, ["demo"], "{arguments:?}");
    }
}

async fn four_weeks_of_whole_days(demo: &Demo) {
    let days = demo.get("/v1/data-usage/aggregate?interval=1d").await;
    assert!((29..=31).contains(&days.as_array().unwrap().len()), "{days}");
    let hours = demo.get("/v1/data-usage/aggregate?interval=1h").await;
    let first = hours[0]["start"].as_str().unwrap();
    assert!(first.contains("T00:00:00"), "the first day is whole: {first}");
}

#[tokio::test]
async fn a_demo_shows_a_fleet_with_six_incidents_and_goes_on() {
    let folder = TempDir::new().unwrap();
    let demo = Demo::start(folder.path());
    assert_eq!(demo.count("/v1/sims").await, 2_000);
    assert_eq!(demo.count("/v1/devices").await, 40);
    let told = demo.get("/v1/attention").await;
    let kinds: Vec<&str> =
        told.as_array().unwrap().iter().map(|it| it["kind"].as_str().unwrap()).collect();
    let planted = [
        "sim_above_usual",
        "imei_change",
        "pushes_quarantined",
        "sims_silent",
        "new_country",
        "router_offline",
    ];
    assert_eq!(kinds.iter().copied().collect::<BTreeSet<_>>(), planted.into(), "{told}");
    assert_eq!(kinds.len(), planted.len(), "{told}");
    let status = demo.get("/v1/status").await;
    let quarantined = &status["held"]["quarantined"]["pushes"];
    assert_eq!(quarantined, 1, "{status}");
    let silent = demo.get("/v1/summary").await["silent_sims"].clone();
    let counts = silent["by_interval"].as_array().unwrap();
    assert!(counts.iter().filter(|count| !count.is_null()).count() >= 95, "{silent}");
    four_weeks_of_whole_days(&demo).await;

    // It goes on: the stream tells of what comes, and needs no waiting of ours.
    let before = demo.records().await;
    let stream = Client::new().get(format!("{}/v1/stream", demo.url)).header("X-API-Key", KEY);
    let mut stream = stream.send().await.unwrap();
    let mut seen = String::new();
    while seen.matches("event: data-usage").count() < 3 {
        seen += std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap();
    }
    assert!(demo.records().await > before);
    drop(stream);

    // Its copies lie beside it: they push none of the true store's out.
    let copied = Client::new().post(format!("{}/v1/backup", demo.url)).header("X-API-Key", KEY);
    let copied: Value = copied.send().await.unwrap().json().await.unwrap();
    let path = copied["path"].as_str().unwrap_or_else(|| panic!("no path in {copied}"));
    assert!(path.contains("data/demo/backups/"), "{path}");

    // As long as no other server runs, commands that look for one find it and say so.
    let begins = format!("A demo runs at {}. It takes no pushes", demo.url);
    for arguments in [&["welcome"][..], &["welcome", "--data-dir", "data/demo"]] {
        let shown = said(folder.path(), &[arguments, &["--output", "table"]].concat());
        assert!(shown.starts_with(&begins) && !shown.contains("Register"), "{shown}");
        let shown: Value = serde_json::from_str(&said(folder.path(), arguments)).unwrap();
        assert_eq!(shown["demo"]["url"], demo.url);
        let link = shown["demo"]["sign_in_url"].as_str().unwrap();
        assert!(link.starts_with(&demo.url), "{link}");
    }

    no_command_makes_a_store(folder.path());

    // A true store lives in the folder around it, at the same time.
    let real = real_server(folder.path());
    let shown = said(folder.path(), &["welcome", "--output", "table"]);
    assert!(!shown.contains("demo"), "{shown}");
    real.end();
    let shown = said(folder.path(), &["welcome", "--output", "table"]);
    assert!(shown.starts_with(&begins) && shown.contains("Register these"), "{shown}");
    let refused = command(folder.path(), &["push", "--count", "1"]).output().unwrap();
    let why = String::from_utf8(refused.stderr).unwrap();
    assert!(why.contains("only a demo runs here: ask it with --data-dir data/demo"), "{why}");

    // A second start finds the story, and tells nothing twice.
    let before = demo.records().await;
    let log = demo.process.end();
    assert!(!log.contains("public.address"), "{log}");
    let again = Demo::start(folder.path());
    let records = again.records().await;
    assert!((before..before + 1_000).contains(&records), "{before} and then {records}");
    let log = again.process.end();
    assert!(!log.contains("Making four weeks"), "{log}");

    // Nobody takes it for a true store, nor a true store for a demo.
    let as_real = command(folder.path(), &["serve", "--data-dir", "data/demo"]).output().unwrap();
    assert!(!as_real.status.success());
    let said = String::from_utf8(as_real.stderr).unwrap();
    assert!(said.contains("holds a demo"), "{said}");
}

/// What a command writes that succeeds.
fn said(folder: &Path, arguments: &[&str]) -> String {
    let done = command(folder, arguments).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn a_true_store_is_not_taken_for_a_demo() {
    let folder = TempDir::new().unwrap();
    fs::create_dir_all(folder.path().join("data/demo")).unwrap();
    fs::write(folder.path().join("data/demo/simdeck.db"), "of somebody").unwrap();
    let refused = command(folder.path(), &["serve", "--demo"]).output().unwrap();
    assert!(!refused.status.success());
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("holds a store that is no demo"), "{said}");
    let kept = fs::read_to_string(folder.path().join("data/demo/simdeck.db")).unwrap();
    assert_eq!(kept, "of somebody");
}

/// The true server in the folder whose data directory has, or had, a demo in it.
fn real_server(folder: &Path) -> Process {
    let mut real = Process::start("simdeck", &mut command(folder, &["serve"]), "cargo builds it");
    if let Err((code, log)) = real.comes_to("Ready") {
        panic!("the true server ended with {code:?}:\n{log}");
    }
    real
}

#[test]
fn a_demo_that_finds_its_port_taken_leaves_the_true_server_alone() {
    let folder = TempDir::new().unwrap();
    let real = real_server(folder.path());
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let refused = command(folder.path(), &["serve", "--demo"])
        .env("SIMDECK_INTERNAL_LISTEN", &taken)
        .output()
        .unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success(), "{said}");
    assert!(said.contains(&format!("cannot listen on {taken}")), "{said}");
    real.end();
    real_server(folder.path()).end();

    // What an earlier version left in the folder changes nothing either.
    fs::create_dir_all(folder.path().join("data/demo")).unwrap();
    fs::write(folder.path().join("data/demo/demo"), "told").unwrap();
    real_server(folder.path()).end();
}

#[test]
fn a_demo_has_a_port_of_its_own_where_none_is_set() {
    let folder = TempDir::new().unwrap();
    // Whoever else may sit on them already makes them as taken as we do.
    let _taken = ["127.0.0.1:8081", "127.0.0.1:8082"].map(TcpListener::bind);
    let refused = command(folder.path(), &["serve", "--demo"])
        .env_remove("SIMDECK_INTERNAL_LISTEN")
        .output()
        .unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("cannot listen on 127.0.0.1:8082"), "{said}");
}
