//! Who may do what on the internal listener, and what lies aside there.
use std::num::NonZeroU32;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use simdeck::http::ApiSettings;

use crate::api_harness::{ADMIN_KEY, Api, ids, problem_of};

async fn api_and_reader() -> (Api, String) {
    let api = Api::new(ApiSettings::default()).await;
    let response = api.post("/v1/keys", ADMIN_KEY, r#"{"label":"grafana","scope":"read"}"#).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    let made: Value = response.json().await.unwrap();
    let key = made["key"].as_str().unwrap().to_owned();
    (api, key)
}

#[tokio::test]
async fn nothing_but_health_is_told_without_a_live_key() {
    let (api, _) = api_and_reader().await;
    let routes = [
        (Method::GET, "/v1"),
        (Method::GET, "/v1/data-usage"),
        (Method::GET, "/v1/data-usage/1"),
        (Method::GET, "/v1/data-usage?format=csv"),
        (Method::GET, "/v1/mo-sms"),
        (Method::GET, "/v1/mo-sms/1"),
        (Method::GET, "/v1/notifications"),
        (Method::GET, "/v1/notifications/1"),
        (Method::GET, "/v1/devices"),
        (Method::GET, "/v1/devices?format=csv"),
        (Method::GET, "/v1/devices/summary"),
        (Method::GET, "/v1/devices/RT1"),
        (Method::GET, "/v1/devices/RT1/history"),
        (Method::PUT, "/v1/devices/RT1/group"),
        (Method::POST, "/v1/import"),
        (Method::GET, "/v1/held"),
        (Method::GET, "/v1/held/1"),
        (Method::POST, "/v1/held/1/retry"),
        (Method::DELETE, "/v1/held/1"),
        (Method::GET, "/v1/keys"),
        (Method::POST, "/v1/keys"),
        (Method::DELETE, "/v1/keys/1"),
        (Method::GET, "/v1/status"),
        (Method::POST, "/v1/test-nonces"),
    ];
    for (method, url) in routes {
        for key in [None, Some("sd_wrong"), Some("")] {
            let response = api.send(method.clone(), url, key).await;
            assert!(response.headers().contains_key("www-authenticate"));
            let (status, mut problem) = problem_of(response).await;
            problem.as_object_mut().unwrap().remove("documentation_url").unwrap();
            let expected =
                json!({"type": "about:blank", "title": "Invalid api key", "status": 401});
            assert_eq!((status, problem), (401, expected), "{method} {url}");
        }
    }
    for url in ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs/"] {
        assert_eq!(api.send(Method::GET, url, None).await.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn a_reader_looks_and_an_admin_acts() {
    let (api, reader) = api_and_reader().await;
    api.push("data-usage", r#""giccid":"1""#).await;
    for url in
        ["/v1", "/v1/data-usage", "/v1/devices", "/v1/held", "/v1/held/1", "/v1/keys", "/v1/status"]
    {
        let response = api.send(Method::GET, url, Some(&reader)).await;
        assert_eq!(response.status(), StatusCode::OK, "{url}");
    }
    for (method, url) in [
        (Method::PUT, "/v1/devices/RT1/group"),
        (Method::POST, "/v1/held/1/retry"),
        (Method::DELETE, "/v1/held/1"),
        (Method::POST, "/v1/keys"),
        (Method::DELETE, "/v1/keys/1"),
        (Method::POST, "/v1/test-nonces"),
    ] {
        let response = api.send(method, url, Some(&reader)).await;
        let (status, problem) = problem_of(response).await;
        assert_eq!((status, &problem["title"]), (403, &json!("Access forbidden")), "{url}");
    }
    let one = api.send(Method::GET, "/v1/held/1", Some(&reader)).await.text().await.unwrap();
    assert!(!one.contains("\"body\""), "{one}");
}

#[tokio::test]
async fn a_key_is_shown_once_and_ends_when_revoked() {
    let (api, reader) = api_and_reader().await;
    assert_eq!((reader.len(), reader.starts_with("sd_")), (46, true));
    let listed = api.get("/v1/keys").await.text().await.unwrap();
    assert!(listed.contains("grafana") && !listed.contains(&reader), "{listed}");
    let revoked = api.send(Method::DELETE, "/v1/keys/1", Some(ADMIN_KEY)).await;
    assert_eq!(revoked.status(), StatusCode::NO_CONTENT);
    let response = api.send(Method::GET, "/v1", Some(&reader)).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let response = api.send(Method::DELETE, "/v1/keys/9", Some(ADMIN_KEY)).await;
    assert_eq!(problem_of(response).await.0, 404);
}

#[tokio::test]
async fn a_body_is_refused_with_the_member_that_is_wrong() {
    let (api, _) = api_and_reader().await;
    for body in ["", "[]", "{", "1", "\"a\""] {
        let (status, problem) = problem_of(api.post("/v1/keys", ADMIN_KEY, body).await).await;
        assert_eq!((status, &problem["title"]), (400, &json!("Bad Request")));
        assert_eq!(problem["detail"], "Body should be a JSON object");
    }
    let long = format!(r#"{{"label":"{}","scope":"read"}}"#, "x".repeat(65));
    for (body, field, code) in [
        (r#"{"scope":"read"}"#, "label", "missing_field"),
        (r#"{"label":"a"}"#, "scope", "missing_field"),
        (r#"{"label":"a","scope":"root"}"#, "scope", "invalid"),
        (r#"{"label":"","scope":"read"}"#, "label", "invalid"),
        (r#"{"label":"a\nb","scope":"read"}"#, "label", "invalid"),
        (r#"{"label":7,"scope":"read"}"#, "label", "invalid"),
        (&long, "label", "invalid"),
        (r#"{"label":"a","scope":"read","admin":true}"#, "admin", "invalid"),
    ] {
        let (status, problem) = problem_of(api.post("/v1/keys", ADMIN_KEY, body).await).await;
        let expected = json!([{"resource": "keys", "field": field, "code": code}]);
        assert_eq!((status, &problem["errors"]), (422, &expected), "{body}");
    }
    for label in ["grafana", "admin"] {
        let body = format!(r#"{{"label":"{label}","scope":"read"}}"#);
        let (status, problem) = problem_of(api.post("/v1/keys", ADMIN_KEY, &body).await).await;
        let expected = json!([{"resource": "keys", "field": "label", "code": "already_exists"}]);
        assert_eq!((status, &problem["errors"]), (409, &expected), "{label}");
    }
    let large = format!(r#"{{"label":"{}"}}"#, "x".repeat(70_000));
    assert_eq!(problem_of(api.post("/v1/keys", ADMIN_KEY, &large).await).await.0, 413);
    for body in [r#"{"pushes":0}"#, r#"{"pushes":1.5}"#, r#"{"pushes":4294967296}"#] {
        let response = api.post("/v1/test-nonces", ADMIN_KEY, body).await;
        assert_eq!(problem_of(response).await.0, 422, "{body}");
    }
    let response = api.post("/v1/test-nonces", ADMIN_KEY, r#"{"pushes":3}"#).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    let nonce: Value = response.json().await.unwrap();
    assert_eq!(nonce["pushes"], 3);
    assert!(nonce["nonce"].is_string() && nonce["expires_at"].is_string());
}

#[tokio::test]
async fn held_pushes_are_listed_shown_retried_and_discarded() {
    let (api, _) = api_and_reader().await;
    // A body that is no JSON is kept as it came, with a signature that must not be shown.
    let signature = "0123456789abcdef".repeat(4);
    let broken = format!(r#"{{"datePush":1725499848,"signature":"{signature}","giccid":"#);
    api.push_refused("data-usage", broken.clone()).await;
    api.push("data-usage", r#""giccid":"1""#).await;
    let rows = api.rows("/v1/held").await;
    assert_eq!(ids(&rows), [2, 1]);
    assert_eq!((&rows[0]["class"], &rows[1]["class"]), (&json!("quarantined"), &json!("refused")));
    assert_eq!((&rows[1]["reason"], &rows[1]["kind"]), (&json!("not_json"), &json!("data-usage")));
    assert_eq!((&rows[1]["source"], &rows[1]["count"]), (&json!("192.0.2.1"), &json!(1)));
    assert_eq!(ids(&api.rows("/v1/held?class=refused&reason=not_json,date_old").await), [1]);
    assert_eq!(api.problem("/v1/held?class=lost").await.0, 422);
    let one: Value = api.get("/v1/held/1").await.json().await.unwrap();
    assert_eq!(one["body"], broken.replace(&signature, &"*".repeat(64)));
    assert_eq!(one["body_encoding"], "utf-8");

    let retry = async |url: &str| api.post(url, ADMIN_KEY, "").await;
    assert_eq!(problem_of(retry("/v1/held/1/retry").await).await.0, 409);
    assert_eq!(problem_of(retry("/v1/held/2/retry?as=No").await).await.0, 422);
    assert_eq!(problem_of(retry("/v1/held/9/retry").await).await.0, 404);
    let answer: Value = retry("/v1/held/2/retry").await.json().await.unwrap();
    assert_eq!(answer, json!({"stored": 0, "duplicates": 0, "quarantined": 1}));
    let answer: Value = retry("/v1/held/2/retry?as=other-kind").await.json().await.unwrap();
    assert_eq!(answer, json!({"stored": 1, "duplicates": 0, "quarantined": 0}));
    assert_eq!(api.rows("/v1/notifications").await[0]["kind"], "other-kind");
    assert_eq!(ids(&api.rows("/v1/held").await), [1]);

    for status in [StatusCode::NO_CONTENT, StatusCode::NOT_FOUND] {
        let response = api.send(Method::DELETE, "/v1/held/1", Some(ADMIN_KEY)).await;
        assert_eq!(response.status(), status);
    }
}

#[tokio::test]
async fn the_status_names_live_keys_and_what_the_rings_dropped() {
    let (api, _) = api_and_reader().await;
    api.push(
        "data-usage",
        r#""giccid":"89860012345678901234","data_usage":7,"start_time":1725499848000"#,
    )
    .await;
    let status: Value = api.get("/v1/status").await.json().await.unwrap();
    assert_eq!(
        status["pushes"],
        json!({"data-usage": {
            "records": 1,
            "data_usage": 7,
            "repeats": 0,
            "repeats_redated": 0,
            "last_received_at": "2024-09-05T01:30:49.000Z",
        }})
    );
    assert_eq!(status["ready"], true);
    assert_eq!(status["keys"], json!([{"id": 1, "label": "grafana", "scope": "read"}]));
    assert_eq!(status["held"]["refused"]["plausible"]["dropped"], 0);
    assert_eq!(status["queue"], json!({"records": 0, "bytes": 0}));
}

#[tokio::test]
async fn a_key_that_asks_too_often_is_told_when_it_may_again() {
    let requests_per_hour = NonZeroU32::new(2);
    let api = Api::new(ApiSettings { requests_per_hour, ..ApiSettings::default() }).await;
    for remaining in ["1", "0"] {
        let response = api.get("/v1").await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["x-ratelimit-limit"], "2");
        assert_eq!(response.headers()["x-ratelimit-remaining"], remaining);
        assert_eq!(response.headers()["x-ratelimit-reset"], "3600");
    }
    let response = api.get("/v1").await;
    assert_eq!(response.headers()["retry-after"], "3600");
    assert_eq!(response.headers()["x-ratelimit-remaining"], "0");
    let (status, problem) = problem_of(response).await;
    assert_eq!((status, &problem["title"]), (429, &json!("API rate limit exceeded")));
    // What needs no key is not counted, and neither is what has none.
    assert_eq!(api.get("/healthz").await.status(), StatusCode::OK);
    let response = api.send(Method::GET, "/v1", Some("sd_wrong")).await;
    assert!(!response.headers().contains_key("x-ratelimit-limit"));
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_may_ask_and_no_other() {
    let cors_origins = vec!["https://ops.example".parse().unwrap()];
    let api = Api::new(ApiSettings { cors_origins, ..ApiSettings::default() }).await;
    let preflight = async |origin: &str| {
        reqwest::Client::new()
            .request(Method::OPTIONS, format!("{}/v1/data-usage", api.base))
            .header("Origin", origin)
            .header("Access-Control-Request-Method", "GET")
            .header("Access-Control-Request-Headers", "x-api-key")
            .send()
            .await
            .unwrap()
    };
    let allowed = preflight("https://ops.example").await;
    assert_eq!(allowed.headers()["access-control-allow-origin"], "https://ops.example");
    assert!(
        !preflight("https://evil.example")
            .await
            .headers()
            .contains_key("access-control-allow-origin")
    );
}
