//! So many lines a minute of each message, and how many were left out.
//!
//! What goes wrong goes wrong for each push, each router, each look: thousands of the same line hide
//! the one that tells why, and fill a disk.
use std::{
    collections::HashMap,
    fmt,
    sync::{LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tracing::{
    Event, Level, Subscriber,
    callsite::Identifier,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

/// Lines of one message in one minute.
const LINES_MAX: u32 = 60;
const MINUTE: Duration = Duration::from_secs(60);

/// So many messages and causes are told apart; of those beyond, each place in the code is one.
const CAUSES_MAX: usize = 1_000;

/// The messages of the last minute, by the place in the code that logs them and their cause: many lines
/// of one cause must not hide another.
static MESSAGES: LazyLock<Mutex<HashMap<(Identifier, String), Written>>> =
    LazyLock::new(Mutex::default);

/// What was written of a message in its minute.
struct Written {
    since: Instant,
    lines: u32,
    /// What the first line left out says, and how many were.
    left_out: Option<(String, u64)>,
}

impl Written {
    /// Whether one more line is written.
    fn takes(&mut self, now: Instant, message: String) -> bool {
        // Until it is told what was left out, the minute is not over.
        if self.left_out.is_none() && now.duration_since(self.since) >= MINUTE {
            *self = Self { since: now, lines: 0, left_out: None };
        }
        if self.lines < LINES_MAX {
            self.lines += 1;
            return true;
        }
        self.left_out.get_or_insert((message, 0)).1 += 1;
        false
    }
}

/// Lets no more lines of a message through than [`LINES_MAX`] in a minute. Lines of `debug` and `trace`
/// are not limited: whoever asks for them looks for something.
pub(super) struct LogLimit;

impl<S: Subscriber> Layer<S> for LogLimit {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        if *event.metadata().level() > Level::INFO {
            return true;
        }
        let (now, Said { message, cause }) = (Instant::now(), Said::of(event));
        let mut messages = MESSAGES.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (event.metadata().callsite(), cause);
        if messages.len() >= CAUSES_MAX && !messages.contains_key(&key) {
            key.1.clear();
        }
        let first = || Written { since: now, lines: 0, left_out: None };
        messages.entry(key).or_insert_with(first).takes(now, message)
    }
}

/// Says what was left out, of each message whose minute is over; or of all, at the end.
pub(super) fn tell_left_out(is_end: bool) {
    let now = Instant::now();
    let mut left_out = Vec::new();
    let mut messages = MESSAGES.lock().unwrap_or_else(PoisonError::into_inner);
    messages.retain(|_, written| {
        let is_over = is_end || now.duration_since(written.since) >= MINUTE;
        left_out.extend(written.left_out.take_if(|_| is_over));
        !is_over
    });
    // Each line comes by here.
    drop(messages);
    for (said, lines) in left_out {
        tracing::warn!(said, lines, "More lines of one message were left out of the log");
    }
}

/// Tells each minute, for as long as the process lives.
pub(super) async fn tell_each_minute() {
    let mut next = tokio::time::interval(MINUTE);
    loop {
        next.tick().await;
        tell_left_out(false);
    }
}

/// What an event says, and for which cause.
#[derive(Default)]
struct Said {
    message: String,
    cause: String,
}

impl Said {
    fn of(event: &Event<'_>) -> Self {
        let mut said = Self::default();
        event.record(&mut said);
        said
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            // An erasure is told of each SIM, however many there are.
            "error" | "reason" | "giccid_hmac" => self.cause = format!("{value:?}"),
            _ => (),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_takes_so_many_lines_and_the_next_one_once_the_rest_was_told() {
        let start = Instant::now();
        let mut written = Written { since: start, lines: 0, left_out: None };
        let takes = |written: &mut Written, seconds| {
            written.takes(start + Duration::from_secs(seconds), "It fails".to_owned())
        };
        assert!((0..60).all(|second| takes(&mut written, second)));
        assert!(!takes(&mut written, 59) && !takes(&mut written, 60));
        assert_eq!(written.left_out.take(), Some(("It fails".to_owned(), 2)));
        assert!(takes(&mut written, 61));
        assert_eq!(written.lines, 1);
    }
}
