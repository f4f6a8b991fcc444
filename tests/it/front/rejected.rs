//! What is sent away at the address of a push before its proof is looked at: told, with what to do.
use std::time::Instant;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    conditions::on,
    server::{Simdeck, signed, usage},
};

const SIM: &str = "8944501503181377993";
const TOKEN: &str = "token-number-one-1f0c";
const OLD_TOKEN: &str = "token-of-last-year-77ab";
/// A body that breaks off is told of when so many have.
const MANY: usize = 20;

async fn told(simdeck: &Simdeck) -> Vec<Value> {
    on(&simdeck.get("/v1/status").await, "pushes_rejected")
}

fn push() -> String {
    signed(&usage(SIM))
}

/// Requests that are sent away: their head and body, the status, the word in `/v1/pushes`, and what
/// the condition says of the cause and of what to do.
struct Case {
    requests: Vec<String>,
    /// Whether the client ends what it sends before the body is whole.
    ends: bool,
    answer: (u16, &'static str),
    says: &'static str,
    todo: &'static str,
}

fn case(head: &str, body: &str, answer: (u16, &'static str), says: &'static str) -> Case {
    let request = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    Case { requests: vec![request], ends: false, answer, says, todo: "" }
}

fn cases(path: &str) -> Vec<Case> {
    let push = push();
    let post = format!("POST {path} HTTP/1.1\r\nhost: x");
    let unfinished = format!("{post}\r\ncontent-length: 900\r\n\r\n{push}");
    vec![
        Case {
            todo: "bodies without an encoding",
            ..case(
                &format!("{post}\r\ncontent-encoding: gzip"),
                &push,
                (415, "encoded"),
                "1 with a Content-Encoding (415)",
            )
        },
        Case {
            todo: "raise SIMDECK_PUBLIC_MAX_BODY",
            ..case(
                &post,
                &" ".repeat(65_537),
                (413, "too_large"),
                "1 larger than SIMDECK_PUBLIC_MAX_BODY (413)",
            )
        },
        Case {
            todo: "with POST",
            ..case(
                &format!("PUT {path} HTTP/1.1\r\nhost: x"),
                &push,
                (405, "method_not_allowed"),
                "1 with another method than POST (405)",
            )
        },
        Case {
            todo: "the proxy in front of simdeck",
            ..case(
                &format!("{post}\r\nhost: y"),
                &push,
                (400, "ambiguous"),
                "1 with two Host headers or an unusual Transfer-Encoding (400)",
            )
        },
        Case {
            todo: "the proxy in front of simdeck",
            ..case(
                &format!("POST {path} HTTP/1.1"),
                &push,
                (400, "no_host"),
                "1 without a Host header (400)",
            )
        },
        Case {
            requests: vec![unfinished.clone(); MANY],
            ends: true,
            answer: (400, "cut_short"),
            says: "20 whose body was cut short (400)",
            todo: "timeouts of the proxy",
        },
        Case {
            requests: vec![unfinished; MANY],
            ends: false,
            answer: (408, "too_slow"),
            says: "20 whose body took longer than 10 s (408)",
            todo: "timeouts of the proxy",
        },
    ]
}

async fn status_of(simdeck: &Simdeck, request: &str, ends: bool) -> u16 {
    let mut wire = simdeck.connect().await;
    wire.send(request).await;
    if ends {
        wire.finish().await;
    }
    let (head, _) = wire.answer().await;
    head["http/1.1 ".len()..][..3].parse().unwrap()
}

#[tokio::test]
async fn every_push_that_is_sent_away_by_its_form_is_told_with_what_to_do() {
    for token in [Some(TOKEN), None] {
        let limit = ("SIMDECK_PUBLIC_MAX_BODY", "64KiB");
        let tokens = token.map(|token| ("SIMDECK_PUBLIC_PATH_TOKEN", token));
        let settings: Vec<_> = [limit].into_iter().chain(tokens).collect();
        let simdeck = Simdeck::start(&settings);
        let prefix = token.map(|token| format!("/{token}")).unwrap_or_default();
        let cases = cases(&format!("{prefix}/v1/data-usage"));
        assert!(told(&simdeck).await.is_empty());
        for case in &cases {
            let sent = case.requests.iter().map(|it| status_of(&simdeck, it, case.ends));
            let statuses = join_all(sent).await;
            assert!(statuses.iter().all(|status| *status == case.answer.0), "{statuses:?}");
            let row = simdeck.get("/v1/pushes?size=1").await[0].clone();
            let said = json!([row["outcome"], row["reason"], row["kind"]]);
            assert_eq!(said, json!(["rejected", case.answer.1, "data-usage"]));
            let [condition] = told(&simdeck).await.try_into().unwrap();
            let (says, todo) = (condition["sentence"].to_string(), condition["todo"].to_string());
            assert!(says.contains(case.says) && says.contains("from 127.0.0.1"), "{condition}");
            assert!(todo.contains(case.todo), "{condition}");
        }
        // A push that is taken in proves nothing of those that were not.
        let mut simdeck = simdeck;
        simdeck.prefix = prefix;
        assert_eq!(simdeck.push("data-usage", push()).await, (1, 0, 0));
        assert_eq!(told(&simdeck).await.len(), 1);
        let log = simdeck.end();
        for Case { answer: (_, reason), .. } in cases {
            let field = format!("reason=\"{reason}\"");
            let lines = log.lines().filter(|line| line.contains(&field) && line.contains("WARN"));
            assert_eq!(lines.count(), 1, "{reason}: {log}");
        }
        assert!(!log.contains(TOKEN), "{log}");
    }
}

#[tokio::test]
async fn a_push_whose_header_is_too_large_is_told_too() {
    let simdeck = Simdeck::start(&[]);
    let body = push();
    let head = "POST /v1/data-usage HTTP/1.1\r\nhost: x\r\n";
    let length = format!("content-length: {}\r\n", body.len());
    let lines: String = (0..70).map(|nth| format!("x-{nth}: 1\r\n")).collect();
    let large = [format!("x-large: {}\r\n", "a".repeat(17_000)), lines];
    for nth in 0..20 {
        let large = &large[nth % 2];
        let mut wire = simdeck.connect().await;
        wire.send(format!("{head}{length}{large}\r\n{body}")).await;
        let answer = String::from_utf8(wire.rest().await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
    let began = Instant::now();
    loop {
        let conditions = Value::from(told(&simdeck).await).to_string();
        let cause = "20 whose header is larger than 8 KiB";
        if conditions.contains(cause) && conditions.contains("from 127.0.0.1") {
            break;
        }
        assert!(began.elapsed().as_secs() < 20, "{conditions}");
    }
    let (_, metrics) = simdeck.ask_text(Method::GET, "/metrics").await;
    let closed = r#"simdeck_connections_closed_total{listener="public",reason="large_header"} 20"#;
    assert!(metrics.contains(closed), "{metrics}");
    let mut simdeck = simdeck;
    simdeck.wait_for("condition=pushes_rejected");
    simdeck.end();
}

#[tokio::test]
async fn a_push_from_a_source_that_is_not_allowed_is_told_with_its_address() {
    let simdeck = Simdeck::start(&[
        ("SIMDECK_PUBLIC_ALLOW_SOURCES", "203.0.113.0/24"),
        ("SIMDECK_PUBLIC_ALLOW_MODE", "enforce"),
    ]);
    for source in ["198.51.100.1", "198.51.100.2", "198.51.100.2"] {
        let from = [("x-forwarded-for", source)];
        assert_eq!(simdeck.post_with("data-usage", push(), &from).await.status, 403);
    }
    let [condition] = told(&simdeck).await.try_into().unwrap();
    let says = "Requests that may be pushes are sent away before their signature is looked at, and \
                kept nowhere: 3 from outside SIMDECK_PUBLIC_ALLOW_SOURCES (403). The last one came \
                from 198.51.100.2.";
    assert_eq!(condition["sentence"], says);
    let todo = condition["todo"].as_str().unwrap();
    assert!(todo.contains("add their address to SIMDECK_PUBLIC_ALLOW_SOURCES"), "{todo}");
    let log = simdeck.end();
    let lines = log.lines().filter(|line| line.contains("source_not_allowed")).count();
    assert_eq!(lines, 2, "one for each source: {log}");
}

#[tokio::test]
async fn a_push_behind_an_old_token_is_told_and_the_token_is_not() {
    let simdeck = Simdeck::start(&[("SIMDECK_PUBLIC_PATH_TOKEN", TOKEN)]);
    let paths = [
        format!("/{OLD_TOKEN}/v1/data-usage"),
        "/v1/mo-sms".to_owned(),
        format!("/hooks/{TOKEN}/v1/sim-status/"),
    ];
    for path in &paths {
        let answer = simdeck.ask_public(Method::POST, path, push().into(), &[]).await;
        assert_eq!(answer.status, 404, "{path}");
    }
    let [condition] = told(&simdeck).await.try_into().unwrap();
    let says = condition["sentence"].as_str().unwrap();
    assert!(says.contains("3 with a wrong path token or none (404)"), "{says}");
    assert!(condition["todo"].as_str().unwrap().contains("`simdeck welcome`"), "{condition}");
    for path in ["/v1/status", "/v1/pushes", "/live?tab=requests", "/api", "/metrics"] {
        let (_, text) = simdeck.ask_text(Method::GET, path).await;
        assert!(!text.contains(OLD_TOKEN) && !text.contains(TOKEN), "{path}: {text}");
    }
    let log = simdeck.end();
    assert!(!log.contains(OLD_TOKEN) && !log.contains(TOKEN), "{log}");
    assert!(log.contains("condition=pushes_rejected"), "{log}");
}

#[tokio::test]
async fn what_is_not_taken_in_needs_a_person_and_stands_on_the_overview() {
    let mut simdeck = Simdeck::start(&[("SIMDECK_PUBLIC_PATH_TOKEN", TOKEN)]);
    simdeck.prefix = format!("/{TOKEN}");
    assert_eq!(simdeck.push("data-usage", push()).await, (1, 0, 0));
    assert_eq!(simdeck.get("/v1/attention").await, json!([]));
    let encoded = [("content-encoding", "gzip")];
    assert_eq!(simdeck.post_with("data-usage", push(), &encoded).await.status, 415);
    assert_eq!(simdeck.post("Data-Usage", push()).await.status, 404);
    let conditions =
        [told(&simdeck).await, on(&simdeck.get("/v1/status").await, "address_unknown")];
    let attention = simdeck.get("/v1/attention").await;
    for condition in conditions.concat() {
        let mut items = attention.as_array().unwrap().iter();
        let item = items.find(|item| item["reason"] == condition["name"]).unwrap();
        assert_eq!(
            (&item["kind"], &item["severity"]),
            (&json!("pushes_not_taken"), &json!("warning"))
        );
        let sentence = item["sentence"].as_str().unwrap();
        assert!(sentence.starts_with(condition["sentence"].as_str().unwrap()), "{item}");
        assert!(sentence.ends_with(condition["todo"].as_str().unwrap()), "{item}");
        assert_eq!(item["since"], condition["since"]);
    }
    let (_, page) = simdeck.ask_text(Method::GET, "/").await;
    for title in ["Pushes are sent away unread", "Pushes come to an unknown address"] {
        assert!(page.contains(title), "{page}");
    }
    simdeck.end();
}

#[tokio::test]
async fn what_only_looks_or_is_no_push_is_not_told() {
    let encoded = [("content-encoding", "gzip")];
    for settings in [&[][..], &[("SIMDECK_PUBLIC_PATH_TOKEN", TOKEN)]] {
        let simdeck = Simdeck::start(settings);
        let prefix = if settings.is_empty() { String::new() } else { format!("/{TOKEN}") };
        for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::DELETE] {
            let path = format!("{prefix}/v1/data-usage");
            let answer = simdeck.ask_public(method, &path, Vec::new(), &[]).await;
            assert_eq!(answer.status, 405);
        }
        for path in ["/healthz", "/v1/login", "/other/v1/graphql", "/other/v2/data-usage"] {
            let answer = simdeck.ask_public(Method::POST, path, b"{}".into(), &encoded).await;
            assert!([404, 405, 415].contains(&answer.status), "{path}");
        }
        assert!(told(&simdeck).await.is_empty());
        simdeck.end();
    }
}

#[tokio::test]
async fn a_push_by_http_1_0_needs_no_host() {
    let simdeck = Simdeck::start(&[]);
    let body = push();
    let mut wire = simdeck.connect().await;
    let head = format!("POST /v1/data-usage HTTP/1.0\r\ncontent-length: {}\r\n\r\n", body.len());
    wire.send(head + &body).await;
    let (head, _) = wire.answer().await;
    assert!(head.starts_with("http/1.0 200"), "{head}");
    assert_eq!(simdeck.rows("/v1/data-usage").await.len(), 1);
    assert!(told(&simdeck).await.is_empty());
    simdeck.end();
}
