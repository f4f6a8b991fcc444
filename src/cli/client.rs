use std::{
    io,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use futures_util::Stream;
use reqwest::{Method, Response, StatusCode, Url, redirect};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::time::timeout;

use super::{
    Failure,
    instance::{self, Instance},
    settings::Settings,
    wiring::{self, Offline},
};
use crate::domain::Secret;

const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// How long an answer may keep us waiting for its next bytes.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Talks to the internal API.
pub(super) struct ApiClient {
    http: reqwest::Client,
    base_url: String,
    key: Secret,
    /// The server is this machine's, whatever name its certificate is made out to.
    is_here: bool,
    /// Serves this client where no server runs, for as long as the client lives.
    _offline: Option<Offline>,
}

impl From<Instance> for ApiClient {
    fn from(server: Instance) -> Self {
        let Instance { http, base_url, key, is_here } = server;
        Self { http, base_url, key, is_here, _offline: None }
    }
}

/// What the API says when it refuses.
#[derive(Deserialize)]
struct Problem {
    title: String,
    detail: Option<String>,
    #[serde(default)]
    errors: Vec<FieldProblem>,
}

#[derive(Deserialize)]
struct FieldProblem {
    field: Option<String>,
    code: String,
}

/// How far a stream is that we send.
#[derive(Debug, Default)]
pub(super) struct Sending {
    /// What was taken from it.
    pub(super) bytes: AtomicU64,
    /// More is wanted, and not there yet.
    pub(super) is_awaited: AtomicBool,
}

impl Sending {
    /// Whether nobody took anything since so much was taken.
    fn is_stuck_at(&self, seen: Option<u64>) -> bool {
        !self.is_awaited.load(Ordering::Relaxed) && seen == Some(self.bytes.load(Ordering::Relaxed))
    }
}

impl ApiClient {
    /// The running server's API; with none running, that of the store in the data directory. Where
    /// there is no store none is made: there is nothing in it to read, or to take out.
    pub(super) async fn connect(settings: &Settings) -> Result<Self, Failure> {
        match instance::find(settings).await? {
            Some(server) => Ok(server.into()),
            None if instance::is_without_store(settings) => Err(instance::no_store(settings)),
            None => Self::of_store(settings).await,
        }
    }

    /// The same for a command that adds something: a data directory that is empty gets a store. One
    /// that has only a demo in it is none.
    pub(super) async fn connect_to_add(settings: &Settings) -> Result<Self, Failure> {
        match instance::find(settings).await? {
            Some(server) => Ok(server.into()),
            None if instance::is_no_place_for_store(settings) => Err(instance::no_store(settings)),
            None => Self::of_store(settings).await,
        }
    }

    /// The API of the store in the data directory, served for this command alone.
    async fn of_store(settings: &Settings) -> Result<Self, Failure> {
        let offline = wiring::open_offline(settings).await?;
        let (base_url, key) = (offline.base_url.clone(), offline.key.clone());
        let http = http_client(&base_url)?;
        Ok(Self { http, base_url, key, is_here: true, _offline: Some(offline) })
    }

    /// The running server's API, and no other.
    pub(super) async fn of_server(settings: &Settings) -> Result<Self, Failure> {
        match instance::find(settings).await? {
            Some(server) => Ok(server.into()),
            None => Err(instance::none(settings)),
        }
    }

    /// Where the API is.
    pub(super) fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Asks, and gives the answer of a request that succeeded.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Response, Failure> {
        let request = self.http.request(method, self.url(path, query)?);
        let mut request = request.header("X-API-Key", self.key.expose());
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|err| no_answer(&self.base_url, err))?;
        match response.status().is_success() {
            true => Ok(response),
            false => Err(refusal(response).await),
        }
    }

    /// Sends a stream of any length, and reads the answer.
    pub(super) async fn upload<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        body: impl Stream<Item = io::Result<Vec<u8>>> + Send + 'static,
        sending: &Sending,
    ) -> Result<T, Failure> {
        // The usual client gives up when an answer lets it wait, and this one begins after all is sent.
        let http = self.patient_client()?;
        let request = http
            .post(self.url(path, query)?)
            .header("X-API-Key", self.key.expose())
            .body(reqwest::Body::wrap_stream(body));
        let mut answer = std::pin::pin!(request.send());
        let mut seen = None;
        let answer = loop {
            match timeout(SILENCE_MAX, &mut answer).await {
                Ok(answer) => break answer,
                Err(_) if sending.is_stuck_at(seen) => {
                    return Err(Failure::new(format!(
                        "the server at {} has taken nothing for a minute: what it stored stays; \
                         import the file again",
                        self.base_url
                    )));
                }
                Err(_) => seen = Some(sending.bytes.load(Ordering::Relaxed)),
            }
        };
        let response = answer.map_err(|err| no_answer(&self.base_url, err))?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        response.json().await.map_err(Failure::because("the server's answer cannot be read"))
    }

    /// Has the server do what may take long, and reads its answer.
    pub(super) async fn long<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<T, Failure> {
        let http = self.patient_client()?;
        let mut request = http.post(self.url(path, query)?).header("X-API-Key", self.key.expose());
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|err| no_answer(&self.base_url, err))?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        response.json().await.map_err(Failure::because("the server's answer cannot be read"))
    }

    /// A client that waits as long as it takes.
    fn patient_client(&self) -> Result<reqwest::Client, Failure> {
        builder(&self.base_url)
            .tls_danger_accept_invalid_certs(self.is_here)
            .build()
            .map_err(Failure::because("the HTTP client cannot start"))
    }

    fn url(&self, path: &str, query: &[(&str, &str)]) -> Result<Url, Failure> {
        let mut url: Url = format!("{}{path}", self.base_url)
            .parse()
            .map_err(Failure::because("the server's address is wrong"))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    /// Asks, and reads the answer.
    pub(super) async fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<T, Failure> {
        let response = self.send(method, path, query, body).await?;
        response.json().await.map_err(Failure::because("the server's answer cannot be read"))
    }

    /// Walks a list by its cursor, and stops after `limit` rows.
    pub(super) async fn list(
        &self,
        path: &str,
        filters: &[(&str, &str)],
        limit: usize,
    ) -> Result<Vec<Value>, Failure> {
        let mut rows: Vec<Value> = Vec::new();
        let mut cursor = String::new();
        loop {
            let size = (limit - rows.len()).clamp(1, 1000).to_string();
            let mut query = filters.to_vec();
            query.extend([("cursor", cursor.as_str()), ("size", &size)]);
            let response = self.send(Method::GET, path, &query, None).await?;
            let next = next_cursor(&response);
            let page: Vec<Value> = response
                .json()
                .await
                .map_err(Failure::because("the server's answer cannot be read"))?;
            rows.extend(page);
            match next {
                Some(next) if rows.len() < limit => cursor = next,
                _ => return Ok(rows),
            }
        }
    }
}

/// A client for one address: no redirects, no proxy, and certificates only where they are needed,
/// since a small container has none.
pub(super) fn http_client(url: &str) -> Result<reqwest::Client, Failure> {
    let builder = builder(url).read_timeout(SILENCE_MAX);
    builder.build().map_err(Failure::because("the HTTP client cannot start"))
}

/// The same for our own listener on this machine: its certificate is made out to another name.
pub(super) fn http_client_here(url: &str) -> Result<reqwest::Client, Failure> {
    let builder = builder(url).read_timeout(SILENCE_MAX).tls_danger_accept_invalid_certs(true);
    builder.build().map_err(Failure::because("the HTTP client cannot start"))
}

/// The same, but for how long it waits.
fn builder(url: &str) -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        // On the same machine packing costs more than it saves.
        .no_gzip()
        .connect_timeout(CONNECT_TIME_MAX);
    if url.starts_with("http://") { builder.tls_certs_only([]) } else { builder }
}

fn no_answer(base_url: &str, err: reqwest::Error) -> Failure {
    if err.is_connect() {
        return Failure::new(format!(
            "no server answers at {base_url}: start `simdeck serve`, or name the right address \
             with --internal-url"
        ));
    }
    Failure::because(format!("the server at {base_url} did not answer"))(err.without_url())
}

/// One sentence from a problem document.
async fn refusal(response: Response) -> Failure {
    let status = response.status();
    if status == StatusCode::UNAUTHORIZED {
        return Failure::new(
            "the server does not accept this API key: set SIMDECK_API_KEY to the admin's, or \
             --data-dir to where the server keeps its own",
        );
    }
    let Ok(problem) = response.json::<Problem>().await else {
        return Failure::new(format!("the server answered {status}"));
    };
    if status == StatusCode::NOT_FOUND {
        return Failure::new(problem.detail.unwrap_or_else(|| {
            "the server has none of that number: `list` shows those there are".to_owned()
        }));
    }
    let mut sentence = format!("the server answered {}, {}", status.as_u16(), problem.title);
    if let Some(detail) = problem.detail {
        sentence += &format!(": {}", detail.trim_end_matches('.'));
    } else {
        for error in problem.errors {
            let field = error.field.map(|field| format!("{field}: ")).unwrap_or_default();
            sentence += &format!(" ({field}{})", error.code);
        }
    }
    Failure::new(sentence)
}

/// The cursor in `Link: <…?cursor=…>; rel="next"`.
fn next_cursor(response: &Response) -> Option<String> {
    let links = response.headers().get("link")?.to_str().ok()?;
    let next = links.split(',').find(|link| link.contains("rel=\"next\""))?;
    let url: Url = next.split(['<', '>']).nth(1)?.parse().ok()?;
    url.query_pairs().find(|(name, _)| name == "cursor").map(|(_, value)| value.into_owned())
}
