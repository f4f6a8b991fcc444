//! A client of server-sent events, by hand: HTTP/1.1 chunks, then events.
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

/// What takes so long will not happen.
const GUARD: Duration = Duration::from_secs(120);

/// An open stream.
pub(super) struct Events {
    stream: BufReader<TcpStream>,
    /// The answer's head, in small letters.
    pub(super) head: String,
    text: Vec<u8>,
}

/// One event; a comment has neither name nor data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) data: String,
}

impl Events {
    /// Asks, and reads the answer's head. `base` is the listener's address, with or without a
    /// scheme.
    pub(super) async fn ask(base: &str, key: &str, path: &str, headers: &str) -> Self {
        let address = base.strip_prefix("http://").unwrap_or(base);
        let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nX-API-Key: {key}\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(timeout(GUARD, stream.read_u8()).await.unwrap().unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        Self { stream, head, text: Vec::new() }
    }

    /// Opens a stream, and waits until it has begun. One that was closed just now may still count
    /// among those that the key may have.
    pub(super) async fn open(base: &str, key: &str, path: &str, headers: &str) -> Self {
        let began = Instant::now();
        let mut events = Self::ask(base, key, path, headers).await;
        while events.head.starts_with("http/1.1 503") && began.elapsed() < GUARD {
            events = Self::ask(base, key, path, headers).await;
        }
        assert!(events.head.starts_with("http/1.1 200"), "{}", events.head);
        assert_eq!(events.next_or_comment().await.unwrap().name, "", "a comment comes first");
        events
    }

    /// The next event that is no comment; none at the end of the stream.
    pub(super) async fn next(&mut self) -> Option<Event> {
        let event = async {
            loop {
                let event = self.next_or_comment().await?;
                if !event.name.is_empty() {
                    return Some(event);
                }
            }
        };
        // Comments alone are no sign that something will come.
        timeout(GUARD, event).await.unwrap()
    }

    /// So many events.
    pub(super) async fn take(&mut self, how_many: usize) -> Vec<Event> {
        let mut events = Vec::new();
        while events.len() < how_many {
            events.push(self.next().await.expect("the stream has ended"));
        }
        events
    }

    pub(super) async fn next_or_comment(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.text.windows(2).position(|pair| pair == b"\n\n") {
                let event: Vec<u8> = self.text.drain(..end + 2).collect();
                return Some(event_of(std::str::from_utf8(&event).unwrap().trim_end()));
            }
            let chunk = self.chunk().await?;
            self.text.extend(chunk);
        }
    }

    /// Waits until the other side has closed the connection, however it did.
    pub(super) async fn closed(mut self) {
        let mut rest = Vec::new();
        match timeout(GUARD, self.stream.read_to_end(&mut rest)).await.unwrap() {
            Ok(_) => (),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
    }

    /// The next chunk; none after the last, which says that the answer is whole.
    async fn chunk(&mut self) -> Option<Vec<u8>> {
        let mut size = Vec::new();
        while !size.ends_with(b"\r\n") {
            size.push(timeout(GUARD, self.stream.read_u8()).await.unwrap().unwrap());
        }
        let size = usize::from_str_radix(std::str::from_utf8(&size).unwrap().trim(), 16).unwrap();
        let mut chunk = vec![0; size + 2];
        timeout(GUARD, self.stream.read_exact(&mut chunk)).await.unwrap().unwrap();
        chunk.truncate(size);
        (size > 0).then_some(chunk)
    }
}

impl Event {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap()
    }

    pub(super) fn id(&self) -> i64 {
        self.id.parse().unwrap()
    }
}

fn event_of(text: &str) -> Event {
    let mut event = Event { name: String::new(), id: String::new(), data: String::new() };
    for line in text.lines() {
        match line.split_once(": ").unwrap_or((line, "")) {
            ("event", value) => event.name = value.to_owned(),
            ("id", value) => event.id = value.to_owned(),
            ("data", value) => event.data.push_str(value),
            (":", _) => (),
            other => panic!("{other:?} is no field of an event"),
        }
    }
    event
}
