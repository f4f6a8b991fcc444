//! Who sent it: proxies that are believed, sources that are expected.
use serde_json::json;

use crate::server::{Simdeck, UNSET, signed, usage};

const SIM: &str = "8944501503181377993";

/// Pushes what is quarantined; gives the source that was noted.
async fn noted_source(simdeck: &Simdeck, forwarded: &[(&str, &str)]) -> String {
    let body = signed(&format!(r#""giccid":"1","n":{}"#, json!(forwarded)));
    let answer = simdeck.post_with("data-usage", body, forwarded).await;
    assert_eq!(answer.json()["quarantined"], 1, "{}", answer.body);
    let row = simdeck.rows("/v1/held").await.pop().unwrap();
    row["source"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn only_a_trusted_proxy_is_believed_about_the_client() {
    let header = "X-Forwarded-For";
    let simdeck = Simdeck::start(&[("SIMDECK_PUBLIC_TRUSTED_PROXIES", "127.0.0.1,10.0.0.0/8")]);
    for (forwarded, source) in [
        ("203.0.113.1", "203.0.113.1"),
        ("198.51.100.1, 203.0.113.2", "203.0.113.2"),
        ("203.0.113.3, 10.1.2.3", "203.0.113.3"),
        ("junk, 203.0.113.4", "203.0.113.4"),
        ("203.0.113.5, junk", "127.0.0.1"),
        ("203.0.113.6:4711", "203.0.113.6"),
        ("2001:db8::7", "2001:db8::7"),
        ("::ffff:203.0.113.8", "203.0.113.8"),
        ("", "127.0.0.1"),
    ] {
        assert_eq!(noted_source(&simdeck, &[(header, forwarded)]).await, source, "{forwarded}");
    }
    let simdeck = simdeck.restart(&[("SIMDECK_PUBLIC_TRUSTED_PROXIES", UNSET)]);
    assert_eq!(noted_source(&simdeck, &[(header, "203.0.113.9")]).await, "127.0.0.1");
    simdeck.end();
}

#[tokio::test]
async fn enforced_sources_are_let_in_and_all_others_are_403() {
    let simdeck = Simdeck::start(&[
        ("SIMDECK_PUBLIC_ALLOW_SOURCES", "203.0.113.0/24,2001:db8::1"),
        ("SIMDECK_PUBLIC_ALLOW_MODE", "enforce"),
    ]);
    for (nth, source) in ["203.0.113.77", "2001:db8::1"].into_iter().enumerate() {
        let body = signed(&usage(&format!("894450150318137799{nth}")));
        let answer = simdeck.post_with("data-usage", body, &[("X-Forwarded-For", source)]).await;
        assert_eq!(answer.status, 200, "{source}");
    }
    for source in ["203.0.114.1", "2001:db8::2", "127.0.0.1"] {
        for body in [signed(&usage(SIM)), "{}".to_owned()] {
            let from = [("X-Forwarded-For", source)];
            let answer = simdeck.post_with("data-usage", body, &from).await;
            let problem =
                json!({"type": "about:blank", "title": "Access forbidden", "status": 403});
            assert_eq!((answer.status, answer.json()), (403, problem), "{source}");
        }
    }
    // The address comes first: who has none to push to is told nothing of sources.
    assert_eq!(simdeck.post("Data", "{}").await.status, 404);
    let health = simdeck.ask_public(reqwest::Method::GET, "/healthz", vec![], &[]).await;
    assert_eq!(health.status, 200, "a health check may come from anywhere");
    assert_eq!(simdeck.rows("/v1/data-usage").await.len(), 2);
    assert_eq!(simdeck.get("/v1/held").await, json!([]));
    simdeck.end();
}

#[tokio::test]
async fn monitored_sources_are_told_once_and_let_in() {
    let told = "outside SIMDECK_PUBLIC_ALLOW_SOURCES";
    let sources = ("SIMDECK_PUBLIC_ALLOW_SOURCES", "203.0.113.0/24");
    let push = async |simdeck: &Simdeck, source: &str, nth: usize| {
        let body = signed(&usage(&format!("89445015031813779{nth:02}")));
        let answer = simdeck.post_with("data-usage", body, &[("X-Forwarded-For", source)]).await;
        assert_eq!(answer.status, 200, "{source}");
    };
    let simdeck = Simdeck::start(&[sources]);
    for (nth, source) in
        ["203.0.113.1", "198.51.100.1", "198.51.100.1", "198.51.100.2"].into_iter().enumerate()
    {
        push(&simdeck, source, nth).await;
    }
    let folder = simdeck.folder();
    let log = simdeck.end();
    assert_eq!(log.matches(told).count(), 2, "{log}");
    let off = ("SIMDECK_PUBLIC_ALLOW_MODE", "off");
    let simdeck = Simdeck::start_in(folder, &[sources, off]);
    push(&simdeck, "198.51.100.3", 9).await;
    assert_eq!(simdeck.rows("/v1/data-usage").await.len(), 5);
    let log = simdeck.end();
    assert!(!log.contains(told), "{log}");
}
