//! Restarts behind the shipped Caddy, which nobody outside is to notice.
use std::{
    net::Ipv4Addr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    task::{JoinSet, spawn_blocking},
    time::interval,
};

use super::{say, trials};
use crate::{
    caddy::{client_outside, start_caddy},
    process::free_port,
    program::{Program, now_s, proof},
};

const PUSHES_A_SECOND: u64 = 200;
/// Between two restarts.
const PUSHES_BETWEEN: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarts_behind_caddy_fail_no_push() {
    // The whole promise is twenty times: SIMDECK_RESTARTS=20.
    let restarts = trials("SIMDECK_RESTARTS", 3);
    let folder = TempDir::new().unwrap();
    let program = Arc::new(Program::new());
    let mut server = program.start();
    let (https, http) = (free_port(), free_port());
    let upstream = format!("{}:{}", Ipv4Addr::LOCALHOST, program.public);
    let caddy = start_caddy(folder.path(), &upstream, https, http);
    let client = client_outside(folder.path());
    let url = format!("https://localhost:{https}/v1/data-usage");

    let (answered, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let failures = Arc::new(Mutex::new(Vec::new()));
    let (count, end, failed) = (Arc::clone(&answered), Arc::clone(&over), Arc::clone(&failures));
    let load = tokio::spawn(async move {
        let mut pace = interval(Duration::from_millis(1_000 / PUSHES_A_SECOND));
        let mut pushes = JoinSet::new();
        let mut nth = 0_i64;
        while !end.load(Ordering::Relaxed) {
            pace.tick().await;
            let body = format!(
                r#"{{{},"giccid":"8944501503181377993","data_usage":1,"start_time":{}}}"#,
                proof(now_s()),
                1_713_888_842_473 + nth
            );
            nth += 1;
            let request = client.post(&url).body(body);
            let (count, failed) = (Arc::clone(&count), Arc::clone(&failed));
            pushes.spawn(async move {
                match request.send().await {
                    Ok(answer) if answer.status() == 200 => (),
                    other => failed.lock().unwrap().push(format!("{other:?}")),
                }
                count.fetch_add(1, Ordering::SeqCst);
            });
        }
        pushes.join_all().await;
        nth
    });
    for nth in 1..=restarts {
        while answered.load(Ordering::SeqCst) < nth * PUSHES_BETWEEN {
            tokio::task::yield_now().await;
        }
        let program = Arc::clone(&program);
        server = spawn_blocking(move || {
            server.end();
            program.start()
        })
        .await
        .unwrap();
    }
    over.store(true, Ordering::Relaxed);
    let sent = load.await.unwrap();
    let log = caddy.end();
    let failures = failures.lock().unwrap();
    let told = log.lines().find(|line| line.contains("\"level\":\"error\"")).unwrap_or_default();
    assert!(failures.is_empty(), "{} of {sent}: {:?}: {told}", failures.len(), failures.first());
    assert_eq!(program.ask("/v1/status")["pushes"]["data-usage"]["records"], sent);
    say(&format!("{restarts} trials, 0 failures: {sent} pushes"));
    server.end();
}
