//! The OpenAPI document against the server that it describes.
use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};
use simdeck::http::{ApiSettings, DocumentSettings, openapi};

use crate::{
    api_harness::{ADMIN_KEY, Api, problem_of},
    commands::{Machine, stdout},
};

fn document() -> Value {
    openapi(&DocumentSettings::default())
}

/// The methods of each address.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let methods =
        |item: &Value| item.as_object().unwrap().keys().map(|m| m.to_uppercase()).collect();
    paths.iter().map(|(path, item)| (path.clone(), methods(item))).collect()
}

fn example_of(path: &str) -> String {
    path.replace("{id}", "1").replace("{sn}", "RT1").replace("{file}", "index.css")
}

#[tokio::test]
async fn every_route_is_documented_and_every_documented_route_is_there() {
    let api = Api::new(ApiSettings::default()).await;
    // The router tells its addresses only to people who debug it.
    let told = api.router.split("paths: {").nth(1).unwrap().split('}').collect::<Vec<_>>();
    let served: BTreeSet<String> = told
        .join("}")
        .split('"')
        .skip(1)
        .step_by(2)
        .take_while(|path| path.starts_with('/'))
        .map(str::to_owned)
        .collect();
    let documented = documented();
    // Pages are for people, and no program is told of them.
    let is_of_api = |path: &&String| {
        let first = path.split('/').nth(1).unwrap_or_default();
        ["v1", "docs", "healthz", "readyz", "metrics", "openapi.json"].contains(&first)
    };
    let served: BTreeSet<String> = served.iter().filter(is_of_api).cloned().collect();
    assert_eq!(served, documented.keys().cloned().collect());

    for (path, methods) in documented {
        let response = api.send(Method::PATCH, &example_of(&path), Some(ADMIN_KEY)).await;
        let allowed = response.headers()["allow"].to_str().unwrap().to_owned();
        let allowed = allowed.split(',').filter(|method| *method != "HEAD").map(str::to_owned);
        assert_eq!(allowed.collect::<BTreeSet<_>>(), methods, "{path}");
        assert_eq!(problem_of(response).await.0, 405);
    }
}

#[tokio::test]
async fn the_index_names_every_address_that_has_no_blank_to_fill() {
    let api = Api::new(ApiSettings::default()).await;
    let index: Value = api.get("/v1").await.json().await.unwrap();
    let named = index.as_object().unwrap().values();
    let named: BTreeSet<String> = named
        .map(|url| url.as_str().unwrap().strip_prefix(&api.base).unwrap().to_owned())
        .collect();
    let open = documented().into_keys().filter(|path| !path.contains('{'));
    // The index itself, what belongs to devices, and where `/docs/` is also found.
    let elsewhere = ["/v1", "/v1/devices/summary", "/docs"];
    assert_eq!(named, open.filter(|path| !elsewhere.contains(&path.as_str())).collect());
}

#[tokio::test]
async fn the_parameters_are_those_that_the_route_takes() {
    let api = Api::new(ApiSettings::default()).await;
    let document = document();
    for (path, item) in document["paths"].as_object().unwrap() {
        let Some(operation) = item.get("get").filter(|_| path.starts_with("/v1")) else { continue };
        if path.contains('{') {
            continue;
        }
        let (_, problem) = api.problem(&format!("{path}?zzzzzzzzzzzz=1")).await;
        let detail = problem["detail"].as_str().unwrap();
        let taken = detail.split_once("it takes ").unwrap().1.trim_end_matches('.');
        let documented: Vec<&str> = operation["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|p| p["in"] == "query")
            .map(|p| p["name"].as_str().unwrap())
            .collect();
        let documented =
            if documented.is_empty() { "none".to_owned() } else { documented.join(", ") };
        assert_eq!(taken, documented, "{path}");
    }
    let usage = &document["paths"]["/v1/data-usage"]["get"]["parameters"];
    let giccid = &usage[0];
    assert_eq!((&giccid["name"], &giccid["in"]), (&json!("giccid"), &json!("query")));
    assert_eq!(giccid["schema"]["items"]["pattern"], "^[0-9A-Za-z]{18,22}$");
}

/// Names of members, those of members too; what others sent is not ours to name.
fn members(value: &Value, prefix: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| members(item, prefix, into)),
        Value::Object(object) => {
            for (name, value) in object {
                let path = format!("{prefix}/{name}");
                if !["extra", "payload", "sample"].contains(&name.as_str()) {
                    members(value, &path, into);
                }
                into.insert(path);
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn the_examples_have_the_members_that_answers_have() {
    let api = Api::new(ApiSettings::default()).await;
    api.add_usage(1).await;
    let giccid = r#""giccid":"89860012345678901234""#;
    api.push("mo-sms", &format!(r#"{giccid},"event_time":1725499848000"#)).await;
    api.push("sim-status", giccid).await;
    api.push("data-usage", r#""giccid":"1""#).await;
    api.post("/v1/keys", ADMIN_KEY, r#"{"label":"grafana","scope":"read"}"#).await;
    let document = document();
    for path in [
        "/v1/data-usage",
        "/v1/mo-sms",
        "/v1/notifications",
        "/v1/sims",
        "/v1/held",
        "/v1/keys",
        "/healthz",
    ] {
        let content = &document["paths"][path]["get"]["responses"]["200"]["content"];
        let (mut documented, mut answered) = (BTreeSet::new(), BTreeSet::new());
        members(&content["application/json"]["example"], "", &mut documented);
        members(&api.get(path).await.json().await.unwrap(), "", &mut answered);
        assert!(!answered.is_empty(), "{path}");
        assert_eq!(documented, answered, "{path}");
    }
}

/// Those without are files, texts without end and addresses that go elsewhere.
#[test]
fn every_answer_that_is_json_has_a_schema_and_an_example() {
    let document = document();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for (status, answer) in operation["responses"].as_object().unwrap() {
                let Some(json) = answer["content"].get("application/json") else { continue };
                let whole = path == "/openapi.json"; // it would be itself
                assert!(whole || json.get("example").is_some(), "{method} {path} {status}");
            }
        }
    }
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let text = document.to_string();
    let named = text.split("\"#/components/schemas/").skip(1);
    for name in named.map(|rest| rest.split('"').next().unwrap()) {
        assert!(schemas.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn the_server_answers_its_document_and_a_page_that_needs_nothing_from_elsewhere() {
    let url = Some("https://simdeck.example/ops".to_owned());
    let settings =
        ApiSettings { first_page: 1, internal_url: url.clone(), ..ApiSettings::default() };
    let api = Api::new(settings).await;
    let answered = api.send(Method::GET, "/openapi.json", None).await;
    assert_eq!(answered.headers()["content-type"], "application/json");
    let answered: Value = answered.json().await.unwrap();
    assert_eq!(answered, openapi(&DocumentSettings { first_page: 1, internal_url: url }));
    assert_eq!(answered["openapi"], "3.1.0");
    assert_eq!(answered["servers"][0]["url"], "https://simdeck.example/ops");

    let page = api.send(Method::GET, "/docs/", None).await;
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'; script-src 'self';"), "{policy}");
    assert_eq!(page.headers()["content-type"], "text/html");
    let page = page.text().await.unwrap();
    assert!(!page.contains("//") && page.contains("swagger-ui-bundle.js"), "{page}");
    assert!(!page.split("<script").skip(1).any(|script| !script.contains("src=")), "{page}");
    for attribute in ["src=\"", "href=\""] {
        for file in page.split(attribute).skip(1).map(|rest| rest.split('"').next().unwrap()) {
            let file = file.trim_start_matches("./");
            let response = api.send(Method::GET, &format!("/docs/{file}"), None).await;
            assert_eq!(response.status(), 200, "{file}");
        }
    }
    let start = api.send(Method::GET, "/docs/swagger-initializer.js", None).await;
    assert!(start.text().await.unwrap().contains("\"../openapi.json\""));
    let entered = api.send(Method::GET, "/docs", None).await;
    assert_eq!(entered.url().path(), "/docs/");
}

#[tokio::test]
async fn a_problem_leads_to_where_its_operation_is_described() {
    let api = Api::new(ApiSettings::default()).await;
    for (method, path, place) in [
        (Method::GET, "/v1/data-usage?gicid=1", "#/Records/getDataUsage"),
        (Method::GET, "/v1/held/9", "#/Held/getHeldById"),
        (Method::DELETE, "/v1/keys/9", "#/Keys/deleteKeysById"),
        (Method::GET, "/nowhere", ""),
    ] {
        let problem = problem_of(api.send(method, path, Some(ADMIN_KEY)).await).await.1;
        assert_eq!(problem["documentation_url"], format!("{}/docs/{place}", api.base), "{path}");
    }
    let document = document();
    assert_eq!(document["paths"]["/v1/held/{id}"]["get"]["operationId"], "getHeldById");
    assert_eq!(document["paths"]["/v1/held/{id}"]["get"]["tags"], json!(["Held"]));
}

#[tokio::test]
async fn the_example_of_an_import_is_stored_row_by_row_with_and_without_a_kind() {
    let document = document();
    let body = &document["paths"]["/v1/import"]["post"]["requestBody"]["content"];
    let example = body["application/x-ndjson"]["example"].as_str().unwrap();
    let rows = example.lines().count();
    for query in ["", "?kind=data-usage"] {
        let api = Api::new(ApiSettings::default()).await;
        let answer = api.post(&format!("/v1/import{query}"), ADMIN_KEY, example).await;
        assert_eq!(answer.status(), 200);
        let report: Value = answer.json().await.unwrap();
        assert!(rows > 0 && report["stored"] == rows && report["refused"] == json!([]), "{report}");
    }
}

#[test]
fn the_command_prints_the_document_and_touches_nothing() {
    let machine = Machine::new();
    let printed: Value = serde_json::from_str(&stdout(&machine.run(&["openapi"]))).unwrap();
    assert_eq!(printed, document());
    assert!(machine.is_empty());
}
