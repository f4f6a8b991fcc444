//! CSV by RFC 4180, row by row as it arrives in pieces of any size. It holds one row at most.
//!
//! A row is given away with the lines that it spans. Quotes that do not pair up are a fault of their
//! row: a reader that guesses takes the rows behind an unclosed quote for a part of its cell, or the
//! half of a row at which a file was cut for a whole one. So the last row has to be ended by a line
//! break too, as every export of ours has it (`tests/it/import/tables.rs` cuts files anywhere).

/// A row's bytes at most: a record of the largest body that we take by default, in CSV, where each
/// quote is written twice.
pub(super) const ROW_BYTES_MAX: usize = 16 << 20;
const CELLS_MAX: usize = 1_024;
/// What some programs write before a text in UTF-8, and is no part of its first cell.
const UTF_8_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Where in the table we are.
#[derive(Debug)]
pub(super) struct CsvRows {
    state: State,
    /// The cells of the row so far, one behind the other …
    bytes: Vec<u8>,
    /// … and where each ends.
    ends: Vec<usize>,
    fault: Option<CsvFault>,
    /// Whether the cell, which did not begin with a quote, has an odd number of them.
    has_odd_quote: bool,
    row_line: u64,
    line: u64,
    /// The byte before was a carriage return: a line feed now is the second half of a line break.
    after_return: bool,
    after_break: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    RowStart,
    CellStart,
    Plain,
    Quoted,
    /// Behind a quote that ends a quoted cell, or is the first of two.
    QuoteEnd,
}

/// Why a row is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CsvFault {
    /// A quote is not closed where its cell ends.
    Unclosed,
    /// The file ends within the row.
    Cut,
    /// A quote stands where none may stand.
    Misquoted,
    /// It has too many bytes or cells.
    TooLong,
    /// It has more or fewer cells than the heading.
    CellCount,
}

impl CsvFault {
    /// In a word.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Unclosed | Self::Cut => "unclosed",
            Self::Misquoted => "misquoted",
            Self::TooLong => "too_long",
            Self::CellCount => "cell_count",
        }
    }
}

/// A row, as it was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct CsvRow<'a> {
    /// The lines where it begins and where it ends, counted from 1.
    pub(super) line: u64,
    pub(super) last_line: u64,
    /// Where nothing behind a line could be read, that line.
    pub(super) read_through_line: Option<u64>,
    /// What is wrong with it.
    pub(super) fault: Option<CsvFault>,
    /// As many as were read.
    pub(super) cells: CsvCells<'a>,
}

/// The cells of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct CsvCells<'a> {
    bytes: &'a [u8],
    ends: &'a [usize],
}

impl CsvRows {
    /// Before the first row.
    pub(super) fn new() -> Self {
        Self {
            state: State::RowStart,
            bytes: Vec::new(),
            ends: Vec::new(),
            fault: None,
            has_odd_quote: false,
            row_line: 1,
            line: 1,
            after_return: false,
            after_break: false,
        }
    }

    /// Takes what came, and gives away each row that it ends.
    pub(super) fn feed<E>(
        &mut self,
        came: &[u8],
        mut each: impl FnMut(CsvRow<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = came;
        while let Some((&byte, behind)) = rest.split_first() {
            let plain = self.plain_bytes(rest);
            if plain > 0 {
                self.store(&rest[..plain]);
                (self.after_return, self.after_break) = (false, false);
                rest = &rest[plain..];
                continue;
            }
            if self.take(byte) {
                self.give(self.line, None, &mut each)?;
            }
            if byte == b'\r' || (byte == b'\n' && !self.after_return) {
                self.line += 1;
            }
            self.after_return = byte == b'\r';
            self.after_break = matches!(byte, b'\r' | b'\n');
            rest = behind;
        }
        Ok(())
    }

    /// Gives away the last row, if none of its line breaks came: it may have been cut.
    pub(super) fn end<E>(
        &mut self,
        mut each: impl FnMut(CsvRow<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.state == State::RowStart {
            return Ok(());
        }
        let last_line = self.line - u64::from(self.after_break);
        let is_quoted = self.state == State::Quoted;
        if !is_quoted {
            self.end_cell();
        }
        self.fault = Some(if is_quoted { CsvFault::Unclosed } else { CsvFault::Cut });
        let read_through_line = Some(self.row_line - 1);
        self.give(last_line, read_through_line, &mut each)
    }

    /// How many of these bytes go into the cell as they are.
    fn plain_bytes(&self, bytes: &[u8]) -> usize {
        let is_plain = |byte: &u8| match self.state {
            State::Quoted => !matches!(byte, b'"' | b'\r' | b'\n'),
            State::Plain => !matches!(byte, b'"' | b'\r' | b'\n' | b','),
            State::RowStart | State::CellStart | State::QuoteEnd => false,
        };
        bytes.iter().take_while(|byte| is_plain(byte)).count()
    }

    /// Takes one byte, and tells whether it ends the row.
    fn take(&mut self, byte: u8) -> bool {
        match (self.state, byte) {
            (State::Quoted, b'"') => self.state = State::QuoteEnd,
            (State::Quoted, _) => self.store(&[byte]),
            (State::RowStart, b'\r' | b'\n') => {
                // An empty line, or the second half of a line break.
                let breaks_line = byte == b'\r' || !self.after_return;
                self.row_line = self.line + u64::from(breaks_line);
            }
            (_, b'\r' | b'\n') => {
                self.end_cell();
                return true;
            }
            (_, b',') => {
                self.end_cell();
                self.state = State::CellStart;
            }
            (State::RowStart | State::CellStart, b'"') => self.state = State::Quoted,
            (State::Plain, b'"') if self.is_only_mark() => {
                self.bytes.clear();
                self.state = State::Quoted;
            }
            (State::QuoteEnd, b'"') => {
                self.store(&[byte]);
                self.state = State::Quoted;
            }
            (State::QuoteEnd, _) => {
                self.fail(CsvFault::Misquoted);
                self.state = State::Plain;
            }
            (State::RowStart | State::CellStart | State::Plain, _) => {
                self.has_odd_quote ^= byte == b'"';
                self.store(&[byte]);
                self.state = State::Plain;
            }
        }
        false
    }

    /// Whether nothing came but the mark of UTF-8, which hides a quote at the begin of the first cell.
    fn is_only_mark(&self) -> bool {
        self.line == 1 && self.ends.is_empty() && self.bytes == UTF_8_MARK
    }

    fn store(&mut self, bytes: &[u8]) {
        if self.bytes.len() + bytes.len() > ROW_BYTES_MAX {
            self.fail(CsvFault::TooLong);
        }
        if self.fault != Some(CsvFault::TooLong) {
            self.bytes.extend(bytes);
        }
    }

    fn end_cell(&mut self) {
        if std::mem::take(&mut self.has_odd_quote) {
            self.fail(CsvFault::Misquoted);
        }
        if self.ends.len() == CELLS_MAX {
            self.fail(CsvFault::TooLong);
        }
        if self.fault != Some(CsvFault::TooLong) {
            self.ends.push(self.bytes.len());
        }
    }

    /// The first fault counts, but that a row is too long is forgotten no more: it is not held.
    fn fail(&mut self, fault: CsvFault) {
        if fault == CsvFault::TooLong {
            (self.bytes, self.ends) = (Vec::new(), Vec::new());
            self.fault = Some(fault);
        }
        self.fault = self.fault.or(Some(fault));
    }

    fn give<E>(
        &mut self,
        last_line: u64,
        read_through_line: Option<u64>,
        each: &mut impl FnMut(CsvRow<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let fault = match self.fault.take() {
            // A later cell's quote was taken for the one that is missing.
            Some(CsvFault::Misquoted) if last_line > self.row_line => Some(CsvFault::Unclosed),
            fault => fault,
        };
        let cells = CsvCells { bytes: &self.bytes, ends: &self.ends };
        let given =
            each(CsvRow { line: self.row_line, last_line, read_through_line, fault, cells });
        self.bytes.clear();
        self.ends.clear();
        self.state = State::RowStart;
        self.row_line = self.line + 1;
        given
    }
}

impl CsvRow<'_> {
    /// Whether it is whole, under so many headings.
    pub(super) fn check(&self, columns: usize) -> Result<(), CsvFault> {
        match self.fault {
            // What was cut has no cell too many.
            Some(CsvFault::Cut) if self.cells.len() > columns => Err(CsvFault::CellCount),
            Some(fault) => Err(fault),
            None if self.cells.len() != columns => Err(CsvFault::CellCount),
            None => Ok(()),
        }
    }

    /// What the row says that ends an export of so many columns: how many rows there are.
    pub(super) fn row_count(&self, columns: usize) -> Option<u64> {
        let mut cells = self.cells.iter();
        let rows = cells.by_ref().next().filter(|cell| *cell == b"rows").and(cells.next())?;
        let is_count = rows.iter().all(u8::is_ascii_digit) && cells.all(<[u8]>::is_empty);
        let is_whole = self.cells.len() == columns.max(2);
        std::str::from_utf8(rows).ok().filter(|_| is_count && is_whole)?.parse().ok()
    }
}

impl<'a> CsvCells<'a> {
    /// One after the other.
    pub(super) fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (bytes, mut begin) = (self.bytes, 0);
        self.ends.iter().map(move |end| {
            let cell = &bytes[begin..*end];
            begin = *end;
            cell
        })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// How many bytes they have.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }
}

/// The names in a heading; nothing if one is empty, no text, or given twice.
pub(super) fn headings<'a>(cells: &CsvCells<'a>) -> Option<Vec<&'a str>> {
    let mut names = Vec::new();
    for cell in cells.iter() {
        let cell = cell.strip_prefix(UTF_8_MARK).filter(|_| names.is_empty()).unwrap_or(cell);
        let name = std::str::from_utf8(cell.trim_ascii()).ok()?;
        if name.is_empty() || names.contains(&name) {
            return None;
        }
        names.push(name);
    }
    Some(names)
}
