//! What holds for every address of the internal listener.
use std::{
    io::Read,
    net::TcpListener,
    time::{Duration, Instant},
};

use flate2::read::GzDecoder;
use reqwest::{Client, Method, Response};
use serde_json::Value;
use simdeck::http::{ApiSettings, DocumentSettings, openapi};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    api_harness::{ADMIN_KEY, Api, problem_of},
    process::free_port,
    server::run,
};

async fn api_with(rows: usize) -> Api {
    let api = Api::new(ApiSettings::default()).await;
    api.add_usage(rows).await;
    api
}

async fn unpacked(client: &Client, method: Method, url: String) -> Response {
    let request = client.request(method, url).header("X-API-Key", ADMIN_KEY);
    request.header("Accept-Encoding", "gzip").send().await.unwrap()
}

/// An exchange as it goes over the wire.
async fn wire(api: &Api, head: &str) -> String {
    let address = api.base.strip_prefix("http://").unwrap();
    let mut wire = tokio::net::TcpStream::connect(address).await.unwrap();
    let head =
        format!("{head}\r\nHost: {address}\r\nX-API-Key: {ADMIN_KEY}\r\nConnection: close\r\n\r\n");
    wire.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    wire.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn head_answers_as_get_on_every_address() {
    let api = api_with(60).await;
    let document = openapi(&DocumentSettings::default());
    let addresses = document["paths"].as_object().unwrap().iter();
    let addresses = addresses.filter(|(_, item)| item.get("get").is_some());
    let addresses: Vec<String> = addresses
        .flat_map(|(path, _)| {
            let path =
                path.replace("{id}", "1").replace("{sn}", "RT1").replace("{file}", "index.css");
            // The export last: it makes a row in the audit, which is a list too.
            [path.clone(), format!("{path}?format=csv")]
        })
        .collect();
    let client = Client::builder().no_gzip().redirect(reqwest::redirect::Policy::none());
    let client = client.build().unwrap();
    for address in addresses {
        let url = format!("{}{address}", api.base);
        let get = unpacked(&client, Method::GET, url.clone()).await;
        let head = unpacked(&client, Method::HEAD, url).await;
        assert_eq!(head.status(), get.status(), "{address}");
        let without_id = |response: &Response| {
            let mut headers = response.headers().clone();
            // How the body is framed, where there is one.
            for own in ["x-request-id", "date", "transfer-encoding", "trailer"] {
                headers.remove(own);
            }
            headers
        };
        assert_eq!(without_id(&head), without_id(&get), "{address}");
        assert!(head.bytes().await.unwrap().is_empty(), "{address}");
    }
}

#[tokio::test]
async fn long_answers_are_packed_for_who_takes_it_and_short_ones_are_not() {
    let api = api_with(2_500).await;
    let client = Client::builder().no_gzip().build().unwrap();
    for path in [
        "/v1/data-usage",
        "/v1/data-usage?format=csv",
        "/v1/data-usage?format=ndjson",
        "/openapi.json",
    ] {
        let url = format!("{}{path}", api.base);
        let packed = unpacked(&client, Method::GET, url).await;
        assert_eq!(packed.headers()["content-encoding"], "gzip", "{path}");
        let varies =
            packed.headers().get_all("vary").iter().any(|value| value == "accept-encoding");
        assert!(varies, "{path}: {:?}", packed.headers());
        let packed = packed.bytes().await.unwrap();
        let mut text = String::new();
        GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
        let plain = api.send(Method::GET, path, Some(ADMIN_KEY)).await;
        assert!(!plain.headers().contains_key("content-encoding"), "{path}");
        let plain = plain.text().await.unwrap();
        assert_eq!(text, plain, "{path}");
        assert!(packed.len() * 2 < text.len(), "{path}");
    }
    let short = unpacked(&client, Method::GET, format!("{}/v1/data-usage/1", api.base)).await;
    assert!(!short.headers().contains_key("content-encoding"));
}

#[tokio::test]
async fn an_export_says_at_its_end_how_many_rows_it_had() {
    let api = api_with(2_500).await;
    for (query, last) in [
        ("format=ndjson&count=true", "{\"rows\":2500}\n"),
        ("format=csv&count=true", "rows,2500,,,,,,,,,,,,,,,\r\n"),
        ("format=csv&count=true&size=7", "rows,7,,,,,,,,,,,,,,,\r\n"),
        ("format=ndjson&count=true&apn=nowhere", "{\"rows\":0}\n"),
    ] {
        let text = api.get(&format!("/v1/data-usage?{query}")).await.text().await.unwrap();
        assert!(text.ends_with(last), "{query}: {:?}", text.lines().last());
    }
    let text = api.get("/v1/data-usage?format=csv&count=true").await.text().await.unwrap();
    let table =
        csv::Reader::from_reader(text.as_bytes()).into_records().map(Result::unwrap).count();
    assert_eq!(table, 2_501);

    for (query, last) in [
        ("format=ndjson&count=true", "{\"rows\":1}\n"),
        ("format=csv&count=true", "rows,1,,,\r\n"),
        ("format=csv", ",2500\r\n"),
    ] {
        let url = format!("/v1/data-usage/aggregate?{query}");
        let text = api.get(&url).await.text().await.unwrap();
        assert!(text.ends_with(last), "{query}: {text:?}");
    }
    let get = "GET /v1/data-usage/aggregate?format=ndjson HTTP/1.1";
    let told = wire(&api, &format!("{get}\r\nTE: trailers")).await;
    assert!(told.ends_with("\r\n0\r\nsimdeck-rows: 1\r\n\r\n"), "{}", &told[told.len() - 80..]);
    let get = "GET /v1/data-usage?format=ndjson HTTP/1.1";
    let told = wire(&api, &format!("{get}\r\nTE: trailers")).await;
    assert!(told.contains("\r\ntrailer: simdeck-rows\r\n"), "{}", &told[..400]);
    assert!(told.ends_with("\r\n0\r\nsimdeck-rows: 2500\r\n\r\n"), "{}", &told[told.len() - 80..]);
    let untold = wire(&api, get).await;
    assert!(untold.ends_with("\r\n0\r\n\r\n"), "{}", &untold[untold.len() - 80..]);
}

#[tokio::test]
async fn a_question_waits_for_a_place_among_the_heavy_ones_and_then_is_told_to_come_again() {
    let api = api_with(1).await;
    let mut places = Vec::new();
    while let Ok(place) =
        tokio::time::timeout(Duration::from_millis(200), api.store().heavy()).await
    {
        places.push(place.unwrap());
        assert!(places.len() < 4, "one connection is left for small questions");
    }
    // What is small is answered meanwhile.
    assert_eq!(api.rows("/v1/data-usage").await.len(), 1);
    let began = Instant::now();
    for url in ["/v1/data-usage?apn=a", "/v1/data-usage?format=csv"] {
        let response = api.get(url).await;
        assert!(response.headers().contains_key("retry-after"), "{url}");
        let (status, problem) = problem_of(response).await;
        assert_eq!(
            (status, problem["detail"].as_str()),
            (503, Some("Too much is asked at once. Ask again, or ask for less."))
        );
    }
    assert!(began.elapsed() < Duration::from_secs(20));
    drop(places);
    assert_eq!(api.rows("/v1/data-usage?mcc=460").await.len(), 1);
}

#[tokio::test]
async fn what_the_schema_allows_is_taken_and_contradictions_are_conflicts() {
    let api = api_with(1).await;
    for query in [
        "from=0000-01-01T00:00:00%2B23:59",
        "to=9999-12-31T23:59:59.99999999999999-23:59",
        "from=-999999999999999999",
        "page=2147483647&size=100",
        "size=1000&cursor=",
        "count=true&raw=false&excel=true",
    ] {
        assert_eq!(api.get(&format!("/v1/data-usage?{query}")).await.status(), 200, "{query}");
    }
    assert_eq!(api.get("/v1/mo-sms?q=%20&q=a,b").await.status(), 200);
    let long = "%C3%A9".repeat(256);
    assert_eq!(api.get(&format!("/v1/data-usage?apn={long}")).await.status(), 200);
    assert_eq!(api.problem(&format!("/v1/data-usage?apn={long}x")).await.0, 422);
    let foreign = format!("02{}", "0".repeat(48));
    for query in [
        "size=101",
        "cursor=&page=0",
        &format!("cursor={foreign}"),
        &format!("at=01{}", "f".repeat(106)),
    ] {
        let (status, problem) = api.problem(&format!("/v1/data-usage?{query}")).await;
        assert_eq!(
            (status, &problem["errors"][0]["code"]),
            (409, &Value::from("invalid")),
            "{query}"
        );
    }
}

/// Serves one export to a command, and sends only this much of it.
fn half_a_server(body: &'static str, is_ended: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            let read = stream.read(&mut head).unwrap();
            let is_export = head[..read].windows(6).any(|part| part == b"count=");
            let body = if is_export { body } else { "{}" };
            let end = if is_ended || !is_export { "0\r\n\r\n" } else { "" };
            let answer = format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n{:x}\r\n{body}\r\n{end}",
                body.len()
            );
            std::io::Write::write_all(&mut stream, answer.as_bytes()).unwrap();
        }
    });
    port
}

#[test]
fn an_export_that_breaks_off_fails_and_leaves_no_file() {
    let whole = "{\"id\":2}\n{\"id\":1}\n{\"rows\":2}\n";
    let lost = "{\"id\":2}\n{\"rows\":2}\n";
    for (body, is_ended, is_fine) in [
        (whole, true, true),
        (whole, false, false),
        (lost, true, false),
        (&whole[..18], true, false),
    ] {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("usage.ndjson");
        let server = format!("http://127.0.0.1:{}", half_a_server(body, is_ended));
        let free = format!("127.0.0.1:{}", free_port());
        let args =
            ["export", "data-usage", "--out", file.to_str().unwrap(), "--internal-url", &server];
        let output = run(folder.path(), &free, "127.0.0.1:9", &args);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.success(), is_fine, "{body}{told}");
        assert_eq!(file.exists(), is_fine, "{body}");
        if is_fine {
            assert_eq!(std::fs::read_to_string(&file).unwrap(), "{\"id\":2}\n{\"id\":1}\n");
        } else {
            assert!(told.contains("the export broke off after"), "{told}");
        }
    }
}
