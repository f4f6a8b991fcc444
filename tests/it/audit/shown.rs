//! How the audit is asked for.
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use simdeck::http::ApiSettings;

use crate::api_harness::{ADMIN_KEY, Api, link, problem_of};

async fn key(api: &Api, label: &str, scope: &str) -> (i64, String) {
    let wanted = json!({"label": label, "scope": scope}).to_string();
    let made: Value = api.post("/v1/keys", ADMIN_KEY, &wanted).await.json().await.unwrap();
    (made["id"].as_i64().unwrap(), made["key"].as_str().unwrap().to_owned())
}

fn subjects(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["subject"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_audit_is_for_admins_alone() {
    let api = Api::new(ApiSettings::default()).await;
    let (_, reader) = key(&api, "eyes", "read").await;
    for path in ["/v1/audit", "/v1/audit?format=csv", "/v1/audit?cursor=", "/v1/audit?who=admin"] {
        let refused = api.send(Method::GET, path, Some(&reader)).await;
        assert_eq!(problem_of(refused).await.0, 403, "{path}");
        assert_eq!(api.send(Method::GET, path, None).await.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(api.get(path).await.status(), StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn the_audit_is_filtered_paged_and_exported_like_every_list() {
    let api = Api::new(ApiSettings::default()).await;
    let (_, second) = key(&api, "second", "admin").await;
    for nth in 0..5 {
        let wanted = json!({"label": format!("k{nth}"), "scope": "read"}).to_string();
        api.advance(60);
        assert_eq!(api.post("/v1/keys", &second, &wanted).await.status(), 201);
    }
    let first = api.get("/v1/audit?size=2").await;
    assert_eq!(first.headers()["x-total-count"], "6");
    let next = link(&first, "next").unwrap();
    assert_eq!(subjects(&first.json::<Vec<Value>>().await.unwrap()), ["k4", "k3"]);
    assert_eq!(subjects(&api.rows(&next).await), ["k2", "k1"]);
    let walk = api.get("/v1/audit?cursor=&size=4").await;
    let next = link(&walk, "next").unwrap();
    assert_eq!(subjects(&api.rows(&next).await), ["k0", "second"]);

    let all = api.rows("/v1/audit").await;
    let at = |nth: usize| all[nth]["at"].as_str().unwrap().to_owned();
    let range = format!("/v1/audit?from={}&to={}", at(3), at(1));
    for (path, expected) in [
        ("/v1/audit?who=admin", vec!["second"]),
        ("/v1/audit?who=admin,second&size=1", vec!["k4"]),
        ("/v1/audit?action=key.revoke", vec![]),
        ("/v1/audit?action=key.revoke,key.create&who=admin", vec!["second"]),
        ("/v1/audit?source=192.0.2.1", vec![]),
        ("/v1/audit?source=127.0.0.1&who=admin", vec!["second"]),
        (&range, vec!["k2", "k1"]),
    ] {
        assert_eq!(subjects(&api.rows(path).await), expected, "{path}");
    }
    for (path, field) in [
        ("/v1/audit?action=nothing", "action"),
        ("/v1/audit?from=yesterday", "from"),
        ("/v1/audit?giccid=1", "giccid"),
    ] {
        let (status, problem) = api.problem(path).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &field.into()), "{path}");
    }
    let table = api.get("/v1/audit?format=csv&who=admin").await.text().await.unwrap();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[0], "id,at,who,source,action,subject,outcome,details,count");
    let at = at(5);
    assert_eq!(lines[1], format!("1,{at},admin,127.0.0.1,key.create,second,done,admin,1"));
    let lines = api.get("/v1/audit?format=ndjson&who=second").await.text().await.unwrap();
    assert_eq!(lines.lines().count(), 5);
}

#[tokio::test]
async fn the_index_and_the_document_name_the_audit() {
    let api = Api::new(ApiSettings::default()).await;
    let index: Value = api.get("/v1").await.json().await.unwrap();
    assert!(index["audit_url"].as_str().unwrap().ends_with("/v1/audit"));
    let document: Value = api.get("/openapi.json").await.json().await.unwrap();
    let operation = &document["paths"]["/v1/audit"]["get"];
    assert!(operation.is_object(), "{operation}");
    assert!(operation["responses"]["403"].is_object(), "{operation}");
}
