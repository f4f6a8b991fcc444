//! Rows out of a stream of CSV, each as the JSON object that a line would have. It holds one row at
//! most; `csv` itself wants to pull from a blocking reader and has no end to a row, so its core is
//! used.
use csv_core::ReadRecordResult;
use serde_json::value::RawValue;

use super::{LINE_BYTES_MAX, Refused, row::separate};
use crate::http::api::{cells::unsafe_text, error::Invalid};

const COLUMNS_MAX: usize = 1_024;

/// Where in the table we are.
pub(super) struct Table {
    reader: csv_core::Reader,
    /// The cells of the row so far, one behind the other …
    cells: Vec<u8>,
    written: usize,
    /// … and where each ends.
    ends: Vec<usize>,
    ended: usize,
    header: Option<Vec<Column>>,
    /// Cells are as they are.
    raw: bool,
    /// The line where the row begins, and the one where we are.
    row_line: u64,
    line: u64,
    is_too_long: bool,
}

struct Column {
    /// As JSON, with the colon.
    name: Vec<u8>,
    is: Sort,
}

/// What the cells of a column hold.
#[derive(Clone, Copy)]
enum Sort {
    Text,
    Integer,
    Object(&'static str),
}

impl Table {
    /// Before the header.
    pub(super) fn new(raw: bool) -> Self {
        Self {
            reader: csv_core::Reader::new(),
            cells: vec![0; 4 << 10],
            written: 0,
            ends: vec![0; 64],
            ended: 0,
            header: None,
            raw,
            row_line: 1,
            line: 1,
            is_too_long: false,
        }
    }

    /// Takes what came, and gives away each row that it ends. Nothing that came is the end.
    pub(super) fn feed(
        &mut self,
        came: &[u8],
        mut each: impl FnMut(u64, Result<&[u8], Refused>),
    ) -> Result<(), Invalid> {
        let mut rest = came;
        loop {
            if self.is_between_rows() {
                let breaks = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
                self.count_lines(&rest[..breaks]);
                rest = &rest[breaks..];
                self.row_line = self.line;
            }
            if rest.is_empty() && !came.is_empty() {
                return Ok(());
            }
            let (result, read, written, ended) = self.reader.read_record(
                rest,
                &mut self.cells[self.written..],
                &mut self.ends[self.ended..],
            );
            self.count_lines(&rest[..read]);
            rest = &rest[read..];
            self.written += written;
            self.ended += ended;
            match result {
                ReadRecordResult::InputEmpty if came.is_empty() => (),
                ReadRecordResult::InputEmpty => return Ok(()),
                ReadRecordResult::OutputFull => self.grow_cells(),
                ReadRecordResult::OutputEndsFull => self.grow_ends(),
                ReadRecordResult::Record => self.row(&mut each)?,
                ReadRecordResult::End => return Ok(()),
            }
        }
    }

    fn is_between_rows(&self) -> bool {
        self.written == 0 && self.ended == 0 && !self.is_too_long
    }

    fn count_lines(&mut self, read: &[u8]) {
        self.line += read.iter().filter(|byte| **byte == b'\n').count() as u64;
    }

    fn grow_cells(&mut self) {
        if self.cells.len() < LINE_BYTES_MAX {
            self.cells.resize(self.cells.len() * 2, 0);
        } else {
            self.skip_rest_of_row();
        }
    }

    fn grow_ends(&mut self) {
        if self.ends.len() < COLUMNS_MAX {
            self.ends.resize(self.ends.len() * 2, 0);
        } else {
            self.skip_rest_of_row();
        }
    }

    fn skip_rest_of_row(&mut self) {
        (self.written, self.ended, self.is_too_long) = (0, 0, true);
    }

    fn row(&mut self, each: &mut impl FnMut(u64, Result<&[u8], Refused>)) -> Result<(), Invalid> {
        let is_too_long = self.is_too_long;
        let cells = Cells { bytes: &self.cells[..self.written], ends: &self.ends[..self.ended] };
        match &self.header {
            None if is_too_long => return Err(no_header()),
            None => self.header = Some(columns(&cells)?),
            Some(_) if is_too_long => each(self.row_line, Err(Refused::row("too_long"))),
            Some(_) if let Some(count) = cells.count() => each(self.row_line, Ok(&count)),
            Some(columns) => match object(columns, &cells, self.raw) {
                Ok(object) => each(self.row_line, Ok(&object)),
                Err(refused) => each(self.row_line, Err(refused)),
            },
        }
        (self.written, self.ended, self.is_too_long) = (0, 0, false);
        Ok(())
    }
}

struct Cells<'a> {
    bytes: &'a [u8],
    ends: &'a [usize],
}

impl<'a> Cells<'a> {
    fn iter(&self) -> impl Iterator<Item = &'a [u8]> {
        let (bytes, mut begin) = (self.bytes, 0);
        self.ends.iter().map(move |end| {
            let cell = &bytes[begin..*end];
            begin = *end;
            cell
        })
    }
}

impl Cells<'_> {
    /// The row that ends an export with how many it has, as a line would have it.
    fn count(&self) -> Option<Vec<u8>> {
        let mut cells = self.iter();
        let rows = cells.by_ref().next().filter(|cell| *cell == b"rows").and(cells.next())?;
        let is_count = is_integer(std::str::from_utf8(rows).ok()?) && cells.all(<[u8]>::is_empty);
        is_count.then(|| [b"{\"rows\":", rows, b"}"].concat())
    }
}

/// Without these there is no record in any row.
fn columns(cells: &Cells<'_>) -> Result<Vec<Column>, Invalid> {
    let mut names = Vec::new();
    for cell in cells.iter() {
        // A spreadsheet marks UTF-8 with three bytes that are no part of the header.
        let cell = cell.strip_prefix(b"\xEF\xBB\xBF").filter(|_| names.is_empty()).unwrap_or(cell);
        let name = std::str::from_utf8(cell.trim_ascii()).map_err(|_| no_header())?;
        if name.is_empty() || names.contains(&name) {
            return Err(no_header());
        }
        names.push(name);
    }
    if !names.iter().any(|name| ["giccid", "payload"].contains(name)) {
        return Err(no_header());
    }
    let column = |name: &str| {
        let is = match name {
            "id" | "data_usage" | "start_time" | "duration" | "event_time" => Sort::Integer,
            "extra" => Sort::Object("extra"),
            "payload" => Sort::Object("payload"),
            _ => Sort::Text,
        };
        let mut name = serde_json::to_vec(name).map_err(|_| no_header())?;
        name.push(b':');
        Ok(Column { name, is })
    };
    names.into_iter().map(column).collect()
}

/// An empty cell says that there is no such field.
fn object(columns: &[Column], cells: &Cells<'_>, raw: bool) -> Result<Vec<u8>, Refused> {
    if columns.len() != cells.ends.len() {
        return Err(Refused::row("cell_count"));
    }
    let mut object = Vec::with_capacity(cells.bytes.len() * 2);
    object.push(b'{');
    for (column, cell) in columns.iter().zip(cells.iter()) {
        let cell = std::str::from_utf8(cell).map_err(|_| Refused::row("unreadable"))?;
        let text = if raw { cell } else { unsafe_text(cell) };
        if text.is_empty() {
            continue;
        }
        separate(&mut object);
        object.extend(&column.name);
        match column.is {
            Sort::Integer if is_integer(text) => object.extend(text.as_bytes()),
            Sort::Object(name) => {
                let value: &RawValue = serde_json::from_str(text)
                    .map_err(|_| Refused::field(name, "field_invalid"))?;
                object.extend(value.get().as_bytes());
            }
            Sort::Integer | Sort::Text => {
                serde_json::to_writer(&mut object, text).map_err(|_| Refused::row("unreadable"))?
            }
        }
    }
    object.push(b'}');
    Ok(object)
}

/// As JSON writes one.
fn is_integer(text: &str) -> bool {
    let zeros_lead = text.len() > 1 && text.starts_with('0');
    !zeros_lead && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn no_header() -> Invalid {
    let detail = "The first line of the CSV should name the fields, each once, and `giccid` among \
                  them.";
    Invalid::field(super::RESOURCE, "giccid", detail.to_owned())
}
