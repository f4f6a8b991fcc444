//! The real program with both its listeners, for tests that send it more than a comfortable client
//! would: plain sockets, kept open, and one write for each request.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::process::{Process, free_ports};

pub(crate) const PUSH_KEY: &str = "UzE4MDkxNDA2MTE1M";
pub(crate) const API_KEY: &str = "api-key-of-an-attack-0123456789";

/// Longer than any answer takes; a server that says nothing for so long hangs.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Where a server stands that can be started again and again.
pub(crate) struct Program {
    binary: PathBuf,
    folder: Arc<TempDir>,
    pub(crate) public: u16,
    pub(crate) internal: u16,
}

impl Program {
    /// A folder and two ports for the program that is shipped.
    pub(crate) fn new() -> Self {
        Self::of(Self::binary())
    }

    /// tests/all names the release binary; cargo alone builds the one that goes with the tests.
    pub(crate) fn binary() -> PathBuf {
        let binary = env::var_os("SIMDECK_TEST_BINARY");
        binary.map_or(env!("CARGO_BIN_EXE_simdeck").into(), PathBuf::from)
    }

    pub(crate) fn of(binary: PathBuf) -> Self {
        let [public, internal] = free_ports();
        Self { binary, folder: Arc::new(TempDir::new().unwrap()), public, internal }
    }

    /// The same folder, and other ports.
    pub(crate) fn at_other_ports(&self) -> Self {
        let [public, internal] = free_ports();
        let (binary, folder) = (self.binary.clone(), Arc::clone(&self.folder));
        Self { binary, folder, public, internal }
    }

    /// The same ports, and an empty folder.
    pub(crate) fn afresh(&mut self) {
        self.folder = Arc::new(TempDir::new().unwrap());
    }

    pub(crate) fn start(&self) -> Process {
        let mut simdeck = self.spawn(&[]);
        simdeck.wait_for(&["Ready"]);
        simdeck
    }

    /// Starts it with these variables beside its own, and does not wait.
    pub(crate) fn spawn(&self, variables: &[(&str, &OsStr)]) -> Process {
        self.spawn_within(&[], variables)
    }

    /// The same, by a program that runs what is said behind its own words.
    pub(crate) fn spawn_within(
        &self,
        wrapper: &[OsString],
        variables: &[(&str, &OsStr)],
    ) -> Process {
        let mut words = wrapper.iter().map(OsString::as_os_str).chain([self.binary.as_os_str()]);
        let mut command = Command::new(words.next().unwrap());
        command
            .args(words)
            .arg("serve")
            .current_dir(self.folder.path())
            .env("SIMDECK_DATA_DIR", self.data())
            .env("SIMDECK_PUBLIC_LISTEN", format!("127.0.0.1:{}", self.public))
            .env("SIMDECK_PUBLIC_TRUSTED_PROXIES", "127.0.0.1/32")
            .env("SIMDECK_INTERNAL_LISTEN", format!("127.0.0.1:{}", self.internal))
            .env("SIMDECK_PUSH_KEY", PUSH_KEY)
            .env("SIMDECK_API_KEY", API_KEY)
            .env("SIMDECK_PUSH_MAX_AGE", "3650d")
            .env("SIMDECK_DISK_RESERVE", "0");
        command.envs(variables.iter().copied());
        let remedy = "`cargo test` builds it; by hand: cargo build --bins --examples";
        Process::start("simdeck", &mut command, remedy)
    }

    /// The database file. Its log is still beside it while the server runs.
    pub(crate) fn database(&self) -> PathBuf {
        self.data().join("simdeck.db")
    }

    /// The data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Asks the internal listener.
    pub(crate) fn ask(&self, path: &str) -> Value {
        let answer = Line::to(self.internal).unwrap().get(path).unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        serde_json::from_slice(&answer.body).unwrap()
    }
}

/// One kept-alive connection.
pub(crate) struct Line {
    stream: BufReader<TcpStream>,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) closes: bool,
    /// The `Link` header.
    pub(crate) link: String,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A count of a success.
    pub(crate) fn count(&self, name: &str) -> u64 {
        let counts: Value = serde_json::from_slice(&self.body).unwrap();
        counts[name].as_u64().unwrap_or_else(|| panic!("no {name} in {counts}"))
    }
}

impl Line {
    pub(crate) fn to(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Pushes a body as if it came from `source` through a trusted proxy.
    pub(crate) fn push(&mut self, kind: &str, source: Ipv4Addr, body: &[u8]) -> io::Result<Answer> {
        let length = body.len();
        let mut request = format!(
            "POST /v1/{kind} HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {source}\r\n\
             Content-Length: {length}\r\n\r\n"
        )
        .into_bytes();
        request.extend(body);
        self.exchange(&request)
    }

    /// Asks the internal listener.
    pub(crate) fn get(&mut self, path: &str) -> io::Result<Answer> {
        let head =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {API_KEY}\r\n\r\n");
        self.exchange(head.as_bytes())
    }

    /// Has the internal listener do something.
    pub(crate) fn post(&mut self, path: &str) -> io::Result<Answer> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {API_KEY}\r\n\
             Content-Length: 0\r\n\r\n"
        );
        self.exchange(head.as_bytes())
    }

    /// The same, with what it is told.
    pub(crate) fn post_json(&mut self, path: &str, body: &str) -> io::Result<Answer> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {API_KEY}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.exchange(head.as_bytes())
    }

    /// Sends a request and reads the whole answer: one cut short is an error.
    fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.stream.get_mut().write_all(request)?;
        let broken = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.get(9..12).and_then(|code| code.parse().ok()).ok_or_else(broken)?;
        let (mut length, mut closes, mut link) = (0, false, String::new());
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            if line == "\r\n" {
                break;
            }
            let (name, value) = line.split_once(": ").ok_or_else(broken)?;
            match name {
                "content-length" => length = value.trim_end().parse().map_err(|_| broken())?,
                "link" => link = value.trim_end().to_owned(),
                "connection" => closes = value.starts_with("close"),
                _ => (),
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(Answer { status, body, closes, link })
    }
}

/// `"datePush":…,"signature":"…"` for a second.
pub(crate) fn proof(date_push_s: u64) -> String {
    let signature = hex::encode(Sha256::digest(format!("{PUSH_KEY}{date_push_s}")));
    format!(r#""datePush":{date_push_s},"signature":"{signature}""#)
}

/// Whether these 32 bytes sign this second.
pub(crate) fn is_signed(date_push_s: i64, signature: &[u8]) -> bool {
    Sha256::digest(format!("{PUSH_KEY}{date_push_s}"))[..] == *signature
}

/// The machine's clock, to which the server holds `datePush`.
pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The control that acknowledges a push before it is on disk; cargo builds it beside the tests.
pub(crate) fn ack_before_commit() -> PathBuf {
    example("ack_before_commit")
}

/// The control whose handlers panic while there is a file `panic` in the data directory.
pub(crate) fn panicking() -> PathBuf {
    example("panicking")
}

fn example(name: &str) -> PathBuf {
    let tests = env::current_exe().unwrap();
    let profile = tests.parent().and_then(Path::parent).unwrap();
    let example = profile.join("examples").join(name);
    let is_there = fs::exists(&example).unwrap();
    assert!(is_there, "{} is not there: cargo build --examples", example.display());
    example
}
