//! `POST /v1/sims/import`: names and routers of many SIMs, as a table that somebody wrote or as the list
//! of SIMs is exported.
use axum::{
    Json,
    body::{Body, to_bytes},
    extract::{RawQuery, State},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    InternalState,
    cells::{CellRule, plain_text},
    csv_rows::{CsvCells, CsvRow, CsvRows, headings},
    doc::words,
    error::{ApiError, Invalid},
    list::{List, View},
    params,
    sim_label::name_of,
    sims::Sims,
};
use crate::{
    domain::{Caller, Giccid, LabelChange, SerialNumber},
    http::auth::Admin,
};

const RESOURCE: &str = "sims";

/// What a table looks like; which of its lines are kept, the answer tells. Other orders of the columns
/// are taken too.
pub(super) const TABLE_PATTERN: &str =
    "^giccid(,name(,device_sn)?|,device_sn(,name)?)?[\\r\\n]([\\s\\S]*)?$";

/// A table's bytes at most.
const TABLE_BYTES_MAX: usize = 8 << 20;
/// How much is read before others may run.
const PIECE_BYTES: usize = 16 << 10;
/// How many SIMs one transaction changes: few, so that no push waits long.
const CHANGES_MAX: usize = 500;
/// How many refused lines are told.
const REFUSED_TOLD_MAX: usize = 100;

/// What became of a table.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(examples(json!({
    "updated": 2, "unknown": 0, "refused": [{"line": 3, "field": "giccid", "code": "invalid"}],
    "refused_lines": 1,
})))]
pub(super) struct ImportOut {
    /// Lines about SIMs that have records.
    updated: u64,
    /// Lines about SIMs that have none yet. They are kept all the same.
    unknown: u64,
    /// The line behind which nothing was read: the file was cut there, or a quote is never closed. Not
    /// there if the file was read to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    read_through_line: Option<u64>,
    /// The first lines that were refused; nothing of them was kept.
    refused: Vec<RefusedLine>,
    /// How many were refused in all.
    refused_lines: u64,
}

/// Why a line was refused.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RefusedLine {
    /// Counted from 1, the header's line.
    line: u64,
    /// Where the row ends; not there if that is the same line.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    last_line: Option<u64>,
    /// Null if it is the row as a whole.
    field: Option<&'static str>,
    #[schema(schema_with = words::line_code)]
    code: &'static str,
}

/// A table on its way in.
struct Import {
    rule: CellRule,
    columns: Option<Columns>,
    changes: Vec<LabelChange>,
    /// Rows so far.
    rows: u64,
    out: ImportOut,
}

/// `POST /v1/sims/import`: a CSV with the columns `giccid`, `name` and `device_sn`, the latter two as
/// far as they are to be changed. An empty cell takes away. The other columns of an export are passed
/// over.
pub(super) async fn import(
    State(state): State<InternalState>,
    Admin(caller): Admin,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Json<ImportOut>, ApiError> {
    let question = params::SIM_IMPORT.read(query.as_deref())?;
    let rule = CellRule { raw: question.raw, excel: question.excel };
    let table = to_bytes(body, TABLE_BYTES_MAX).await.map_err(ApiError::of_body)?;
    let mut rows = CsvRows::new();
    let mut import =
        Import { rule, columns: None, changes: Vec::new(), rows: 0, out: ImportOut::default() };
    for piece in table.chunks(PIECE_BYTES) {
        rows.feed(piece, |row| import.row(&row))?;
        if import.changes.len() >= CHANGES_MAX {
            import.keep(&state, &caller).await?;
        }
        tokio::task::yield_now().await;
    }
    rows.end(|row| import.row(&row))?;
    import.columns.as_ref().ok_or_else(no_table)?;
    import.keep(&state, &caller).await?;
    Ok(Json(import.out))
}

impl Import {
    fn row(&mut self, row: &CsvRow<'_>) -> Result<(), Invalid> {
        let Some(columns) = &self.columns else {
            let is_whole = row.fault.is_none();
            self.columns = Some(Columns::of(&row.cells).filter(|_| is_whole).ok_or_else(no_table)?);
            return Ok(());
        };
        self.out.read_through_line = row.read_through_line;
        if let Some(count) = row.row_count(columns.all) {
            if std::mem::take(&mut self.rows) != count {
                self.refuse(row, (Some("rows"), "invalid"));
            }
            return Ok(());
        }
        self.rows += 1;
        match columns.change(row, self.rule) {
            Ok(change) => self.changes.push(change),
            Err(refusal) => self.refuse(row, refusal),
        }
        Ok(())
    }

    fn refuse(&mut self, row: &CsvRow<'_>, (field, code): Refusal) {
        self.out.refused_lines += 1;
        if self.out.refused.len() < REFUSED_TOLD_MAX {
            let line = row.line;
            let last_line = Some(row.last_line).filter(|last_line| *last_line > line);
            self.out.refused.push(RefusedLine { line, last_line, field, code });
        }
    }

    async fn keep(&mut self, state: &InternalState, caller: &Caller) -> Result<(), ApiError> {
        let mut changes = std::mem::take(&mut self.changes).into_iter().peekable();
        while changes.peek().is_some() {
            let some: Vec<_> = changes.by_ref().take(CHANGES_MAX).collect();
            let lines = some.len() as u64;
            let unknown = state.intake.label_sims(some, caller).await?;
            self.out.unknown += unknown;
            self.out.updated += lines - unknown;
        }
        Ok(())
    }
}

/// Where a table's columns stand.
struct Columns {
    giccid: usize,
    name: Option<usize>,
    device_sn: Option<usize>,
    /// How many there are.
    all: usize,
}

/// Field and code.
type Refusal = (Option<&'static str>, &'static str);

impl Columns {
    fn of(header: &CsvCells<'_>) -> Option<Self> {
        let names = headings(header)?;
        let known = Sims::columns(&View::default());
        let place = |wanted| names.iter().position(|name| *name == wanted);
        let columns = Self {
            giccid: place("giccid")?,
            name: place("name"),
            device_sn: place("device_sn"),
            all: names.len(),
        };
        names.iter().all(|name| known.contains(name)).then_some(columns)
    }

    fn change(&self, row: &CsvRow<'_>, rule: CellRule) -> Result<LabelChange, Refusal> {
        let whole = row.check(self.all).map_err(|fault| (None, fault.as_str()));
        if row.fault.is_some() || row.cells.len() > self.all {
            whole?;
        }
        let cell = |place: usize, field| {
            let cell = row.cells.iter().nth(place).ok_or((Some(field), "missing_field"))?;
            let cell = std::str::from_utf8(cell).map_err(|_| (Some(field), "invalid"))?;
            Ok::<_, Refusal>(plain_text(cell, rule))
        };
        let giccid = cell(self.giccid, "giccid")?;
        let name = self.name.map(|place| cell(place, "name")).transpose()?;
        let name = name.map(|name| name_of(&name).ok_or((Some("name"), "invalid"))).transpose()?;
        let sn = self.device_sn.map(|place| cell(place, "device_sn")).transpose()?;
        let sn = sn.map(|sn| match sn.trim() {
            "" => Ok(None),
            sn => sn.parse::<SerialNumber>().map(Some).map_err(|_| (Some("device_sn"), "invalid")),
        });
        let giccid: Giccid = giccid.trim().parse().map_err(|_| (Some("giccid"), "invalid"))?;
        whole?;
        Ok(LabelChange { giccid, name, device_sn: sn.transpose()? })
    }
}

fn no_table() -> Invalid {
    let detail = "The body should be a CSV whose first line is `giccid,name,device_sn`.";
    Invalid::field(RESOURCE, "giccid", detail.to_owned())
}
