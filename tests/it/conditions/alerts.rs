//! The address that is told when something begins to be wrong, and when it ends.
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::timeout,
};

use super::text;
use crate::server::{Simdeck, signed, usage};

/// Stands where SIMDECK_ALERT_URL points to. Its path is as good as a secret.
const PATH: &str = "/hook/do-not-tell-4711";
/// What takes so long will not happen.
const GUARD: Duration = Duration::from_secs(120);

struct Hook(TcpListener);

impl Hook {
    async fn open() -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}{PATH}", listener.local_addr().unwrap());
        (Self(listener), url)
    }

    /// Takes one request, answers it with this status, and gives its body.
    async fn take(&self, status: &str) -> Value {
        let (mut stream, _) = timeout(GUARD, self.0.accept()).await.unwrap().unwrap();
        let mut request = Vec::new();
        let body = loop {
            let mut chunk = [0; 4096];
            let read = timeout(GUARD, stream.read(&mut chunk)).await.unwrap().unwrap();
            assert!(read > 0, "{}", String::from_utf8_lossy(&request));
            request.extend_from_slice(&chunk[..read]);
            let text = String::from_utf8_lossy(&request);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            assert!(head.starts_with(&format!("POST {PATH} HTTP/1.1\r\n")), "{head}");
            assert!(head.to_lowercase().contains("content-type: application/json"), "{head}");
            if let Ok(body) = serde_json::from_str(body) {
                break body;
            }
        };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
        body
    }
}

#[tokio::test]
async fn one_post_tells_that_something_began_and_one_that_it_ended() {
    let (hook, url) = Hook::open().await;
    let simdeck = Simdeck::start(&[("SIMDECK_ALERT_URL", &url)]);
    let members = r#""giccid":"8944501503181377993","data_usage":"much""#;
    assert_eq!(simdeck.push("data-usage", signed(members)).await, (0, 0, 1));
    simdeck.get("/v1/status").await;
    let began = hook.take("204 No Content").await;
    assert_eq!((&began["condition"], &began["on"]), (&"quarantining".into(), &true.into()));
    assert!(text(&began, "todo").contains("simdeck held list"), "{began}");
    assert!(text(&began, "text").starts_with("simdeck: Parts of authentic pushes"), "{began}");
    assert!(text(&began, "status_url").ends_with("/v1/status"), "{began}");
    assert!(!began.to_string().contains("8944501503181377993"), "{began}");
    let id = &simdeck.rows("/v1/held").await[0]["id"];
    assert_eq!(simdeck.ask(Method::DELETE, &format!("/v1/held/{id}")).await.0, 204);
    simdeck.get("/v1/status").await;
    let ended = hook.take("200 OK").await;
    assert_eq!((&ended["condition"], &ended["on"]), (&"quarantining".into(), &false.into()));
    assert_eq!(ended["since"], began["since"]);
    simdeck.end();
}

#[tokio::test]
async fn an_address_that_redirects_has_got_no_alert_and_that_is_told() {
    let (hook, url) = Hook::open().await;
    let mut simdeck = Simdeck::start(&[("SIMDECK_ALERT_URL", &url)]);
    assert_eq!(simdeck.push("data-usage", signed(r#""giccid":"1""#)).await, (0, 0, 1));
    simdeck.get("/v1/status").await;
    for _ in 0..2 {
        hook.take("302 Found").await;
    }
    simdeck.wait_for("SIMDECK_ALERT_URL took no alert, twice");
    let log = simdeck.end();
    assert!(log.contains("redirects are not followed"), "{log}");
    assert!(!log.contains("do-not-tell"), "the address is a secret: {log}");
}

#[tokio::test]
async fn an_address_that_fails_is_tried_once_more_and_holds_nothing_up() {
    let (hook, url) = Hook::open().await;
    let simdeck = Simdeck::start(&[("SIMDECK_ALERT_URL", &url)]);
    assert_eq!(simdeck.push("data-usage", signed(r#""giccid":"1""#)).await, (0, 0, 1));
    simdeck.get("/v1/status").await;
    let first = hook.take("500 Internal Server Error").await;
    // While the alert waits for its second attempt, pushes are stored and questions answered.
    assert_eq!(simdeck.push("data-usage", signed(&usage("8944501503181377993"))).await, (1, 0, 0));
    assert_eq!(simdeck.rows("/v1/data-usage").await.len(), 1);
    let mut simdeck = simdeck;
    assert_eq!(hook.take("500 Internal Server Error").await, first);
    simdeck.wait_for("SIMDECK_ALERT_URL took no alert, twice");
    let shown = simdeck.run(&["config", "print"]);
    let log = simdeck.end();
    assert!(!log.contains("do-not-tell"), "the address is a secret: {log}");
    assert!(!String::from_utf8_lossy(&shown.stdout).contains("do-not-tell"));
}
