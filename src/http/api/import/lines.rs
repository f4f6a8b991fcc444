//! Lines out of a stream. It holds one line at most.
use super::{Refused, Span};
use crate::http::api::csv_rows::ROW_BYTES_MAX;

/// Where in the lines we are.
#[derive(Debug)]
pub(super) struct Lines {
    /// The begin of a line whose end has not come.
    begun: Vec<u8>,
    /// Its number, from 1.
    number: u64,
    is_too_long: bool,
    /// The byte before was a carriage return: a line feed now is the second half of a line break.
    after_return: bool,
}

impl Lines {
    /// Before the first line.
    pub(super) fn new() -> Self {
        Self { begun: Vec::new(), number: 1, is_too_long: false, after_return: false }
    }

    /// Takes what came, and gives away each line that it ends. A carriage return ends one too: an
    /// object of ours has none inside.
    pub(super) fn feed(&mut self, came: &[u8], mut each: impl FnMut(Span, Result<&[u8], Refused>)) {
        let mut rest = came;
        while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
            let is_second_half = end == 0 && rest[0] == b'\n' && self.after_return;
            if !is_second_half {
                self.begin(&rest[..end]);
                self.end(&mut each);
            }
            self.after_return = rest[end] == b'\r';
            rest = &rest[end + 1..];
        }
        self.begin(rest);
    }

    /// Gives away the last line, which need not be ended: an object says itself whether it is whole.
    pub(super) fn end(&mut self, mut each: impl FnMut(Span, Result<&[u8], Refused>)) {
        let line = self.begun.trim_ascii();
        // Some programs mark UTF-8 with three bytes that are no part of the first line.
        let line = line.strip_prefix(b"\xEF\xBB\xBF").filter(|_| self.number == 1).unwrap_or(line);
        if self.is_too_long {
            each(Span::line(self.number), Err(Refused::row("too_long")));
        } else if !line.is_empty() {
            each(Span::line(self.number), Ok(line));
        }
        self.begun.clear();
        self.is_too_long = false;
        self.number += 1;
    }

    fn begin(&mut self, part: &[u8]) {
        if part.is_empty() {
            return;
        }
        self.after_return = false;
        self.is_too_long |= self.begun.len() + part.len() > ROW_BYTES_MAX;
        if self.is_too_long {
            self.begun = Vec::new();
        } else {
            self.begun.extend(part);
        }
    }
}
