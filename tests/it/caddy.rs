//! The shipped Caddyfile, run by Debian's Caddy, in front of the simdeck binary.

use std::{
    env, fs,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use reqwest::{Certificate, Client, StatusCode, redirect};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::process::{Process, free_port};

const PATH_TOKEN: &str = "kept-out-of-every-log-1f0c";
const PUSH_KEY: &str = "push-key-for-caddy";
const API_KEY: &str = "api-key-for-caddy-0123456789abcdef";
const IN_QUERY: &str = "also-kept-out-of-every-log";
/// Another loopback address than Caddy's, so that the two can be told apart.
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const FORGED: &str = "203.0.113.66";

/// simdeck, Caddy in front of it, and a client outside.
struct Deck {
    simdeck: Process,
    caddy: Process,
    https: String,
    http: String,
    api: String,
    outside: Client,
    inside: Client,
    _folder: TempDir,
}

impl Deck {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let (simdeck, public, internal) = start_simdeck(folder.path());
        let (https, http) = (free_port(), free_port());
        let caddy = start_caddy(folder.path(), &public, https, http);
        Self {
            simdeck,
            caddy,
            https: format!("https://localhost:{https}"),
            http: format!("http://localhost:{http}"),
            api: format!("http://{internal}/v1"),
            outside: client_outside(folder.path()),
            inside: Client::builder().no_proxy().build().unwrap(),
            _folder: folder,
        }
    }

    async fn push(&self, url: &str, body: &Value) -> (StatusCode, String) {
        let request = self.outside.post(url).body(body.to_string());
        let answer = request.header("X-Forwarded-For", FORGED).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    async fn ask(&self, path: &str) -> Value {
        let request = self.inside.get(format!("{}{path}", self.api)).header("X-API-Key", API_KEY);
        request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
    }
}

/// The server, its public and its internal address.
fn start_simdeck(folder: &Path) -> (Process, String, String) {
    // tests/all names the release binary; cargo alone builds the one that goes with the tests.
    let binary = env::var("SIMDECK_TEST_BINARY").unwrap_or(env!("CARGO_BIN_EXE_simdeck").into());
    let mut command = Command::new(binary);
    command
        .arg("serve")
        .current_dir(folder)
        .env("SIMDECK_DATA_DIR", folder.join("data"))
        .env("SIMDECK_PUBLIC_LISTEN", "127.0.0.1:0")
        .env("SIMDECK_PUBLIC_TRUSTED_PROXIES", "127.0.0.1/32")
        .env("SIMDECK_PUBLIC_PATH_TOKEN", PATH_TOKEN)
        .env("SIMDECK_INTERNAL_LISTEN", "127.0.0.1:0")
        .env("SIMDECK_PUSH_KEY", PUSH_KEY)
        .env("SIMDECK_API_KEY", API_KEY)
        .env("SIMDECK_LOG", "debug")
        .env("SIMDECK_LOG_FORMAT", "json");
    let mut simdeck = Process::start("simdeck", &mut command, "cargo builds it");
    let ready: Value = serde_json::from_str(&simdeck.wait_for(&["\"Ready\""])[0]).unwrap();
    let address = |name| ready["fields"][name].as_str().unwrap().to_owned();
    let (public, internal) = (address("public.address"), address("internal.address"));
    (simdeck, public, internal)
}

pub(crate) fn start_caddy(folder: &Path, upstream: &str, https: u16, http: u16) -> Process {
    let caddyfile = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/Caddyfile");
    let mut command = Command::new("caddy");
    command
        .args(["run", "--adapter", "caddyfile", "--config", caddyfile])
        .env_remove("SIMDECK_DOMAIN")
        .env("XDG_DATA_HOME", folder)
        .env("XDG_CONFIG_HOME", folder)
        .env("SIMDECK_UPSTREAM", upstream)
        .env("SIMDECK_HTTPS_PORT", https.to_string())
        .env("SIMDECK_HTTP_PORT", http.to_string());
    let remedy = "install it with `apt-get install caddy`, or run tests/all, which does so";
    let mut caddy = Process::start("caddy", &mut command, remedy);
    caddy.wait_for(&["serving initial configuration", "certificate obtained successfully"]);
    caddy
}

/// A client that trusts Caddy's own authority and nobody else.
pub(crate) fn client_outside(folder: &Path) -> Client {
    let authority = fs::read(folder.join("caddy/pki/authorities/local/root.crt")).unwrap();
    Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .local_address(CLIENT)
        .tls_certs_only([Certificate::from_pem(&authority).unwrap()])
        .build()
        .unwrap()
}

/// A push as SmartHub signs it: SHA-256 of the key followed by the epoch seconds.
fn signed(record: Value) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut push = record;
    push["datePush"] = json!(now);
    push["signature"] = json!(hex::encode(Sha256::digest(format!("{PUSH_KEY}{now}"))));
    push
}

fn usage() -> Value {
    json!({"giccid": "8944501503181377993", "data_usage": 1302, "start_time": 1_713_888_842_473_i64,
        "sim_group": "groupA"})
}

#[tokio::test]
async fn a_push_through_caddy_is_stored_with_the_clients_address_and_no_log_tells_the_token() {
    let deck = Deck::start();
    let url = format!("{}/{PATH_TOKEN}/v1/data-usage?key={IN_QUERY}", deck.https);

    let (status, answer) = deck.push(&url, &signed(usage())).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer, json!({"stored": 1, "duplicates": 0, "quarantined": 0}));
    let records = deck.ask("/data-usage").await;
    assert_eq!(records[0]["giccid"], "8944501503181377993");
    assert_eq!(records[0]["data_usage"], 1302);
    assert_eq!(records.as_array().unwrap().len(), 1);

    // Authentic and unreadable: held in the same commit, with the address that it came from.
    let (status, answer) = deck.push(&url, &signed(json!({"giccid": "8944501503181377993"}))).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let held = deck.ask("/held?class=quarantined").await;
    assert_eq!(held[0]["source"], CLIENT.to_string(), "{held}");

    let (simdeck, caddy) = (deck.simdeck.end(), deck.caddy.end());
    assert!(caddy.contains(r#""uri":"/v1/data-usage""#), "Caddy did not name the route:\n{caddy}");
    for log in [&simdeck, &caddy] {
        for secret in [PATH_TOKEN, IN_QUERY, PUSH_KEY, API_KEY] {
            assert!(!log.contains(secret), "{secret} is in a log:\n{log}");
        }
    }
}

#[tokio::test]
async fn caddy_passes_on_pushes_only_and_never_redirects() {
    let deck = Deck::start();
    let Deck { https, http, .. } = &deck;
    let push = signed(usage());

    for (url, wanted) in [
        (format!("{https}/v1/data-usage"), StatusCode::NOT_FOUND), // no token
        (format!("{https}/{PATH_TOKEN}"), StatusCode::NOT_FOUND),
        (format!("{https}/{PATH_TOKEN}/v1"), StatusCode::NOT_FOUND),
        (format!("{https}/metrics"), StatusCode::NOT_FOUND),
        (format!("{http}/{PATH_TOKEN}/v1/data-usage"), StatusCode::FORBIDDEN),
    ] {
        assert_eq!(deck.push(&url, &push).await.0, wanted, "{url}");
    }
    let request = deck.outside.post(format!("{https}/{PATH_TOKEN}/v1/data-usage"));
    let answer = request.header("Host", "elsewhere.example").body(push.to_string()).send().await;
    assert_eq!(answer.unwrap().status(), StatusCode::MISDIRECTED_REQUEST);

    let healthy = deck.outside.get(format!("{https}/healthz")).send().await.unwrap();
    assert_eq!(healthy.status(), StatusCode::OK);
    assert_eq!(deck.ask("/data-usage").await, json!([]));
}

#[tokio::test]
async fn a_body_over_the_limit_is_answered_413_through_caddy() {
    let deck = Deck::start();
    let url = format!("{}/{PATH_TOKEN}/v1/data-usage", deck.https);
    for bytes in [4_300_000, 6_000_000, 60_000_000] {
        let answer = deck.outside.post(&url).body(vec![b' '; bytes]).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE, "{bytes} bytes");
    }
}

#[tokio::test]
async fn caddy_answers_503_with_retry_after_while_simdeck_is_away() {
    let deck = Deck::start();
    deck.simdeck.end();
    let request = deck.outside.post(format!("{}/{PATH_TOKEN}/v1/data-usage", deck.https));
    let answer = request.body(signed(usage()).to_string()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()["Retry-After"], "5");
    let log = deck.caddy.end();
    assert!(!log.contains(PATH_TOKEN), "the token is in Caddy's log:\n{log}");
}
