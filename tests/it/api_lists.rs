//! The lists of the query API, by the front door.
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use simdeck::http::ApiSettings;

use crate::api_harness::{ADMIN_KEY, Api, ids, link, problem_of};

/// The rows without what makes each this one and no other.
fn without_identity(mut rows: Vec<Value>) -> Vec<Value> {
    for row in &mut rows {
        row.as_object_mut().unwrap().remove("identity").unwrap();
    }
    rows
}

async fn api_with(rows: usize) -> Api {
    let api = Api::new(ApiSettings::default()).await;
    if rows > 0 {
        api.add_usage(rows).await;
    }
    api
}

#[tokio::test]
async fn a_row_has_the_vendors_names_and_types_and_ours_behind_them() {
    let api = api_with(0).await;
    api.push(
        "data-usage",
        r#""giccid":"089860012345678901234","data_usage":"1000000000000000",
           "start_time":1725499848000,"mcc":460,"mnc":"01","imsi":"460101234567890",
           "apn":null,"big":12345678901234567890123,"deep":{"a":1.50}"#,
    )
    .await;
    let row = json!({
        "id": 1,
        "giccid": "089860012345678901234",
        "data_usage": 1_000_000_000_000_000_i64,
        "start_time": 1_725_499_848_000_i64,
        "duration": null,
        "mcc": "460",
        "mnc": "01",
        "country_code": null,
        "apn": null,
        "imsi": "460101234567890",
        "sim_group": null,
        "received_at": "2024-09-05T01:30:49.000Z",
        "datePush": "2024-09-05T01:30:48.000Z",
        "push_id": 1,
        "source": "192.0.2.1",
        "url": format!("{}/v1/data-usage/1", api.base),
    });
    let text = api.get("/v1/data-usage").await.text().await.unwrap();
    // Unknown fields are passed on as they were sent, digit for digit.
    assert!(text.contains("12345678901234567890123") && text.contains("1.50"), "{text}");
    let mut got: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(got[0]["identity"].as_str().unwrap().len(), 16);
    got = without_identity(got);
    got[0].as_object_mut().unwrap().remove("extra");
    assert_eq!(got, [row]);
    let one = api.get("/v1/data-usage/1").await.text().await.unwrap();
    assert_eq!(format!("[{one}]"), text);
    api.add_usage(1).await;
    assert_eq!(api.rows("/v1/data-usage?mnc=01").await.len(), 1);
    let bare = api.rows("/v1/data-usage?mnc=").await;
    assert_eq!((ids(&bare), &bare[0]["extra"]), (vec![2], &json!({})));
}

#[tokio::test]
async fn messages_and_notifications_are_listed_with_all_that_was_sent() {
    let text_field = Some("content".to_owned());
    let api = Api::new(ApiSettings { sms_text_field: text_field, ..ApiSettings::default() }).await;
    let giccid = r#""giccid":"89860012345678901234""#;
    let sms = r#""event_time":1725499848000,"from_msisdn":"+8190","content":"hi \"you\"""#;
    api.push("mo-sms", &format!("{giccid},{sms}")).await;
    api.push("sim-state-change", &format!(r#"{giccid},"state":"ACTIVE","n":1.0"#)).await;
    assert_eq!(
        without_identity(api.rows("/v1/mo-sms?from_msisdn=%2B8190").await),
        [json!({
            "id": 1,
            "giccid": "89860012345678901234",
            "event_time": 1_725_499_848_000_i64,
            "from_msisdn": "+8190",
            "to_msisdn": null,
            "imsi": null,
            "sim_group": null,
            "text": "hi \"you\"",
            "received_at": "2024-09-05T01:30:49.000Z",
            "datePush": "2024-09-05T01:30:48.000Z",
            "push_id": 1,
            "source": "192.0.2.1",
            "extra": {"content": "hi \"you\""},
            "url": format!("{}/v1/mo-sms/1", api.base),
        })]
    );
    let table = api.get("/v1/mo-sms?format=csv").await.text().await.unwrap();
    assert!(table.contains(",'+8190,,,,\"hi \"\"you\"\"\",2024-"), "{table}");
    let rows = without_identity(api.rows("/v1/notifications?kind=sim-state-change,other").await);
    assert_eq!(
        rows,
        [json!({
            "id": 2,
            "kind": "sim-state-change",
            "giccid": "89860012345678901234",
            "imsi": null,
            "event_time": null,
            "received_at": "2024-09-05T01:30:49.000Z",
            "datePush": "2024-09-05T01:30:48.000Z",
            "push_id": 2,
            "source": "192.0.2.1",
            "payload": {"giccid": "89860012345678901234", "state": "ACTIVE", "n": 1.0},
            "url": format!("{}/v1/notifications/2", api.base),
        })]
    );
    assert!(api.rows("/v1/notifications?kind=other").await.is_empty());
}

#[tokio::test]
async fn a_walk_by_links_meets_each_row_once_in_both_directions_while_rows_arrive() {
    let api = api_with(47).await;
    let expected: Vec<i64> = (1..=47).rev().collect();
    let mut met = Vec::new();
    let mut url = Some("/v1/data-usage?size=10".to_owned());
    let mut last = String::new();
    while let Some(next) = url {
        let response = api.get(&next).await;
        assert_eq!(response.headers()["x-total-count"], "47");
        url = link(&response, "next");
        last = link(&response, "last").unwrap();
        met.extend(ids(&response.json::<Vec<Value>>().await.unwrap()));
        api.add_usage(1).await;
    }
    assert_eq!(met, expected);

    let mut pages = Vec::new();
    let mut url = Some(last);
    while let Some(previous) = url {
        let response = api.get(&previous).await;
        assert!(link(&response, "last").is_some());
        url = link(&response, "prev");
        pages.push(ids(&response.json::<Vec<Value>>().await.unwrap()));
        api.add_usage(1).await;
    }
    assert_eq!(pages.len(), 5);
    assert_eq!(pages.into_iter().rev().flatten().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn pages_by_number_follow_the_vendors_sample_and_the_setting() {
    let api = api_with(110).await;
    let response = api.get("/v1/data-usage?page=0&size=20").await;
    assert!(link(&response, "last").unwrap().contains("page=5&"));
    assert!(link(&response, "prev").is_none());
    assert_eq!(ids(&api.rows("/v1/data-usage?page=5&size=20").await).len(), 10);
    let response = api.get("/v1/data-usage?page=6").await;
    assert!(link(&response, "next").is_none());
    let back = link(&response, "prev").unwrap();
    assert_eq!(ids(&api.rows(&back).await), (1..=10).rev().collect::<Vec<_>>());

    // Another page number beside an `at` is a page of that same walk.
    let next = link(&api.get("/v1/data-usage").await, "next").unwrap();
    api.add_usage(1).await;
    let third = next.replace("page=1&", "page=2&");
    assert_eq!(ids(&api.rows(&third).await)[0], 70);

    let api = Api::new(ApiSettings { first_page: 1, ..ApiSettings::default() }).await;
    api.add_usage(1).await;
    assert_eq!(api.rows("/v1/data-usage?page=1").await.len(), 1);
    let (status, problem) = api.problem("/v1/data-usage?page=0").await;
    assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("page")));
}

#[tokio::test]
async fn a_walk_by_cursor_equals_an_export() {
    let api = api_with(2_500).await;
    let mut walked = Vec::new();
    let mut url = Some("/v1/data-usage?cursor=&size=500&mcc=460".to_owned());
    let mut pages = 0;
    while let Some(next) = url {
        let response = api.get(&next).await;
        url = link(&response, "next");
        walked.extend(response.json::<Vec<Value>>().await.unwrap());
        pages += 1;
    }
    assert_eq!((walked.len(), pages), (2_500, 5));
    let response = api.get("/v1/data-usage?format=ndjson&mcc=460").await;
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let text = response.text().await.unwrap();
    let exported: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(exported, walked);
}

#[tokio::test]
async fn a_table_is_safe_to_open_and_whole() {
    let api = api_with(1_001).await;
    let table = |url: &'static str| async {
        let response = api.get(url).await;
        assert_eq!(response.headers()["content-type"], "text/csv; charset=utf-8");
        response.text().await.unwrap()
    };
    let text = table("/v1/data-usage?format=csv").await;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 1_002);
    assert_eq!(
        lines[0],
        "id,giccid,data_usage,start_time,duration,mcc,mnc,country_code,apn,imsi,sim_group,received_at,identity,datePush,push_id,source,extra"
    );
    let first =
        "1001,89860012345678901234,1000,1725499848000,,460,,,,,'=cmd,2024-09-05T01:30:49.000Z,";
    assert!(lines[1].starts_with(first), "{}", lines[1]);
    assert!(lines[1].ends_with(",2024-09-05T01:30:48.000Z,1,192.0.2.1,{}"), "{}", lines[1]);
    let raw = table("/v1/data-usage?format=csv&raw=true&excel=true").await;
    let second = raw.lines().nth(1).unwrap();
    assert!(second.starts_with(r#"1001,"=""89860012345678901234""",1000,"#));
    assert!(second.contains(",=cmd,"));
    // One page of it, where a page is asked for.
    assert_eq!(table("/v1/data-usage?format=csv&size=3").await.lines().count(), 4);
}

#[tokio::test]
async fn an_export_that_fails_is_seen_to_be_cut_short() {
    let api = api_with(2_500).await;
    api.spoil(400).await;
    // It breaks off behind the rows that were there, or, where they were too quick, before them.
    match api.try_get("/v1/data-usage?format=ndjson").await {
        Ok(response) => {
            assert_eq!(response.status(), StatusCode::OK);
            assert!(response.text().await.is_err());
        }
        Err(error) => assert!(error.is_request(), "{error:?}"),
    }
    // What fails at once is told with a status, and without what was in the row.
    api.spoil(2_400).await;
    let (status, problem) = api.problem("/v1/data-usage?format=ndjson").await;
    assert_eq!(status, 500);
    assert!(!problem.to_string().contains("broken"), "{problem}");
}

#[tokio::test]
async fn an_unknown_parameter_is_refused_by_name() {
    let api = api_with(0).await;
    let (status, problem) = api.problem("/v1/data-usage?gicid=89860012345678901234").await;
    assert_eq!((status, &problem["title"]), (422, &json!("Validation Failed")));
    assert_eq!(
        problem["errors"],
        json!([{"resource": "data-usage", "field": "gicid", "code": "invalid"}])
    );
    assert!(problem["detail"].as_str().unwrap().contains("did you mean `giccid`?"));
    for address in [
        "/v1",
        "/v1/keys",
        "/v1/status",
        "/v1/data-usage/1",
        "/v1/devices/summary",
        "/v1/devices/RT1",
        "/v1/held/1",
    ] {
        assert_eq!(api.problem(&format!("{address}?page=0")).await.0, 422, "{address}");
    }
}

#[tokio::test]
async fn a_token_serves_only_the_list_it_came_from() {
    let api = api_with(30).await;
    let next = link(&api.get("/v1/data-usage?cursor=&mcc=460").await, "next").unwrap();
    for foreign in [
        next.replace("mcc=460", "mcc=310"),
        next.replace("mcc=460&", ""),
        next.replace("data-usage?mcc=460&", "mo-sms?"),
    ] {
        let (status, problem) = api.problem(&foreign).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (409, &json!("cursor")), "{foreign}");
    }
    let page = link(&api.get("/v1/data-usage").await, "next").unwrap();
    assert_eq!(api.problem(&format!("{page}&mcc=460")).await.0, 409);
    for (field, query) in [("cursor", "cursor=zz"), ("at", "at=00")] {
        let (status, problem) = api.problem(&format!("/v1/data-usage?{query}")).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!(field)), "{query}");
    }
}

#[tokio::test]
async fn a_page_too_deep_or_too_large_is_refused() {
    let api = api_with(1).await;
    let field = |problem: &Value| problem["errors"][0]["field"].clone();
    assert!(api.rows("/v1/data-usage?page=999&size=100").await.is_empty());
    // Beyond the last row a page is empty, however far.
    assert!(api.rows("/v1/data-usage?page=1000&size=100").await.is_empty());
    let (status, problem) = api.problem("/v1/data-usage?page=18446744073709551615").await;
    assert_eq!((status, field(&problem)), (422, json!("page")));
    for (max, query) in [(100, ""), (1_000, "&cursor=")] {
        assert_eq!(api.rows(&format!("/v1/data-usage?size={max}{query}")).await.len(), 1);
        // A size that a cursor takes is right, but not here.
        for (size, refused) in [(0, 422), (max + 1, if max == 100 { 409 } else { 422 })] {
            let url = format!("/v1/data-usage?size={size}{query}");
            let (status, problem) = api.problem(&url).await;
            assert_eq!((status, field(&problem)), (refused, json!("size")), "{url}");
        }
    }
}

#[tokio::test]
async fn head_answers_as_get_without_a_body() {
    let api = api_with(3).await;
    for url in
        ["/v1/data-usage", "/v1/data-usage/1", "/v1", "/healthz", "/v1/data-usage?format=csv"]
    {
        let head = api.send(Method::HEAD, url, Some(ADMIN_KEY)).await;
        assert_eq!(head.status(), StatusCode::OK, "{url}");
        let get = api.get(url).await;
        for name in ["content-type", "x-total-count", "link", "content-length"] {
            assert_eq!(head.headers().get(name), get.headers().get(name), "{url} {name}");
        }
        assert!(head.bytes().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn links_begin_with_what_the_settings_say() {
    let url = Some("https://simdeck.example/ops/".to_owned());
    let api = Api::new(ApiSettings { internal_url: url, ..ApiSettings::default() }).await;
    let response = api.get("/v1/data-usage").await;
    let first = link(&response, "first").unwrap();
    assert!(first.starts_with("https://simdeck.example/ops/v1/data-usage?page=0&size=20&at="));
    let index: Value = api.get("/v1").await.json().await.unwrap();
    assert_eq!(index["data_usage_url"], "https://simdeck.example/ops/v1/data-usage");
    for (name, _) in index.as_object().unwrap() {
        assert!(name.ends_with("_url"), "{name}");
    }
}

#[tokio::test]
async fn what_is_not_there_and_what_is_not_done_are_told_as_problems() {
    let api = api_with(1).await;
    for url in [
        "/nothing",
        "/v1/",
        "/v2",
        "/v1/data-usage/",
        "/v1/data-usage/2",
        "/v1/data-usage/x",
        "/v1/data-usage/-1",
        "/v1/data-usage/99999999999999999999",
        "/v1/held/1",
        "/v1/mo-sms/1",
    ] {
        let (status, problem) = api.problem(url).await;
        assert_eq!((status, &problem["title"]), (404, &json!("Not Found")), "{url}");
    }
    let response = api.send(Method::PUT, "/v1/keys", Some(ADMIN_KEY)).await;
    assert_eq!(response.headers()["allow"], "GET,HEAD,POST");
    assert_eq!(problem_of(response).await.0, 405);
    let response = api.send(Method::GET, "/v1/held/1/retry", Some(ADMIN_KEY)).await;
    assert_eq!(response.headers()["allow"], "POST");
}

#[tokio::test]
async fn a_request_id_is_passed_on_or_made() {
    let api = api_with(0).await;
    let client = reqwest::Client::new();
    let send = |id: &'static str| {
        client.get(format!("{}/v1/nothing", api.base)).header("X-Request-Id", id).send()
    };
    let kept = send("abc-1").await.unwrap();
    assert_eq!(kept.headers()["x-request-id"], "abc-1");
    assert_eq!(kept.headers()["cache-control"], "no-store");
    let made = send("has space").await.unwrap();
    assert_eq!(made.headers()["x-request-id"].len(), 36);
    assert_eq!(api.get("/healthz").await.headers()["x-request-id"].len(), 36);
}
