//! Messages that SIMs sent, one SIM's thread, and reports on messages that were sent to them.
use std::collections::BTreeMap;

use askama::Template;
use axum::{extract::RawQuery, http::StatusCode, response::Response};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Frame, Here, Source, StatusIn, Visitor,
    ask::{Answer, Refused},
    call::Call,
    filters::Filters,
    format::Format,
    page_of,
    routers::When,
    sim::members,
    sims::Number,
    turns::{PLACE, Pages},
};
use crate::{domain::Timestamp, http::query_string::list_item};

#[derive(Template)]
#[template(path = "messages.html")]
struct MessagesPage {
    frame: Frame,
    filters: Filters,
    tabs: [(&'static str, &'static str, bool); 2],
    list: Result<List, Refused>,
    is_reports: bool,
    q: String,
    /// The SIM whose thread this is.
    thread: Option<Number>,
    is_narrowed: bool,
    /// The parameters that a search keeps.
    kept: Vec<(&'static str, String)>,
}

struct List {
    rows: Vec<Row>,
    pages: Pages,
    source: Source,
}

struct Row {
    when: When,
    number: Option<Number>,
    group: String,
    from: String,
    to: String,
    text: Option<String>,
}

#[derive(Deserialize)]
struct MessageIn {
    giccid: Option<String>,
    sim_group: Option<String>,
    event_time: Option<i64>,
    received_at: String,
    from_msisdn: Option<String>,
    to_msisdn: Option<String>,
    text: Option<String>,
    payload: Option<BTreeMap<String, Value>>,
}

const OWN: [&str; 4] = ["tab", "q", "from_msisdn", "to_msisdn"];

/// `GET /messages`
pub(super) async fn show(visitor: Visitor, RawQuery(query): RawQuery) -> Response {
    let words = visitor.look.words;
    let names = [OWN.as_slice(), &PLACE].concat();
    let filters = Filters::of("/messages", query.as_deref(), &names, words);
    let is_reports = filters.value("tab") == Some("reports");
    let (status, list) =
        tokio::join!(StatusIn::of(&visitor.api), list(&visitor, &filters, is_reports));
    let narrowing = ["q", "from_msisdn", "to_msisdn", "sim_group", "giccid"];
    let kept = ["tab", "from_msisdn", "to_msisdn", "sim_group", "giccid"].into_iter();
    let page = MessagesPage {
        frame: visitor.frame(Here::Messages, words.nav.messages, &status),
        tabs: [
            ("/messages", words.messages.inbox, !is_reports),
            ("/messages?tab=reports", words.messages.reports, is_reports),
        ],
        q: filters.value("q").unwrap_or_default().to_owned(),
        thread: filters.value("giccid").map(|giccid| Number::of(giccid.to_owned())),
        is_narrowed: narrowing.iter().any(|name| filters.value(name).is_some()),
        kept: kept.filter_map(|name| Some((name, filters.value(name)?.to_owned()))).collect(),
        list,
        is_reports,
        filters,
    };
    page_of(StatusCode::OK, &page)
}

async fn list(visitor: &Visitor, filters: &Filters, is_reports: bool) -> Result<List, Refused> {
    let some = |call: Call, names: &[&'static str]| {
        names
            .iter()
            .fold(call, |call, name| call.with_some(name, filters.value(name).map(list_item)))
    };
    let call = match is_reports {
        true => some(Call::to("/v1/notifications").with("kind", "mt-sms-status"), &["giccid"]),
        false => some(
            Call::to("/v1/mo-sms").with_some("q", filters.value("q")),
            &["giccid", "sim_group", "from_msisdn", "to_msisdn"],
        ),
    };
    let call = PLACE.into_iter().fold(call, |call, name| call.with_some(name, filters.value(name)));
    let answer: Answer<Vec<MessageIn>> = visitor.api.get(&call).await?;
    let format = visitor.format();
    let pages = Pages::of(&answer, &filters.here, &format);
    let rows = answer.body.into_iter().map(|message| row(message, &format)).collect();
    Ok(List { rows, pages, source: visitor.source(&call) })
}

fn row(message: MessageIn, format: &Format) -> Row {
    let own = message.event_time.map(|ms| Timestamp::from_unix_ms(ms).to_string());
    let text = message.text.map(|text| format!("“{text}”"));
    Row {
        when: When::of(&own.unwrap_or(message.received_at), format),
        number: message.giccid.map(Number::of),
        group: message.sim_group.unwrap_or_default(),
        from: message.from_msisdn.unwrap_or_default(),
        to: message.to_msisdn.unwrap_or_default(),
        text: text.or_else(|| message.payload.map(members)),
    }
}
