//! Pushes to an address that is nearly right: told, with what to do, and never with a token.
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Simdeck, signed, usage};

const TOKEN: &str = "token-number-one-1f0c";
const OLD_TOKEN: &str = "token-of-last-year-77ab";

async fn posted(simdeck: &Simdeck, path: &str) -> u16 {
    let body = signed(&usage("8944501503181377993"));
    simdeck.ask_public(Method::POST, path, body.into(), &[]).await.status
}

async fn told(simdeck: &Simdeck) -> Vec<Value> {
    let status = simdeck.get("/v1/status").await;
    let conditions = status["conditions"].as_array().unwrap().iter();
    let is_on = |it: &&Value| it["name"] == "address_unknown" && it["on"] == true;
    conditions.filter(is_on).cloned().collect()
}

#[tokio::test]
async fn a_push_to_an_address_that_is_nearly_right_is_told_with_the_right_one() {
    for tokens in ["", TOKEN] {
        let simdeck = Simdeck::start(
            &[("SIMDECK_PUBLIC_PATH_TOKEN", tokens)][usize::from(tokens.is_empty())..],
        );
        let prefix = if tokens.is_empty() { String::new() } else { format!("/{TOKEN}") };
        let paths = [
            "/v1/data_usage",
            "/v1/Data-Usage",
            "/v1/data%2Dusage",
            "//v1/data-usage",
            "/data-usage",
        ];
        for path in paths {
            assert_eq!(posted(&simdeck, &format!("{prefix}{path}")).await, 404, "{path}");
            let row = simdeck.get("/v1/pushes?size=1").await[0].clone();
            assert_eq!((&row["address"], &row["kind"]), (&json!(path), &Value::Null), "{row}");
            assert_eq!(
                (&row["outcome"], &row["reason"]),
                (&json!("rejected"), &json!("not_found"))
            );
            let [condition] = told(&simdeck).await.try_into().unwrap();
            assert_eq!(condition["kind"], "data-usage");
            let (says, todo) = (condition["sentence"].to_string(), condition["todo"].to_string());
            assert!(says.contains(path) && todo.contains("ends in /v1/data-usage"), "{condition}");
        }
        assert_eq!(simdeck.get("/v1/data-usage").await, json!([]));
        let (_, page) = simdeck.ask_text(Method::GET, "/live?tab=requests").await;
        assert!(page.contains("/v1/data_usage"), "{page}");
        let log = simdeck.end();
        let lines = log.lines().filter(|line| line.contains("condition=address_unknown")).count();
        assert_eq!(lines, 1, "{log}");
        assert!(!log.contains(TOKEN), "{log}");
    }
}

#[tokio::test]
async fn a_token_is_never_shown_and_who_has_none_is_only_counted() {
    let simdeck = Simdeck::start(&[("SIMDECK_PUBLIC_PATH_TOKEN", TOKEN)]);
    for path in [
        format!("/{OLD_TOKEN}/v1/data-usage"),
        format!("/{OLD_TOKEN}/v1/data_usage"),
        "/v1/data-usage".to_owned(),
    ] {
        assert_eq!(posted(&simdeck, &path).await, 404);
        let row = simdeck.get("/v1/pushes?size=1").await[0].clone();
        assert_eq!((&row["address"], &row["reason"]), (&Value::Null, &json!("not_found")));
    }
    assert!(told(&simdeck).await.is_empty());
    for path in [
        format!("/{TOKEN}"),
        format!("/{TOKEN}/"),
        format!("//{TOKEN}/v1/mo-sms"),
        format!("/{TOKEN}/{TOKEN}/v1/data-usage"),
        format!("/{TOKEN}/{OLD_TOKEN}/v1/sim_status"),
    ] {
        assert_eq!(posted(&simdeck, &path).await, 404);
    }
    let mut kinds: Vec<Value> = told(&simdeck).await.iter().map(|it| it["kind"].clone()).collect();
    kinds.sort_by_key(Value::to_string);
    assert_eq!(kinds, [json!("data-usage"), json!("mo-sms"), json!("sim-status"), Value::Null]);
    // Somebody who looks at it in a browser pushes nothing.
    let simdeck = simdeck.restart(&[("SIMDECK_PUBLIC_PATH_TOKEN", TOKEN)]);
    let path = format!("/{TOKEN}/v1/data_usage");
    assert_eq!(simdeck.ask_public(Method::GET, &path, Vec::new(), &[]).await.status, 404);
    assert_eq!(simdeck.get("/v1/pushes").await[0]["address"], "/v1/data_usage");
    assert!(told(&simdeck).await.is_empty());
    let (_, metrics) = simdeck.ask_text(Method::GET, "/metrics").await;
    assert!(metrics.contains("simdeck_refusals_total{reason=\"not_found\"} 1"), "{metrics}");
    for path in ["/v1/status", "/v1/pushes", "/v1/attention", "/live?tab=requests", "/metrics"] {
        let (_, text) = simdeck.ask_text(Method::GET, path).await;
        assert!(!text.contains(TOKEN) && !text.contains(OLD_TOKEN), "{path}: {text}");
    }
    let log = simdeck.end();
    assert!(!log.contains(TOKEN) && !log.contains(OLD_TOKEN), "{log}");
}

#[tokio::test]
async fn what_scanners_try_everywhere_is_no_push() {
    let simdeck = Simdeck::start(&[]);
    for path in ["/", "/wp-login.php", "/boaform/admin/formLogin"] {
        assert_eq!(posted(&simdeck, path).await, 404);
    }
    assert!(told(&simdeck).await.is_empty());
    simdeck.end();
}
