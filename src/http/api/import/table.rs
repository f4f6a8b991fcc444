//! Rows out of a table, each as the JSON object that a line would have.
use serde_json::value::RawValue;

use super::{Refused, Span, row::separate};
use crate::http::api::{
    cells::{CellRule, plain_text},
    csv_rows::{CsvCells, CsvRow, CsvRows, headings},
    error::Invalid,
};

/// Where in the table we are.
pub(super) struct Table {
    rows: CsvRows,
    header: Option<Vec<Column>>,
    /// How the cells were written.
    rule: CellRule,
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
    pub(super) fn new(rule: CellRule) -> Self {
        Self { rows: CsvRows::new(), header: None, rule }
    }

    /// Takes what came, and gives away each row that it ends.
    pub(super) fn feed(
        &mut self,
        came: &[u8],
        mut each: impl FnMut(Span, Result<&[u8], Refused>),
    ) -> Result<(), Invalid> {
        let Self { rows, header, rule } = self;
        rows.feed(came, |row| take(header, *rule, &row, &mut each))
    }

    /// Gives away the last row, unless it was ended.
    pub(super) fn end(
        &mut self,
        mut each: impl FnMut(Span, Result<&[u8], Refused>),
    ) -> Result<(), Invalid> {
        let Self { rows, header, rule } = self;
        rows.end(|row| take(header, *rule, &row, &mut each))
    }
}

fn take(
    header: &mut Option<Vec<Column>>,
    rule: CellRule,
    row: &CsvRow<'_>,
    each: &mut impl FnMut(Span, Result<&[u8], Refused>),
) -> Result<(), Invalid> {
    let Some(columns) = header else {
        // Without a heading that is whole nobody knows what the cells are.
        *header = Some(match row.fault {
            None => columns_of(&row.cells)?,
            Some(_) => return Err(no_header()),
        });
        return Ok(());
    };
    let span =
        Span { line: row.line, last_line: row.last_line, read_through_line: row.read_through_line };
    match row.row_count(columns.len()) {
        Some(count) => each(span, Ok(format!("{{\"rows\":{count}}}").as_bytes())),
        None => match object(columns, row, rule) {
            Ok(object) => each(span, Ok(&object)),
            Err(refused) => each(span, Err(refused)),
        },
    }
    Ok(())
}

/// Without these there is no record in any row.
fn columns_of(cells: &CsvCells<'_>) -> Result<Vec<Column>, Invalid> {
    let names = headings(cells).ok_or_else(no_header)?;
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
fn object(columns: &[Column], row: &CsvRow<'_>, rule: CellRule) -> Result<Vec<u8>, Refused> {
    row.check(columns.len()).map_err(|fault| Refused::row(fault.as_str()))?;
    let mut object = Vec::with_capacity(row.cells.bytes() * 2);
    object.push(b'{');
    for (column, cell) in columns.iter().zip(row.cells.iter()) {
        let cell = std::str::from_utf8(cell).map_err(|_| Refused::row("unreadable"))?;
        let text = &*plain_text(cell, rule);
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
