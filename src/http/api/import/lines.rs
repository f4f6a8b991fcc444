//! Lines out of a stream. It holds one line at most.
use super::{LINE_BYTES_MAX, Refused};

/// Where in the lines we are.
#[derive(Debug)]
pub(super) struct Lines {
    /// The begin of a line whose end has not come.
    begun: Vec<u8>,
    /// Its number, from 1.
    number: u64,
    is_too_long: bool,
}

impl Lines {
    /// Before the first line.
    pub(super) fn new() -> Self {
        Self { begun: Vec::new(), number: 1, is_too_long: false }
    }

    /// Takes what came, and gives away each line that it ends.
    pub(super) fn feed(&mut self, came: &[u8], mut each: impl FnMut(u64, Result<&[u8], Refused>)) {
        let mut rest = came;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.begin(&rest[..end]);
            self.end(&mut each);
            rest = &rest[end + 1..];
        }
        self.begin(rest);
    }

    /// Gives away the last line, which need not be ended.
    pub(super) fn end(&mut self, mut each: impl FnMut(u64, Result<&[u8], Refused>)) {
        let line = self.begun.trim_ascii();
        // Some programs mark UTF-8 with three bytes that are no part of the first line.
        let line = line.strip_prefix(b"\xEF\xBB\xBF").filter(|_| self.number == 1).unwrap_or(line);
        if self.is_too_long {
            each(self.number, Err(Refused::row("too_long")));
        } else if !line.is_empty() {
            each(self.number, Ok(line));
        }
        self.begun.clear();
        self.is_too_long = false;
        self.number += 1;
    }

    fn begin(&mut self, part: &[u8]) {
        self.is_too_long |= self.begun.len() + part.len() > LINE_BYTES_MAX;
        if self.is_too_long {
            self.begun = Vec::new();
        } else {
            self.begun.extend(part);
        }
    }
}
