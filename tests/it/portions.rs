//! What one answer or one piece of it holds, where records are as long as bodies may be.
use std::collections::{BTreeMap, BTreeSet};

use reqwest::{Client, Response};
use serde_json::{Value, json};

use crate::{
    server::{API_KEY, Simdeck, now_s, signed, usage},
    walker::links,
};

const SIM: &str = "8944501503181377993";
const MIB: usize = 1 << 20;
/// Of long text one portion holds 8 MiB; beside that, little.
const ANSWER_BYTES_MAX: usize = 9 * MIB;

async fn get(simdeck: &Simdeck, url: &str) -> Response {
    let url = match url.strip_prefix('/') {
        Some(path) => format!("{}/{path}", simdeck.internal_url()),
        None => url.to_owned(),
    };
    let answer = Client::new().get(&url).header("X-API-Key", API_KEY).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{url}");
    answer
}

fn next(answer: &Response) -> Option<String> {
    let header = answer.headers().get("link")?.to_str().unwrap();
    links(header).remove("next")
}

/// The ids of a walk by cursor to its end, and how many answers it took.
async fn walked(simdeck: &Simdeck, path: &str) -> (Vec<i64>, usize) {
    let (mut ids, mut answers) = (Vec::new(), 0);
    let mut url = Some(path.to_owned());
    while let Some(at) = url.take() {
        let answer = get(simdeck, &at).await;
        let following = next(&answer);
        let text = answer.text().await.unwrap();
        assert!(text.len() <= ANSWER_BYTES_MAX, "{path}: {} bytes at once", text.len());
        let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
        answers += 1;
        // `/v1/changes` always says where to go on.
        if !rows.is_empty() {
            url = following;
        }
        ids.extend(rows.iter().map(|row| row["id"].as_i64().unwrap()));
    }
    (ids, answers)
}

/// Three records of each kind with 3 MiB of text each, among short ones.
async fn push_long_and_short(simdeck: &Simdeck) {
    let note = "x".repeat(3 * MIB);
    let now_ms = now_s() * 1000;
    for nth in 0..3 {
        for note in [&note[..], "short"] {
            let length = note.len();
            let own = format!(r#""giccid":"{SIM}","nth":{nth},"length":{length},"note":"{note}""#);
            let start = 1_713_888_842_473_i64 + nth * 1_000 + length as i64;
            let body = signed(&format!(r#"{own},"data_usage":{nth},"start_time":{start}"#));
            assert_eq!(simdeck.push("data-usage", body).await, (1, 0, 0));
            let body = signed(&format!(r#"{own},"event_time":{}"#, now_ms + nth));
            assert_eq!(simdeck.push("mo-sms", body.clone()).await, (1, 0, 0));
            assert_eq!(simdeck.push("sim-status", body).await, (1, 0, 0));
        }
    }
    assert_eq!(simdeck.push("data-usage", signed(&usage(SIM))).await, (1, 0, 0));
}

#[tokio::test]
async fn no_answer_holds_more_than_a_portion_of_long_records_and_each_record_comes_once() {
    let simdeck = Simdeck::start(&[]);
    push_long_and_short(&simdeck).await;
    let mut of_list = BTreeMap::new();
    for (path, rows) in [
        ("/v1/data-usage?cursor=&size=1000".to_owned(), 7),
        (format!("/v1/data-usage?cursor=&size=1000&giccid={SIM}"), 7),
        ("/v1/data-usage?cursor=&size=1000&from=2024-01-01T00:00:00Z".to_owned(), 7),
        ("/v1/mo-sms?cursor=&size=1000".to_owned(), 6),
        ("/v1/notifications?cursor=&size=1000".to_owned(), 6),
        (format!("/v1/sims/{SIM}/timeline?cursor=&size=1000"), 19),
        ("/v1/changes?size=1000".to_owned(), 19),
    ] {
        let (ids, answers) = walked(&simdeck, &path).await;
        let once: BTreeSet<i64> = ids.iter().copied().collect();
        assert_eq!((ids.len(), once.len()), (rows, rows), "{path}: {ids:?}");
        assert!(answers > 1, "{path}");
        let is_upwards = path.starts_with("/v1/changes");
        let in_order = ids.is_sorted_by(|one, other| (one < other) == is_upwards);
        assert!(in_order, "{path}: {ids:?}");
        of_list.insert(path.split('?').next().unwrap().to_owned(), ids);
    }
    for (path, ids) in &of_list {
        if path == "/v1/changes" || path.ends_with("/timeline") {
            continue;
        }
        // An export goes on with the next portion.
        let text = get(&simdeck, &format!("{path}?format=ndjson&count=true")).await;
        let text = text.text().await.unwrap();
        let mut lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.pop().unwrap(), json!({"rows": ids.len()}), "{path}");
        let exported: Vec<i64> = lines.iter().map(|row| row["id"].as_i64().unwrap()).collect();
        assert_eq!(&exported, ids, "{path}");
        // A page by number has all its rows.
        let mut url = Some(format!("{path}?size=6"));
        let mut paged = Vec::new();
        while let Some(at) = url.take() {
            let answer = get(&simdeck, &at).await;
            assert_eq!(answer.headers()["x-total-count"], ids.len().to_string().as_str());
            url = next(&answer);
            let page: Vec<Value> = answer.json().await.unwrap();
            assert!(url.is_none() || page.len() == 6, "{at}: {}", page.len());
            paged.extend(page.iter().map(|row| row["id"].as_i64().unwrap()));
        }
        assert_eq!(&paged, ids, "{path}");
        let last = get(&simdeck, &format!("{path}?size=6")).await;
        let last = links(last.headers()["link"].to_str().unwrap()).remove("last").unwrap();
        let last: Vec<Value> = get(&simdeck, &last).await.json().await.unwrap();
        assert_eq!(last.last().unwrap()["id"], *ids.last().unwrap(), "{path}");
    }
    let path = "/v1/notifications";
    let csv = get(&simdeck, &format!("{path}?format=csv")).await.text().await.unwrap();
    assert_eq!(csv.lines().count(), of_list[path].len() + 1);
    simdeck.end();
}
