//! Tells one address outside when something began to be wrong, or ended.
use std::{error::Error, time::Duration};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{Failure, client::http_client, settings::Settings};
use crate::domain::{ConditionChange, Secret};

/// How long an answer may take.
const TIME_MAX: Duration = Duration::from_secs(5);
/// How long to wait before the one other attempt.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// How many alerts may wait for their turn.
const WAITING_MAX: usize = 64;

/// Why nobody got an alert.
#[derive(Debug, thiserror::Error)]
enum NotDelivered {
    #[error("nobody answered")]
    NoAnswer(#[source] reqwest::Error),
    /// A redirected POST would arrive as a GET, or with somebody else.
    #[error(
        "it answered {0}, and redirects are not followed: set the address that it redirects to"
    )]
    Redirected(StatusCode),
    #[error("it answered {0}")]
    Refused(StatusCode),
}

impl From<reqwest::Error> for NotDelivered {
    /// The address may be a secret: the error is told without it.
    fn from(error: reqwest::Error) -> Self {
        Self::NoAnswer(error.without_url())
    }
}

/// Sends alerts, one after another, so that an end never overtakes its beginning.
pub(super) struct Alerts {
    http: reqwest::Client,
    /// Whoever knows such an address may often post to it.
    url: Secret,
    status_url: String,
    changes: mpsc::Receiver<ConditionChange>,
}

impl Alerts {
    /// What sends them, and where to put them; none where no address is set.
    pub(super) fn open(
        settings: &Settings,
    ) -> Result<Option<(Self, mpsc::Sender<ConditionChange>)>, Failure> {
        let Some(url) = &settings.alert.url else { return Ok(None) };
        let (sender, changes) = mpsc::channel(WAITING_MAX);
        let status_url = format!("{}/v1/status", settings.internal_url());
        let http = http_client(url.expose())?;
        Ok(Some((Self { http, url: url.clone(), status_url, changes }, sender)))
    }

    /// Sends until `stop`; what waits then is not sent.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let send_on = async {
            while let Some(change) = self.changes.recv().await {
                let body = body(&change, &self.status_url);
                if self.send(&body).await.is_err() {
                    sleep(RETRY_AFTER).await;
                    if let Err(error) = self.send(&body).await {
                        let error = &error as &dyn Error;
                        tracing::warn!(
                            error,
                            condition = %change.condition.kind,
                            "SIMDECK_ALERT_URL took no alert, twice; look whether it is right"
                        );
                    }
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = send_on => (),
        }
        // Nobody can put any more in: that is no reason to end.
        stop.cancelled().await;
    }

    async fn send(&self, body: &Value) -> Result<(), NotDelivered> {
        let request = self.http.post(self.url.expose()).timeout(TIME_MAX).json(body);
        match request.send().await?.status() {
            status if status.is_success() => Ok(()),
            status if status.is_redirection() => Err(NotDelivered::Redirected(status)),
            status => Err(NotDelivered::Refused(status)),
        }
    }
}

/// `text` is what chat programs show.
fn body(change: &ConditionChange, status_url: &str) -> Value {
    let condition = &change.condition;
    let text = match change.began {
        true => format!("simdeck: {} {}", condition.says, condition.todo),
        false => format!("simdeck: it is over: {}", condition.says),
    };
    json!({
        "condition": condition.kind.as_str(),
        "on": change.began,
        "kind": condition.about.as_ref().map(ToString::to_string),
        "since": condition.since.to_string(),
        "at": change.at.to_string(),
        "sentence": condition.says,
        "todo": condition.todo,
        "text": text,
        "status_url": status_url,
        "version": env!("CARGO_PKG_VERSION"),
    })
}
