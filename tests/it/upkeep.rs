//! `backup`, `restore`, `prune` and `erase` on the real binary, and a disk that is full.
use std::{fs, process::Output};

use reqwest::Method;
use serde_json::Value;

use crate::server::{Simdeck, now_s, signed, usage};

const GICCID: &str = "89860012345678901234";

fn told(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn count(simdeck: &Simdeck) -> usize {
    simdeck.rows("/v1/data-usage").await.len()
}

#[tokio::test]
async fn a_backup_of_a_running_server_is_restored_once_it_is_stopped() {
    let simdeck = Simdeck::start(&[]);
    simdeck.push("data-usage", signed(&usage(GICCID))).await;
    let (_, keys) =
        simdeck.send_json(Method::POST, "/v1/keys", r#"{"label":"grafana","scope":"read"}"#).await;
    let backup = told(&simdeck.run(&["backup", "--output", "json"]));
    assert_eq!(backup["records"], 1);
    let file = simdeck.folder().path().join(backup["path"].as_str().unwrap());
    simdeck.push("data-usage", signed(&usage("89860012345678901235"))).await;
    let cursor = simdeck.ask_text(Method::GET, "/v1/data-usage?cursor=&size=1").await;
    assert_eq!(cursor.0, 200);
    let args = ["restore", "--verify", "--output", "json", file.to_str().unwrap()];
    assert!(refused(&simdeck.run(&args)).contains("another simdeck is running"));

    let folder = simdeck.folder();
    simdeck.end();
    let idle = Simdeck::start_in(folder.clone(), &[]);
    let (run_folder, ended) = (idle.folder(), idle.end());
    assert!(ended.contains("Stopped"));
    let restored = crate::server::run(run_folder.path(), "127.0.0.1:1", "127.0.0.1:2", &args);
    let restored = told(&restored);
    assert_eq!(restored["records"], 1);
    let missing = restored["missing"].to_string();
    assert!(missing.contains("grafana") && missing.contains("RCMS"), "{missing}");
    assert!(!missing.contains("push key"), "{missing}");
    let simdeck = Simdeck::start_in(folder, &[]);
    assert_eq!(count(&simdeck).await, 1);
    assert_eq!(simdeck.status_with(keys["key"].as_str().unwrap(), "/v1/data-usage").await, 401);
    simdeck.end();
}

#[tokio::test]
async fn an_erasure_by_command_holds_with_and_without_a_server_and_after_a_restart() {
    let simdeck = Simdeck::start(&[]);
    simdeck.push("data-usage", signed(&usage(GICCID))).await;
    simdeck.push("data-usage", signed(&usage("89860012345678901235"))).await;
    let erased = told(&simdeck.run(&["erase", "--giccid", GICCID, "--yes", "--output", "json"]));
    assert_eq!((&erased["data_usage"], &erased["is_in_no_file"]), (&1.into(), &true.into()));
    let simdeck = simdeck.restart(&[]);
    assert_eq!(simdeck.push("data-usage", signed(&usage(GICCID))).await, (0, 0, 0));
    assert_eq!(count(&simdeck).await, 1);
    let folder = simdeck.folder();
    simdeck.end();
    let args = ["erase", "--giccid", "89860012345678901235", "--yes", "--output", "json"];
    let erased = told(&crate::server::run(folder.path(), "127.0.0.1:1", "127.0.0.1:2", &args));
    assert_eq!(erased["data_usage"], 1);
    let args = ["erase", "--giccid", "1"];
    let said = refused(&crate::server::run(folder.path(), "127.0.0.1:1", "127.0.0.1:2", &args));
    assert!(said.contains("18 to 22 letters or digits"), "{said}");
    let simdeck = Simdeck::start_in(folder, &[]);
    assert_eq!(count(&simdeck).await, 0);
    simdeck.end();
}

/// Runs `erase` and types this when it asks for the number again.
fn erase_typing(simdeck: &Simdeck, args: &[&str], typed: &str) -> Output {
    let input = simdeck.folder().path().join("typed");
    fs::write(&input, typed).unwrap();
    let args = [&["erase"], args].concat();
    simdeck.run_typing(&args, fs::File::open(&input).unwrap())
}

#[tokio::test]
async fn an_erasure_shows_what_goes_and_asks_for_the_number_again() {
    let simdeck = Simdeck::start(&[]);
    simdeck.push("data-usage", signed(&usage(GICCID))).await;
    let name = r#"{"name":"Roof 7"}"#;
    simdeck.send_json(Method::PUT, &format!("/v1/sims/{GICCID}"), name).await;
    let args = ["--giccid", GICCID, "--output", "json"];
    for typed in ["", "yes\n", "89860012345678901235\n"] {
        let said = refused(&erase_typing(&simdeck, &args, typed));
        for part in ["Roof 7", "1 usage record,", "2024-04-23T", "nothing was erased", "--yes"] {
            assert!(said.contains(part), "{part} is not in {said}");
        }
    }
    assert_eq!(count(&simdeck).await, 1);
    let erased = told(&erase_typing(&simdeck, &args, &format!("{GICCID}\n")));
    assert_eq!(erased["data_usage"], 1);
    assert_eq!(count(&simdeck).await, 0);
    simdeck.end();
}

#[tokio::test]
async fn a_number_of_which_nothing_is_known_is_erased_only_by_force() {
    let simdeck = Simdeck::start(&[]);
    let other = "89860012345678901235";
    for args in [&["--giccid", other][..], &["--giccid", other, "--yes"]] {
        let said = refused(&erase_typing(&simdeck, args, &format!("{other}\n")));
        assert!(said.contains("--force") || said.contains("none of that number"), "{said}");
    }
    assert_eq!(simdeck.push("data-usage", signed(&usage(other))).await, (1, 0, 0));
    let args = ["erase", "--giccid", GICCID, "--yes", "--force", "--output", "json"];
    assert_eq!(told(&simdeck.run(&args))["data_usage"], 0);
    assert_eq!(simdeck.push("data-usage", signed(&usage(GICCID))).await, (0, 0, 0));
    simdeck.end();
}

#[tokio::test]
async fn what_comes_of_an_erased_sim_is_kept_again_once_that_is_lifted() {
    let simdeck = Simdeck::start(&[]);
    simdeck.push("data-usage", signed(&usage(GICCID))).await;
    let backup = told(&simdeck.run(&["backup", "--output", "json"]));
    told(&simdeck.run(&["erase", "--giccid", GICCID, "--yes", "--output", "json"]));
    assert_eq!(simdeck.push("data-usage", signed(&usage(GICCID))).await, (0, 0, 0));
    let newest = simdeck.rows("/v1/pushes").await.pop().unwrap();
    assert_eq!((&newest["outcome"], &newest["records"]["stored"]), (&"erased".into(), &0.into()));
    assert!(newest["body"].as_str().is_none_or(str::is_empty), "{newest}");
    let listed = told(&simdeck.run(&["erase", "list", "--output", "json"]));
    assert_eq!((&listed[0]["came_again"], &listed[0]["lifted_at"]), (&1.into(), &Value::Null));

    let lift = ["erase", "lift", "--giccid", GICCID, "--output", "json"];
    told(&simdeck.run(&lift));
    assert!(refused(&simdeck.run(&lift)).contains("already lifted at 20"));
    let simdeck = simdeck.restart(&[]);
    let later = usage(GICCID).replace("1302", "7");
    assert_eq!(simdeck.push("data-usage", signed(&later)).await, (1, 0, 0));
    let listed = told(&simdeck.run(&["erase", "list", "--output", "json"]));
    assert!(listed[0]["lifted_at"].is_string(), "{listed}");

    // What was erased stays so, and what comes is kept, also where a backup knows of neither.
    let folder = simdeck.folder();
    let file = folder.path().join(backup["path"].as_str().unwrap());
    simdeck.end();
    let args = ["restore", "--output", "json", file.to_str().unwrap()];
    told(&crate::server::run(folder.path(), "127.0.0.1:1", "127.0.0.1:2", &args));
    let simdeck = Simdeck::start_in(folder, &[]);
    assert_eq!(count(&simdeck).await, 0);
    assert_eq!(simdeck.push("data-usage", signed(&later)).await, (1, 0, 0));
    // Erased once more, it stays away.
    told(&simdeck.run(&["erase", "--giccid", GICCID, "--yes", "--output", "json"]));
    let simdeck = simdeck.restart(&[]);
    assert_eq!(simdeck.push("data-usage", signed(&later)).await, (0, 0, 0));
    simdeck.end();
}

#[tokio::test]
async fn a_prune_by_command_goes_by_the_settings() {
    let simdeck = Simdeck::start(&[("SIMDECK_RETENTION_RECORDS", "2d")]);
    let at = |days: i64| (now_s() - days * 86_400) * 1000;
    for days in [1, 3] {
        let record = format!(r#""giccid":"{GICCID}","data_usage":1,"start_time":{}"#, at(days));
        simdeck.push("data-usage", signed(&record)).await;
    }
    let pruned = told(&simdeck.run(&["prune", "--output", "json"]));
    assert_eq!(pruned["data_usage"], 1);
    assert_eq!(count(&simdeck).await, 1);
    // What was pruned cannot be told from what is new: it lies aside, and is not lost.
    let record = format!(r#""giccid":"{GICCID}","data_usage":1,"start_time":{}"#, at(4));
    assert_eq!(simdeck.push("data-usage", signed(&record)).await, (0, 0, 1));
    let held = simdeck.rows("/v1/held").await.remove(0);
    assert_eq!(held["reason"], "store_refused");
    let retry = simdeck.run(&["held", "retry", &held["id"].to_string(), "--output", "json"]);
    assert_eq!(retry.status.code(), Some(1), "it did not do what was asked");
    let retried: Value = serde_json::from_slice(&retry.stdout).unwrap();
    assert_eq!((&retried["stored"], &retried["quarantined"]), (&0.into(), &1.into()));
    simdeck.end();
}

#[tokio::test]
async fn with_less_room_than_the_reserve_pushes_wait_while_what_is_old_goes() {
    let record = |days: i64, volume: u8| {
        let at = (now_s() - days * 86_400) * 1000;
        signed(&format!(r#""giccid":"{GICCID}","data_usage":{volume},"start_time":{at}"#))
    };
    let simdeck = Simdeck::start(&[]);
    simdeck.push("data-usage", record(1, 1)).await;
    simdeck.push("data-usage", record(500, 2)).await;
    let mut simdeck = simdeck.restart(&[("SIMDECK_DISK_RESERVE", "1024TiB")]);
    // Nobody asks for it: room is sought.
    simdeck.wait_for("Pruned");
    assert_eq!(count(&simdeck).await, 1);
    let answer = simdeck.post("data-usage", record(1, 3)).await;
    assert_eq!(answer.status, 503);
    assert!(answer.headers.contains_key("retry-after"));
    let status = simdeck.get("/v1/status").await;
    assert_eq!(status["ready"], false);
    assert_eq!(status["disk"]["reserve_bytes"], 1_u64 << 50);
    assert_eq!(told(&simdeck.run(&["prune", "--output", "json"]))["data_usage"], 0);
    let erased = told(&simdeck.run(&["erase", "--giccid", GICCID, "--yes", "--output", "json"]));
    assert_eq!(erased["data_usage"], 1);
    simdeck.end();
}

#[tokio::test]
async fn backups_are_made_by_themselves_where_they_are_asked_for() {
    let mut simdeck =
        Simdeck::start(&[("SIMDECK_BACKUP_EVERY", "1d"), ("SIMDECK_BACKUP_DIR", "copies")]);
    simdeck.wait_for("Made a backup");
    let copies = simdeck.folder().path().join("copies");
    let made = || {
        let names = fs::read_dir(&copies).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_str().unwrap().ends_with(".db")).count()
    };
    assert_eq!(made(), 1);
    simdeck.end();
}
