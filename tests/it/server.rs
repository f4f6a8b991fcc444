//! The real binary on ports of its own, with files of its own, and a sender that signs as SmartHub
//! does.
use std::{
    env,
    ffi::OsStr,
    path::Path,
    process::{Command, Output},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use reqwest::{Client, Method, header::HeaderMap, redirect};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::process::Process;

pub(crate) const PUSH_KEY: &str = "UzE4MDkxNDA2MTE1M";
pub(crate) const API_KEY: &str = "sd_0123456789abcdef0123456789abcdef";

/// What takes so long will not happen.
const GUARD: Duration = Duration::from_secs(120);

/// A running simdeck.
pub(crate) struct Simdeck {
    process: Process,
    client: Client,
    public: String,
    internal: String,
    folder: Arc<TempDir>,
    /// What stands before `/v1` in the address of a push.
    pub(crate) prefix: String,
}

/// An answer of the public listener, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Simdeck {
    /// Starts on an empty folder, with these settings beside the usual ones of a test.
    pub(crate) fn start(variables: &[(&str, &str)]) -> Self {
        Self::start_in(Arc::new(TempDir::new().unwrap()), variables)
    }

    /// Starts on what another one has left.
    pub(crate) fn start_in(folder: Arc<TempDir>, variables: &[(&str, &str)]) -> Self {
        Self::start_under(&[], folder, variables)
    }

    /// Starts it by another program, which ends as it does.
    pub(crate) fn start_under(
        wrapper: &[&str],
        folder: Arc<TempDir>,
        variables: &[(&str, &str)],
    ) -> Self {
        let mut command = command(wrapper, folder.path(), variables);
        let mut process = Process::start("simdeck", &mut command, "cargo builds it");
        let ready = process.wait_for(&["public.address="]).remove(0);
        let address = |name: &str| {
            let (_, address) = ready.split_once(name).unwrap();
            address.split_whitespace().next().unwrap().to_owned()
        };
        let client = Client::builder().no_proxy().redirect(redirect::Policy::none());
        Self {
            public: address("public.address="),
            internal: address("internal.address="),
            client: client.build().unwrap(),
            process,
            folder,
            prefix: String::new(),
        }
    }

    /// Where the public listener is.
    pub(crate) fn public(&self) -> &str {
        &self.public
    }

    /// Its number; under a wrapper the wrapper's.
    pub(crate) fn pid(&self) -> rustix::process::Pid {
        self.process.pid()
    }

    /// Where the internal listener is.
    pub(crate) fn internal(&self) -> &str {
        &self.internal
    }

    pub(crate) fn folder(&self) -> Arc<TempDir> {
        Arc::clone(&self.folder)
    }

    /// Where pushes go, without a path token.
    pub(crate) fn public_url(&self) -> String {
        format!("http://{}", self.public)
    }

    /// Where people and programs ask.
    pub(crate) fn internal_url(&self) -> String {
        format!("http://{}", self.internal)
    }

    /// Waits for a line of the log that holds this text.
    pub(crate) fn wait_for(&mut self, text: &str) {
        self.process.wait_for(&[text]);
    }

    /// The same, if no line of the log holds it yet.
    pub(crate) fn says(&mut self, text: &str) {
        self.process.says(text);
    }

    pub(crate) fn signal_term(&self) {
        self.process.signal_term();
    }

    /// Asks it to end, checks that it did so in good order, and gives its log.
    pub(crate) fn end(self) -> String {
        self.process.end()
    }

    /// Waits for the end that it was asked for; gives its log.
    pub(crate) fn ended(self) -> String {
        self.process.ended()
    }

    /// Ends it and starts it again on the same folder.
    pub(crate) fn restart(self, variables: &[(&str, &str)]) -> Self {
        let folder = self.folder();
        self.end();
        Self::start_in(folder, variables)
    }

    /// Runs another command with the settings of this server.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        run(self.folder.path(), &self.public, &self.internal, args)
    }

    /// The same, as a table on a screen so wide.
    pub(crate) fn run_table(&self, args: &[&str], width: usize) -> String {
        let output = program(&[], self.folder.path())
            .args(args)
            .args(["--output", "table"])
            .env("SIMDECK_PUBLIC_LISTEN", &self.public)
            .env("SIMDECK_INTERNAL_LISTEN", &self.internal)
            .env("COLUMNS", width.to_string())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The same, and what it reads comes from this file.
    pub(crate) fn run_typing(&self, args: &[&str], typed: std::fs::File) -> Output {
        program(&[], self.folder.path())
            .args(args)
            .env("SIMDECK_PUBLIC_LISTEN", &self.public)
            .env("SIMDECK_INTERNAL_LISTEN", &self.internal)
            .stdin(typed)
            .output()
            .unwrap()
    }

    /// Posts a body as it is.
    pub(crate) async fn post(&self, kind: &str, body: impl Into<Vec<u8>>) -> Answer {
        self.post_with(kind, body, &[]).await
    }

    pub(crate) async fn post_with(
        &self,
        kind: &str,
        body: impl Into<Vec<u8>>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let path = format!("{}/v1/{kind}", self.prefix);
        self.ask_public(Method::POST, &path, body.into(), headers).await
    }

    pub(crate) async fn ask_public(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let url = format!("http://{}{path}", self.public);
        let mut request = self.client.request(method, url).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        whole(request).await.unwrap()
    }

    /// Posts a body to a server that may be killed meanwhile.
    pub(crate) async fn try_post(&self, kind: &str, body: String) -> Result<Answer, String> {
        let url = format!("http://{}{}/v1/{kind}", self.public, self.prefix);
        whole(self.client.post(url).body(body)).await.map_err(|error| error.to_string())
    }

    /// An answer of the internal listener with its headers, asked with the admin's key.
    pub(crate) async fn get_whole(&self, path: &str) -> Answer {
        let url = format!("http://{}{path}", self.internal);
        whole(self.client.get(url).header("X-API-Key", API_KEY)).await.unwrap()
    }

    /// Posts a body that is authentic; gives what was stored, repeated and quarantined.
    pub(crate) async fn push(&self, kind: &str, body: impl Into<Vec<u8>>) -> (u64, u64, u64) {
        let answer = self.post(kind, body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        counts(&answer.json())
    }

    /// Asks the internal listener, with the admin's key.
    pub(crate) async fn ask(&self, method: Method, path: &str) -> (u16, Value) {
        let (status, text) = self.ask_text(method, path).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// An answer of the internal listener as it is written.
    pub(crate) async fn ask_text(&self, method: Method, path: &str) -> (u16, String) {
        let url = format!("http://{}{path}", self.internal);
        let request = self.client.request(method, url).header("X-API-Key", API_KEY);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Sends a JSON body to the internal listener, with the admin's key.
    pub(crate) async fn send_json(&self, method: Method, path: &str, body: &str) -> (u16, Value) {
        let url = format!("http://{}{path}", self.internal);
        let request = self.client.request(method, url).header("X-API-Key", API_KEY);
        let answer = request.body(body.to_owned()).send().await.unwrap();
        let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Sends a JSON body to the internal listener, and does not wait for the answer.
    pub(crate) async fn begin(&self, path: &str, body: &str) {
        let mut wire = Wire::to(&self.internal).await;
        let length = body.len();
        wire.send(format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {API_KEY}\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        ))
        .await;
        // Another question, so that the first one has likely begun.
        self.get("/v1/retractions").await;
    }

    /// The status of a question with another key.
    pub(crate) async fn status_with(&self, key: &str, path: &str) -> u16 {
        let url = format!("http://{}{path}", self.internal);
        let answer = self.client.get(url).header("X-API-Key", key).send().await.unwrap();
        answer.status().as_u16()
    }

    /// An answer to another key.
    pub(crate) async fn get_with(&self, key: &str, path: &str) -> Value {
        let url = format!("http://{}{path}", self.internal);
        let answer = self.client.get(url).header("X-API-Key", key).send().await.unwrap();
        answer.json().await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.ask(Method::GET, path).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// All rows of a list, the oldest first.
    pub(crate) async fn rows(&self, path: &str) -> Vec<Value> {
        let sign = if path.contains('?') { '&' } else { '?' };
        let answer = self.get(&format!("{path}{sign}size=100")).await;
        answer.as_array().unwrap().iter().rev().cloned().collect()
    }

    /// The held pushes, with their bodies, once there are so many. Refused ones are written when
    /// the writer has nothing better to do.
    pub(crate) async fn held(&self, how_many: usize) -> Vec<Value> {
        let began = Instant::now();
        loop {
            let rows = self.rows("/v1/held").await;
            if rows.len() >= how_many {
                assert_eq!(rows.len(), how_many, "{rows:?}");
                let mut whole = Vec::new();
                for row in rows {
                    whole.push(self.get(&format!("/v1/held/{}", row["id"])).await);
                }
                return whole;
            }
            assert!(began.elapsed() < GUARD, "only {rows:?}");
            tokio::task::yield_now().await;
        }
    }

    /// The only held push once it has come so often.
    pub(crate) async fn held_again(&self, count: i64) -> Value {
        let began = Instant::now();
        loop {
            let row = self.held(1).await.remove(0);
            if row["count"] == count {
                return row;
            }
            assert!(began.elapsed() < GUARD, "{row}");
        }
    }

    pub(crate) async fn connect(&self) -> Wire {
        Wire::to(&self.public).await
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

async fn whole(request: reqwest::RequestBuilder) -> reqwest::Result<Answer> {
    let answer = request.send().await?;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    Ok(Answer { status, headers, body: answer.text().await? })
}

/// A connection that says exactly what it is told.
pub(crate) struct Wire(TcpStream);

impl Wire {
    pub(crate) async fn to(address: &str) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    /// The same, with hardly any room for what comes before it is read.
    pub(crate) async fn to_with_little_room(address: &str) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        Self(socket.connect(address.parse().unwrap()).await.unwrap())
    }

    /// The head of an answer, in small letters; what follows is left.
    pub(crate) async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(timeout(GUARD, self.0.read_u8()).await.unwrap().unwrap());
        }
        String::from_utf8(head).unwrap().to_ascii_lowercase()
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        timeout(GUARD, self.0.write_all(bytes.as_ref())).await.unwrap().unwrap();
    }

    /// Waits until the other side asks for the body.
    pub(crate) async fn expect_continue(&mut self) {
        let mut line = [0; 25];
        timeout(GUARD, self.0.read_exact(&mut line)).await.unwrap().unwrap();
        assert_eq!(&line, b"HTTP/1.1 100 Continue\r\n\r\n");
    }

    /// Says that nothing more will be sent.
    pub(crate) async fn finish(&mut self) {
        self.0.shutdown().await.unwrap();
    }

    /// One answer: its head in small letters, and its body.
    pub(crate) async fn answer(&mut self) -> (String, String) {
        let head = self.head().await;
        let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        timeout(GUARD, self.0.read_exact(&mut body)).await.unwrap().unwrap();
        (head, String::from_utf8(body).unwrap())
    }

    /// Waits until the other side has closed; gives what came before.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match timeout(GUARD, self.0.read_to_end(&mut rest)).await.unwrap() {
            Ok(_) => rest,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => rest,
            Err(error) => panic!("{error}"),
        }
    }
}

/// `simdeck serve` that is expected not to start; gives what it said.
pub(crate) fn refused_start(folder: &Path, variables: &[(&str, &str)]) -> String {
    Process::start("simdeck", &mut command(&[], folder, variables), "cargo builds it").refused()
}

/// The same, with this exit code.
pub(crate) fn refused_start_with(code: i32, folder: &Path, variables: &[(&str, &str)]) -> String {
    let mut command = command(&[], folder, variables);
    Process::start("simdeck", &mut command, "cargo builds it").refused_with(&[code])
}

/// Runs a command with the settings of a server at these addresses.
pub(crate) fn run(folder: &Path, public: &str, internal: &str, args: &[&str]) -> Output {
    program(&[], folder)
        .args(args)
        .env("SIMDECK_PUBLIC_LISTEN", public)
        .env("SIMDECK_INTERNAL_LISTEN", internal)
        .output()
        .unwrap()
}

/// Runs a command with these settings, and no server's addresses.
pub(crate) fn run_with(folder: &Path, variables: &[(&str, &str)], args: &[&str]) -> Output {
    program(&[], folder).args(args).envs(variables.iter().copied()).output().unwrap()
}

fn command(wrapper: &[&str], folder: &Path, variables: &[(&str, &str)]) -> Command {
    let mut command = program(wrapper, folder);
    command
        .arg("serve")
        .env("SIMDECK_PUBLIC_LISTEN", "127.0.0.1:0")
        .env("SIMDECK_INTERNAL_LISTEN", "127.0.0.1:0");
    for (name, value) in variables {
        // A setting that a test takes away.
        match *value {
            UNSET => command.env_remove(name),
            value => command.env(name, value),
        };
    }
    command
}

/// The program with the settings that all tests share, and no others.
fn program(wrapper: &[&str], folder: &Path) -> Command {
    let binary = env::var_os("SIMDECK_TEST_BINARY");
    let binary = binary.as_deref().unwrap_or(OsStr::new(env!("CARGO_BIN_EXE_simdeck")));
    let mut words = wrapper.iter().map(OsStr::new).chain([binary]);
    let mut command = Command::new(words.next().unwrap_or(binary));
    command.args(words);
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("SIMDECK_")) {
            command.env_remove(name);
        }
    }
    command
        .current_dir(folder)
        .env("SIMDECK_PUBLIC_TRUSTED_PROXIES", "127.0.0.1")
        .env("SIMDECK_PUSH_KEY", PUSH_KEY)
        .env("SIMDECK_API_KEY", API_KEY)
        .env("SIMDECK_DISK_RESERVE", "0");
    command
}

/// Stands for a variable that is not there.
pub(crate) const UNSET: &str = "\0unset";

/// Now, in whole seconds.
pub(crate) fn now_s() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since_1970.as_secs()).unwrap()
}

/// SmartHub's rule, written here once more so that a mistake in ours cannot hide.
pub(crate) fn signature(key: &str, second: i64) -> String {
    hex::encode(Sha256::digest(format!("{key}{second}")))
}

/// The two fields of a push of this second, without braces.
pub(crate) fn proof(second: i64) -> String {
    format!(r#""datePush":{second},"signature":"{}""#, signature(PUSH_KEY, second))
}

/// An authentic body of now with these members, as JSON text.
pub(crate) fn signed(members: &str) -> String {
    signed_at(now_s(), members)
}

pub(crate) fn signed_at(second: i64, members: &str) -> String {
    let comma = if members.is_empty() { "" } else { "," };
    format!("{{{}{comma}{members}}}", proof(second))
}

/// A whole usage record of one SIM, the same whenever it is asked for, without braces.
pub(crate) fn usage(giccid: &str) -> String {
    format!(r#""giccid":"{giccid}","data_usage":1302,"start_time":1713888842473"#)
}

pub(crate) fn counts(answer: &Value) -> (u64, u64, u64) {
    let count = |name: &str| answer[name].as_u64().unwrap();
    let counts = (count("stored"), count("duplicates"), count("quarantined"));
    let (stored, duplicates, quarantined) = counts;
    let whole = json!({"stored": stored, "duplicates": duplicates, "quarantined": quarantined});
    assert_eq!(*answer, whole, "nothing else");
    counts
}
