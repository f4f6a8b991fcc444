//! The only place that prints.
use std::{
    io::{self, IsTerminal, Write},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::Value;

use super::{Failure, indented::indented, table::Table};
use crate::domain;

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Where results go: standard output, in the format that was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    format: Format,
}

impl Output {
    /// Without a wish: a table on a terminal, JSON elsewhere.
    pub(super) fn new(wish: Option<Format>) -> Self {
        let usual = if io::stdout().is_terminal() { Format::Table } else { Format::Json };
        Self { format: wish.unwrap_or(usual) }
    }

    /// A table, or the JSON value.
    pub(super) fn table(self, table: Table<'_>, json: &impl Serialize) -> Result<(), Failure> {
        match self.format {
            Format::Json => self::json(json),
            Format::Table => text(&table.text()),
        }
    }

    /// Rows under their headings, none of which may go, or the JSON value.
    pub(super) fn rows(
        self,
        headings: &[&str],
        rows: &[Vec<String>],
        json: &impl Serialize,
    ) -> Result<(), Failure> {
        self.table(Table { headings, rows, may_go: &[] }, json)
    }

    /// Rows under their headings with a text below them, or the JSON value.
    pub(super) fn report(
        self,
        headings: &[&str],
        rows: &[Vec<String>],
        people: &str,
        json: &impl Serialize,
    ) -> Result<(), Failure> {
        let table = Table { headings, rows, may_go: &[] };
        self.text(&format!("{}\n{people}", table.text()), json)
    }

    /// These fields of each record as columns, or the JSON values. Where there is no room, the last of
    /// `may_go` stays longest.
    pub(super) fn records(
        self,
        fields: &[&str],
        may_go: &[&str],
        records: &[Value],
    ) -> Result<(), Failure> {
        let headings = |fields: &[&str]| -> Vec<String> {
            fields.iter().map(|field| field.to_uppercase()).collect()
        };
        let (headings, may_go) = (headings(fields), headings(may_go));
        let cell = |value: &Value| without_milliseconds(cell(value));
        let cells = |record: &Value| fields.iter().map(|field| cell(&record[*field])).collect();
        let rows: Vec<Vec<String>> = records.iter().map(cells).collect();
        let table = Table {
            headings: &headings.iter().map(String::as_str).collect::<Vec<_>>(),
            rows: &rows,
            may_go: &may_go.iter().map(String::as_str).collect::<Vec<_>>(),
        };
        self.table(table, &records)
    }

    /// A text for people, or the JSON value.
    pub(super) fn text(
        self,
        people: &str,
        json: &(impl Serialize + ?Sized),
    ) -> Result<(), Failure> {
        match self.format {
            Format::Json => self::json(json),
            Format::Table => text(&format!("{people}\n")),
        }
    }
}

/// A count of the answer with its noun. The server gives null where counting takes too long.
pub(super) fn counted(count: &Value, one: &str, many: &str) -> String {
    if count.is_null() {
        return format!("more {many} than can be counted in a second");
    }
    domain::counted(count.as_u64().unwrap_or_default(), one, many)
}

/// A JSON value as people read it.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => printable(text),
        Value::Array(values) if values.is_empty() => "-".to_owned(),
        Value::Array(values) if values.iter().all(|it| it.is_string() || it.is_null()) => {
            values.iter().map(cell).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

/// A time of the API as people need it; any other text as it is.
fn without_milliseconds(text: String) -> String {
    match text.parse::<jiff::Timestamp>() {
        Ok(at) if text.len() == "2024-09-05T01:30:48.000Z".len() => {
            at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
        }
        _ => text,
    }
}

/// A text without the control characters with which a sender could move a terminal's cursor.
pub(super) fn printable(text: &str) -> String {
    let escaped = |letter: char| match letter {
        '\n' | '\t' => letter.to_string(),
        _ if letter.is_control() => letter.escape_default().to_string(),
        _ => letter.to_string(),
    };
    text.chars().map(escaped).collect()
}

/// A text as it is, whatever the format.
pub(super) fn text(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// A line for people beside the results.
pub(super) fn note(text: &str) {
    // With standard error gone there is nobody left to tell.
    drop(writeln!(io::stderr().lock(), "{text}"));
}

/// Tells people what is being done: at once, and then no more than once a second.
pub(super) fn passing_notes() -> impl Fn(&str) + Sync {
    const EVERY: Duration = Duration::from_secs(1);
    let last = Mutex::new(None::<Instant>);
    move |text: &str| {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|at| at.elapsed() >= EVERY) {
            note(text);
            *last = Some(Instant::now());
        }
    }
}

/// Shows on a terminal how many there are so far.
pub(super) fn counting(what: &'static str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {human_pos} {msg}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::no_length().with_style(style).with_message(what)
}

/// A JSON value, whatever the format.
pub(super) fn json(value: &(impl Serialize + ?Sized)) -> Result<(), Failure> {
    let json = serde_json::to_string(value)
        .map_err(Failure::because("the result could not be written as JSON"))?;
    text(&format!("{}\n", indented(&json)))
}
