//! What the internal listener writes into the log.
use std::{
    io,
    sync::{Arc, Mutex},
};

use reqwest::StatusCode;
use simdeck::http::ApiSettings;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::api_harness::{ADMIN_KEY, Api};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn a_failure_is_logged_once_with_its_cause_and_nothing_personal() {
    let log = Log::default();
    // For the whole test binary: a subscriber of one thread misses spans that other tests, which
    // have none, met first.
    let subscriber = tracing_subscriber::fmt()
        .with_writer(log.clone())
        .with_ansi(false)
        .with_max_level(LevelFilter::INFO)
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let api = Api::new(ApiSettings::default()).await;
    api.add_usage(1).await;
    api.spoil(1).await;
    let response = api.get("/v1/data-usage?giccid=89860012345678901234").await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let text = log.text();
    let lines: Vec<&str> = text.lines().filter(|line| line.contains(&id)).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in ["ERROR", "row 1 of data-usage", "/v1/data-usage", "http.status=500"] {
        assert!(lines[0].contains(part), "{part}: {}", lines[0]);
    }
    for secret in ["89860012345678901234", ADMIN_KEY, "{broken"] {
        assert!(!lines[0].contains(secret), "{secret}: {}", lines[0]);
    }
}
