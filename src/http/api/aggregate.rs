//! `/v1/data-usage/aggregate` and `/v1/mo-sms/aggregate`: sums by time and group, one row a sum.
use std::{io, vec};

use axum::{
    body::{Body, Bytes},
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::stream::try_unfold;
use http_body_util::StreamBody;
use hyper::body::Frame;
use jiff::tz::TimeZone;
use tokio::task::spawn_blocking;

use super::{
    InternalState,
    aggregate_row::{RowOut, Table},
    cells::{CellRule, Cells},
    error::ApiError,
    export,
    params::{self, Format, Question, Route},
    respond::Form,
};
use crate::{
    domain::{AggregateQuestion, AggregateRow, ComparedRow, Timestamp},
    http::{
        auth::Guest,
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
    guest: Guest,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let route = &params::USAGE_SUMS;
    let ask = route.read(query.as_deref())?;
    let question = question(&ask, &state.store, route)?;
    let place = state.store.heavy_for(&guest.caller.label).await?;
    let rows = if ask.sums.has_usual {
        state.store.usage_usual(&question).await?
    } else {
        alone(state.store.usage_aggregate(&question).await?)
    };
    drop(place);
    let arrived = state.store.usage_arrived_through(state.clock.now()).await?;
    let table = Table::new(question, true, ask.sums.has_usual);
    Ok(answer(table, rows, route, Form::of(&ask, &headers), arrived, guest))
}

/// `GET /v1/mo-sms/aggregate`
pub(super) async fn sms(
    State(state): State<InternalState>,
    guest: Guest,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let route = &params::SMS_SUMS;
    let ask = route.read(query.as_deref())?;
    let question = question(&ask, &state.store, route)?;
    let place = state.store.heavy_for(&guest.caller.label).await?;
    let rows = if ask.sums.has_usual {
        state.store.sms_usual(&question).await?
    } else {
        alone(state.store.sms_aggregate(&question).await?)
    };
    drop(place);
    let arrived = state.store.sms_arrived_through(state.clock.now()).await?;
    let table = Table::new(question, false, ask.sums.has_usual);
    Ok(answer(table, rows, route, Form::of(&ask, &headers), arrived, guest))
}

/// Rows that are compared with nothing.
fn alone(rows: Vec<AggregateRow>) -> Vec<ComparedRow> {
    rows.into_iter().map(|row| ComparedRow { row, usual: None }).collect()
}

fn question(ask: &Question, store: &Store, route: &Route) -> Result<AggregateQuestion, ApiError> {
    let zone = match &ask.sums.tz {
        None => store.zone(),
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
    rows: Vec<ComparedRow>,
    route: &Route,
    form: Form,
    arrived: Option<Timestamp>,
    guest: Guest,
) -> Response {
    let all = rows.len() as u64;
    let writing = Writing { table, form, all, rows: rows.into_iter(), stage: Stage::Head };
    let frames = try_unfold((writing, guest), async |(mut writing, guest)| {
        if !guest.has_live_key() {
            return Err(ApiError::NoKey);
        }
        // On a thread that answers requests others would wait for a thousand rows.
        let next = spawn_blocking(move || (writing.next(), writing));
        let (frame, writing) = next.await.map_err(io::Error::from)?;
        Ok(frame?.map(|frame| (frame, (writing, guest))))
    });
    let mut response = Body::new(StreamBody::new(frames)).into_response();
    if form.is_export() {
        export::announce_trailer(&mut response);
    }
    form.label_as(route.resource, &mut response);
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    if let Some(Ok(arrived)) = arrived.map(|arrived| HeaderValue::try_from(arrived.to_string())) {
        headers.insert(ARRIVED_THROUGH, arrived);
    }
    response
}

/// An answer that is being written.
struct Writing {
    table: Table,
    form: Form,
    /// How many rows there are.
    all: u64,
    /// Those that are not written yet.
    rows: vec::IntoIter<ComparedRow>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Head,
    FirstRow,
    Rows,
    Trailer,
    Over,
}

impl Writing {
    fn next(&mut self) -> Result<Option<Frame<Bytes>>, ApiError> {
        let chunk = match self.stage {
            Stage::Over => return Ok(None),
            Stage::Trailer => {
                self.stage = Stage::Over;
                return Ok(Some(export::trailer(self.all)));
            }
            Stage::Head => {
                self.stage = Stage::FirstRow;
                self.head()?
            }
            Stage::FirstRow | Stage::Rows => self.more()?,
        };
        Ok(Some(Frame::data(chunk.into())))
    }

    fn more(&mut self) -> Result<Vec<u8>, ApiError> {
        let mut chunk = match self.form.format() {
            Format::Csv => self.cells()?,
            Format::Json | Format::Ndjson => self.objects()?,
        };
        self.stage = Stage::Rows;
        if self.rows.len() == 0 {
            self.stage = if self.form.is_export() { Stage::Trailer } else { Stage::Over };
            chunk.extend(self.form.tail_as(self.all, self.table.columns().len())?);
        }
        Ok(chunk)
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
