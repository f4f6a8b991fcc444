//! What arrives, as it arrives; every request to the public listener; and what is held.
use std::cmp::Reverse;

use askama::Template;
use axum::{
    Form,
    extract::{Path, RawQuery},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use super::{
    Frame, Here, Source, StatusIn, Visitor,
    ask::Refused,
    call::Call,
    filters::Filters,
    format::{Format, told},
    page_of, place_of,
};

mod requests;

use requests::{Held, Requests};

/// One row of what arrived.
#[derive(Debug, Default)]
pub(super) struct Row {
    id: i64,
    /// For programs, and for people.
    pub(super) at: String,
    pub(super) time: String,
    /// The class of its chip, and its word.
    pub(super) class: &'static str,
    pub(super) word: &'static str,
    pub(super) giccid: String,
    /// The last four digits.
    pub(super) tail: String,
    pub(super) text: String,
    pub(super) amount: String,
    pub(super) exactly: String,
    pub(super) place: String,
}

/// A usage record, a message or a notification.
#[derive(Deserialize)]
struct RowIn {
    id: i64,
    received_at: String,
    giccid: Option<String>,
    sim_group: Option<String>,
    country_code: Option<String>,
    mcc: Option<String>,
    mnc: Option<String>,
    data_usage: Option<i64>,
    text: Option<String>,
    to_msisdn: Option<String>,
    kind: Option<String>,
}

#[derive(Template)]
#[template(path = "live.html")]
struct Live {
    frame: Frame,
    filters: Filters,
    tabs: [(&'static str, &'static str, bool); 3],
    kinds: Vec<(&'static str, String, bool)>,
    stream: String,
    rows: Option<Result<Vec<Row>, Refused>>,
    requests: Option<Result<Requests, Refused>>,
    held: Option<Result<Held, Refused>>,
    /// What became of what the visitor did.
    said: Option<String>,
}

/// `GET /live`
pub(super) async fn show(visitor: Visitor, RawQuery(query): RawQuery) -> Response {
    page(&visitor, query.as_deref(), None).await
}

async fn page(visitor: &Visitor, query: Option<&str>, said: Option<String>) -> Response {
    let words = visitor.look.words;
    let others = &["tab", "kind", "outcome", "id"];
    let filters = Filters::of("/live", query, others, words);
    let tab = filters.value("tab").unwrap_or("rows");
    let tab = if ["requests", "held"].contains(&tab) { tab } else { "rows" };
    let (mut rows, mut requests, mut held) = (None, None, None);
    match tab {
        "requests" => requests = Some(Requests::ask(visitor, &filters).await),
        "held" => held = Some(Held::ask(visitor, &filters).await),
        _ => rows = Some(chosen(visitor, &filters).await),
    }
    let status = StatusIn::of(&visitor.api).await;
    let stream = filters.on(Call::to("/v1/stream").with_some("kind", filters.value("kind")));
    let live = &words.live;
    let page = Live {
        frame: visitor.frame(Here::Live, words.nav.live, &status),
        tabs: [
            ("/live", live.rows, tab == "rows"),
            ("/live?tab=requests", live.inspector, tab == "requests"),
            ("/live?tab=held", live.held, tab == "held"),
        ],
        kinds: kinds(&filters, visitor),
        // Only what the stream knows to filter by.
        stream: ["country_code", "mcc", "mnc", "apn"]
            .into_iter()
            .fold(stream, |stream, name| stream.without(name))
            .uri(),
        rows,
        requests,
        held,
        said,
        filters,
    };
    page_of(StatusCode::OK, &page)
}

/// The choice of what is shown.
fn kinds(filters: &Filters, visitor: &Visitor) -> Vec<(&'static str, String, bool)> {
    let live = &visitor.look.words.live;
    let now = filters.value("kind");
    let here = || filters.here.clone();
    vec![
        (live.everything, here().without("kind").uri(), now.is_none()),
        (live.data, here().set("kind", "data-usage").uri(), now == Some("data-usage")),
        (live.sms, here().set("kind", "mo-sms").uri(), now == Some("mo-sms")),
        (live.router, here().set("kind", "device").uri(), now == Some("device")),
    ]
}

const ROWS: usize = 50;

/// The newest rows of the kind that is chosen.
async fn chosen(visitor: &Visitor, filters: &Filters) -> Result<Vec<Row>, Refused> {
    let call = |path: &'static str| {
        let call = Call::to(path).with("size", ROWS);
        let call = call.with_some("giccid", filters.value("giccid"));
        match path {
            "/v1/notifications" => call,
            _ => call.with_some("sim_group", filters.value("sim_group")),
        }
    };
    let calls: Vec<Call> = match filters.value("kind") {
        None => ["/v1/data-usage", "/v1/mo-sms", "/v1/notifications"].map(call).into(),
        Some("data-usage") => vec![call("/v1/data-usage")],
        Some("mo-sms") => vec![call("/v1/mo-sms")],
        Some("device") => Vec::new(),
        Some(kind) => vec![call("/v1/notifications").with("kind", kind)],
    };
    rows(visitor, &calls, ROWS).await
}

/// The newest rows of every kind.
pub(super) async fn newest(visitor: &Visitor, count: usize) -> Result<Vec<Row>, Refused> {
    let call = |path: &'static str| Call::to(path).with("size", count);
    rows(visitor, &["/v1/data-usage", "/v1/mo-sms", "/v1/notifications"].map(call), count).await
}

async fn rows(visitor: &Visitor, calls: &[Call], count: usize) -> Result<Vec<Row>, Refused> {
    let format = visitor.format();
    let mut rows = Vec::new();
    for call in calls {
        let list: Vec<RowIn> = visitor.api.get(call).await?.body;
        rows.extend(list.into_iter().map(|row| Row::of(row, call, &format)));
    }
    rows.sort_by_key(|row| Reverse(row.id));
    rows.truncate(count);
    Ok(rows)
}

impl Row {
    fn of(row: RowIn, call: &Call, format: &Format) -> Self {
        let words = &format.words.live;
        let giccid = row.giccid.unwrap_or_default();
        let tail_at = giccid.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
        let network = row.mcc.map(|mcc| format!("{mcc}-{}", row.mnc.unwrap_or_default()));
        let place: Vec<String> = row.country_code.into_iter().chain(network).collect();
        let base = Self {
            id: row.id,
            time: told(&row.received_at).map(|at| format.second(at)).unwrap_or_default(),
            at: row.received_at,
            tail: giccid[tail_at..].to_owned(),
            giccid,
            ..Self::default()
        };
        match (call.path(), row.data_usage) {
            ("/v1/data-usage", Some(used)) => Self {
                class: "",
                word: words.data,
                text: row.sim_group.unwrap_or_default(),
                amount: format!("+{}", format.bytes(used)),
                exactly: format.exactly(used),
                place: place.join(" "),
                ..base
            },
            ("/v1/mo-sms", _) => Self {
                class: "sms",
                word: words.sms,
                text: row.text.map(|text| format!("“{text}”")).unwrap_or_default(),
                place: row.to_msisdn.map(|to| format!("→ {to}")).unwrap_or_default(),
                ..base
            },
            _ => Self {
                class: "plain",
                word: words.notice,
                text: row.kind.unwrap_or_default(),
                ..base
            },
        }
    }
}

/// Where a visitor's button stood.
#[derive(Deserialize)]
pub(super) struct From {
    #[serde(default)]
    next: String,
}

/// What `/v1/test-push` tells.
#[derive(Deserialize)]
struct TestIn {
    status: u16,
    took_ms: f64,
}

/// `POST /test-push`: a real record, through the real front door.
pub(super) async fn test_push(mut visitor: Visitor, Form(from): Form<From>) -> Response {
    let sent = visitor.api.post::<TestIn>("/v1/test-push").await;
    let words = visitor.look.words;
    let first_run = &words.first_run;
    let said = match sent {
        Ok(sent) if sent.body.status < 300 => {
            (first_run.test_done)(&format!("{:.0} ms", sent.body.took_ms))
        }
        Ok(sent) => (first_run.test_failed)(&sent.body.status.to_string()),
        Err(refused) => (first_run.test_failed)(&refused.told(words)),
    };
    let is_first = from.next == "/";
    // Nothing can be asked of the address of this form: the page is one of these, and stays fresh as one.
    visitor.address = if is_first { "/" } else { "/live" }.to_owned();
    match is_first {
        // The overview shows it, once it is stored.
        true => super::first_run::after_test(&visitor, &said).await,
        false => page(&visitor, None, Some(said)).await,
    }
}

/// `POST /held/{id}/retry`
pub(super) async fn retry(visitor: Visitor, Path(id): Path<i64>) -> Response {
    let words = visitor.look.words;
    let done = visitor.api.post::<serde_json::Value>(&format!("/v1/held/{id}/retry")).await;
    match done {
        Ok(_) => (StatusCode::SEE_OTHER, [(header::LOCATION, place_of("/live?tab=held"))])
            .into_response(),
        Err(refused) => {
            let said = (words.live.not_retried)(&refused.told(words));
            page(&visitor, Some("tab=held"), Some(said)).await
        }
    }
}
