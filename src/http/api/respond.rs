//! Rows as the client wants them: an array, lines, or a table.
use std::io;

use axum::{
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde_json::value::RawValue;
use tokio::task::spawn_blocking;

use super::{
    cells::{CellRule, Cells},
    error::ApiError,
    list::{List, View},
    params::{Format, Question},
};
use crate::domain::{NO_DATE_PUSH_S, Stored, Timestamp};

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    format: Format,
    rule: CellRule,
    /// Whether lines and tables end with the number of rows.
    count: bool,
}

impl Form {
    /// What `format` says, else the `Accept` header, else JSON.
    pub(super) fn of(question: &Question, headers: &HeaderMap) -> Self {
        let format = question.format.or_else(|| accepted(headers)).unwrap_or(Format::Json);
        let rule = CellRule { raw: question.raw, excel: question.excel };
        Self { format, rule, count: question.count }
    }

    /// Whether the whole list is wanted unless a page is asked for.
    pub(super) fn is_export(self) -> bool {
        self.format != Format::Json
    }

    /// Array, lines or table.
    pub(super) fn format(self) -> Format {
        self.format
    }

    /// How the cells of a table are written.
    pub(super) fn rule(self) -> CellRule {
        self.rule
    }

    /// The headers of an answer in this form.
    pub(super) fn label<L: List>(self, response: &mut Response) {
        self.label_as(L::ROUTE.resource, response);
    }

    /// The same for an answer of this name.
    pub(super) fn label_as(self, resource: &str, response: &mut Response) {
        let content_type = match self.format {
            Format::Json => "application/json",
            Format::Ndjson => "application/x-ndjson",
            Format::Csv => "text/csv; charset=utf-8",
        };
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        if self.format == Format::Csv {
            let name = format!("attachment; filename=\"{resource}.csv\"");
            if let Ok(name) = HeaderValue::from_str(&name) {
                headers.insert(header::CONTENT_DISPOSITION, name);
            }
        }
    }

    /// What stands before the rows.
    pub(super) fn head<L: List>(self, view: &View) -> Result<Vec<u8>, ApiError> {
        match self.format {
            Format::Json => Ok(b"[".to_vec()),
            Format::Ndjson => Ok(Vec::new()),
            Format::Csv => {
                let mut cells = Cells::new(CellRule { raw: true, excel: false });
                for name in L::columns(view) {
                    cells.text(name);
                }
                cells.end_row()?;
                Ok(cells.finish()?)
            }
        }
    }

    /// What stands between rows.
    pub(super) fn between(self) -> &'static [u8] {
        if self.format == Format::Json { b"," } else { b"" }
    }

    /// The same, and the rows again. Texts of theirs may make a megabyte of them: writing that takes
    /// longer than others should wait for this thread.
    pub(super) async fn rows_aside<L: List>(
        self,
        rows: Vec<L::Row>,
        view: &View,
    ) -> Result<(Vec<u8>, Vec<L::Row>), ApiError> {
        let view = view.clone();
        let writing = spawn_blocking(move || {
            let written = self.rows::<L>(&rows, &view);
            (written, rows)
        });
        let (written, rows) = writing.await.map_err(io::Error::from)?;
        Ok((written?, rows))
    }

    /// Rows, of which none was written before.
    fn rows<L: List>(self, rows: &[L::Row], view: &View) -> Result<Vec<u8>, ApiError> {
        let mut out = Vec::new();
        if self.format == Format::Csv {
            let mut cells = Cells::new(self.rule);
            for row in rows {
                L::cells(row, view, &mut cells)?;
                cells.end_row()?;
            }
            return Ok(cells.finish()?);
        }
        for (place, row) in rows.iter().enumerate() {
            if self.format == Format::Json && place > 0 {
                out.push(b',');
            }
            serde_json::to_writer(&mut out, &L::out(row, view)?).map_err(std::io::Error::from)?;
            if self.format == Format::Ndjson {
                out.push(b'\n');
            }
        }
        Ok(out)
    }

    /// What stands after so many rows.
    pub(super) fn tail<L: List>(self, rows: u64, view: &View) -> Result<Vec<u8>, ApiError> {
        self.tail_as(rows, L::columns(view).len())
    }

    /// The same in a table of so many columns. Its last row is as long as the others, so that it
    /// stays a table.
    pub(super) fn tail_as(self, rows: u64, columns: usize) -> Result<Vec<u8>, ApiError> {
        match self.format {
            Format::Json => Ok(b"]".to_vec()),
            Format::Ndjson if self.count => Ok(format!("{{\"rows\":{rows}}}\n").into_bytes()),
            Format::Csv if self.count => {
                let mut cells = Cells::new(CellRule::default());
                cells.text("rows");
                cells.text(&rows.to_string());
                for _ in 2..columns {
                    cells.text("");
                }
                cells.end_row()?;
                Ok(cells.finish()?)
            }
            Format::Ndjson | Format::Csv => Ok(Vec::new()),
        }
    }
}

/// One page.
pub(super) async fn rows<L: List>(
    rows: Vec<L::Row>,
    view: &View,
    form: Form,
) -> Result<Response, ApiError> {
    let mut body = form.head::<L>(view)?;
    let (written, rows) = form.rows_aside::<L>(rows, view).await?;
    body.extend(written);
    body.extend(form.tail::<L>(rows.len() as u64, view)?);
    let mut response = body.into_response();
    form.label::<L>(&mut response);
    Ok(response)
}

/// Stored JSON, passed on as it lies there.
pub(super) fn raw<'a, L: List<Key = i64>>(
    row: &L::Row,
    text: &'a str,
) -> Result<&'a RawValue, ApiError> {
    serde_json::from_str(text).map_err(|source| corrupt::<L>(row, source))
}

/// What makes a record this one and no other, as 16 hexadecimal digits. It cannot be made from the
/// row again, whose numbers may have been sent as texts: whoever reads rows back in needs it.
pub(super) fn identity<T>(row: &Stored<T>) -> String {
    format!("{:016x}", row.identity)
}

/// When the platform said that it pushed the record first, if that is known.
pub(super) fn date_push<T>(row: &Stored<T>) -> Option<String> {
    let is_known = row.date_push_s != NO_DATE_PUSH_S;
    is_known.then(|| Timestamp::from_unix_ms(row.date_push_s * 1000).to_string())
}

/// The push it came with.
pub(super) fn push_id<T>(row: &Stored<T>) -> Option<i64> {
    row.push.map(|push| push.id)
}

/// Who sent that, where it was pushed.
pub(super) fn source<T>(row: &Stored<T>) -> Option<String> {
    row.push.and_then(|push| push.source).map(|source| source.to_string())
}

/// All of them as cells.
pub(super) fn origin_cells<T>(row: &Stored<T>, cells: &mut Cells) {
    cells.text(&identity(row));
    cells.text(&date_push(row).unwrap_or_default());
    cells.integer_or_empty(push_id(row));
    cells.text(&source(row).unwrap_or_default());
}

/// A row that cannot be shown because of what it holds.
pub(super) fn corrupt<L: List<Key = i64>>(row: &L::Row, source: serde_json::Error) -> ApiError {
    ApiError::Corrupt { resource: L::ROUTE.resource, id: L::id(row), source }
}

/// The form that an `Accept` header likes best among ours. One that likes none gets JSON.
fn accepted(headers: &HeaderMap) -> Option<Format> {
    let mut best: Option<(f32, Format)> = None;
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    for range in values.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let format = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "application/json" | "application/*" | "*/*" => Format::Json,
            "application/x-ndjson" => Format::Ndjson,
            "text/csv" => Format::Csv,
            _ => continue,
        };
        let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
        if weight > best.map_or(0.0, |(weight, _)| weight) {
            best = Some((weight, format));
        }
    }
    best.map(|(_, format)| format)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(value: &'static str) -> Option<Format> {
        accepted(&HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(value))]))
    }

    #[test]
    fn accept_picks_the_form_that_it_likes_best() {
        assert_eq!(accept("text/csv"), Some(Format::Csv));
        assert_eq!(accept("application/x-ndjson, */*;q=0.1"), Some(Format::Ndjson));
        assert_eq!(accept("text/csv;q=0.5, application/json"), Some(Format::Json));
        assert_eq!(accept("text/html, */*;q=0.8"), Some(Format::Json));
        assert_eq!(accept("text/csv;q=0"), None);
        assert_eq!(accept("image/png"), None);
    }
}
