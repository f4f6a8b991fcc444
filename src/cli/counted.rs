//! Rows on their way from an export that ends with how many there are: NDJSON with `{"rows":n}`, CSV
//! with a row `rows,n`.
use std::io::{self, Write};

use serde::Deserialize;

use crate::domain::counted;

/// The rows of an export, without its count.
pub(super) struct Counted<W> {
    out: W,
    form: Form,
    /// The last whole row and what has come of the next: it may be the count.
    held: Vec<u8>,
    /// Where in `held` the row that is under way begins.
    begins_at: usize,
    /// CSV: a line break in a cell ends no row.
    in_quotes: bool,
    /// Rows that have ended, a heading and the count among them.
    ended: u64,
}

/// What rows look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// An object a line.
    Ndjson,
    /// A table with a heading.
    Csv,
}

/// Why an export is not whole.
#[derive(Debug, thiserror::Error)]
pub(super) enum CutError {
    /// The last row is not the count.
    #[error("it does not end with the number of its rows")]
    NoCount,
    /// The count is another.
    #[error("it says that it has {}", counted(*told, "row", "rows"))]
    Other {
        /// What it says.
        told: u64,
    },
}

/// The last line of NDJSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Count {
    rows: u64,
}

impl<W: Write> Counted<W> {
    /// No row yet.
    pub(super) fn new(out: W, form: Form) -> Self {
        Self { out, form, held: Vec::new(), begins_at: 0, in_quotes: false, ended: 0 }
    }

    /// Takes the next bytes; passes on all but the last whole row.
    pub(super) fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut last_begins_at = 0;
        for byte in bytes {
            self.held.push(*byte);
            match byte {
                b'"' if self.form == Form::Csv => self.in_quotes = !self.in_quotes,
                b'\n' if !self.in_quotes => {
                    last_begins_at = self.begins_at;
                    self.begins_at = self.held.len();
                    self.ended += 1;
                }
                _ => (),
            }
        }
        self.out.write_all(&self.held[..last_begins_at])?;
        self.held.drain(..last_begins_at);
        self.begins_at -= last_begins_at;
        Ok(())
    }

    /// How many rows have come. The last one may turn out to be the count.
    pub(super) fn rows(&self) -> u64 {
        self.ended.saturating_sub(u64::from(self.form == Form::Csv))
    }

    /// Checks the count at the end of everything.
    pub(super) fn finish(mut self) -> Result<io::Result<()>, CutError> {
        let is_whole = self.begins_at == self.held.len();
        let told = self.count().filter(|_| is_whole).ok_or(CutError::NoCount)?;
        match Some(told) == self.rows().checked_sub(1) {
            true => Ok(self.out.flush()),
            false => Err(CutError::Other { told }),
        }
    }

    fn count(&self) -> Option<u64> {
        let line = std::str::from_utf8(&self.held).ok()?.trim_end();
        match self.form {
            Form::Ndjson => serde_json::from_str::<Count>(line).ok().map(|count| count.rows),
            Form::Csv => line.strip_prefix("rows,")?.trim_end_matches(',').parse().ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is passed on of an export that comes in pieces of so many bytes.
    fn passed_on(form: Form, export: &str, piece: usize) -> Result<String, CutError> {
        let mut out = Vec::new();
        let mut counted = Counted::new(&mut out, form);
        for bytes in export.as_bytes().chunks(piece) {
            counted.take(bytes).expect("a vector takes everything");
        }
        counted.finish()?.expect("a vector takes everything");
        Ok(String::from_utf8(out).expect("text"))
    }

    #[test]
    fn rows_are_passed_on_without_their_count_in_pieces_of_any_size() {
        let csv = "id,apn\r\n1,\"a\nb\"\r\n2,c\r\n";
        let ndjson = "{\"id\":1}\n{\"id\":2}\n";
        for piece in 1..30 {
            let whole = format!("{csv}rows,2\r\n");
            assert_eq!(passed_on(Form::Csv, &whole, piece).expect("whole"), csv);
            let whole = format!("{ndjson}{{\"rows\":2}}\n");
            assert_eq!(passed_on(Form::Ndjson, &whole, piece).expect("whole"), ndjson);
        }
        assert_eq!(passed_on(Form::Ndjson, "{\"rows\":0}\n", 3).expect("empty"), "");
        assert_eq!(passed_on(Form::Csv, "id,a\r\nrows,0\r\n", 3).expect("empty"), "id,a\r\n");
    }

    #[test]
    fn an_export_that_was_cut_anywhere_is_refused() {
        for (form, whole) in [
            (Form::Csv, "id,apn\r\n1,\"a\nb\"\r\n2,c\r\nrows,2\r\n"),
            (Form::Ndjson, "{\"id\":1}\n{\"id\":2}\n{\"rows\":2}\n"),
        ] {
            for end in 0..whole.len() {
                assert!(passed_on(form, &whole[..end], 7).is_err(), "{}", &whole[..end]);
            }
        }
        for lost in ["{\"id\":1}\n{\"rows\":2}\n", "{\"rows\":0}\n{\"rows\":0}\n"] {
            assert!(matches!(passed_on(Form::Ndjson, lost, 7), Err(CutError::Other { .. })));
        }
    }
}
