//! What is told from the head of a request.
use reqwest::Method;
use serde_json::json;

use crate::server::{Simdeck, counts, signed, usage};

const TOKENS: &str = "token-number-one-1f0c,token-number-two-77ab";

#[tokio::test]
async fn only_a_well_formed_kind_has_an_address() {
    let simdeck = Simdeck::start(&[]);
    let longest = "k".repeat(64);
    let kinds = ["data-usage", "a", "0", "-", &longest];
    for (nth, kind) in kinds.into_iter().enumerate() {
        let body = signed(&usage(&format!("89445015031813779{nth:02}")));
        assert_eq!(simdeck.push(kind, body).await, (1, 0, 0), "{kind}");
    }
    let too_long = "k".repeat(65);
    for path in [
        "/v1/",
        "/v1",
        "/",
        "/v1/Data-Usage",
        "/v1/data_usage",
        "/v1/data%2Dusage",
        "/v1/data-usage//",
        "/v1/data-usage/1",
        "//v1/data-usage",
        "/v2/data-usage",
        "/data-usage",
        "/metrics",
        "/readyz",
        "/docs",
        "/v1/held/1",
        &format!("/v1/{too_long}"),
        "/token-number-one-1f0c/v1/data-usage",
    ] {
        for method in [Method::POST, Method::GET] {
            let body = signed(&usage("8944501503181377993"));
            let answer = simdeck.ask_public(method, path, body.into(), &[]).await;
            assert_eq!(answer.status, 404, "{path}");
            assert_eq!(answer.header("content-type"), "application/problem+json");
            let problem = json!({"type": "about:blank", "title": "Not Found", "status": 404});
            assert_eq!(answer.json(), problem);
        }
    }
    // A slash behind it is, since some forms put one there.
    let body = signed(&usage("8944501503181377889"));
    assert_eq!(simdeck.push("data-usage/", body).await, (1, 0, 0));
    // A query is nobody's business here.
    let body = signed(&usage("8944501503181377888"));
    assert_eq!(simdeck.push("data-usage?token=1", body).await, (1, 0, 0));
    assert_eq!(simdeck.get("/v1/held").await, json!([]));
    simdeck.end();
}

#[tokio::test]
async fn every_live_token_opens_and_everything_else_is_404() {
    let mut simdeck = Simdeck::start(&[("SIMDECK_PUBLIC_PATH_TOKEN", TOKENS)]);
    for (nth, token) in TOKENS.split(',').enumerate() {
        simdeck.prefix = format!("/{token}");
        let body = signed(&usage(&format!("894450150318137799{nth}")));
        assert_eq!(simdeck.push("data-usage", body).await, (1, 0, 0));
    }
    for prefix in [
        "",
        "/token-number-one-1f0",
        "/token-number-one-1f0d",
        "/token-number-one-1f0c0",
        "/TOKEN-NUMBER-ONE-1F0C",
        "/token-number-one-1f0c,token-number-two-77ab",
        "/token-number-one-1f0c/token-number-two-77ab",
        "//token-number-one-1f0c",
    ] {
        prefix.clone_into(&mut simdeck.prefix);
        let answer = simdeck.post("data-usage", signed(&usage("8944501503181377995"))).await;
        assert_eq!(answer.status, 404, "{prefix}");
        // Who has no token learns nothing of methods either.
        let path = format!("{prefix}/v1/data-usage");
        assert_eq!(simdeck.ask_public(Method::GET, &path, vec![], &[]).await.status, 404);
    }
    let health = simdeck.ask_public(Method::GET, "/healthz", vec![], &[]).await;
    assert_eq!((health.status, health.body.as_str()), (200, "ok\n"));
    assert_eq!(simdeck.rows("/v1/data-usage").await.len(), 2);
    assert_eq!(simdeck.get("/v1/held").await, json!([]));
    let log = simdeck.end();
    for token in TOKENS.split(',') {
        assert!(!log.contains(token), "a token is in the log:\n{log}");
    }
}

#[tokio::test]
async fn another_method_than_post_is_405_and_says_which_is_allowed() {
    let simdeck = Simdeck::start(&[]);
    for method in
        [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS]
    {
        let body = signed(&usage("8944501503181377993"));
        let answer = simdeck.ask_public(method.clone(), "/v1/data-usage", body.into(), &[]).await;
        assert_eq!((answer.status, answer.header("allow")), (405, "POST"), "{method}");
        if method != Method::HEAD {
            assert_eq!(answer.json()["title"], "Method Not Allowed");
        }
    }
    let health = simdeck.ask_public(Method::POST, "/healthz", vec![], &[]).await;
    assert_eq!((health.status, health.header("allow")), (405, "GET, HEAD"));
    assert_eq!(simdeck.ask_public(Method::HEAD, "/healthz", vec![], &[]).await.status, 200);
    assert_eq!(simdeck.get("/v1/data-usage").await, json!([]));
    simdeck.end();
}

#[tokio::test]
async fn a_platform_that_probes_with_get_can_be_told_ok() {
    let simdeck = Simdeck::start(&[("SIMDECK_PUSH_PROBE", "ok")]);
    let answer = simdeck.ask_public(Method::GET, "/v1/sim-status", vec![], &[]).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok\n"));
    let answer = simdeck.ask_public(Method::HEAD, "/v1/sim-status", vec![], &[]).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    let answer = simdeck.ask_public(Method::PUT, "/v1/sim-status", vec![], &[]).await;
    assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD, POST"));
    let answer = simdeck.ask_public(Method::GET, "/v1/SIM", vec![], &[]).await;
    assert_eq!(answer.status, 404);
    assert_eq!(simdeck.push("sim-status", signed("")).await, (1, 0, 0));
    simdeck.end();
}

#[tokio::test]
async fn the_content_type_is_not_looked_at() {
    let simdeck = Simdeck::start(&[]);
    let kinds = ["text/plain", "application/x-www-form-urlencoded", "image/png", "?", ""];
    for (nth, content_type) in kinds.into_iter().enumerate() {
        let body = signed(&usage(&format!("894450150318137799{nth}")));
        let headers = [("Content-Type", content_type)];
        let answer = simdeck.post_with("data-usage", body, &headers).await;
        assert_eq!(counts(&answer.json()), (1, 0, 0), "{content_type}");
        assert_eq!(answer.header("content-type"), "application/json");
    }
    simdeck.end();
}

#[tokio::test]
async fn the_success_answer_is_what_the_settings_say() {
    let body = |nth| signed(&usage(&format!("894450150318137799{nth}")));
    let simdeck = Simdeck::start(&[
        ("SIMDECK_PUSH_ANSWER_STATUS", "202"),
        ("SIMDECK_PUSH_ANSWER_BODY", r#"{"code":"0"}"#),
    ]);
    let answer = simdeck.post("data-usage", body(1)).await;
    assert_eq!((answer.status, answer.body.as_str()), (202, r#"{"code":"0"}"#));
    // A repeat and a quarantined record are successes like any other.
    let again = simdeck.post("data-usage", signed(r#""giccid":"1""#)).await;
    assert_eq!((again.status, again.body.as_str()), (202, r#"{"code":"0"}"#));
    assert_eq!(simdeck.post("data-usage", "{}").await.status, 401);

    let simdeck = simdeck.restart(&[("SIMDECK_PUSH_ANSWER_STATUS", "204")]);
    let answer = simdeck.post("data-usage", body(2)).await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    let simdeck = simdeck.restart(&[("SIMDECK_PUSH_ANSWER_BODY", "")]);
    let answer = simdeck.post("data-usage", body(3)).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    assert_eq!(simdeck.rows("/v1/data-usage").await.len(), 3);
    simdeck.end();
}

#[tokio::test]
async fn a_request_without_host_is_refused_before_anything_else() {
    let simdeck = Simdeck::start(&[]);
    let body = signed(&usage("8944501503181377993"));
    let length = body.len();
    let mut wire = simdeck.connect().await;
    wire.send(format!("POST /v1/data-usage HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{body}"))
        .await;
    let (head, problem) = wire.answer().await;
    assert!(head.contains(" 400 bad request\r\n"), "{head}");
    assert!(problem.contains("Host"), "{problem}");
    assert_eq!(simdeck.get("/v1/data-usage").await, json!([]));

    let mut wire = simdeck.connect().await;
    wire.send(format!(
        "POST /v1/data-usage HTTP/1.0\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}"
    ))
    .await;
    let (head, answer) = wire.answer().await;
    assert!(head.contains(" 200 ok\r\n"), "{head}");
    assert_eq!(counts(&serde_json::from_str(&answer).unwrap()), (1, 0, 0));
    assert!(wire.rest().await.is_empty(), "HTTP/1.0 ends with the answer");
    simdeck.end();
}
