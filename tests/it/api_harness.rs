//! The internal listener on a port of its own, over a store that a test fills.
use std::sync::Arc;

use reqwest::{Method, Response, StatusCode};
use serde_json::Value;
use simdeck::{
    domain::{
        FixedClock, Held, HeldBody, HeldClass, HeldReason, ShortText, Stored, Timestamp,
        UsageRecord,
    },
    http::{ApiSettings, InternalState, digest_of, internal_router},
    intake::Intake,
    store::Store,
};

pub(crate) const ADMIN_KEY: &str = "sd_admin";

pub(crate) struct Api {
    pub(crate) base: String,
    pub(crate) store: Store,
    client: reqwest::Client,
}

impl Api {
    pub(crate) async fn new(settings: ApiSettings) -> Self {
        let store = Store::default();
        let intake = Intake { store: store.clone(), ready: None };
        let state = InternalState {
            store: store.clone(),
            intake,
            clock: Arc::new(FixedClock(Timestamp::from_unix_ms(0))),
            admin_key: Some(digest_of(ADMIN_KEY)),
            settings: Arc::new(settings),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, internal_router(state)).await });
        Self { base, store, client: reqwest::Client::new() }
    }

    pub(crate) fn add_usage(&self, mcc: &str, extra: Option<&str>) -> i64 {
        let mut inner = self.store.0.lock().unwrap();
        inner.last += 1;
        let id = inner.last;
        let text = |text: &str| ShortText::try_from(text).unwrap();
        inner.usage.push(Stored {
            id,
            received_at: Timestamp::from_unix_ms(1_725_499_849_000),
            record: UsageRecord {
                giccid: "89860012345678901234".parse().unwrap(),
                imsi: text("460101234567890"),
                sim_group: text("=cmd"),
                country_code: text(""),
                mcc: text(mcc),
                mnc: text("01"),
                apn: text(""),
                start_ms: 1_725_499_848_000,
                data_usage: 1_000_000_000_000_000,
                duration: None,
                extra: extra.map(Into::into),
            },
        });
        id
    }

    pub(crate) fn add_held(&self, class: HeldClass, body: &[u8]) -> i64 {
        let mut inner = self.store.0.lock().unwrap();
        let id = i64::try_from(inner.held.len()).unwrap() + 1;
        let held = Held {
            id,
            class,
            reason: HeldReason::SignatureWrong,
            field: None,
            kind: "data-usage".parse().unwrap(),
            source: "192.0.2.1".to_owned(),
            received_at: Timestamp::from_unix_ms(0),
            bytes: i64::try_from(body.len()).unwrap(),
            count: 1,
        };
        inner.held.push(HeldBody { held, body: body.to_vec(), signatures: None });
        id
    }

    pub(crate) async fn send(&self, method: Method, url: &str, key: Option<&str>) -> Response {
        let url = if url.starts_with('/') { format!("{}{url}", self.base) } else { url.to_owned() };
        let mut request = self.client.request(method, url);
        if let Some(key) = key {
            request = request.header("X-API-Key", key);
        }
        request.send().await.unwrap()
    }

    pub(crate) async fn post(&self, url: &str, key: &str, body: &str) -> Response {
        self.client
            .post(format!("{}{url}", self.base))
            .bearer_auth(key)
            .body(body.to_owned())
            .send()
            .await
            .unwrap()
    }

    pub(crate) async fn get(&self, url: &str) -> Response {
        self.send(Method::GET, url, Some(ADMIN_KEY)).await
    }

    pub(crate) async fn rows(&self, url: &str) -> Vec<Value> {
        let response = self.get(url).await;
        assert_eq!(response.status(), StatusCode::OK, "{url}");
        response.json().await.unwrap()
    }

    pub(crate) async fn problem(&self, url: &str) -> (u16, Value) {
        problem_of(self.get(url).await).await
    }
}

/// Checks the shape that every refusal has.
pub(crate) async fn problem_of(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["type"], "about:blank");
    assert_eq!(problem["status"], status);
    (status, problem)
}

pub(crate) fn ids(rows: &[Value]) -> Vec<i64> {
    rows.iter().map(|row| row["id"].as_i64().unwrap()).collect()
}

/// The address behind a `rel` of the `Link` header.
pub(crate) fn link(response: &Response, rel: &str) -> Option<String> {
    let value = response.headers().get("link")?.to_str().unwrap();
    value.split(", ").find_map(|link| {
        let (url, found) = link.strip_prefix('<')?.split_once(">; rel=")?;
        (found.trim_matches('"') == rel).then(|| url.to_owned())
    })
}
