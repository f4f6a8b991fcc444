//! What people say of SIMs: `PUT /v1/sims/{giccid}`, and a table of the same.
use axum::{
    Json,
    body::{Body, to_bytes},
    extract::{RawQuery, State},
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    InternalState,
    base::Base,
    body::Members,
    doc::words,
    error::{ApiError, Invalid},
    params,
    sims::{NamedSim, as_of, one_out},
};
use crate::{
    domain::{Giccid, LabelChange, SerialNumber, ShortText},
    http::{auth::Admin, problem::Code},
};

const RESOURCE: &str = "sims";
const NAME_SHOULD_BE: &str = "at most 64 characters without control characters, or null";
const SN_SHOULD_BE: &str = "1 to 50 letters and digits, or null";

/// A name's length at most: whatever its characters are, it fits into a [`ShortText`].
const NAME_CHARACTERS_MAX: usize = ShortText::BYTES_MAX / 4;
/// What a table looks like; which of its lines are kept, the answer tells. Other orders of the columns
/// are taken too.
pub(super) const TABLE_PATTERN: &str =
    "^giccid(,name(,device_sn)?|,device_sn(,name)?)?([\\r\\n][\\s\\S]*)?$";

/// A table's bytes at most.
const TABLE_BYTES_MAX: usize = 8 << 20;
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
    field: &'static str,
    #[schema(schema_with = words::code)]
    code: Code,
}

/// What is said of a SIM. What is left out stays as it is, null takes it away.
#[derive(ToSchema)]
#[schema(examples(json!({"name": "Roof 7", "device_sn": "24031300770021"})))]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it is read member by member, so that a refusal names one")]
pub(super) struct LabelIn {
    /// How people call it, without control characters.
    #[schema(schema_with = words::label_name, required = false)]
    name: Option<String>,
    /// The router that it sits in.
    #[schema(schema_with = words::label_sn, required = false)]
    device_sn: Option<String>,
}

/// `PUT /v1/sims/{giccid}`: what is left out stays as it is, null takes away.
pub(super) async fn put(
    State(state): State<InternalState>,
    Admin(caller): Admin,
    base: Base,
    NamedSim(giccid): NamedSim,
    RawQuery(query): RawQuery,
    mut members: Members,
) -> Result<Json<Value>, ApiError> {
    let as_of = as_of(&state, &params::SIM.read(query.as_deref())?)?;
    let name = members.take_if_there(RESOURCE, "name", NAME_SHOULD_BE, |value| match value {
        Value::Null => Some(ShortText::default()),
        value => name_of(value.as_str()?),
    })?;
    let device_sn =
        members.take_if_there(RESOURCE, "device_sn", SN_SHOULD_BE, |value| match value {
            Value::Null => Some(None),
            value => value.as_str()?.parse().ok().map(Some),
        })?;
    members.end(RESOURCE)?;
    let change = LabelChange { giccid: giccid.clone(), name, device_sn };
    state.intake.label_sims(vec![change], &caller).await?;
    // A SIM without records of which nothing is said any more is none that we know.
    let sim = state.store.sim(&giccid, &as_of).await?.ok_or(ApiError::NoSuchSim)?;
    Ok(Json(one_out(&state, &sim, &base).await?))
}

/// `POST /v1/sims/import`: a CSV with the columns `giccid`, `name` and `device_sn`, the latter two as
/// far as they are to be changed. An empty cell takes away.
pub(super) async fn import(
    State(state): State<InternalState>,
    Admin(caller): Admin,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Json<ImportOut>, ApiError> {
    params::read_none(RESOURCE, query.as_deref())?;
    let table = to_bytes(body, TABLE_BYTES_MAX).await.map_err(|_| ApiError::BodyTooLarge)?;
    // A spreadsheet marks UTF-8 with three bytes that are no part of the header.
    let table = table.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&table);
    let mut rows = csv::ReaderBuilder::new().flexible(true).from_reader(table);
    let columns = Columns::of(rows.byte_headers().map_err(|_| no_table())?)?;
    let mut out = ImportOut::default();
    let mut changes = Vec::new();
    let mut lines = Lines { table, at: 0, line: 1 };
    for row in rows.byte_records() {
        let row = row.map_err(|_| no_table())?;
        let line = lines.of(row.position().map_or(0, csv::Position::byte));
        match columns.change(&row) {
            Ok(change) => changes.push(change),
            Err((field, code)) => {
                out.refused_lines += 1;
                if out.refused.len() < REFUSED_TOLD_MAX {
                    out.refused.push(RefusedLine { line, field, code });
                }
            }
        }
        if changes.len() >= CHANGES_MAX {
            out.keep(&state, &mut changes, &caller).await?;
        }
    }
    out.keep(&state, &mut changes, &caller).await?;
    Ok(Json(out))
}

impl ImportOut {
    async fn keep(
        &mut self,
        state: &InternalState,
        changes: &mut Vec<LabelChange>,
        caller: &crate::domain::Caller,
    ) -> Result<(), ApiError> {
        if changes.is_empty() {
            return Ok(());
        }
        let lines = changes.len() as u64;
        let unknown = state.intake.label_sims(std::mem::take(changes), caller).await?;
        self.unknown += unknown;
        self.updated += lines - unknown;
        Ok(())
    }
}

/// Counts a table's lines. The reader counts the line break before a row to the row.
struct Lines<'t> {
    table: &'t [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line of the row that begins here, or behind the line break here.
    fn of(&mut self, byte: u64) -> u64 {
        let begins = usize::try_from(byte).unwrap_or(usize::MAX).min(self.table.len());
        let rest = &self.table[begins..];
        let breaks = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let passed = &self.table[self.at..begins + breaks];
        self.line += passed.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.at = begins + breaks;
        self.line
    }
}

/// Where a table's columns stand.
struct Columns {
    giccid: usize,
    name: Option<usize>,
    device_sn: Option<usize>,
}

type Refusal = (&'static str, Code);

impl Columns {
    fn of(header: &csv::ByteRecord) -> Result<Self, ApiError> {
        let mut places = [None; 3];
        for (place, column) in header.iter().enumerate() {
            let known = ["giccid", "name", "device_sn"];
            let nth = known.iter().position(|name| name.as_bytes() == column.trim_ascii());
            match nth {
                Some(nth) if places[nth].is_none() => places[nth] = Some(place),
                _ => return Err(no_table()),
            }
        }
        let [giccid, name, device_sn] = places;
        let giccid = giccid.ok_or_else(no_table)?;
        Ok(Self { giccid, name, device_sn })
    }

    fn change(&self, row: &csv::ByteRecord) -> Result<LabelChange, Refusal> {
        let cell = |place: usize, field| {
            let cell = row.get(place).ok_or((field, Code::MissingField))?;
            std::str::from_utf8(cell).map(str::trim).map_err(|_| (field, Code::Invalid))
        };
        let giccid = plain(cell(self.giccid, "giccid")?);
        let name = self.name.map(|place| cell(place, "name")).transpose()?;
        let name = name.map(|name| name_of(name).ok_or(("name", Code::Invalid))).transpose()?;
        let sn = self.device_sn.map(|place| cell(place, "device_sn")).transpose()?;
        let sn = sn.map(|sn| match sn {
            "" => Ok(None),
            sn => sn.parse::<SerialNumber>().map(Some).map_err(|_| ("device_sn", Code::Invalid)),
        });
        let giccid: Giccid = giccid.parse().map_err(|_| ("giccid", Code::Invalid))?;
        Ok(LabelChange { giccid, name, device_sn: sn.transpose()? })
    }
}

/// A long number as `excel=true` writes it: `="…"`.
fn plain(cell: &str) -> &str {
    cell.strip_prefix("=\"").and_then(|rest| rest.strip_suffix('"')).unwrap_or(cell)
}

fn name_of(text: &str) -> Option<ShortText> {
    let fits = text.chars().count() <= NAME_CHARACTERS_MAX;
    let is_plain = !text.chars().any(char::is_control);
    ShortText::try_from(text).ok().filter(|_| fits && is_plain)
}

fn no_table() -> ApiError {
    let detail = "The body should be a CSV whose first line is `giccid,name,device_sn`.";
    Invalid::field(RESOURCE, "giccid", detail.to_owned()).into()
}
