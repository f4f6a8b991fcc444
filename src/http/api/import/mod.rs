//! `POST /v1/import`: history of records, as an export of ours has it or in SmartHub's own words.
//!
//! The body is a stream of rows without an end to its length. Memory holds one row and one batch;
//! each batch is one commit, so that a stream that is cut leaves what was committed, and the same
//! file again stores only the rest.
mod lines;
mod row;
mod table;

use axum::{
    Json,
    body::Body,
    extract::{RawQuery, State},
    http::{HeaderMap, header},
};
use futures_util::StreamExt;
use serde::Serialize;
use utoipa::ToSchema;

use self::{lines::Lines, row::Row, table::Table};
use super::{
    cells::CellRule,
    error::ApiError,
    params::{self, Format},
};
use crate::{
    domain::{AuditOutcome, Caller, Kind, counted},
    http::auth::Admin,
    intake::{Audited, Intake},
    smarthub::HistoryRecord,
};

const RESOURCE: &str = "import";

/// How many records one commit holds: few, so that no push waits long.
const BATCH_RECORDS_MAX: usize = 1_000;
/// How many bytes of rows.
const BATCH_BYTES_MAX: usize = 4 << 20;
/// How much is read before others may run.
const PIECE_BYTES: usize = 16 << 10;
/// How many refused lines are told.
const REFUSED_TOLD_MAX: usize = 100;

/// What may be read in, and what is a repeat.
pub(super) const ABOUT: &str = "Rows as an export has them or in SmartHub's own words, of any length in all: lines of JSON, \
     or, as `text/csv`, a table under the names of its fields. Rows in SmartHub's own words do not \
     say their kind: give `kind`. A row of these whose own `kind` names another kind that SmartHub \
     pushes is refused; one that names the same is stored without it, unless the record is stored \
     with it: so a record that was pushed is a repeat either way, but one that is pushed with a \
     `kind` of its own only after it was read in from a file is stored again. Any other `kind` is \
     the row's own field. A record that is there already is not stored again. Each line of a table \
     has to be ended, the last one too, or it may have been cut.";

/// A file of one row, as an export has it: such a row says its kind.
pub(super) const EXAMPLE: &str = concat!(
    r#"{"id":1715,"kind":"sim-status","giccid":"8944501503181377993","imsi":null,"#,
    r#""event_time":null,"received_at":"2024-04-23T16:14:03.001Z","#,
    r#""identity":"5f0c3a9e1b77d2c4","datePush":"2024-04-23T16:14:03.000Z","#,
    r#""push_id":1715,"source":"192.0.2.1","#,
    r#""payload":{"giccid":"8944501503181377993","status":"ACTIVE"}}"#,
    "\n"
);

/// What became of a file.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(examples(json!({
    "lines": 3, "stored": 1, "duplicates": 1, "refused_lines": 1,
    "refused": [{"line": 3, "field": "data_usage", "reason": "field_missing"}],
})))]
pub(super) struct HistoryOut {
    /// Rows, without empty lines and the heading of a table.
    lines: u64,
    /// Records that are new.
    stored: u64,
    /// Records that were there already.
    duplicates: u64,
    /// The line behind which nothing was read: the file was cut there, or a quote is never closed. Not
    /// there if the file was read to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    read_through_line: Option<u64>,
    /// How many rows were refused.
    refused_lines: u64,
    /// The first of them; nothing of them was kept.
    refused: Vec<RefusedRow>,
}

/// Why a row was refused.
#[derive(Debug, Serialize, ToSchema)]
struct RefusedRow {
    /// Where it begins, counted from 1.
    line: u64,
    /// Where it ends; not there if that is the same line.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    last_line: Option<u64>,
    #[serde(flatten)]
    why: Refused,
}

/// In which way a row is wrong, in a word, and at which field.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
struct Refused {
    field: Option<&'static str>,
    reason: &'static str,
}

impl Refused {
    fn row(reason: &'static str) -> Self {
        Self { field: None, reason }
    }

    fn field(field: &'static str, reason: &'static str) -> Self {
        Self { field: Some(field), reason }
    }
}

/// Where a row stands in its file.
#[derive(Clone, Copy, Debug)]
struct Span {
    line: u64,
    last_line: u64,
    /// Where nothing behind a line could be read, that line.
    read_through_line: Option<u64>,
}

impl Span {
    /// A row on a line of its own.
    fn line(line: u64) -> Self {
        Self { line, last_line: line, read_through_line: None }
    }
}

/// A file on its way in.
struct Import {
    intake: Intake,
    caller: Caller,
    /// The kind of rows that do not say theirs.
    kind: Option<Kind>,
    format: Format,
    out: HistoryOut,
    /// What waits to be stored, each with where it stands.
    batch: Vec<(Span, HistoryRecord)>,
    batch_bytes: usize,
    audited: Option<Audited>,
    /// Rows since the last that said how many there were.
    uncounted: u64,
}

/// What takes the rows out of the stream.
enum Source {
    Lines(Lines),
    Table(Table),
}

/// `POST /v1/import`
pub(super) async fn import(
    State(intake): State<Intake>,
    Admin(caller): Admin,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<HistoryOut>, ApiError> {
    let question = params::IMPORT.read(query.as_deref())?;
    let format = question.format.unwrap_or_else(|| format_of(&headers));
    let rule = CellRule { raw: question.raw, excel: question.excel };
    let mut source = match format {
        Format::Csv => Source::Table(Table::new(rule)),
        Format::Json | Format::Ndjson => Source::Lines(Lines::new()),
    };
    let mut import = Import::new(intake, caller, question.as_kind, format);
    let done = import.read_all(&mut source, body).await;
    let HistoryOut { lines, stored, duplicates, refused_lines, .. } = import.out;
    let is_whole = done.is_ok();
    if let Some(audited) = import.audited.take() {
        let outcome = if is_whole { AuditOutcome::Done } else { AuditOutcome::Failed };
        let details = format!(
            "{}: {stored} stored, {}, {refused_lines} refused",
            counted(lines, "line", "lines"),
            counted(duplicates, "duplicate", "duplicates")
        );
        audited.end(outcome, details).await;
    }
    tracing::info!(is_whole, lines, stored, duplicates, refused_lines, "Read a file in");
    done.map(|()| Json(import.out))
}

/// What the content's type says; lines, if that says nothing.
fn format_of(headers: &HeaderMap) -> Format {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default();
    let is_table = essence.trim().eq_ignore_ascii_case("text/csv");
    if is_table { Format::Csv } else { Format::Ndjson }
}

impl Import {
    fn new(intake: Intake, caller: Caller, kind: Option<Kind>, format: Format) -> Self {
        Self {
            intake,
            caller,
            kind,
            format,
            out: HistoryOut::default(),
            batch: Vec::new(),
            batch_bytes: 0,
            audited: None,
            uncounted: 0,
        }
    }

    async fn read_all(&mut self, source: &mut Source, body: Body) -> Result<(), ApiError> {
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| ApiError::BodyCut)?;
            for piece in chunk.chunks(PIECE_BYTES) {
                source.feed(piece, self)?;
                self.keep_unless(self.is_small()).await?;
                tokio::task::yield_now().await;
            }
        }
        source.end(self)?;
        self.keep_unless(false).await
    }

    fn is_small(&self) -> bool {
        self.batch.len() < BATCH_RECORDS_MAX && self.batch_bytes < BATCH_BYTES_MAX
    }

    fn row(&mut self, span: Span, row: Result<&[u8], Refused>) {
        self.out.read_through_line = span.read_through_line;
        if let Some(count) = row.ok().and_then(count_of) {
            if std::mem::take(&mut self.uncounted) != count {
                self.refuse(span, Refused::field("rows", "field_invalid"));
            }
            return;
        }
        self.out.lines += 1;
        self.uncounted += 1;
        let bytes = row.map_or(0, <[u8]>::len);
        let read = row.and_then(|text| {
            let row = Row::of(text, self.kind.as_ref())?;
            self.intake
                .read_history(&row.history(), &row.kind)
                .map_err(|fault| Refused { field: fault.field, reason: fault.reason.as_str() })
        });
        match read {
            Ok(records) => {
                self.batch.extend(records.into_iter().map(|record| (span, record)));
                self.batch_bytes += bytes;
            }
            Err(why) => self.refuse(span, why),
        }
    }

    fn refuse(&mut self, span: Span, why: Refused) {
        self.out.refused_lines += 1;
        if self.out.refused.len() < REFUSED_TOLD_MAX {
            let Span { line, last_line, .. } = span;
            let last_line = Some(last_line).filter(|last_line| *last_line > line);
            self.out.refused.push(RefusedRow { line, last_line, why });
        }
    }

    /// Stores what waits.
    async fn keep_unless(&mut self, may_wait: bool) -> Result<(), ApiError> {
        if may_wait {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        if !batch.is_empty() && self.audited.is_none() {
            let kind = self.kind.as_ref().map_or("any", |kind| kind.as_str());
            let file = format!("{kind} {}", self.format.as_str());
            self.audited = Some(self.intake.begin_import(&file, &self.caller).await?);
        }
        let mut batch = batch.into_iter().peekable();
        while batch.peek().is_some() {
            let (spans, records): (Vec<_>, Vec<_>) = batch.by_ref().take(BATCH_RECORDS_MAX).unzip();
            let records = self.intake.as_stored(records).await?;
            let kept = self.intake.keep_history(records).await?;
            self.out.stored += kept.outcome.stored;
            self.out.duplicates += kept.outcome.duplicates;
            let refused = kept.refused.into_iter().filter_map(|nth| spans.get(nth));
            for span in refused {
                self.refuse(*span, Refused::row("store_refused"));
            }
        }
        Ok(())
    }
}

/// What the last row of an export says: how many it has.
fn count_of(row: &[u8]) -> Option<u64> {
    let digits = row.strip_prefix(b"{\"rows\":")?.strip_suffix(b"}")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

impl Source {
    fn feed(&mut self, piece: &[u8], import: &mut Import) -> Result<(), ApiError> {
        let each = |span, row: Result<&[u8], Refused>| import.row(span, row);
        match self {
            Self::Lines(lines) => lines.feed(piece, each),
            Self::Table(table) => table.feed(piece, each)?,
        }
        Ok(())
    }

    fn end(&mut self, import: &mut Import) -> Result<(), ApiError> {
        let each = |span, row: Result<&[u8], Refused>| import.row(span, row);
        match self {
            Self::Lines(lines) => lines.end(each),
            Self::Table(table) => table.end(each)?,
        }
        Ok(())
    }
}
