//! What the page shows of secrets, and what it hands to a shell.
use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use reqwest::Method;
use rustix::process::{Signal, kill_process};
use serde_json::Value;

use crate::server::{API_KEY, Simdeck, signed, usage};

const SIM: &str = "8944501503181377993";
/// What should come comes far sooner.
const GUARD: Duration = Duration::from_secs(120);

async fn page(simdeck: &Simdeck, key: &str, path: &str) -> String {
    let url = format!("{}{path}", simdeck.internal_url());
    let answer = reqwest::Client::new().get(url).header("X-API-Key", key).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.text().await.unwrap()
}

async fn read_key(simdeck: &Simdeck) -> String {
    let wanted = r#"{"label":"reader","scope":"read"}"#;
    let made = simdeck.send_json(Method::POST, "/v1/keys", wanted).await.1;
    made["key"].as_str().unwrap().to_owned()
}

/// The commands to send a push again, as a browser reads them.
fn commands(page: &str) -> Vec<String> {
    let copied = page.split("data-copy=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let copied = copied.map(|it| {
        it.replace("&#34;", "\"").replace("&#39;", "'").replace("&#60;", "<").replace("&#38;", "&")
    });
    copied.filter(|it| it.contains("POST")).collect()
}

#[tokio::test]
async fn a_copied_push_is_sent_as_it_came_by_every_shell_and_only_if_it_was_authentic() {
    let simdeck = Simdeck::start(&[]);
    for hostile in ["@/etc/hostname", r"\'; touch PWNED; #", r"'; touch PWNED; '", "{\"a\":1}"] {
        assert_eq!(simdeck.post("data-usage", hostile).await.status / 100, 4);
    }
    let page_of_refused = page(&simdeck, API_KEY, "/live?tab=requests").await;
    assert!(page_of_refused.contains("PWNED"), "the bodies are shown");
    assert_eq!(commands(&page_of_refused), Vec::<String>::new());

    let hostile = r#""note":"\\'; touch PWNED; #$(touch PWNED)`touch PWNED` %s \n !! ' \" & <ü>""#;
    simdeck.push("data-usage", signed(&format!("{},{hostile}", usage(SIM)))).await;
    let commands = commands(&page(&simdeck, API_KEY, "/live?tab=requests").await);
    let [command] = commands.as_slice() else { panic!("{commands:?}") };
    // The settings of a test name no port.
    let command = command.replace("127.0.0.1:0/", &format!("{}/", simdeck.public()));
    let newest = async || simdeck.get("/v1/pushes?size=1").await[0].clone();
    let sent: Value = newest().await;
    assert!(sent["body"].as_str().unwrap().contains("PWNED"));
    let mut tried = Vec::new();
    for shell in ["sh", "bash", "zsh", "fish"] {
        let folder = tempfile::tempdir().unwrap();
        let ran = Command::new(shell).args(["-c", &command]).current_dir(folder.path()).output();
        let Ok(output) = ran else { continue };
        assert!(output.status.success(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
        let again = newest().await;
        assert_ne!(again["at"], sent["at"], "{shell} sent nothing");
        assert_eq!(again["body"], sent["body"], "{shell}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{shell} made a file");
        tried.push(shell);
    }
    assert!(tried.contains(&"sh"), "{tried:?}");
    simdeck.end();
}

#[tokio::test]
async fn the_first_page_shows_the_path_token_of_now_and_only_to_admins() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    fs::write(&file, "token-of-yesterday\n").unwrap();
    let path = file.to_str().unwrap();
    let simdeck = Simdeck::start(&[("SIMDECK_PUBLIC_PATH_TOKEN_FILE", path)]);
    let reader = read_key(&simdeck).await;
    let shown = page(&simdeck, API_KEY, "/").await;
    assert!(shown.contains("/token-of-yesterday/v1/data-usage"), "{shown}");
    for path in ["/", "/live?tab=requests", "/api", "/sims"] {
        let shown = page(&simdeck, &reader, path).await;
        assert!(!shown.contains("token-of-"), "{path}: {shown}");
    }

    fs::write(&file, "token-of-today-and-on\n").unwrap();
    kill_process(simdeck.pid(), Signal::HUP).unwrap();
    let began = Instant::now();
    loop {
        let shown = page(&simdeck, API_KEY, "/").await;
        if shown.contains("/token-of-today-and-on/v1/data-usage") {
            assert!(!shown.contains("token-of-yesterday"), "{shown}");
            break;
        }
        assert!(began.elapsed() < GUARD, "{shown}");
    }
    let shown = page(&simdeck, &reader, "/").await;
    assert!(!shown.contains("token-of-"), "{shown}");
    simdeck.end();
}
