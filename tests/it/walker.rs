//! A client that was written for SmartHub's own API, and knows nothing of ours but what SmartHub
//! documents: `page`, `size`, `Link` with its four rels, `X-Total-Count`.
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
};

use reqwest::{Client, Response};
use serde_json::Value;

use crate::server::{API_KEY, Simdeck, now_s, signed, usage};

/// What SmartHub's documentation gives a client.
struct Walker {
    client: Client,
    base: String,
}

impl Walker {
    async fn get(&self, url: &str) -> Response {
        let answer = self.client.get(url).header("X-API-Key", API_KEY).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{url}");
        answer
    }

    /// Every row of a list, page by page, each as often as it came.
    async fn walk(&self, list: &str, size: usize) -> (usize, BTreeMap<i64, usize>) {
        let mut rows = BTreeMap::new();
        let mut next = Some(format!("{}/v1/{list}?size={size}", self.base));
        let mut total = None;
        while let Some(url) = next.take() {
            let answer = self.get(&url).await;
            let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
            total.get_or_insert(header("x-total-count").parse().unwrap());
            let links = links(&header("link"));
            assert!(links.contains_key("first") && links.contains_key("last"), "{list}");
            next = links.get("next").cloned();
            let page: Vec<Value> = answer.json().await.unwrap();
            assert!(page.len() <= size);
            for row in page {
                *rows.entry(row["id"].as_i64().unwrap()).or_default() += 1;
            }
        }
        (total.unwrap(), rows)
    }
}

pub(crate) fn links(header: &str) -> BTreeMap<String, String> {
    let parts = header.split(", ").map(|link| link.split_once(">; rel=\"").unwrap());
    parts.map(|(url, rel)| (rel.trim_end_matches('"').to_owned(), url[1..].to_owned())).collect()
}

fn giccid(number: usize) -> String {
    format!("8944501503{number:09}")
}

/// One of each kind that has a list of its own.
async fn push_one(simdeck: &Simdeck, number: usize) {
    let giccid = giccid(number);
    let ms = now_s() * 1000;
    let record = usage(&giccid);
    assert_eq!(simdeck.push("data-usage", signed(&record)).await, (1, 0, 0));
    let message = format!(r#""giccid":"{giccid}","event_time":{ms}"#);
    assert_eq!(simdeck.push("mo-sms", signed(&message)).await, (1, 0, 0));
    let status = format!(r#""giccid":"{giccid}","status":"ACTIVE","event_time":{ms}"#);
    assert_eq!(simdeck.push("sim-status", signed(&status)).await, (1, 0, 0));
    let unreadable = format!(r#""giccid":"{number}","data_usage":1,"start_time":{ms}"#);
    assert_eq!(simdeck.push("data-usage", signed(&unreadable)).await, (0, 0, 1));
}

#[tokio::test]
async fn a_client_of_smarthubs_walks_every_list_and_meets_each_row_once_while_rows_arrive() {
    const ROWS: usize = 45;
    let simdeck = Simdeck::start(&[]);
    for number in 0..ROWS {
        push_one(&simdeck, number).await;
    }
    let walker = Walker { client: Client::new(), base: simdeck.internal_url() };
    let is_over = AtomicBool::new(false);
    let pushing = async {
        for number in ROWS.. {
            if is_over.load(Ordering::Relaxed) {
                return number;
            }
            push_one(&simdeck, number).await;
        }
        unreachable!()
    };
    let walking = async {
        let mut walked = Vec::new();
        for list in ["data-usage", "mo-sms", "notifications", "held"] {
            for size in [1, 7, 20, 100] {
                walked.push((list, size, walker.walk(list, size).await));
            }
        }
        is_over.store(true, Ordering::Relaxed);
        walked
    };
    let (pushed, walked) = tokio::join!(pushing, walking);
    assert!(pushed > ROWS + 10, "rows were arriving");
    for (list, size, (total, rows)) in walked {
        assert!(total >= ROWS && total <= pushed, "{list} by {size}: {total}");
        assert_eq!(rows.len(), total, "{list} by {size}: all that were there at the beginning");
        assert!(rows.values().all(|times| *times == 1), "{list} by {size}: {rows:?}");
    }
}
