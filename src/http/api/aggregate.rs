//! `/v1/data-usage/aggregate` and `/v1/mo-sms/aggregate`: sums by time and group, one row a sum.
use std::vec;

use axum::{
    body::{Body, Bytes},
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::stream::try_unfold;
use jiff::tz::TimeZone;
use serde::{Serialize, Serializer, ser::SerializeMap};
use utoipa::ToSchema;

use super::{
    InternalState,
    cells::{CellRule, Cells},
    doc::words,
    error::ApiError,
    params::{self, Format, Question, Route},
    respond::Form,
};
use crate::{
    domain::{AggregateQuestion, AggregateRow, Calendar, Group, GroupBy, Interval, Timestamp},
    http::{
        auth::Reader,
        problem::{Code, FieldError},
    },
    store::Store,
};

/// Rows that are written at a time.
const ROWS_AT_ONCE: usize = 1000;

const ARRIVED_THROUGH: HeaderName = HeaderName::from_static("simdeck-arrived-through");

/// `GET /v1/data-usage/aggregate`
pub(super) async fn usage(
    State(state): State<InternalState>,
    _: Reader,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let route = &params::USAGE_SUMS;
    let ask = route.read(query.as_deref())?;
    let question = question(&ask, &state.store, route)?;
    let place = state.store.heavy().await?;
    let rows = state.store.usage_aggregate(&question).await?;
    drop(place);
    let arrived = state.store.usage_arrived_through(state.clock.now()).await?;
    let table = Table::new(question, true);
    Ok(answer(table, rows, route, Form::of(&ask, &headers), arrived))
}

/// `GET /v1/mo-sms/aggregate`
pub(super) async fn sms(
    State(state): State<InternalState>,
    _: Reader,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let route = &params::SMS_SUMS;
    let ask = route.read(query.as_deref())?;
    let question = question(&ask, &state.store, route)?;
    let place = state.store.heavy().await?;
    let rows = state.store.sms_aggregate(&question).await?;
    drop(place);
    let arrived = state.store.sms_arrived_through(state.clock.now()).await?;
    let table = Table::new(question, false);
    Ok(answer(table, rows, route, Form::of(&ask, &headers), arrived))
}

fn question(ask: &Question, store: &Store, route: &Route) -> Result<AggregateQuestion, ApiError> {
    let zone = match &ask.sums.tz {
        None => store.time_zone().clone(),
        Some(name) => TimeZone::get(name).map_err(|_| unknown_zone(route.resource))?,
    };
    Ok(AggregateQuestion {
        filter: ask.filter.clone(),
        interval: ask.sums.interval,
        zone,
        group_by: ask.sums.group_by.clone(),
        top: ask.sums.top,
    })
}

/// Which zones there are, no schema can tell.
fn unknown_zone(resource: &'static str) -> ApiError {
    let error = FieldError { resource, field: "tz".to_owned(), code: Code::Invalid };
    let detail = "There is no such time zone. `tz` takes names such as Asia/Shanghai, of the IANA \
                  time zone database.";
    ApiError::Conflict(detail.to_owned(), Some(error))
}

/// The rows as the client wants them. They are there already; only their text is made bit by bit.
fn answer(
    table: Table,
    rows: Vec<AggregateRow>,
    route: &Route,
    form: Form,
    arrived: Option<Timestamp>,
) -> Response {
    let writing = Writing { table, form, rows: rows.into_iter(), stage: Stage::Head };
    let chunks = try_unfold(writing, async |mut writing| {
        let chunk = writing.next_chunk()?;
        Ok::<_, ApiError>(chunk.map(|chunk| (Bytes::from(chunk), writing)))
    });
    let mut response = Body::from_stream(chunks).into_response();
    form.label_as(route.resource, &mut response);
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    if let Some(Ok(arrived)) = arrived.map(|arrived| HeaderValue::try_from(arrived.to_string())) {
        headers.insert(ARRIVED_THROUGH, arrived);
    }
    response
}

/// What is the same for all rows of an answer.
struct Table {
    question: AggregateQuestion,
    /// Tells the local dates.
    days: Calendar,
    has_volume: bool,
}

/// An answer that is being written.
struct Writing {
    table: Table,
    form: Form,
    rows: vec::IntoIter<AggregateRow>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Head,
    FirstRow,
    Rows,
    Over,
}

impl Writing {
    fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, ApiError> {
        let chunk = match self.stage {
            Stage::Over => return Ok(None),
            Stage::Head => {
                self.stage = Stage::FirstRow;
                return self.head().map(Some);
            }
            Stage::FirstRow | Stage::Rows if self.form.format() == Format::Csv => self.cells()?,
            Stage::FirstRow | Stage::Rows => self.objects()?,
        };
        if self.stage == Stage::FirstRow {
            self.stage = Stage::Rows;
        }
        if self.rows.len() > 0 {
            return Ok(Some(chunk));
        }
        self.stage = Stage::Over;
        let mut last = chunk;
        last.extend(self.form.tail_as(0, self.table.columns().len())?);
        Ok(Some(last))
    }

    fn head(&self) -> Result<Vec<u8>, ApiError> {
        match self.form.format() {
            Format::Json => Ok(b"[".to_vec()),
            Format::Ndjson => Ok(Vec::new()),
            Format::Csv => {
                let mut cells = Cells::new(CellRule { raw: true, excel: false });
                for name in self.table.columns() {
                    cells.text(name);
                }
                cells.end_row()?;
                Ok(cells.finish()?)
            }
        }
    }

    fn objects(&mut self) -> Result<Vec<u8>, ApiError> {
        let mut out = Vec::new();
        let is_array = self.form.format() == Format::Json;
        let mut begins = self.stage == Stage::FirstRow;
        for row in self.rows.by_ref().take(ROWS_AT_ONCE) {
            if is_array && !std::mem::take(&mut begins) {
                out.push(b',');
            }
            let row = RowOut { table: &self.table, row: &row };
            serde_json::to_writer(&mut out, &row).map_err(std::io::Error::from)?;
            if !is_array {
                out.push(b'\n');
            }
        }
        Ok(out)
    }

    fn cells(&mut self) -> Result<Vec<u8>, ApiError> {
        let mut cells = Cells::new(self.form.rule());
        for row in self.rows.by_ref().take(ROWS_AT_ONCE) {
            self.table.cells(&row, &mut cells);
            cells.end_row()?;
        }
        Ok(cells.finish()?)
    }
}

impl Table {
    fn new(question: AggregateQuestion, has_volume: bool) -> Self {
        let days = Calendar::new(question.zone.clone(), Interval::Day);
        Self { question, days, has_volume }
    }

    /// Whether a row may be that of other groups.
    fn has_others(&self) -> bool {
        self.question.top.is_some() && !self.question.group_by.is_empty()
    }

    fn columns(&self) -> Vec<&'static str> {
        let mut names = vec!["start", "end", "day"];
        names.extend(self.question.group_by.iter().map(|by| name_of(*by)));
        names.extend(self.has_volume.then_some("data_usage"));
        names.push("records");
        names.extend(self.has_others().then_some("other"));
        names
    }

    fn cells(&self, row: &AggregateRow, cells: &mut Cells) {
        let [start, end, day] = self.times(row);
        for text in [start, end, day] {
            cells.text(&text.unwrap_or_default());
        }
        for (_, value) in self.groups(row) {
            cells.text(value.unwrap_or_default());
        }
        if self.has_volume {
            cells.integer(row.data_usage);
        }
        cells.integer(row.records);
        if self.has_others() {
            cells.text(if row.group == Group::Others { "true" } else { "" });
        }
    }

    /// Start, end and the local day of the start. What was left open has none.
    fn times(&self, row: &AggregateRow) -> [Option<String>; 3] {
        let ends = [row.span.start_ms, row.span.end_ms];
        let [start, end] = ends.map(|ms| Some(ms).filter(|ms| ![i64::MIN, i64::MAX].contains(ms)));
        let shown = |ms| Timestamp::from_unix_ms(ms).to_string();
        let day = start.map(|start_ms| self.days.date_at(start_ms).to_string());
        [start.map(shown), end.map(shown), day]
    }

    /// The values that a row is grouped by. A field that was not sent has none.
    fn groups<'r>(
        &self,
        row: &'r AggregateRow,
    ) -> impl Iterator<Item = (&'static str, Option<&'r str>)> {
        self.question.group_by.iter().enumerate().map(|(place, by)| {
            let value = match &row.group {
                Group::One(values) => values.get(place).map(String::as_str),
                Group::Others => None,
            };
            let nothing = if *by == GroupBy::Network { "-" } else { "" };
            (name_of(*by), value.filter(|value| *value != nothing))
        })
    }
}

/// A sum of usage. The members of `group_by` are there where it names them; no start, end or day
/// where the question left it open.
#[derive(ToSchema)]
#[schema(examples(json!({
    "start": "2024-09-04T16:00:00.000Z", "end": "2024-09-05T16:00:00.000Z", "day": "2024-09-05",
    "country_code": "CN", "data_usage": 52_118, "records": 40,
})))]
#[expect(dead_code, reason = "it is written member by member, as many as the question has")]
pub(super) struct UsageSumOut {
    #[schema(format = DateTime)]
    start: Option<String>,
    #[schema(format = DateTime)]
    end: Option<String>,
    #[schema(format = Date)]
    day: Option<String>,
    #[schema(schema_with = words::text_or_null, required = false)]
    giccid: Option<String>,
    #[schema(schema_with = words::text_or_null, required = false)]
    sim_group: Option<String>,
    #[schema(schema_with = words::text_or_null, required = false)]
    country_code: Option<String>,
    #[schema(schema_with = words::text_or_null, required = false)]
    network: Option<String>,
    #[schema(schema_with = words::text_or_null, required = false)]
    apn: Option<String>,
    data_usage: i64,
    records: i64,
    /// True in the row of those that `top` left.
    #[schema(nullable = false)]
    other: Option<bool>,
}

/// A sum of messages. The members of `group_by` are there where it names them; no start, end or day
/// where the question left it open.
#[derive(ToSchema)]
#[schema(examples(json!({
    "start": "2024-09-04T16:00:00.000Z", "end": "2024-09-05T16:00:00.000Z", "day": "2024-09-05",
    "sim_group": "groupA", "records": 40,
})))]
#[expect(dead_code, reason = "it is written member by member, as many as the question has")]
pub(super) struct SmsSumOut {
    #[schema(format = DateTime)]
    start: Option<String>,
    #[schema(format = DateTime)]
    end: Option<String>,
    #[schema(format = Date)]
    day: Option<String>,
    #[schema(schema_with = words::text_or_null, required = false)]
    giccid: Option<String>,
    #[schema(schema_with = words::text_or_null, required = false)]
    sim_group: Option<String>,
    records: i64,
    /// True in the row of those that `top` left.
    #[schema(nullable = false)]
    other: Option<bool>,
}

/// A sum as the client reads it.
struct RowOut<'a> {
    table: &'a Table,
    row: &'a AggregateRow,
}

impl Serialize for RowOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { table, row } = self;
        let mut members = serializer.serialize_map(None)?;
        for (name, time) in ["start", "end", "day"].into_iter().zip(table.times(row)) {
            members.serialize_entry(name, &time)?;
        }
        for (name, value) in table.groups(row) {
            members.serialize_entry(name, &value)?;
        }
        if table.has_volume {
            members.serialize_entry("data_usage", &row.data_usage)?;
        }
        members.serialize_entry("records", &row.records)?;
        if row.group == Group::Others {
            members.serialize_entry("other", &true)?;
        }
        members.end()
    }
}

fn name_of(by: GroupBy) -> &'static str {
    match by {
        GroupBy::Giccid => "giccid",
        GroupBy::SimGroup => "sim_group",
        GroupBy::CountryCode => "country_code",
        GroupBy::Network => "network",
        GroupBy::Apn => "apn",
    }
}
