use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::{sync::Mutex, time::Instant};

use crate::cli::{Failure, client::ApiClient};

/// For how many pushes a nonce is asked at once,
const PUSHES_MAX: u64 = 10_000;
/// and how long it is used; the server forgets it after 15 minutes.
const AGE_MAX: Duration = Duration::from_secs(10 * 60);

/// Marks pushes as tests, by words that only the server gives out.
pub(super) struct TestMark {
    api: ApiClient,
    pushes: u64,
    nonce: Mutex<Nonce>,
}

struct Nonce {
    word: String,
    left: u64,
    since: Instant,
}

impl TestMark {
    /// A mark for so many pushes.
    pub(super) async fn new(api: ApiClient, pushes: u64) -> Result<Self, Failure> {
        let pushes = pushes.min(PUSHES_MAX);
        let nonce = Mutex::new(ask(&api, pushes).await?);
        Ok(Self { api, pushes, nonce })
    }

    /// The word for the next push; a new one in time before the old one ends.
    pub(super) async fn word(&self) -> Result<String, Failure> {
        let mut nonce = self.nonce.lock().await;
        if nonce.left == 0 || nonce.since.elapsed() > AGE_MAX {
            *nonce = ask(&self.api, self.pushes).await?;
        }
        nonce.left -= 1;
        Ok(nonce.word.clone())
    }
}

async fn ask(api: &ApiClient, pushes: u64) -> Result<Nonce, Failure> {
    let since = Instant::now();
    let body = json!({"pushes": pushes});
    let answer: Value = api.json(Method::POST, "/v1/test-nonces", &[], Some(&body)).await?;
    match answer["nonce"].as_str() {
        Some(word) => Ok(Nonce { word: word.to_owned(), left: pushes, since }),
        None => Err(Failure::new("the server gave no nonce: is it of another version?")),
    }
}
